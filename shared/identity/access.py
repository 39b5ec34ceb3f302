"""Who calls: from a bearer token to a principal, on every authenticated request.

Verified claims are cached by the token's SHA-256 until they expire (ES256 verification takes 0.2 ms); fingerprint and revocation are
checked each time.
"""

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from shared import rate_limits
from shared.errors import Unauthenticated
from shared.identity import api_tokens, tokens
from shared.identity.client import fingerprint
from shared.identity.revocation import access_token_key, api_token_key, revocations, session_key

CACHED_TOKENS = 20_000
API_TOKEN_CACHED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and with what. `scopes` is None except for an API token; `session_id` is None for one."""

    user_id: UUID
    role: str
    session_id: UUID | None
    token_id: UUID
    scopes: frozenset[str] | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _VerifiedToken:
    principal: Principal
    fingerprint: str | None
    revocation_keys: tuple[str, ...]
    until: float


_verified: OrderedDict[bytes, _VerifiedToken] = OrderedDict()


async def authenticate(bearer: str, *, user_agent: str, accept_language: str, address: str) -> Principal:
    """The principal of an access token or an API token, sent from `address`.

    Raises Unauthenticated if it is not ours, expired, from another browser, or revoked; Unavailable if that cannot be found out.
    """
    digest = hashlib.sha256(bearer.encode("utf-8", "surrogatepass")).digest()
    verified = _verified.get(digest)
    if verified is None or verified.until <= time.time():
        async with rate_limits.in_turn_if_used_up(address):
            verified = await _verify(bearer, digest)
        _verified[digest] = verified
        if len(_verified) > CACHED_TOKENS:
            _verified.popitem(last=False)
    if verified.fingerprint is not None and verified.fingerprint != fingerprint(user_agent, accept_language):
        raise Unauthenticated("This access token belongs to another browser.")
    if await revocations().is_revoked(*verified.revocation_keys):
        raise Unauthenticated("This token was revoked.")
    return verified.principal


async def _verify(bearer: str, digest: bytes) -> _VerifiedToken:
    if bearer.startswith(api_tokens.PREFIX):
        return await _verify_api_token(bearer, digest)
    token = tokens.verify(bearer)
    principal = Principal(token.user_id, token.role, token.session_id, token.token_id, None, token.expires_at)
    keys = (session_key(token.session_id), access_token_key(token.token_id))
    return _VerifiedToken(principal, token.fingerprint, keys, token.expires_at.timestamp())


async def _verify_api_token(bearer: str, digest: bytes) -> _VerifiedToken:
    token = await api_tokens.find(bearer)
    expires_at = token.expires_at or datetime.max.replace(tzinfo=UTC)
    principal = Principal(token.user_id, token.role, None, token.id, frozenset(token.scopes), expires_at)
    until = time.time() + API_TOKEN_CACHED_SECONDS
    if token.expires_at is not None:
        until = min(until, token.expires_at.timestamp())
    return _VerifiedToken(principal, None, (api_token_key(token.id),), until)
