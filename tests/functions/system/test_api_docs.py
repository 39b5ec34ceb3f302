"""GET /docs: the page is kept compressed, for those who take it so."""

import gzip

import pytest

from infra import functions
from shared.faas.declarations import ENDPOINTS
from tests.faas.asgi import ask, serving

APP = serving(ENDPOINTS[functions.load(functions.FUNCTIONS / "system" / "api_docs.py")])


async def test_the_page_comes_compressed_to_those_who_accept_it(services: None) -> None:
    page = (await ask(APP, "GET", "/docs")).body
    compressed = await ask(APP, "GET", "/docs", headers={"accept-encoding": "br, gzip"})
    assert compressed.header("content-encoding") == "gzip"
    assert gzip.decompress(compressed.body) == page


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0"])
async def test_the_page_comes_as_it_is_to_all_others(services: None, accepted: str) -> None:
    heard = await ask(APP, "GET", "/docs", headers={"accept-encoding": accepted})
    assert heard.header("content-encoding") is None
    assert heard.body.startswith(b"<!doctype html>")
