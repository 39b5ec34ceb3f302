"""GET /: the console's pages and files, as a browser gets them."""

import gzip
import re
from pathlib import Path

import pytest

from functions.console.console import DIST, SCREENS
from infra import functions
from infra.gateway.app import create
from shared.config import settings
from shared.faas.declarations import ENDPOINTS
from tests.faas.asgi import ask, serving

APP = serving(ENDPOINTS[functions.load(functions.FUNCTIONS / "console" / "console.py")])
WEB = Path(functions.FUNCTIONS) / "console" / "web"


def _address(screen: str) -> str:
    return re.sub(r"\{\w+\}", "anything", screen)


async def test_every_file_the_page_names_is_there_and_kept_for_good(services: None) -> None:
    page = await ask(APP, "GET", "/", headers={"accept": "text/html"})
    assert (page.status, page.header("content-type")) == (200, "text/html; charset=utf-8")
    files = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.body.decode())
    assert any(file.endswith(".js") for file in files)
    for file in files:
        heard = await ask(APP, "GET", file)
        assert heard.status == 200, file
        if re.search(r"-[\w-]{8}\.", file):
            assert heard.header("cache-control") == "public, max-age=31536000, immutable", file


@pytest.mark.parametrize("screen", SCREENS)
async def test_each_address_of_the_console_gives_its_page(services: None, screen: str) -> None:
    gateway = create()
    assert (await ask(gateway, "GET", _address(screen))).body == (await ask(gateway, "GET", "/")).body


def test_the_addresses_are_those_of_the_consoles_own_router() -> None:
    paths = re.findall(r'path: "([^"]+)"', (WEB / "src" / "router.ts").read_text())
    theirs = {re.sub(r":\w+", "anything", path) for path in paths if path != "/" and not path.startswith("/:")}
    assert theirs == {_address(screen) for screen in SCREENS}


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/nothing", "/assets/nothing.js", "/assets/..%2findex.html", "/assets/"])
async def test_it_serves_nothing_of_the_api_and_nothing_that_was_not_built(services: None, path: str) -> None:
    heard = await ask(create(), "GET", path)
    assert (heard.status, heard.code) == (404, "not_found")


async def test_a_page_that_has_not_changed_is_not_sent_again(services: None) -> None:
    page = await ask(APP, "GET", "/")
    assert page.header("cache-control") == "no-cache"
    again = await ask(APP, "GET", "/", headers={"if-none-match": page.header("etag") or ""})
    assert (again.status, again.body, again.header("etag")) == (304, b"", page.header("etag"))
    # As a proxy that compressed it names it, beside another one.
    for known in (f'"another", W/{page.header("etag")}', "*"):
        assert (await ask(APP, "GET", "/", headers={"if-none-match": known})).status == 304
    assert (await ask(APP, "GET", "/", headers={"if-none-match": '"another"'})).status == 200


async def test_a_file_comes_compressed_to_whoever_takes_it(services: None) -> None:
    script = next(path for path in (DIST / "assets").glob("vue-*.js"))
    path = f"/assets/{script.name}"
    plain = await ask(APP, "GET", path, headers={"accept-encoding": "identity"})
    gzipped = await ask(APP, "GET", path, headers={"accept-encoding": "gzip"})
    brotli = await ask(APP, "GET", path, headers={"accept-encoding": "gzip, deflate, br"})
    assert plain.body == script.read_bytes() == gzip.decompress(gzipped.body)
    assert [answer.header("content-encoding") for answer in (plain, gzipped, brotli)] == [None, "gzip", "br"]
    refused = await ask(APP, "GET", path, headers={"accept-encoding": "br;q=0, gzip;q=0.5"})
    assert refused.header("content-encoding") == "gzip"
    assert len(brotli.body) < len(gzipped.body) < len(plain.body) / 2
    assert {answer.header("content-type") for answer in (plain, gzipped, brotli)} == {"text/javascript; charset=utf-8"}


async def test_the_service_worker_is_for_the_whole_origin_and_looked_at_anew(services: None) -> None:
    heard = await ask(APP, "GET", "/assets/sw.js")
    assert (heard.status, heard.header("content-type")) == (200, "text/javascript; charset=utf-8")
    assert (heard.header("service-worker-allowed"), heard.header("cache-control")) == ("/", "no-cache")
    # No other file may take the whole origin.
    assert (await ask(APP, "GET", "/assets/favicon.svg")).header("service-worker-allowed") is None


async def test_a_head_request_gets_the_same_headers_and_no_page(services: None) -> None:
    page, head = await ask(APP, "GET", "/"), await ask(APP, "HEAD", "/")
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "content-length", "content-security-policy", "cache-control", "etag"):
        assert head.header(name) == page.header(name), name


async def test_its_policy_allows_its_own_files_and_the_store_and_nothing_inline(services: None) -> None:
    heard = await ask(APP, "GET", "/")
    store = settings().minio_public_endpoint.rstrip("/")
    assert heard.header("content-security-policy") == (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {store}; img-src 'self' {store}; "
        "worker-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    page = heard.body.decode()
    assert not re.search(r"<script>|<style|\son\w+=|style=\"|javascript:", page)


def test_the_first_load_stays_under_120_kilobytes() -> None:
    """What a person's first visit fetches, compressed: the page, what it names, shell, library and first run, and all that these import
    (issue 16)."""
    assets = DIST / "assets"
    page = (DIST / "index.html").read_text()
    waiting = {Path(name).name for name in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)}
    waiting |= {path.name for path in assets.glob("*") if re.match(r"(AppShell|LibraryScreen|FirstRun)-.*\.(js|css)$", path.name)}
    assert len([name for name in waiting if name.startswith(("AppShell", "LibraryScreen", "FirstRun")) and name.endswith(".js")]) == 3
    fetched: set[str] = set()
    while waiting:
        name = waiting.pop()
        fetched.add(name)
        if name.endswith(".js"):
            waiting |= set(re.findall(r'(?:from|import) ?"\./([\w.-]+)"', (assets / name).read_text())) - fetched
    assert any(name.startswith("vue-") for name in fetched), "the imports were not found"
    assert sum(_sent(assets / name) for name in fetched) + _sent(DIST / "index.html") < 120_000


def _sent(path: Path) -> int:
    brotli = path.with_name(path.name + ".br")
    return (brotli if brotli.exists() else path).stat().st_size
