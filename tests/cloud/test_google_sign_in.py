"""Signing in at Google, and documents that live in Drive."""

import importlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest

from shared.cloud import connections
from shared.config import settings
from shared.db import TenantDatabase
from shared.documents import library
from shared.faas.declarations import ENDPOINTS
from shared.identity import tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.cloud.conftest import ready
from tests.cloud.google_server import CLIENT_ID, CLIENT_SECRET, GoogleServer
from tests.cloud.test_moves import move, original_of
from tests.faas.asgi import Heard, ask, serving
from tests.storage.servers.drive_server import DriveServer

BROWSER = Client("192.0.2.1", "tests", "en")
NAMES = ["authorize_google", "google_callback", "check_connection"]


@pytest.fixture
async def drive() -> AsyncIterator[DriveServer]:
    async with DriveServer().running() as server:
        yield server


@pytest.fixture
async def google(tmp_path: Path, drive: DriveServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GoogleServer]:
    async with GoogleServer(tmp_path).running() as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        monkeypatch.setenv("GOOGLE_CLIENT_ID", CLIENT_ID)
        monkeypatch.setenv("GOOGLE_CLIENT_SECRET", CLIENT_SECRET)
        monkeypatch.setenv("GOOGLE_TOKEN_URL", f"{server.url}/token")
        monkeypatch.setenv("GOOGLE_API_URL", drive.url)
        settings.cache_clear()
        server.next_token = drive.token = "first"
        yield server


class Person:
    """Somebody in a browser with a cookie."""

    def __init__(self, owner: UUID) -> None:
        for name in NAMES:
            importlib.import_module(f"functions.cloud.{name}")
        self.app = serving(*(ENDPOINTS[name] for name in NAMES))
        token, _ = tokens.issue(owner, "user", new_id(), BROWSER)
        self.headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER.user_agent, "accept-language": BROWSER.accept_language}

    async def ask(self, method: str, path: str) -> Heard:
        return await ask(self.app, method, path, headers=self.headers)

    async def sign_in(self, google: GoogleServer, **changed: str) -> str:
        authorized = await self.ask("GET", "/api/cloud/google/authorize")
        assert authorized.status == 200, authorized.body
        cookie = (authorized.header("set-cookie") or "").partition(";")[0]
        query = google.consent(authorized.json()["authorization_url"]) | changed
        back = await ask(self.app, "GET", f"/api/cloud/google/callback?{urlencode(query)}", headers={"cookie": cookie})
        assert back.status == 303, back.body
        return (back.header("location") or "").partition("?")[2]


@pytest.fixture
def person(owner: UUID) -> Person:
    return Person(owner)


async def test_without_settings_there_is_no_sign_in(person: Person) -> None:
    refused = await person.ask("GET", "/api/cloud/google/authorize")
    assert (refused.status, refused.code) == (503, "not_configured")


async def test_who_signs_in_has_a_connection(person: Person, vault: TenantDatabase, google: GoogleServer) -> None:
    outcome = await person.sign_in(google)
    [connection] = await connections.list_all(vault)
    assert outcome == f"connected={connection.id}"
    assert (connection.provider, connection.account, connection.state) == ("google_drive", "ada@example.org", "ok")
    assert set((await connections.account_of(vault, connection.id)).credentials) == {
        "token_uri", "client_id", "client_secret", "access_token", "refresh_token",
    }  # fmt: skip


async def test_a_code_or_a_state_that_is_not_good_connects_nothing(person: Person, vault: TenantDatabase, google: GoogleServer) -> None:
    assert await person.sign_in(google, code="made up") == "error=sign_in_failed"
    assert await person.sign_in(google, state="made up") == "error=invalid_state"
    assert await person.sign_in(google, code="", error="access_denied") == "error=access_denied"
    google.failing = [500] * 9
    assert await person.sign_in(google) in ("error=sign_in_failed", "error=connection_failed")
    assert await connections.list_all(vault) == []


async def test_a_token_that_ends_is_renewed_and_kept(
    person: Person, vault: TenantDatabase, google: GoogleServer, drive: DriveServer
) -> None:
    connection_id = UUID((await person.sign_in(google)).removeprefix("connected="))
    google.next_token = drive.token = "second"
    assert (await person.ask("POST", f"/api/cloud/connections/{connection_id}/check")).json()["state"] == "ok"
    assert (await connections.account_of(vault, connection_id)).credentials["access_token"] == "second"
    google.failing = [503] * 9
    drive.token = "third"
    assert (await person.ask("POST", f"/api/cloud/connections/{connection_id}/check")).json()["state"] == "broken"
    google.failing, google.next_token = [], "third"
    assert (await person.ask("POST", f"/api/cloud/connections/{connection_id}/check")).json()["state"] == "ok"
    google.invalid_grant = True
    drive.token = "fourth"
    assert (await person.ask("POST", f"/api/cloud/connections/{connection_id}/check")).json()["state"] == "broken"


async def test_a_document_lives_in_drive_and_comes_back(
    person: Person, vault: TenantDatabase, google: GoogleServer, drive: DriveServer
) -> None:
    connection_id = UUID((await person.sign_in(google)).removeprefix("connected="))
    document = await ready(vault, b"Dear heron\n")
    assert await move(vault, document, connection_id) == "moved"
    moved = await library.get(vault, document.id)
    assert (moved.storage.provider, moved.storage.connection_id) == ("google_drive", connection_id)
    assert await original_of(document, vault) == b"Dear heron\n"
    assert [file["name"] for file in drive.files.values()] == ["DocuVault", f"{document.created_at:%Y}", "letter.txt"]
    assert await move(vault, document, None) == "moved"
