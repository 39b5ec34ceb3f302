"""Makes the image's environment small and quick to start, in the Containerfile: `python slim.py SITE_PACKAGES`.

Removed is what nothing reads at run time: descriptions of Google's and Amazon's other services, headers and sources, tests, stubs. Compiled
is what the modules in USED load, and nothing else: half of all bytecode is for code that never runs here. The root is read-only, so what
is left out would be compiled in memory, each time a process first loads it. Hashes in the files, instead of times, keep them valid
however a layer is unpacked.
"""

import importlib
import py_compile
import shutil
import sys
from pathlib import Path

USED = (
    "functions_framework.aio", "functions_framework._cli", "functions_framework._http.gunicorn", "uvicorn", "uvicorn_worker", "granian",
    "granian.server.embed", "uvloop", "pydantic", "limits", "limits.aio.storage", "rfc8785", "python_multipart", "httpx", "aiohttp",
    "apscheduler", "psycopg", "psycopg_pool", "redis.asyncio", "hiredis", "boto3", "botocore.auth", "botocore.client", "botocore.session",
    "botocore.awsrequest", "argon2", "jwt", "pyotp", "cryptography.x509", "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.asymmetric.ec", "webdav3.client", "googleapiclient.discovery", "googleapiclient.http",
    "google_auth_oauthlib.flow", "msal", "pypdfium2", "chardet", "tesserocr", "PIL.Image", "PIL.ImageOps", "pi_heif", "anthropic",
    "openai", "genai_prices", "Stemmer", "numpy", "cloudevents.http",
)  # fmt: skip
"""What functions, gateway, worker and broker import, and their server."""

NOT_READ = ("*.pyi", "*.pyx", "*.pxd", "*.h", "*.c", "*.cpp", "*.a")


def remove(site: Path) -> None:
    """Removes what nothing reads."""
    for document in (site / "googleapiclient" / "discovery_cache" / "documents").glob("*.json"):
        if document.name != "drive.v3.json":
            document.unlink()
    for service in (site / "botocore" / "data").iterdir():
        if service.is_dir() and service.name != "s3":
            shutil.rmtree(service)
    for pattern in NOT_READ:
        for path in site.rglob(pattern):
            path.unlink()
    for folder in [path for path in (site / "numpy").rglob("tests") if path.is_dir()]:
        shutil.rmtree(folder)


def compile_used(site: Path) -> None:
    """Compiles what is loaded with the modules in USED. Raises ImportError if one cannot be loaded: it is missing, or was cut."""
    for name in USED:
        importlib.import_module(name)
    for module in list(sys.modules.values()):
        source = Path(getattr(module, "__file__", None) or "")
        if source.suffix == ".py" and site in source.parents:
            py_compile.compile(str(source), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    remove(folder)
    compile_used(folder)
