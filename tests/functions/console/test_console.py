"""GET /: what a browser is shown at the address that `scripts/serve` prints."""

import base64
import hashlib
import re

from infra import functions
from infra.gateway.app import create
from shared.faas.declarations import ENDPOINTS
from tests.faas.asgi import ask, serving

APP = serving(ENDPOINTS[functions.load(functions.FUNCTIONS / "console" / "console.py")])


async def test_the_page_says_what_this_is_and_leads_to_the_docs(services: None) -> None:
    heard = await ask(APP, "GET", "/", headers={"accept": "text/html"})
    assert (heard.status, heard.header("content-type")) == (200, "text/html; charset=utf-8")
    page = heard.body.decode()
    assert "document vault" in page
    assert '<a href="/docs">' in page


async def test_what_it_links_to_is_there(services: None) -> None:
    gateway = create()
    links = re.findall(r'<a href="([^"]+)">', (await ask(gateway, "GET", "/")).body.decode())
    assert links
    for link in links:
        assert (await ask(gateway, "GET", link)).status == 200, link


async def test_a_head_request_gets_the_same_headers_and_no_page(services: None) -> None:
    page, head = await ask(APP, "GET", "/"), await ask(APP, "HEAD", "/")
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "content-length", "content-security-policy", "cache-control"):
        assert head.header(name) == page.header(name), name


async def test_its_policy_lets_no_script_run_and_no_style_but_its_own(services: None) -> None:
    heard = await ask(APP, "GET", "/")
    page, policy = heard.body.decode(), heard.header("content-security-policy") or ""
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{allowed}'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    assert "<script" not in page
    assert not re.search(r'\son\w+=|style="', page)
