"""Signing in at a provider (OAuth 2.0 with PKCE, RFC 6749 and 7636): there, and back with a code.

The state is good once, for ten minutes, for this provider, and only in the browser that was sent away (a cookie). It is used up before the
code is: a flushed cache or a second tab never makes it good again.
"""

import hashlib
import json
import logging
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

from shared.api.response import Header, Response
from shared.audit import Caller
from shared.cloud import connections
from shared.cloud.models import Callback, SignInPage
from shared.config import settings
from shared.db import TenantDatabase, database
from shared.errors import DomainError
from shared.keys import base64url
from shared.sealing import SealBroken, seal, unseal
from shared.storage import StorageUnavailable

log = logging.getLogger("docuvault.cloud")

COOKIE = "docuvault_oauth"
LIFETIME = timedelta(minutes=10)
MOST_WAITING = 20
"""Sign-ins of one account that wait for their browsers; the oldest are forgotten."""
PURPOSE = "cloud sign-in"

OAuthProvider = Literal["google_drive", "onedrive"]


class SignInRefused(Exception):
    """The provider does not give us access; `code` says why, for the page that the browser comes back to."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Signed:
    """An account that its owner has let us use."""

    account: str
    name: str
    credentials: dict[str, Any]


class SignInProvider(Protocol):
    """How one provider is signed in at. Both calls raise NotConfigured, StorageUnavailable."""

    provider: OAuthProvider

    async def begin(self, state: str) -> tuple[str, dict[str, Any]]:
        """The address of the sign-in page, and what `finish` needs to know (JSON)."""

    async def finish(self, begun: dict[str, Any], answered: dict[str, str]) -> Signed:
        """What the code is good for. Raises SignInRefused."""


async def begin(db: TenantDatabase, provider: SignInProvider) -> Response:
    """Where the caller signs in, and the cookie that binds this to the browser. Raises NotConfigured, StorageUnavailable."""
    state, browser = base64url(secrets.token_bytes(32)), base64url(secrets.token_bytes(32))
    url, begun = await provider.begin(state)
    hashed = _hash(state)
    async with database().system() as tx:
        await tx.execute(
            """
            DELETE FROM cloud_sign_ins WHERE expires_at < now() OR state_hash IN (
                SELECT state_hash FROM cloud_sign_ins WHERE owner_id = %(owner)s ORDER BY expires_at DESC OFFSET %(most)s
            )
            """,
            {"owner": db.owner_id, "most": MOST_WAITING - 1},
        )
        await tx.execute(
            """
            INSERT INTO cloud_sign_ins (state_hash, owner_id, provider, browser_hash, sealed, expires_at)
            VALUES (%(state)s, %(owner)s, %(provider)s, %(browser)s, %(sealed)s, now() + %(lifetime)s)
            """,
            {
                "state": hashed,
                "owner": db.owner_id,
                "provider": provider.provider,
                "browser": _hash(browser),
                "sealed": seal(json.dumps(begun).encode(), user=db.owner_id, purpose=PURPOSE, row=hashed.hex()),
                "lifetime": LIFETIME,
            },
        )
    return Response.json(SignInPage(authorization_url=url), headers=[_cookie(browser, int(LIFETIME.total_seconds()))])


async def finish(provider: SignInProvider, callback: Callback, browser: str, *, address: str, user_agent: str) -> Response:
    """Sends the browser back to the settings, with the connection that was made or the code of what went wrong."""
    try:
        outcome = f"connected={await _finish(provider, callback, browser, address, user_agent)}"
    except SignInRefused as refused:
        outcome = f"error={refused.code}"
    except DomainError as failed:
        outcome = f"error={failed.code}"
    location = f"{settings().frontend_url}/settings/storage?{outcome}"
    return Response(303, b"", [("location", location), _cookie("", 0)])


async def _finish(provider: SignInProvider, callback: Callback, browser: str, address: str, user_agent: str) -> UUID:
    hashed = _hash(callback.state)
    async with database().system() as tx:
        row = await tx.fetch_one(
            """
            UPDATE cloud_sign_ins SET used_at = now()
            FROM users
            WHERE state_hash = %(state)s AND provider = %(provider)s AND browser_hash = %(browser)s AND used_at IS NULL
                AND expires_at > now() AND users.id = owner_id AND NOT users.disabled AND users.deleted_at IS NULL
            RETURNING owner_id, sealed
            """,
            {"state": hashed, "provider": provider.provider, "browser": _hash(browser)},
            row=_BegunSignIn,
        )
    if row is None:
        raise SignInRefused("invalid_state")
    if callback.error or not callback.code:
        raise SignInRefused("access_denied" if callback.error in ("access_denied", "") else "sign_in_failed")
    try:
        begun = json.loads(unseal(row.sealed, user=row.owner_id, purpose=PURPOSE, row=hashed.hex()))
    except SealBroken:
        raise SignInRefused("invalid_state") from None
    try:
        signed = await provider.finish(begun, {"state": callback.state, "code": callback.code})
    except StorageUnavailable:
        raise SignInRefused("connection_failed") from None
    connection = await connections.store(
        TenantDatabase(database(), row.owner_id),
        provider.provider,
        signed.name,
        server_url=None,
        account=signed.account,
        credentials=signed.credentials,
        caller=Caller(row.owner_id, address, user_agent),
    )
    return connection.id


@dataclass(frozen=True)
class _BegunSignIn:
    owner_id: UUID
    sealed: bytes


def callback_url(name: str) -> str:
    """Where a provider sends the browser back to; registered there as it is."""
    return f"{settings().backend_url}/api/cloud/{name}/callback"


def _cookie(value: str, seconds: int) -> Header:
    """Lax, because the browser comes back from another site (RFC 6265bis, section 5.6.7)."""
    secure = "; Secure" if settings().backend_url.startswith("https://") else ""
    return "set-cookie", f"{COOKIE}={value}; Path=/api/cloud; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
