"""The API tokens of an account, as its owner makes, sees and ends them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared import audit, clock
from shared.api import cursors
from shared.api.models import Page, ResponseModel
from shared.audit import AuditAction
from shared.db import Database
from shared.errors import Unauthenticated, ValidationFailed
from shared.identity import accounts, api_tokens, confirmation, revocation, sessions
from shared.identity.api_tokens import ApiToken
from shared.identity.client import Client
from shared.identity.session_list import last_id
from shared.identity.sign_in import send_alert


class TokenItem(ResponseModel):
    id: UUID
    name: str
    scopes: list[str]
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None


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

    Raises ValidationFailed if it would have expired already, and what `confirmation.require` raises.
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
            address=client.address,
            user_agent=client.user_agent,
            detail={"scopes": token.scopes},
        )
        user = await accounts.get(tx, user_id)
        if user is not None:
            await send_alert(tx, client, user, "api_token_created")
    return _item(token), text


async def page(db: Database, user_id: UUID, *, limit: int, cursor: str | None) -> Page[TokenItem]:
    """A page of the tokens that are not revoked, newest first. Raises InvalidCursor."""
    binding = {"list": "api_tokens", "owner": user_id}
    before = last_id(cursor, binding)
    async with db.system() as tx:
        found = await api_tokens.of_user(tx, user_id, limit=limit + 1, before=before)
    items = [_item(token) for token in found[:limit]]
    more = len(found) > limit
    return Page[TokenItem](items=items, next_cursor=cursors.encode([str(items[-1].id)], binding) if more else None)


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
                address=client.address,
                user_agent=client.user_agent,
            )
    await revocation.settled()
    return ended


def _item(token: ApiToken) -> TokenItem:
    return TokenItem(
        id=token.id,
        name=token.name,
        scopes=token.scopes,
        expires_at=token.expires_at,
        created_at=token.created_at,
        last_used_at=token.last_used_at,
    )
