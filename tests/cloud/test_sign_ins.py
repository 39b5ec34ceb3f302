"""Signing in at a provider: there and back, once, in one browser, and what the tokens are good for afterwards."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from shared.cloud import connections
from shared.config import settings
from shared.db import Database, TenantDatabase
from shared.documents import library
from shared.faas.declarations import ENDPOINTS
from shared.identity import tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.cloud.conftest import ready
from tests.cloud.microsoft_server import CLIENT_ID, CLIENT_SECRET, MicrosoftServer
from tests.cloud.test_moves import move, original_of
from tests.faas.asgi import Heard, ask, serving
from tests.storage.servers.graph_server import GraphServer

BROWSER = Client("192.0.2.1", "tests", "en")
NAMES = ["authorize_onedrive", "onedrive_callback", "check_connection"]


class Person:
    """Somebody in a browser with a cookie."""

    def __init__(self, owner: UUID) -> None:
        for name in NAMES:
            importlib.import_module(f"functions.cloud.{name}")
        self.app = serving(*(ENDPOINTS[name] for name in NAMES))
        token, _ = tokens.issue(owner, "user", new_id(), BROWSER)
        self.headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER.user_agent, "accept-language": BROWSER.accept_language}
        self.cookie = ""

    async def ask(self, method: str, path: str) -> Heard:
        return await ask(self.app, method, path, headers=self.headers)

    async def authorize(self) -> str:
        heard = await self.ask("GET", "/api/cloud/onedrive/authorize")
        assert heard.status == 200, heard.body
        said = heard.header("set-cookie") or ""
        assert said.startswith("docuvault_oauth=")
        assert said.endswith("; Path=/api/cloud; Max-Age=600; HttpOnly; SameSite=Lax")
        self.cookie = said.partition(";")[0]
        url: str = heard.json()["authorization_url"]
        return url

    async def come_back(self, query: dict[str, str], *, cookie: str | None = None) -> str:
        """Where the browser is sent, after the settings page's address."""
        headers = {"cookie": self.cookie if cookie is None else cookie}
        heard = await ask(self.app, "GET", f"/api/cloud/onedrive/callback?{urlencode(query)}", headers=headers)
        assert heard.status == 303, heard.body
        assert "Max-Age=0" in (heard.header("set-cookie") or "")
        location = heard.header("location") or ""
        assert location.startswith(f"{settings().frontend_url}/settings/storage?")
        return location.partition("?")[2]


@pytest.fixture
async def graph() -> AsyncIterator[GraphServer]:
    async with GraphServer().running() as server:
        yield server


@pytest.fixture
async def microsoft(tmp_path: Path, graph: GraphServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MicrosoftServer]:
    async with MicrosoftServer(tmp_path).running() as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        monkeypatch.setenv("ONEDRIVE_CLIENT_ID", CLIENT_ID)
        monkeypatch.setenv("ONEDRIVE_CLIENT_SECRET", CLIENT_SECRET)
        monkeypatch.setenv("ONEDRIVE_LOGIN_URL", server.url)
        monkeypatch.setenv("ONEDRIVE_GRAPH_URL", graph.url)
        settings.cache_clear()
        yield server


@pytest.fixture
def person(owner: UUID) -> Person:
    return Person(owner)


@pytest.fixture
async def another(new_owner: Callable[[], Awaitable[UUID]]) -> Person:
    return Person(await new_owner())


async def connected(person: Person, microsoft: MicrosoftServer, graph: GraphServer) -> UUID:
    outcome = await person.come_back(microsoft.consent(await person.authorize()))
    assert outcome.startswith("connected="), outcome
    graph.token = microsoft.access_tokens[-1]
    return UUID(outcome.removeprefix("connected="))


async def test_without_settings_there_is_no_sign_in(person: Person) -> None:
    refused = await person.ask("GET", "/api/cloud/onedrive/authorize")
    assert (refused.status, refused.code) == (503, "not_configured")


async def test_who_signs_in_has_a_connection(
    db: Database, person: Person, vault: TenantDatabase, microsoft: MicrosoftServer, graph: GraphServer
) -> None:
    connection_id = await connected(person, microsoft, graph)
    [connection] = await connections.list_all(vault)
    assert (connection.id, connection.provider, connection.account, connection.state) == (
        connection_id,
        "onedrive",
        "ada@example.org",
        "ok",
    )
    async with db.system() as tx:
        sealed = bytes(await tx.fetch_value("SELECT sealed FROM cloud_connections WHERE id = %(id)s", {"id": connection_id}))
    assert microsoft.access_tokens[-1].encode() not in sealed
    assert (await person.ask("POST", f"/api/cloud/connections/{connection_id}/check")).json()["state"] == "ok"
    assert await connected(person, microsoft, graph) == connection_id, "signing in again mends the connection that is there"


async def test_a_state_is_good_once_in_its_own_browser(
    person: Person, another: Person, vault: TenantDatabase, microsoft: MicrosoftServer
) -> None:
    url = await person.authorize()
    for cookie in ("", "docuvault_oauth=x", "docuvault_oauth="):
        assert await person.come_back(microsoft.consent(url), cookie=cookie) == "error=invalid_state"
    await another.authorize()
    assert await person.come_back(microsoft.consent(url), cookie=another.cookie) == "error=invalid_state"
    assert await person.come_back({"state": "x", "code": "y"}) == "error=invalid_state"
    assert await person.come_back({}) == "error=invalid_state"
    outcomes = await asyncio.gather(*(person.come_back(microsoft.consent(url)) for _ in range(4)))
    assert sorted(outcome.partition("=")[0] for outcome in outcomes) == ["connected", "error", "error", "error"]
    assert len(await connections.list_all(vault)) == 1


async def test_who_says_no_has_no_connection(person: Person, vault: TenantDatabase, microsoft: MicrosoftServer) -> None:
    state = microsoft.consent(await person.authorize())["state"]
    assert await person.come_back({"state": state, "error": "access_denied", "error_description": "<script>"}) == "error=access_denied"
    state = microsoft.consent(await person.authorize())["state"]
    assert await person.come_back({"state": state, "code": "made up"}) == "error=sign_in_failed"
    assert await connections.list_all(vault) == []


async def test_a_sign_in_expires(db: Database, person: Person, owner: UUID, microsoft: MicrosoftServer) -> None:
    url = await person.authorize()
    async with db.system() as tx:
        await tx.execute("UPDATE cloud_sign_ins SET expires_at = now() WHERE owner_id = %(owner)s", {"owner": owner})
    assert await person.come_back(microsoft.consent(url)) == "error=invalid_state"


async def test_a_microsoft_that_is_down_is_told(person: Person, microsoft: MicrosoftServer) -> None:
    url = await person.authorize()
    microsoft.failing = [503] * 5
    outcome = await person.come_back(microsoft.consent(url))
    assert outcome in ("error=connection_failed", "error=sign_in_failed")


async def test_tokens_are_renewed_and_kept(
    db: Database, person: Person, vault: TenantDatabase, microsoft: MicrosoftServer, graph: GraphServer
) -> None:
    connection_id = await connected(person, microsoft, graph)
    graph.token = "another"  # the access token ends before its time
    checking = asyncio.create_task(person.ask("POST", f"/api/cloud/connections/{connection_id}/check"))
    async with asyncio.timeout(30):
        while len(microsoft.access_tokens) < 2:
            await asyncio.sleep(0.01)
    graph.token = microsoft.access_tokens[-1]
    await checking
    account = await connections.account_of(vault, connection_id)
    assert account.credentials["access_token"] == microsoft.access_tokens[-1]
    assert account.credentials["refresh_token"] in microsoft.refresh_tokens
    microsoft.invalid_grant = True
    graph.token = "another"
    broken = await person.ask("POST", f"/api/cloud/connections/{connection_id}/check")
    assert broken.json()["state"] == "broken"


async def test_a_document_lives_in_onedrive_and_comes_back(
    person: Person, vault: TenantDatabase, microsoft: MicrosoftServer, graph: GraphServer
) -> None:
    connection_id = await connected(person, microsoft, graph)
    document = await ready(vault, b"Dear heron\n")
    assert await move(vault, document, connection_id) == "moved"
    moved = await library.get(vault, document.id)
    assert (moved.storage.provider, moved.storage.connection_id) == ("onedrive", connection_id)
    assert await original_of(document, vault) == b"Dear heron\n"
    assert list(graph.items) == [f"DocuVault/{document.created_at:%Y}/letter.txt"]
    assert await move(vault, document, None) == "moved"


async def test_an_office_file_that_onedrive_would_change_is_kept_under_a_neutral_name(
    person: Person, vault: TenantDatabase, microsoft: MicrosoftServer, graph: GraphServer
) -> None:
    connection_id = await connected(person, microsoft, graph)
    document = await ready(vault, b"Dear heron\n")
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET filename = 'report.docx' WHERE id = %(id)s", {"id": document.id})
    graph.rewrites_office = True
    assert await move(vault, document, connection_id) == "moved"
    assert await original_of(document, vault) == b"Dear heron\n"
    assert f"DocuVault/{document.created_at:%Y}/report.docx.original" in graph.items


async def test_another_persons_state_connects_nothing_for_the_thief(
    person: Person, another: Person, vault: TenantDatabase, microsoft: MicrosoftServer, other_owner: Any
) -> None:
    """Login CSRF: a link with the thief's code, opened by somebody else, does nothing in that browser."""
    thief_url = await another.authorize()
    await person.authorize()
    assert await person.come_back(microsoft.consent(thief_url)) == "error=invalid_state"
    assert await connections.list_all(vault) == []
