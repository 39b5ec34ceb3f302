"""Deleting an account: at once nobody can use it; soon after, everything it held is gone.

`delete` closes the door in one transaction and publishes AccountDeleted; `erase` (the event's function) removes objects, rows and
credentials, as often as it takes. The audit log keeps its lines, without personal data.
"""

from dataclasses import dataclass
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, entries
from shared.db import Database, Transaction
from shared.documents import thumbnails
from shared.errors import Conflict
from shared.events import publish
from shared.events.catalogue import AccountDeleted
from shared.identity import accounts, api_tokens, one_time, reauthentication, revocation, sessions
from shared.identity.client import Client
from shared.identity.sign_in import send_alert
from shared.storage import ObjectStore

BATCH = 100
TOMBSTONE_HOURS = 25
"""How long what comes late is removed: a PUT to a URL that was signed before, a thumbnail of what was just being read. Longer than either
takes."""


class LastAdmin(Conflict):
    code, title = "last_admin", "There must be another admin first"


@dataclass(frozen=True)
class _OwnedDocument:
    id: UUID
    revision: int
    storage_provider: str
    object_key: str
    thumbnail_key: str | None
    upload_id: str | None
    uploading: bool
    was_read: bool


async def delete(db: Database, client: Client, user_id: UUID, password: str) -> None:
    """The account's owner wants it gone. Raises InvalidCredentials, RateLimited, LastAdmin."""
    await reauthentication.check_password(db, client, user_id, password)
    async with db.system() as tx:
        user = await accounts.get(tx, user_id)
        if user is not None:
            await send_alert(tx, client, user, "account_deleted")
        await close(tx, user_id)
        await audit.record(tx, AuditAction.ACCOUNT_DELETED, actor=user_id, owner=user_id, origin=client)
    await revocation.settled()


async def close(tx: Transaction, user_id: UUID) -> None:
    """Closes an account for good and has its data erased (system transaction). Follow with `revocation.settled()`. Raises LastAdmin.

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
    """Raises LastAdmin where no other admin could sign in; no two admins go at once (system transaction)."""
    admins: list[UUID] | None = await tx.fetch_value(
        """
        SELECT array_agg(id) FROM (
            SELECT id FROM users WHERE role = 'admin' AND NOT disabled AND deleted_at IS NULL ORDER BY id FOR UPDATE
        ) AS admins
        """
    )
    if admins == [user_id]:
        raise LastAdmin


async def erase(db: Database, store: ObjectStore, user_id: UUID) -> None:
    """Removes what a deleted account held: objects, rows, credentials, and what the audit log says about the person. Idempotent.

    Raises StorageUnavailable: what is left is erased at the next try.
    """
    async with db.system() as tx:
        deleted = await tx.fetch_value("SELECT deleted_at IS NOT NULL FROM users WHERE id = %(user)s", {"user": user_id})
    if not deleted:
        return
    gone = False
    while not gone:
        while await _erase_documents(db, store, user_id):
            pass
        async with db.system() as tx:
            # While the row is held no document can join: a row that went with its owner would leave an object that nobody knows.
            await accounts.lock(tx, user_id)
            gone = not await tx.fetch_value("SELECT EXISTS (SELECT FROM documents WHERE owner_id = %(user)s)", {"user": user_id})
            if gone:
                await entries.erase_personal(tx, user_id)
                if await tx.execute("DELETE FROM users WHERE id = %(user)s AND deleted_at IS NOT NULL", {"user": user_id}):
                    await audit.record(tx, AuditAction.ACCOUNT_DATA_ERASED, owner=user_id)


async def _erase_documents(db: Database, store: ObjectStore, user_id: UUID) -> int:
    """Objects first, rows after: a failure in between leaves the row to try again by."""
    async with db.system() as tx:
        documents = await tx.fetch_all(
            """
            SELECT id, revision, storage_provider, object_key, thumbnail_key, upload_id, status = 'uploading' AS uploading,
                status IN ('extracted', 'ready') AS was_read
            FROM documents WHERE owner_id = %(user)s ORDER BY id LIMIT %(limit)s
            """,
            {"user": user_id, "limit": BATCH},
            row=_OwnedDocument,
        )
    late: list[str] = []
    for document in documents:
        if document.storage_provider == store.provider:
            if document.upload_id is not None:
                await store.abort_parts(document.object_key, document.upload_id)
            await store.delete(document.object_key)
        # Its reader stores it before the row names it, and may be about to.
        thumbnail = document.thumbnail_key or thumbnails.key(user_id, document.id, document.revision)
        await store.delete(thumbnail)
        late += [document.object_key] if document.uploading else []
        late += [] if document.thumbnail_key or document.was_read else [thumbnail]
    async with db.system() as tx:
        await tx.execute(
            f"""
            INSERT INTO upload_tombstones (object_key, owner_id, expires_at)
            SELECT object_key, %(user)s, now() + interval '{TOMBSTONE_HOURS} hours' FROM unnest(%(keys)s::text[]) AS object_key
            ON CONFLICT (object_key) DO UPDATE SET expires_at = excluded.expires_at
            """,
            {"user": user_id, "keys": late},
        )
        await tx.execute("DELETE FROM documents WHERE id = ANY(%(ids)s)", {"ids": [document.id for document in documents]})
    return len(documents)
