"""Deleting an account: at once nobody can use it; soon after, everything it held is gone.

`delete` closes the door in one transaction and publishes AccountDeleted. The event's function erases what the account holds
(`shared.documents.erasure`), and `erase` the account itself, as often as it takes. The audit log keeps its lines, without personal data.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, entries
from shared.db import Database, Transaction
from shared.errors import Conflict
from shared.events import publish
from shared.events.catalogue import AccountDeleted
from shared.identity import accounts, api_tokens, one_time, reauthentication, revocation, sessions
from shared.identity.client import Client
from shared.identity.sign_in import send_alert

HoldsAny = Callable[[Transaction, UUID], Awaitable[bool]]


class LastAdmin(Conflict):
    code, title = "last_admin", "There must be another admin first"


async def delete(db: Database, client: Client, user_id: UUID, password: str) -> None:
    """The account's owner wants it gone. Raises InvalidCredentials, RateLimited, LastAdmin."""
    await reauthentication.check_password(db, client, user_id, password)
    async with db.system() as tx:
        user = await accounts.get(tx, user_id)
        if user is not None:
            await send_alert(tx, client, user, "account_deleted")
        await close(tx, user_id)
        await audit.record(tx, AuditAction.ACCOUNT_DELETED, actor=user_id, owner=user_id, origin=client)
    await revocation.propagated()


async def close(tx: Transaction, user_id: UUID) -> None:
    """Closes an account for good and has its data erased (system transaction). Follow with `revocation.propagated()`. Raises LastAdmin.

    Its address is free again at once, and forgotten.
    """
    await refuse_last_admin(tx, user_id)
    await sessions.end_all(tx, user_id, sessions.EndReason.ACCOUNT_DELETED)
    await api_tokens.revoke_all(tx, user_id)
    await one_time.void(tx, user_id)
    email = await tx.fetch_value(
        """
        UPDATE users
        SET email = users.id || '@deleted.invalid', display_name = NULL, password_hash = '!', deleted_at = now(), updated_at = now()
        FROM users AS before
        WHERE users.id = %(user)s AND before.id = users.id AND users.deleted_at IS NULL
        RETURNING before.email
        """,
        {"user": user_id},
    )
    if email is not None:
        # The first admin's address is remembered, so that there is no second first one; that it was done is enough.
        await tx.execute(
            """
            UPDATE system_settings SET value = value - 'email'
            WHERE name = 'bootstrap_admin' AND lower(value ->> 'email') = lower(%(email)s)
            """,
            {"email": email},
        )
        await entries.erase_personal(tx, user_id, email=email)
        await publish(tx, AccountDeleted(owner_id=user_id))


async def refuse_last_admin(tx: Transaction, user_id: UUID) -> None:
    """Raises LastAdmin if no other admin could sign in; no two admins go at once (system transaction)."""
    admins: list[UUID] | None = await tx.fetch_value(
        """
        SELECT array_agg(id) FROM (
            SELECT id FROM users WHERE role = 'admin' AND NOT disabled AND deleted_at IS NULL ORDER BY id FOR UPDATE
        ) AS admins
        """
    )
    if admins == [user_id]:
        raise LastAdmin


async def erase(db: Database, user_id: UUID, *, holds_any: HoldsAny) -> bool:
    """Erases a deleted account: its row, its credentials, and what the audit log says about the person. An account in use stays as it is.

    False, without effect, if the account still holds something by `holds_any`: that must be erased first, and this be called again.
    """
    async with db.system() as tx:
        # While the row is held no document can join: a row that went with its owner would leave an object that nobody knows.
        await accounts.lock(tx, user_id)
        if not await tx.fetch_value("SELECT deleted_at IS NOT NULL FROM users WHERE id = %(user)s", {"user": user_id}):
            return True
        if await holds_any(tx, user_id):
            return False
        await entries.erase_personal(tx, user_id)
        await tx.execute("DELETE FROM users WHERE id = %(user)s", {"user": user_id})
        await audit.record(tx, AuditAction.ACCOUNT_DATA_ERASED, owner=user_id)
    return True
