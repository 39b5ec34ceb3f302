"""`scripts/serve` on machines that are not ours: odd names of folders, and shells that export things for other programs."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from infra import processes
from infra.local.environment import OTHERS, OURS
from infra.local.ports import free_port_block
from infra.local.stack import ROOT
from tests.infra.local.test_serve import PATIENCE_SECONDS, until
from tests.services import Services
from tests.system.stack import Stack

ODD = "my papers % \" \\ # ' $x `y` ü , ; & (1)"
ODDER = b"a: b\nc \xff\xfe" + b"%2f" * 20
LIBPQ = [
    "PGHOST",
    "PGSSLNEGOTIATION",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGOPTIONS",
    "PGAPPNAME",
    "PGSSLMODE",
    "PGREQUIRESSL",
    "PGSSLCOMPRESSION",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLCERTMODE",
    "PGSSLROOTCERT",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLSNI",
    "PGREQUIREPEER",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGGSSENCMODE",
    "PGKRBSRVNAME",
    "PGGSSLIB",
    "PGGSSDELEGATION",
    "PGCONNECT_TIMEOUT",
    "PGCLIENTENCODING",
    "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS",
    "PGMINPROTOCOLVERSION",
    "PGMAXPROTOCOLVERSION",
    "PGDATESTYLE",
    "PGTZ",
    "PGGEQO",
    "PGSYSCONFDIR",
    "PGLOCALEDIR",
    "PGDATA",
    "PGOAUTHCLIENTID",
    "PSQLRC",
    "PSQL_HISTORY",
]
"""https://www.postgresql.org/docs/18/libpq-envars.html, and its programs' own."""
AWS = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS",
    "AWS_S3_USE_ARN_REGION",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "BOTO_CONFIG",
    "S3_BUCKET",
    "S3_TABLE_BUCKET",
    "S3_EXTERNAL_URL",
    "WEED_ADMIN_PASSWORD",
    "WEED_JWT_SIGNING_KEY",
    "WEED_S3_SSE_KEK",
]
REDIS = [
    "REDISCLI_AUTH",
    "REDISCLI_HISTFILE",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_SOCKET",
    "REDIS_TLS_URL",
    "VALKEYCLI_AUTH",
    "VALKEYCLI_HISTFILE",
]
PROXIES = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "grpc_proxy",
]
RUNTIMES = {
    "PYTHONHOME": "/nonexistent",
    "PYTHONPATH": "/nonexistent",
    "PYTHONSTARTUP": "/nonexistent",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "PYTHONINSPECT": "1",
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONIOENCODING": "utf-16",
    "PYTHONUTF8": "0",
    "PYTHONMALLOC": "debug",
    "PYTHONPYCACHEPREFIX": "/nonexistent",
    "GOMEMLIMIT": "1MiB",
    "GOGC": "1",
    "GODEBUG": "gctrace=1",
    "GOMAXPROCS": "1000",
    "DBMATE_MIGRATIONS_DIR": "/nonexistent",
    "CDPATH": "/tmp:/",
}
HOSTILE = {name: "http://127.0.0.1:9/nowhere" for name in (*LIBPQ, *AWS, *REDIS, *PROXIES)} | {"NO_PROXY": "", "no_proxy": ""} | RUNTIMES

Start = Callable[..., str]


def environment_is_ready() -> bool:
    """Whether scripts/environment would find nothing to do."""
    asked = "import environment, pathlib, sys; sys.exit(not environment.up_to_date(pathlib.Path('..').resolve(), sys.argv[1]))"
    return subprocess.run([sys.executable, "-c", asked, "requirements.lock"], cwd=ROOT / "scripts", check=False).returncode == 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `scripts/serve` of a checkout with these arguments; the address that it prints."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(checkout: Path, *arguments: bytes | str, **environ: str) -> str:
        port = free_port_block(1)
        usual = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "HIBP_URL": "", "TMPDIR": str(tmp_path)}
        complaints = tmp_path / "stderr"
        process = subprocess.Popen(
            [checkout / "scripts" / "serve", "--port", str(port), *arguments],
            cwd=tmp_path,
            env=usual | environ,
            stdout=subprocess.PIPE,
            stderr=complaints.open("ab"),
        )
        running.append(process)
        assert process.stdout is not None
        printed = process.stdout.readline().decode()
        assert printed == f"DocuVault is ready at http://127.0.0.1:{port}\n", complaints.read_text()
        return printed.split()[-1]

    yield begin
    for process in running:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.fixture
def odd_checkout(tmp_path: Path) -> Path:
    """This checkout under a name that needs quoting everywhere, with its environment."""
    if not environment_is_ready():
        pytest.skip("the environment is not what requirements.lock says: run ./scripts/test")
    checkout = tmp_path / ODD
    checkout.mkdir()
    for name in ("functions", "infra", "shared", "scripts"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock", "openapi.yaml"):
        shutil.copy2(ROOT / name, checkout / name)
    (checkout / ".venv").symlink_to((ROOT / ".venv").resolve())
    return checkout


def does_its_job(address: str) -> None:
    """Takes a document from upload to search and back."""
    account = {"email": "somebody@example.org", "password": "correct horse battery staple"}
    with httpx.Client(base_url=address, timeout=PATIENCE_SECONDS, trust_env=False) as http:
        http.post("/api/auth/register", json=account).raise_for_status()
        token = http.post("/api/auth/login", json=account).raise_for_status().json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        content = b"<title>Bill</title><p>The heron landed here today."
        reserved = http.post("/api/documents", json={"filename": "a.html", "size": len(content), "content_type": "text/html"})
        upload = reserved.raise_for_status().json()
        httpx.put(upload["upload"]["url"], content=content, headers=upload["upload"]["headers"], trust_env=False).raise_for_status()
        document = upload["document"]["id"]

        def settled() -> str | None:
            found = http.get(f"/api/documents/{document}").raise_for_status().json()
            return json.dumps(found) if found["status"] in ("ready", "failed") else None

        told = until(settled, "the document is read")
        assert json.loads(told)["status"] == "ready", told
        assert [item["id"] for item in http.get("/api/documents", params={"q": "heron"}).json()["items"]] == [document]
        link = http.get(f"/api/documents/{document}/download").raise_for_status().json()
        assert httpx.get(link["url"], trust_env=False).content == content
        assert http.get("/health").json()["status"] == "ok"


def test_a_checkout_whose_path_needs_quoting_does_its_job_in_a_shell_full_of_other_programs_settings(
    odd_checkout: Path, start: Start
) -> None:
    does_its_job(start(odd_checkout, **HOSTILE))
    assert (odd_checkout / ".docuvault" / "postgresql").is_dir()


def test_a_data_folder_may_have_any_name(start: Start, tmp_path: Path) -> None:
    if not environment_is_ready():
        pytest.skip("the environment is not what requirements.lock says: run ./scripts/test")
    folder = os.fsencode(tmp_path) + b"/" + ODDER + b"/" + b"long" * 50
    address = start(ROOT, "--data-dir", folder)
    does_its_job(address)


def test_every_variable_of_another_program_is_known_for_one() -> None:
    assert [name for name in HOSTILE if not OTHERS.fullmatch(name) and name != "CDPATH"] == []
    names = (ROOT / "shared" / "config.py").read_text()
    settings = {line.strip().partition(":")[0].upper() for line in names.splitlines() if line.startswith("    ") and ": " in line}
    assert {"DATABASE_URL", "GOOGLE_CLIENT_ID", "MINIO_ENDPOINT", "REDIS_URL"} <= settings
    assert {name for name in settings if OTHERS.fullmatch(name)} <= OURS


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a:b", "Python takes a colon for the end of a path"),
        ("a\nb", "a name with a line break"),
        ("x" * 200 + "/" + "y" * 250 + "/z" * 50, "more than 500 bytes"),
    ],
    ids=["colon", "line break", "long"],
)
def test_a_checkout_that_cannot_work_is_refused_before_anything_is_installed(tmp_path: Path, name: str, reason: str) -> None:
    checkout = tmp_path / name
    (checkout / "scripts").mkdir(parents=True)
    for script in ("environment", "environment.py", "serve"):
        shutil.copy2(ROOT / "scripts" / script, checkout / "scripts" / script)
    environ = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "PIP_NO_INDEX": "1"}
    ended = subprocess.run([checkout / "scripts" / "serve"], env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("DocuVault cannot run in ")
    assert reason in ended.stderr
    assert not (checkout / ".venv").exists()


def test_a_data_folder_whose_path_is_too_long_is_refused_in_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "/".join(["x" * 200] * 4)
    ended = subprocess.run(
        [sys.executable, "-m", "infra.local.serve", "--data-dir", folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == f"The path of {folder} has more than 800 bytes: choose a shorter one with --data-dir.\n"
    assert not folder.exists()


async def test_the_first_five_calls_of_the_readme_do_what_it_says(own_services: Services, tmp_path: Path) -> None:
    (calls,) = re.findall(r"## The first five calls\n.*?```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    stack = Stack(own_services, tmp_path)
    await stack.start()
    try:
        assert calls.startswith("api=http://127.0.0.1:8080 ")
        script = calls.replace("http://127.0.0.1:8080", stack.url, 1)
        # The moment it speaks of is as long as it takes here.
        asked = f'curl -s {stack.url}/api/documents/$id -H "Authorization: Bearer $token"'
        ready = f'until {asked} | grep -q \'"status":"ready"\'; do sleep 0.1; done'
        assert script.count("# a moment later\n") == 1
        script = "set -eu\n" + script.replace("# a moment later\n", f"echo; {ready}\n")
        checkout = tmp_path / "checkout"
        checkout.mkdir()
        (checkout / "scripts").symlink_to(ROOT / "scripts")
        environ = {"PATH": os.environ["PATH"]}
        async with asyncio.timeout(PATIENCE_SECONDS):
            code, printed = await processes.run(["bash", "-c", script], environ=environ, directory=checkout)
        assert code == 0, printed
        registered, found = printed.splitlines()
        assert json.loads(registered) == {"status": "accepted"}
        (item,) = json.loads(found)["items"]
        assert (item["filename"], item["status"]) == ("rental-contract.pdf", "ready")
        sample = ROOT / "scripts" / "samples" / "rental-contract.pdf"
        assert (checkout / "rental-contract.pdf").read_bytes() == sample.read_bytes()
    finally:
        await stack.stop()
