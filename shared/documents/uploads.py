"""Uploads as clients drive them: create, resume, sign parts, complete, abort.

The bytes go straight from the client to the object store. Size, type, `If-None-Match: *` and, where the client gave one, the hash are
signed into the URL, so that the object cannot be another one, larger, or overwritten later.
"""

from datetime import datetime, timedelta
from uuid import UUID

from shared.audit import Caller
from shared.clock import now
from shared.db import TenantDatabase
from shared.documents import filenames, library, upload_step
from shared.documents.library import ObjectRefused, UploadIncomplete
from shared.documents.models import (
    MAX_PARTS,
    CompleteUpload,
    CreatedUpload,
    CreateUpload,
    Document,
    PartsUpload,
    ResumableUpload,
    SignedPart,
    SignedParts,
    SignParts,
    SingleUpload,
    UploadedPart,
)
from shared.documents.upload_step import DuplicateDocument, Upload
from shared.errors import Conflict, DomainError, NotFound
from shared.extraction import UnsupportedType, content_types, refusals
from shared.storage import ObjectMissing, Part, PartsRefused, object_store

__all__ = [
    "DuplicateDocument",
    "EmptyDocument",
    "UnsupportedType",
    "UploadFinished",
    "UploadIncomplete",
    "abort",
    "accepted_type",
    "complete",
    "create",
    "resume",
    "sign_parts",
]

MULTIPART_FROM = 64 * 2**20
"""Bytes from which a document is uploaded in parts, as clients rely on."""
PART_SIZE = 16 * 2**20
SINGLE_LIFETIME = upload_step.URL_LIFETIME_AT_MOST
PARTS_LIFETIME = timedelta(hours=24)
PART_URL_SECONDS = 3600

_GENERIC_TYPES = {"", "application/octet-stream", "binary/octet-stream", "application/x-download", "application/force-download"}
# What browsers and mail programs call the same things.
_OTHER_NAMES = {
    "application/x-pdf": content_types.PDF,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template": content_types.DOCX,
    "application/vnd.ms-word.document.macroenabled.12": content_types.DOCX,
    "application/vnd.ms-word.template.macroenabled.12": content_types.DOCX,
    "application/vnd.oasis.opendocument.text-template": content_types.ODT,
    "application/vnd.oasis.opendocument.spreadsheet-template": content_types.ODS,
    "application/vnd.oasis.opendocument.presentation-template": content_types.ODP,
    "text/rtf": content_types.RTF,
    "application/x-rtf": content_types.RTF,
    "text/x-markdown": content_types.MARKDOWN,
    "application/csv": content_types.CSV,
    "text/comma-separated-values": content_types.CSV,
    "text/tab-separated-values": content_types.CSV,
    "application/xhtml+xml": content_types.HTML,
    "image/jpg": content_types.JPEG,
    "image/pjpeg": content_types.JPEG,
    "image/x-png": content_types.PNG,
    "image/tif": content_types.TIFF,
    "image/x-ms-bmp": content_types.BMP,
    "image/x-bmp": content_types.BMP,
    "image/heif": content_types.HEIC,
    "image/heic-sequence": content_types.HEIC,
    "image/heif-sequence": content_types.HEIC,
    "application/x-mimearchive": content_types.EML,
    "multipart/related": content_types.EML,
    "application/vnd.oasis.opendocument.graphics-template": content_types.ODG,
    "application/vnd.oasis.opendocument.text-flat-xml": content_types.ODT,
    "application/vnd.oasis.opendocument.spreadsheet-flat-xml": content_types.ODS,
    "application/vnd.oasis.opendocument.presentation-flat-xml": content_types.ODP,
    "application/vnd.oasis.opendocument.graphics-flat-xml": content_types.ODG,
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": content_types.XLSX,
    "application/json": content_types.TEXT,
    "application/xml": content_types.TEXT,
    "application/x-yaml": content_types.TEXT,
    "image/x-tiff": content_types.TIFF,
    # workbooks and presentations with macros, templates and slide shows
    "application/vnd.ms-excel.sheet.macroenabled.12": content_types.XLSX,
    "application/vnd.ms-excel.template.macroenabled.12": content_types.XLSX,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.template": content_types.XLSX,
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": content_types.PPTX,
    "application/vnd.ms-powerpoint.slideshow.macroenabled.12": content_types.PPTX,
    "application/vnd.ms-powerpoint.template.macroenabled.12": content_types.PPTX,
    "application/vnd.openxmlformats-officedocument.presentationml.slideshow": content_types.PPTX,
    "application/vnd.openxmlformats-officedocument.presentationml.template": content_types.PPTX,
}


_OFFICE = {
    content_types.DOCX, content_types.XLSX, content_types.PPTX, content_types.ODT, content_types.ODS, content_types.ODP, content_types.RTF,
    content_types.HTML, content_types.EML, content_types.CSV, content_types.DOC, content_types.XLS, content_types.PPT,
}  # fmt: skip


class EmptyDocument(DomainError):
    status, code, title = 422, "empty_document", "The document is empty"


class UploadFinished(Conflict):
    code, title = "upload_finished", "The document has already arrived"


async def create(db: TenantDatabase, request: CreateUpload, *, caller: Caller | None = None) -> CreatedUpload:
    """Reserves room, writes the row and signs the upload. A document that is to be replaced stays as it is until the upload is complete.

    Raises EmptyDocument, DocumentTooLarge, UnsupportedType, QuotaExceeded, DuplicateDocument if a hash is given, and what
    `replacing.check` raises.
    """
    if request.size == 0:
        raise EmptyDocument("The document has no bytes.")
    filename = filenames.clean(request.filename)
    in_parts = request.size >= MULTIPART_FROM
    upload = upload_step.new_upload(
        db.owner_id,
        filename,
        size=request.size,
        content_type=accepted_type(request.content_type, filename),
        sha256=request.sha256,
        method="multipart" if in_parts else "single",
        lifetime=PARTS_LIFETIME if in_parts else SINGLE_LIFETIME,
        replaces=request.replaces,
    )
    async with db.transaction() as tx:
        document = await upload_step.insert(tx, upload, filename, allow_duplicate=request.allow_duplicate, caller=caller)
    try:
        if in_parts:
            await _begin_parts(db, upload)
        return CreatedUpload(document=document, upload=await _instructions(upload))
    except BaseException:
        # The client learns of no document, so there is to be none.
        await upload_step.discard(db, upload, caller=caller)
        raise


async def resume(db: TenantDatabase, document_id: UUID) -> ResumableUpload:
    """The instructions of an upload under way, freshly signed, its time begun anew. Raises NotFound, UploadFinished."""
    upload = await _under_way(db, document_id)
    if upload.upload_method == "through_us":
        raise NotFound("This document is not uploaded by its client.")
    parts: list[Part] = []
    if upload.upload_method == "multipart":
        upload_id = upload.upload_id or await _begin_parts(db, upload)
        try:
            parts = await object_store().list_parts(upload.object_key, upload_id)
        except ObjectMissing:
            raise UploadFinished("All parts have arrived; complete the upload.") from None
    expires_at = now() + (PARTS_LIFETIME if upload.upload_method == "multipart" else SINGLE_LIFETIME)
    async with db.transaction() as tx:
        extended = await tx.execute(
            """
            UPDATE documents SET upload_expires_at = %(expires_at)s
            WHERE owner_id = %(owner)s AND id = %(id)s AND status = 'uploading'
            """,
            {"owner": db.owner_id, "id": upload.id, "expires_at": expires_at},
        )
    if not extended:
        raise UploadFinished
    instructions = await _instructions(upload, expires_at)
    return ResumableUpload(
        **dict(instructions),
        parts=[UploadedPart(number=part.number, size=part.size, etag=part.etag) for part in parts],
    )


async def sign_parts(db: TenantDatabase, document_id: UUID, request: SignParts) -> SignedParts:
    """URLs that each take one part of exactly its size. Raises NotFound (also for a number beyond the last part), UploadFinished."""
    upload = await _under_way(db, document_id)
    if upload.upload_method != "multipart":
        raise NotFound("This document is not uploaded in parts.")
    upload_id = upload.upload_id or await _begin_parts(db, upload)
    count = part_count(upload.size)
    if beyond := [number for number in request.numbers if number > count]:
        raise NotFound(f"There is no part {beyond[0]}: this upload has {count}.")
    sizes = {number: part_length(upload.size, number) for number in request.numbers}
    signed = await object_store().presign_parts(upload.object_key, upload_id, sizes, seconds=PART_URL_SECONDS)
    return SignedParts(items=[SignedPart(number=part.number, url=part.url, headers=part.headers) for part in signed])


async def complete(db: TenantDatabase, document_id: UUID, request: CompleteUpload) -> Document:
    """The client says that the bytes are there: checks, and finalizes the upload. Once that is done, only answers with the document.

    Raises NotFound, UploadIncomplete, and ObjectRefused for a new version that is not what was promised.
    """
    async with db.transaction() as tx:
        upload = await upload_step.find(tx, db.owner_id, document_id)
    if upload is None:
        raise NotFound
    if upload.status == "uploading":
        if upload.upload_method == "multipart" and upload.upload_id is not None:
            await _join_parts(upload, upload.upload_id, request)
        stored = None if upload.upload_method == "through_us" else await object_store().stat(upload.object_key)
        if stored is None:
            raise UploadIncomplete("Nothing has arrived under the upload's URL yet.")
        await upload_step.finalize(db, upload, stored)
        if upload.replaces is not None and (wrong := upload_step.mismatch(upload, stored)):
            raise ObjectRefused(wrong)
    return await library.get(db, document_id)


async def abort(db: TenantDatabase, document_id: UUID, *, caller: Caller | None = None) -> None:
    """Gives the upload up and releases its room. Raises NotFound, UploadFinished."""
    upload = await _under_way(db, document_id)
    if not await upload_step.discard(db, upload, caller=caller):
        raise UploadFinished


def accepted_type(declared: str, filename: str) -> str:
    """The type an upload is signed for, without parameters; where the client does not know, the name tells. Raises UnsupportedType."""
    kind = declared.partition(";")[0].strip().lower()
    by_name = content_types.EXTENSIONS.get(filenames.extension(filename))
    if kind in (content_types.DOC, content_types.XLS, content_types.PPT) and by_name in _OFFICE:
        return by_name  # Windows says so of all that Office opens where it is installed: CSV, RTF, newer formats
    if kind in _GENERIC_TYPES and by_name is not None:
        return by_name
    kind = _OTHER_NAMES.get(kind, kind)
    if kind.startswith("text/") and kind not in content_types.SUPPORTED:  # a log, a script: the bytes say whether it is a text
        return by_name or content_types.TEXT
    if kind not in content_types.SUPPORTED:
        raise UnsupportedType(f"Files of type {kind[:100] or 'unknown'} cannot be read. {refusals.advice(filename)}")
    return kind


def part_size(size: int) -> int:
    """Bytes of each part but the last, for a document of `size` bytes."""
    mib = 2**20
    return max(PART_SIZE, -(-size // (MAX_PARTS * mib)) * mib)


def part_count(size: int) -> int:
    """How many parts a document of `size` bytes has."""
    return -(-size // part_size(size))


def part_length(size: int, number: int) -> int:
    """Bytes of one part; numbers begin with 1."""
    return min(part_size(size), size - part_size(size) * (number - 1))


async def _under_way(db: TenantDatabase, document_id: UUID) -> Upload:
    async with db.transaction() as tx:
        upload = await upload_step.find(tx, db.owner_id, document_id)
    if upload is None:
        raise NotFound
    if upload.status != "uploading":
        raise UploadFinished
    return upload


async def _begin_parts(db: TenantDatabase, upload: Upload) -> str:
    """Begins the upload in the store after the row is there, so that the clean-up knows of everything that was begun."""
    upload_id = await object_store().begin_parts(upload.object_key, content_type=upload.content_type)
    async with db.transaction() as tx:
        kept = await tx.fetch_value(
            """
            UPDATE documents SET upload_id = coalesce(upload_id, %(upload_id)s)
            WHERE owner_id = %(owner)s AND id = %(id)s AND status = 'uploading'
            RETURNING upload_id
            """,
            {"owner": upload.owner_id, "id": upload.id, "upload_id": upload_id},
        )
    if kept != upload_id:
        await object_store().abort_parts(upload.object_key, upload_id)
    if kept is None:
        raise UploadFinished
    return str(kept)


async def _instructions(upload: Upload, expires_at: datetime | None = None) -> SingleUpload | PartsUpload:
    expires_at = expires_at or upload.upload_expires_at or now()
    if upload.upload_method == "multipart":
        return PartsUpload(part_size=part_size(upload.size), part_count=part_count(upload.size), expires_at=expires_at)
    signed = await object_store().presign_put(
        upload.object_key,
        size=upload.size,
        content_type=upload.content_type,
        sha256=upload.sha256,
        seconds=max(1, int((expires_at - now()).total_seconds())),
    )
    return SingleUpload(url=signed.url, headers=signed.headers, expires_at=expires_at)


async def _join_parts(upload: Upload, upload_id: str, request: CompleteUpload) -> None:
    """Makes one object of the parts. Returns also where that was done before: the object itself tells. Raises UploadIncomplete."""
    store = object_store()
    try:
        listed = await store.list_parts(upload.object_key, upload_id)
    except ObjectMissing:
        return
    given = {part.number: part.etag.strip('"') for part in request.parts} if request.parts is not None else None
    # SeaweedFS lists each part that came under a number: the one that is meant counts, or else one that fits.
    listed.sort(
        key=lambda part: part.size == part_length(upload.size, part.number) if given is None else part.etag == given.get(part.number)
    )
    there = {part.number: part for part in listed}
    if given is None:
        given = {part.number: part.etag for part in listed}
    for number in range(1, part_count(upload.size) + 1):
        part = there.get(number)
        if part is None or number not in given:
            raise UploadIncomplete(f"Part {number} of {part_count(upload.size)} is missing.")
        if part.etag != given[number]:
            raise UploadIncomplete(f"Part {number} is not the one that the store has.")
        if part.size != part_length(upload.size, number):
            raise UploadIncomplete(f"Part {number} has {part.size} bytes instead of {part_length(upload.size, number)}.")
    if len(given) != part_count(upload.size):
        raise UploadIncomplete(f"There are more parts than the document's {part_count(upload.size)}.")
    try:
        await store.complete_parts(upload.object_key, upload_id, sorted(given.items()))
    except ObjectMissing:
        return
    except PartsRefused as refused:
        raise UploadIncomplete(f"The object store does not take these parts ({refused}).") from refused
