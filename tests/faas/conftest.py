"""What the runtime's tests share: settings of a test's own, and tokens."""

import os
from collections.abc import Awaitable, Callable, Iterator
from uuid import UUID

import pytest

from shared.config import settings
from shared.db import Database
from shared.faas import client_addresses, origins, responses
from shared.identity import api_tokens, tokens
from shared.identity.client import Client
from shared.ids import new_id


def _forget() -> None:
    settings.cache_clear()
    origins._cors_origins.cache_clear()
    origins._cookie_origins.cache_clear()
    client_addresses.is_trusted_proxy.cache_clear()
    responses._security_headers.cache_clear()


@pytest.fixture
def with_settings() -> Iterator[Callable[..., None]]:
    """`with_settings(CORS_ORIGINS="…")`: this process's settings, for the rest of the test."""
    before = dict(os.environ)

    def change(**variables: str) -> None:
        os.environ.update(variables)
        _forget()

    yield change
    os.environ.clear()
    os.environ.update(before)
    _forget()


BROWSER = Client("192.0.2.1", "tests", "en")


@pytest.fixture
def bearer() -> Callable[..., dict[str, str]]:
    """`bearer(owner, role="user")`: the headers of a signed-in person."""

    def headers(owner: UUID, role: str = "user") -> dict[str, str]:
        token, _ = tokens.issue(owner, role, new_id(), BROWSER)
        return {"authorization": f"Bearer {token}", "user-agent": BROWSER.user_agent, "accept-language": BROWSER.accept_language}

    return headers


@pytest.fixture
def api_token(db: Database) -> Callable[..., Awaitable[dict[str, str]]]:
    """`await api_token(owner, "documents:read")`: the headers of a program."""

    async def headers(owner: UUID, *scopes: str) -> dict[str, str]:
        async with db.system() as tx:
            _, text = await api_tokens.create(tx, owner, name="test", scopes=scopes, expires_at=None)
        return {"authorization": f"Bearer {text}"}

    return headers
