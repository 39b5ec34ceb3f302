"""A signed-in person who calls the document functions over HTTP."""

import importlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.faas.declarations import ENDPOINTS
from shared.identity import tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.faas.asgi import Exchange, Heard, ask, scope, serving

FOLDER = Path(__file__).resolve().parents[3] / "functions" / "documents"
BROWSER = Client("192.0.2.1", "tests", "en")


class Person:
    """Sends requests with an access token of its own."""

    def __init__(self, owner: UUID) -> None:
        names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "list_documents"))
        for name in names:
            importlib.import_module(f"functions.documents.{name}")
        self.app = serving(*(ENDPOINTS[name] for name in names))
        self.owner = owner
        self.token, self.expires_at = tokens.issue(owner, "user", new_id(), BROWSER)
        self.headers = {
            "authorization": f"Bearer {self.token}",
            "user-agent": BROWSER.user_agent,
            "accept-language": BROWSER.accept_language,
        }

    async def ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Heard:
        body = {"content-type": "application/json"} if "json" in more else {}
        return await ask(self.app, method, path, headers=self.headers | body | dict(headers or {}), **more)

    def open(self, path: str, *, headers: Mapping[str, str] | None = None) -> Exchange:
        """A GET whose answer is listened to as it comes."""
        exchange = Exchange(self.app, scope("GET", path, headers=self.headers | dict(headers or {})))
        exchange.send(b"")
        return exchange

    async def upload(self, content: bytes, filename: str = "letter.txt", content_type: str = "text/plain", **more: Any) -> dict[str, Any]:
        """Creates, PUTs and completes as a browser does; the document."""
        asked = {"filename": filename, "size": len(content), "content_type": content_type} | more
        created = await self.ask("POST", "/api/documents", json=asked)
        assert created.status == 201, created.body
        upload = created.json()["upload"]
        async with httpx.AsyncClient(timeout=60) as browser:
            assert (await browser.put(upload["url"], content=content, headers=upload["headers"])).status_code == 200
        completed = await self.ask("POST", f"/api/documents/{created.json()['document']['id']}/complete", json={})
        assert completed.status == 202, completed.body
        document: dict[str, Any] = completed.json()
        return document


@pytest.fixture
def person(owner: UUID) -> Person:
    return Person(owner)


@pytest.fixture
async def another(new_owner: Callable[[], Awaitable[UUID]]) -> Person:
    """A second person, who must not see the first one's things."""
    return Person(await new_owner())
