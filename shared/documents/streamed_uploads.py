"""Documents that come through us as a form, for clients that cannot PUT to the object store.

What comes in is sent on in pieces, hashed on the way, and never held whole. Room is reserved before more than HELD bytes are taken in: for
the length that the request announces, or else for as much again as has come; further bytes wait on the disk (`shared.storage.spooling`).
The row is there before the first byte is stored, so what a dead process leaves behind is found and removed.
"""

import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from shared.api.forms import FileForm
from shared.audit import Caller
from shared.db import TenantDatabase
from shared.documents import filenames, library, quotas, upload_step
from shared.documents.models import Document
from shared.documents.upload_step import Upload
from shared.documents.uploads import EmptyDocument, accepted_type
from shared.errors import NotFound, ValidationFailed
from shared.storage import object_store

HELD = 64 * 1024
"""Bytes read before anything is stored: a document that ends within them has its size and hash known beforehand."""
FORM_OVERHEAD = 2**20
"""Bytes that a form may have beside its file."""
LEAST_AHEAD, MOST_AHEAD = 2**20, 64 * 2**20
"""What is set aside at a time for a document whose size nobody has told: as much again as has come, within these bounds."""
LIFETIME = timedelta(minutes=15)
EXTENDED_EVERY_SECONDS = 60.0


async def receive(
    db: TenantDatabase,
    stream: AsyncIterator[bytes],
    *,
    content_type: str,
    content_length: int | None,
    caller: Caller | None = None,
) -> Document:
    """The document that the form's file has become, `stored`.

    Raises what `uploads.create` and `FileForm` raise. DuplicateDocument unless the form's field `allow_duplicate` is true. With the field
    `replaces` it becomes another version of that document.
    """
    async with db.transaction() as tx:
        largest = await quotas.largest(tx)
    if content_length is not None:
        quotas.check_size(content_length - FORM_OVERHEAD, largest)
    form = await FileForm.open(stream, content_type)
    filename = filenames.clean(form.filename or "document")
    kind = accepted_type(form.content_type, filename)
    content = _StreamedContent(form.chunks(), largest)
    first = await content.take(HELD)
    replaces = _replaces(form)
    if content.complete:
        upload = _upload(db, filename, kind, size=len(first), sha256=content.sha256, replaces=replaces)
        if not first:
            raise EmptyDocument("The file has no bytes.")
        async with db.transaction() as tx:
            await upload_step.insert(tx, upload, filename, allow_duplicate=_allow_duplicate(form), caller=caller)
    else:
        # What is around the file in the form, or reserved ahead, makes no document too large that is not.
        bound = min(content_length if content_length is not None else _ahead_of(len(first)), largest)
        upload = _upload(db, filename, kind, size=bound, sha256=None, replaces=replaces)
        async with db.transaction() as tx:
            await upload_step.insert(tx, upload, filename, allow_duplicate=True, caller=caller)
    receiving = _Receiving(db, upload)
    try:
        stored = await object_store().put_stream(upload.object_key, receiving.passed_on(first, content), content_type=kind)
        if _replaces(form) != replaces:
            late = [{"loc": ["body", "replaces"], "msg": "must come before the file"}]
            raise ValidationFailed("The field replaces must come before the field file.", errors=late)
        finalized = await upload_step.finalize(db, receiving.upload, stored, sha256=content.sha256, allow_duplicate=_allow_duplicate(form))
    except BaseException:
        await upload_step.discard(db, receiving.upload, caller=caller)
        raise
    if not finalized:
        # It took so long that the clean-up has given it up.
        await object_store().delete(upload.object_key)
    return await library.get(db, upload.document_id)


def _ahead_of(size: int) -> int:
    """How much to have reserved once `size` bytes have come of nobody knows how many."""
    return size + min(max(size, LEAST_AHEAD), MOST_AHEAD)


def _upload(db: TenantDatabase, filename: str, content_type: str, *, size: int, sha256: str | None, replaces: UUID | None) -> Upload:
    return upload_step.new_upload(
        db.owner_id,
        filename,
        size=size,
        content_type=content_type,
        sha256=sha256,
        method="through_us",
        lifetime=LIFETIME,
        replaces=replaces,
    )


def _replaces(form: FileForm) -> UUID | None:
    value = form.fields.get("replaces")
    try:
        if value is None or str(UUID(value)) == value.lower():  # UUID takes braces, too, and urn:uuid:
            return None if value is None else UUID(value)
        raise ValueError
    except ValueError:
        raise ValidationFailed(
            "replaces is a document's id.", errors=[{"loc": ["body", "replaces"], "msg": "must be a document's id"}]
        ) from None


def _allow_duplicate(form: FileForm) -> bool:
    value = form.fields.get("allow_duplicate", "").strip().lower()
    if value not in ("", "true", "false", "1", "0", "on"):
        raise ValidationFailed(
            "allow_duplicate is true or false.", errors=[{"loc": ["body", "allow_duplicate"], "msg": "must be true or false"}]
        )
    return value in ("true", "1", "on")


class _StreamedContent:
    """The file's bytes, counted and hashed. Raises DocumentTooLarge as soon as there are too many."""

    def __init__(self, chunks: AsyncIterator[bytes], largest: int) -> None:
        self._chunks = chunks
        self._largest = largest
        self._digest = hashlib.sha256()
        self.size = 0
        self.complete = False

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    async def take(self, size: int) -> bytes:
        """The first `size` bytes or a little more."""
        taken = bytearray()
        async for chunk in self.rest():
            taken += chunk
            if len(taken) > size:
                break
        return bytes(taken)

    async def rest(self) -> AsyncIterator[bytes]:
        while chunk := await anext(self._chunks, b""):
            self.size += len(chunk)
            quotas.check_size(self.size, self._largest)
            self._digest.update(chunk)
            yield chunk
        self.complete = True


class _Receiving:
    """Passes a document on to the store; keeps its row alive, and its reservation ahead of it, meanwhile."""

    def __init__(self, db: TenantDatabase, upload: Upload) -> None:
        self._db = db
        self.upload = upload

    async def passed_on(self, first: bytes, content: _StreamedContent) -> AsyncIterator[bytes]:
        yield first
        kept_at = time.monotonic()
        async for chunk in content.rest():
            late = time.monotonic() - kept_at > EXTENDED_EVERY_SECONDS
            if late or content.size > self.upload.size:
                await self._keep(_ahead_of(content.size) if content.size > self.upload.size else self.upload.size)
                kept_at = time.monotonic()
            yield chunk

    async def _keep(self, size: int) -> None:
        """Raises QuotaExceeded, and NotFound if the upload came so slowly that it was given up: then nothing is reserved for it."""
        async with self._db.transaction() as tx:
            kept = await tx.execute(
                """
                UPDATE documents SET size = %(size)s, upload_expires_at = now() + %(lifetime)s
                WHERE owner_id = %(owner)s AND id = %(id)s AND status = 'uploading'
                """,
                {"size": size, "lifetime": LIFETIME, "owner": self.upload.owner_id, "id": self.upload.id},
            )
            if not kept:
                raise NotFound("The upload was given up because nothing came for too long.")
            if size > self.upload.size:
                await quotas.reserve(tx, self.upload.owner_id, size - self.upload.size)
        self.upload = replace(self.upload, size=size)
