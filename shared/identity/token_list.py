"""The API tokens of an account, as its owner makes, sees and ends them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared import audit, clock
from shared.api import id_lists
from shared.api.models import Page
from shared.audit import AuditAction
from shared.db import Database
from shared.errors import Unauthenticated, ValidationFailed
from shared.identity import accounts, api_tokens, confirmation, revocation, sessions
from shared.identity.client import Client
from shared.identity.models import TokenItem
from shared.identity.sign_in import send_alert


async def create(
    db: Database,
    client: Client,
    user_id: UUID,
    session_id: UUID | None,
    *,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
    password: str | None = None,
    code: str | None = None,
) -> tuple[TokenItem, str]:
    """A new token and, this once, its text; its owner gets a mail.

    Raises ValidationFailed if it would have expired already, LimitReached, and what `confirmation.require` raises.
    """
    if expires_at is not None and expires_at <= clock.now():
        raise ValidationFailed(
            "expires_at: must be in the future", errors=[{"loc": ["body", "expires_at"], "msg": "must be in the future"}]
        )
    await confirmation.require(db, client, user_id, session_id, password=password, code=code)
    async with db.system() as tx:
        # A password reset that comes first ends the session, one that comes second ends the token.
        if not await sessions.hold(tx, user_id, session_id):
            raise Unauthenticated
        token, text = await api_tokens.create(tx, user_id, name=name, scopes=scopes, expires_at=expires_at)
        await audit.record(
            tx,
            AuditAction.API_TOKEN_CREATED,
            actor=user_id,
            owner=user_id,
            target=str(token.id),
            origin=client,
            detail={"scopes": token.scopes},
        )
        user = await accounts.get(tx, user_id)
        if user is not None:
            await send_alert(tx, client, user, "api_token_created")
    return token, text


async def page(db: Database, user_id: UUID, *, limit: int, cursor: str | None) -> Page[TokenItem]:
    """A page of the tokens that are not revoked, newest first. Raises InvalidCursor."""
    binding = {"list": "api_tokens", "owner": user_id}
    before = id_lists.last_id(cursor, binding)
    async with db.system() as tx:
        found = await api_tokens.of_user(tx, user_id, limit=limit + 1, before=before)
    return id_lists.page(found, limit, binding)


async def revoke(db: Database, client: Client, user_id: UUID, token_id: UUID) -> bool:
    """Ends a token at once; whether there was one."""
    async with db.system() as tx:
        ended = await api_tokens.revoke(tx, user_id, token_id)
        if ended:
            await audit.record(
                tx,
                AuditAction.API_TOKEN_REVOKED,
                actor=user_id,
                owner=user_id,
                target=str(token_id),
                origin=client,
            )
    await revocation.propagated()
    return ended
