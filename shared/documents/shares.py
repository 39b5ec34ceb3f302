"""Shares, as the owner of a document makes, sees and ends them: links that give it to whoever holds one.

A link's token has 256 random bits and is stored as its hash alone: the link is told once. A share ends with its document; while that is in
the trash it opens nothing. Opening one is `share_opening`'s.
"""

import hashlib
import secrets
from uuid import UUID

from shared import audit, clock
from shared.api import id_lists
from shared.api.models import Page, PageQuery
from shared.audit import AuditAction, Caller
from shared.config import settings
from shared.db import TenantDatabase, Transaction
from shared.documents import library, lifecycle
from shared.documents.share_models import CreatedShare, NewShare, Share
from shared.errors import LimitReached, NotFound, ValidationFailed
from shared.identity import passwords
from shared.ids import new_id
from shared.keys import base64url

AT_MOST = 100
"""Shares a document may have. Those that open nothing any more (expired, used up) make room for new ones."""
TOKEN_BYTES = 32

_COLUMNS = "id, expires_at, password_hash IS NOT NULL AS has_password, max_downloads, downloads"


async def create(db: TenantDatabase, document_id: UUID, new: NewShare, *, caller: Caller | None = None) -> CreatedShare:
    """A new share and, this once, its link.

    Raises ValidationFailed if it would have expired already, NotFound, UploadIncomplete, ObjectRefused, LimitReached, Unavailable.
    """
    if new.expires_at <= clock.now():
        raise ValidationFailed(
            "expires_at: must be in the future", errors=[{"loc": ["body", "expires_at"], "msg": "must be in the future"}]
        )
    password_hash = None if new.password is None else await passwords.hash_password(new.password)
    token = base64url(secrets.token_bytes(TOKEN_BYTES))
    async with db.transaction() as tx:
        await _hold_document(tx, db.owner_id, document_id)
        await _make_room(tx, db.owner_id, document_id)
        share = await tx.fetch_one(
            f"""
            INSERT INTO document_shares (id, owner_id, document_id, token_hash, password_hash, expires_at, max_downloads)
            VALUES (%(id)s, %(owner)s, %(document)s, %(hash)s, %(password)s, %(expires)s, %(most)s)
            RETURNING {_COLUMNS}
            """,
            {
                "id": new_id(),
                "owner": db.owner_id,
                "document": document_id,
                "hash": hash_of(token),
                "password": password_hash,
                "expires": new.expires_at,
                "most": new.max_downloads,
            },
            row=Share,
        )
        assert share is not None
        await audit.record_call(tx, caller, AuditAction.DOCUMENT_SHARED, target=document_id, detail={"share": str(share.id)})
    return CreatedShare(**share.model_dump(), url=f"{settings().frontend_url}/shared/{token}")


async def list_page(db: TenantDatabase, document_id: UUID, query: PageQuery) -> Page[Share]:
    """A page of the document's shares, newest first, also of those that open nothing any more. Raises NotFound, InvalidCursor."""
    binding = {"list": "shares", "owner": str(db.owner_id), "document": str(document_id)}
    before = id_lists.last_id(query.cursor, binding)
    async with db.transaction() as tx:
        found = await tx.fetch_all(
            f"""
            SELECT {_COLUMNS} FROM document_shares
            WHERE owner_id = %(owner)s AND document_id = %(document)s AND (%(before)s::uuid IS NULL OR id < %(before)s)
            ORDER BY id DESC LIMIT %(limit)s
            """,
            {"owner": db.owner_id, "document": document_id, "before": before, "limit": query.limit + 1},
            row=Share,
        )
        if not found:
            await library.read(tx, db.owner_id, document_id)
    return id_lists.page(found, query.limit, binding)


async def revoke(db: TenantDatabase, document_id: UUID, share_id: UUID, *, caller: Caller | None = None) -> None:
    """Ends a share at once. Raises NotFound."""
    async with db.transaction() as tx:
        ended = await tx.execute(
            "DELETE FROM document_shares WHERE owner_id = %(owner)s AND document_id = %(document)s AND id = %(share)s",
            {"owner": db.owner_id, "document": document_id, "share": share_id},
        )
        if not ended:
            raise NotFound
        await audit.record_call(tx, caller, AuditAction.DOCUMENT_SHARE_REVOKED, target=document_id, detail={"share": str(share_id)})


def hash_of(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def _hold_document(tx: Transaction, owner_id: UUID, document_id: UUID) -> None:
    """Locks the document, so that of several shares at once each counts the others. Raises NotFound, UploadIncomplete, ObjectRefused."""
    state: tuple[str, str | None] | None = await tx.fetch_value(
        """
        SELECT ARRAY[status, error ->> 'code'] FROM documents
        WHERE owner_id = %(owner)s AND id = %(document)s FOR NO KEY UPDATE
        """,
        {"owner": owner_id, "document": document_id},
    )
    if state is None:
        raise NotFound
    status, error_code = state
    if status == "uploading":
        raise library.UploadIncomplete
    if error_code == lifecycle.OBJECT_MISMATCH:
        raise library.ObjectRefused


async def _make_room(tx: Transaction, owner_id: UUID, document_id: UUID) -> None:
    """Raises LimitReached if the document has as many shares as it may."""
    parameters = {"owner": owner_id, "document": document_id}
    count = "SELECT count(*) FROM document_shares WHERE owner_id = %(owner)s AND document_id = %(document)s"
    if await tx.fetch_value(count, parameters) < AT_MOST:
        return
    await tx.execute(
        """
        DELETE FROM document_shares
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND (expires_at <= clock_timestamp() OR downloads >= max_downloads)
        """,
        parameters,
    )
    if await tx.fetch_value(count, parameters) >= AT_MOST:
        raise LimitReached(f"A document may have {AT_MOST} shares: revoke one that is not needed any more.")
