"""GET /: the web console, to somebody who opens the address in a browser.

Its files are built from `web/` by `./scripts/build-console` and committed in `dist/`. Each address of the console gets `index.html`;
no path of `/api` is touched.
"""

from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from shared.config import settings
from shared.faas import Call, Response, endpoint
from shared.faas.built_files import INDEX, BuiltFiles

DIST = Path(__file__).with_name("dist")
SCREENS = (
    "/trash",
    "/documents/{document}",
    "/triage",
    "/lookalikes",
    "/topics",
    "/settings",
    "/settings/{section}",
    "/admin",
    "/admin/{section}",
    "/sign-in",
    "/register",
    "/forgot-password",
    "/reset-password",
    "/shared/{link}",
)
"""The addresses of `web/src/router.ts`; a test holds that they are the same."""
SERVICE_WORKER = "sw.js"
_SERVICE_WORKER_HEADERS = (("service-worker-allowed", "/"),)
"""It lies in `assets/`, and is for the whole origin: Service Workers, 6.1 (the maximum scope)."""
_FILES = BuiltFiles(DIST)


@endpoint("GET", "/", auth="none", returns="text/html", also=(*SCREENS, "/assets/{file}"))
async def console(call: Call) -> Response:
    if "file" in call.path:
        name = call.path.text("file")
        return _FILES.respond(name, call.headers, _SERVICE_WORKER_HEADERS if name == SERVICE_WORKER else ())
    return _FILES.respond(INDEX, call.headers, [("content-security-policy", _policy())])


@lru_cache(maxsize=1)
def _policy() -> str:
    """What the pages may load: files of their own, and documents from the store, to which presigned URLs lead."""
    address = urlsplit(settings().minio_public_endpoint)
    store = f"{address.scheme}://{address.netloc}"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {store}; img-src 'self' {store}; "
        "worker-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
