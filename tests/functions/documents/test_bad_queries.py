"""What no one should ask for, asked over HTTP: it is answered, or refused in a sentence, and never fails."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote
from uuid import UUID

import pytest

from functions.documents.list_documents import list_documents
from functions.documents.suggest_search import suggest_search
from shared.db import Database, TenantDatabase
from shared.faas.declarations import ENDPOINTS
from shared.identity import tokens
from shared.ids import new_id
from tests.faas.asgi import Heard, ask, serving
from tests.functions.documents.conftest import BROWSER
from tests.search.vault import Vault

Get = Callable[[str], Awaitable[Heard]]

QUERIES = [
    "x" * 10_000,
    "x" * 10_001,
    "word " * 2_000,
    "日" * 10_000,
    '"' * 9_999,
    '"unbalanced',
    '" " "',
    "-",
    "- or - | & ! ( ) : * <->",
    "the and of or",
    "der die das und",
    "a\0b",
    "\0",
    "😀" * 3_000,
    "👩\u200d👩\u200d👧",
    "\u202e\u200b\ufeff",
    "%",
    "_%\\",
    "'; DROP TABLE documents; --",
    "topic:",
    "before:yesterday",
    "1" * 9_000,
    "a* " * 3_000,
    "*",
]


@pytest.fixture
async def get(db: Database, owner: UUID) -> Get:
    vault = Vault(TenantDatabase(db, owner))
    await vault.add("one word of a megabyte", "x" * 1_000_000 + " heron")
    await vault.add("many words", " ".join(f"word{number}" for number in range(20_000)) + " heron")
    await vault.add("emoji", "😀" * 1_000)
    app = serving(ENDPOINTS[list_documents.__name__], ENDPOINTS[suggest_search.__name__])
    token, _ = tokens.issue(owner, "user", new_id(), BROWSER)
    headers = {
        "authorization": f"Bearer {token}",
        "user-agent": BROWSER.user_agent,
        "accept-language": BROWSER.accept_language,
    }

    async def send(path: str) -> Heard:
        return await ask(app, "GET", path, headers=headers)

    return send


async def test_every_query_is_answered_or_refused_in_a_sentence(get: Get) -> None:
    for text in QUERIES:
        for path in ("/api/documents?facets=true&q=", "/api/documents?sort=filename&q=", "/api/documents/suggest?q="):
            answer = await get(path + quote(text))
            assert answer.status in (200, 414, 422), (path, text[:20], answer.body)
            if answer.status != 200:
                assert answer.json()["detail"].endswith("."), (path, text[:20], answer.body)
    assert (await get("/api/documents?q=" + "x" * 8_000)).status == 200
    found = (await get("/api/documents?q=heron")).json()["items"]
    assert {item["title"] for item in found} == {"one word of a megabyte", "many words"}


@pytest.mark.parametrize("raw", ["%ff%fe", "%ed%a0%80", "%00", "%", "%zz", "a&q=b"])
async def test_bytes_that_are_no_text_are_answered_too(get: Get, raw: str) -> None:
    assert (await get(f"/api/documents?q={raw}")).status in (200, 422)
    assert (await get(f"/api/documents/suggest?q={raw}")).status in (200, 422)
