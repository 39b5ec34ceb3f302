"""Uploads: what is promised is what arrives, room is accounted for, and every way of settling leads to the same place once."""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import httpx
import pytest

from shared.config import settings
from shared.db import Database, TenantDatabase
from shared.documents import library, listing, reconciliation, step_history, upload_step, uploads
from shared.documents.library import ObjectRefused
from shared.documents.listing import Filters
from shared.documents.models import MAX_PARTS, CompletedPart, CompleteUpload, PartsUpload, SignParts, SingleUpload
from shared.documents.quotas import DocumentTooLarge, QuotaExceeded
from shared.documents.upload_step import DuplicateDocument
from shared.documents.uploads import EmptyDocument, UnsupportedType, UploadFinished, UploadIncomplete
from shared.errors import NotFound
from shared.extraction import content_types
from shared.storage import StoredObject, object_store
from tests.documents.conftest import LETTER, Usage, create, published, row, send, set_quota, status, stored, usage


async def test_an_upload_is_a_document_that_reserves_its_room(vault: TenantDatabase) -> None:
    created = await create(vault, filename="../Brief \U0001f4c4.txt")
    assert isinstance(created.upload, SingleUpload)
    document = created.document
    assert (document.filename, document.title, document.status) == ("Brief \U0001f4c4.txt", "Brief \U0001f4c4", "uploading")
    assert document.topics == []
    assert await usage(vault) == Usage(0, len(LETTER), 0)
    key = await row(vault, document.id, "object_key")
    assert key.startswith(f"{vault.owner_id}/{document.id}/")
    assert key.endswith(".txt")
    assert UUID(key.rsplit("/", 1)[1].removesuffix(".txt")).version == 4


async def test_what_was_promised_arrives_and_is_stored(vault: TenantDatabase) -> None:
    document = await stored(vault, sha256=hashlib.sha256(LETTER).hexdigest())
    assert (document.status, document.size) == ("stored", len(LETTER))
    assert await usage(vault) == Usage(len(LETTER), 0, 1)
    [event] = await published(vault, document.id)
    assert (event.type, event.data) == ("document.stored", {"document_id": str(document.id), "revision": 1})
    [step] = await step_history.history(vault, document.id)
    assert (step.step, step.state, step.attempts) == ("upload", "done", 1)
    assert step.duration_ms is not None


async def test_settling_again_by_any_way_changes_nothing(vault: TenantDatabase) -> None:
    created = await create(vault)
    await send(created)
    key = await row(vault, created.document.id, "object_key")
    outcomes = await asyncio.gather(
        *(upload_step.object_arrived(key) for _ in range(3)),
        *(uploads.complete(vault, created.document.id, CompleteUpload()) for _ in range(3)),
    )
    assert outcomes.count("finalized") <= 1
    assert await upload_step.object_arrived(key) == "known"
    assert len(await published(vault, created.document.id)) == 1
    assert await usage(vault) == Usage(len(LETTER), 0, 1)
    assert [step.attempts for step in await step_history.history(vault, created.document.id)] == [1]


async def test_completing_before_anything_arrived_is_too_early(vault: TenantDatabase) -> None:
    created = await create(vault)
    with pytest.raises(UploadIncomplete):
        await uploads.complete(vault, created.document.id, CompleteUpload())
    assert await status(vault, created.document.id) == "uploading"


async def test_another_object_than_promised_fails_with_a_reason(vault: TenantDatabase) -> None:
    created = await create(vault)
    key = await row(vault, created.document.id, "object_key")
    await object_store().put(key, b"something else entirely, and longer than it was announced to be", content_type="text/plain")
    assert await upload_step.object_arrived(key) == "finalized"
    document = await library.get(vault, created.document.id)
    assert document.status == "failed"
    assert document.error is not None
    assert (document.error.step, document.error.code) == ("upload", "object_mismatch")
    assert [hit.id for hit in (await listing.search_documents(vault, "letter", Filters(), "-relevance", 10, None)).items] == [document.id]
    assert await usage(vault) == Usage(0, 0, 1)
    assert await published(vault, document.id) == []


async def test_another_object_than_promised_is_removed_and_never_served(vault: TenantDatabase) -> None:
    created = await create(vault)
    key = await row(vault, created.document.id, "object_key")
    await object_store().put(key, b"what another tenant has written", content_type="text/plain")
    await uploads.complete(vault, created.document.id, CompleteUpload())
    assert await object_store().stat(key) is None
    document = await library.get(vault, created.document.id)
    assert (document.status, document.size) == ("failed", 0)
    with pytest.raises(ObjectRefused):
        await library.download(vault, document.id, "attachment")
    with pytest.raises(NotFound):
        await library.thumbnail(vault, document.id)
    assert (await library.text(vault, document.id)).pages == []


async def test_what_arrives_after_another_object_than_promised_is_removed_too(vault: TenantDatabase) -> None:
    created = await create(vault)
    key = await row(vault, created.document.id, "object_key")
    await object_store().put(key, b"not it", content_type="text/plain")
    assert await upload_step.object_arrived(key) == "finalized"
    assert await send(created) == 200, "the URL is still good"
    assert await upload_step.object_arrived(key) == "removed"
    assert await object_store().stat(key) is None
    with pytest.raises(ObjectRefused):
        await library.download(vault, created.document.id, "attachment")


async def test_a_store_that_is_down_while_an_object_is_refused_is_tidied_later(vault: TenantDatabase) -> None:
    created = await create(vault)
    key = await row(vault, created.document.id, "object_key")
    upload = await _upload(vault, created.document.id)
    # As if it had been there when it was looked at, and the store had not answered when it was to be removed.
    assert await upload_step.finalize(vault, upload, StoredObject(key, len(LETTER) + 1, "text/plain", "0" * 32))
    await object_store().put(key, LETTER + b"!", content_type="text/plain")
    async with vault.transaction() as tx:
        await tx.execute("UPDATE upload_tombstones SET expires_at = now() - interval '1 second' WHERE object_key = %(key)s", {"key": key})
    await reconciliation.clean_up()
    assert await object_store().stat(key) is None


async def _upload(vault: TenantDatabase, document_id: UUID) -> upload_step.Upload:
    async with vault.transaction() as tx:
        upload = await upload_step.find(tx, vault.owner_id, document_id)
    assert upload is not None
    return upload


async def test_another_type_than_promised_fails_with_a_reason(vault: TenantDatabase) -> None:
    created = await create(vault)
    key = await row(vault, created.document.id, "object_key")
    await object_store().put(key, LETTER, content_type="text/html")
    await upload_step.object_arrived(key)
    assert await status(vault, created.document.id) == "failed"


async def test_an_object_no_row_knows_is_left_alone(vault: TenantDatabase) -> None:
    for key in ("stray.txt", "a/b/c", f"{vault.owner_id}/{uuid4()}/{uuid4()}.txt", f"{vault.owner_id}/{uuid4()}/x.txt"):
        await object_store().put(key, b"stray", content_type="text/plain")
        assert await upload_step.object_arrived(key) == "unknown"
        assert await object_store().stat(key) is not None


async def test_a_notification_without_its_object_changes_nothing(vault: TenantDatabase) -> None:
    created = await create(vault)
    assert await upload_step.object_arrived(await row(vault, created.document.id, "object_key")) == "gone"
    assert await status(vault, created.document.id) == "uploading"


async def test_sizes_that_cannot_be_are_refused(vault: TenantDatabase) -> None:
    with pytest.raises(EmptyDocument):
        await create(vault, b"")
    with pytest.raises(DocumentTooLarge):
        await create(vault, size=settings().max_document_size + 1)
    assert await usage(vault) == Usage(0, 0, 0)


@pytest.mark.parametrize("content_type", ["application/x-msdownload", "image/svg+xml", "video/mp4", "", "nonsense"])
async def test_kinds_that_cannot_be_read_are_refused(vault: TenantDatabase, content_type: str) -> None:
    with pytest.raises(UnsupportedType):
        await create(vault, filename="program.exe", content_type=content_type)


@pytest.mark.parametrize(
    ("declared", "filename", "kind"),
    [
        ("application/pdf", "x.bin", "application/pdf"),
        ("Text/Plain; charset=utf-8", "x.txt", "text/plain"),
        ("application/octet-stream", "x.pdf", "application/pdf"),
        ("", "notes.md", "text/markdown"),
        ("application/vnd.ms-excel", "table.csv", "text/csv"),
        ("image/jpg", "x.jpg", "image/jpeg"),
        ("application/vnd.ms-excel.sheet.macroEnabled.12", "x.xlsm", content_types.XLSX),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.template", "x.xltx", content_types.XLSX),
        ("application/vnd.openxmlformats-officedocument.presentationml.slideshow", "x.ppsx", content_types.PPTX),
        ("application/octet-stream", "x.potx", content_types.PPTX),
        ("application/msword", "letter.rtf", "application/rtf"),
        ("text/x-log", "server.log", "text/plain"),
        ("text/x-python", "script.py", "text/plain"),
    ],
)
def test_kinds_are_known_by_their_other_names(declared: str, filename: str, kind: str) -> None:
    assert uploads.accepted_type(declared, filename) == kind


async def test_a_full_account_takes_no_more(db: Database, vault: TenantDatabase) -> None:
    await set_quota(db, vault.owner_id, 100)
    await create(vault, size=60)
    with pytest.raises(QuotaExceeded):
        await create(vault, size=41)
    await create(vault, size=40)
    assert await usage(vault) == Usage(0, 100, 0)


async def test_many_uploads_at_once_never_exceed_the_quota(db: Database, vault: TenantDatabase) -> None:
    await set_quota(db, vault.owner_id, 500)
    results = await asyncio.gather(*(create(vault, size=100) for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(result, QuotaExceeded) for result in results) == 7
    assert await usage(vault) == Usage(0, 500, 0)


async def test_the_same_bytes_twice_are_a_duplicate(vault: TenantDatabase) -> None:
    digest = hashlib.sha256(LETTER).hexdigest()
    first = await stored(vault, sha256=digest)
    with pytest.raises(DuplicateDocument) as refused:
        await create(vault, sha256=digest)
    assert refused.value.members == {"document_id": str(first.id)}
    await create(vault, sha256=digest, allow_duplicate=True)
    await create(vault)
    assert (await usage(vault)).documents == 1


async def test_the_trash_does_not_count_as_a_duplicate(vault: TenantDatabase) -> None:
    digest = hashlib.sha256(LETTER).hexdigest()
    first = await stored(vault, sha256=digest)
    await library.trash(vault, first.id)
    await create(vault, sha256=digest)


async def test_of_the_same_bytes_at_once_only_one_is_taken(vault: TenantDatabase) -> None:
    digest = hashlib.sha256(LETTER).hexdigest()
    results = await asyncio.gather(*(create(vault, sha256=digest) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, DuplicateDocument) for result in results) == 7


async def test_another_owners_document_is_no_duplicate_and_not_there(
    vault: TenantDatabase, db: Database, new_owner: Callable[[], Awaitable[UUID]]
) -> None:
    digest = hashlib.sha256(LETTER).hexdigest()
    document = await stored(vault, sha256=digest)
    other = TenantDatabase(db, await new_owner())
    await create(other, sha256=digest)
    for attempt in (
        library.get(other, document.id),
        library.text(other, document.id),
        library.download(other, document.id, "inline"),
        library.thumbnail(other, document.id),
        library.trash(other, document.id),
        library.restore(other, document.id),
        step_history.history(other, document.id),
        uploads.complete(other, document.id, CompleteUpload()),
        uploads.abort(other, document.id),
        uploads.resume(other, document.id),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_an_aborted_upload_is_gone_and_what_still_arrives_is_removed(vault: TenantDatabase) -> None:
    created = await create(vault)
    key = await row(vault, created.document.id, "object_key")
    await uploads.abort(vault, created.document.id)
    assert await usage(vault) == Usage(0, 0, 0)
    with pytest.raises(NotFound):
        await library.get(vault, created.document.id)
    with pytest.raises(NotFound):
        await uploads.abort(vault, created.document.id)
    assert await send(created) == 200
    assert await upload_step.object_arrived(key) == "removed"
    assert await object_store().stat(key) is None


async def test_a_stored_document_cannot_be_aborted(vault: TenantDatabase) -> None:
    document = await stored(vault)
    with pytest.raises(UploadFinished):
        await uploads.abort(vault, document.id)
    with pytest.raises(UploadFinished):
        await uploads.resume(vault, document.id)


async def test_an_upload_is_resumed_with_a_fresh_url(vault: TenantDatabase) -> None:
    created = await create(vault)
    resumed = await uploads.resume(vault, created.document.id)
    assert resumed.method == "single"
    assert resumed.url is not None
    assert resumed.headers is not None
    async with httpx.AsyncClient(timeout=60) as browser:
        assert (await browser.put(resumed.url, content=LETTER, headers=dict(resumed.headers))).status_code == 200
    assert (await uploads.complete(vault, created.document.id, CompleteUpload())).status == "stored"


async def _send_part(vault: TenantDatabase, document_id: UUID, number: int, content: bytes) -> str:
    signed = await uploads.sign_parts(vault, document_id, SignParts(numbers=[number]))
    async with httpx.AsyncClient(timeout=60) as browser:
        answer = await browser.put(signed.items[0].url, content=content, headers=dict(signed.items[0].headers))
    assert answer.status_code == 200, answer.text
    return str(answer.headers["etag"])


async def test_a_large_document_comes_in_parts(vault: TenantDatabase, db: Database) -> None:
    size = uploads.MULTIPART_FROM
    created = await create(vault, size=size, filename="book.txt")
    assert isinstance(created.upload, PartsUpload)
    document_id = created.document.id
    part_size, count = created.upload.part_size, created.upload.part_count
    assert part_size * (count - 1) < size <= part_size * count
    content = secrets.token_bytes(2**20) * (size // 2**20)
    for number in range(1, count):
        await _send_part(vault, document_id, number, content[part_size * (number - 1) : part_size * number])
    with pytest.raises(UploadIncomplete):
        await uploads.complete(vault, document_id, CompleteUpload())
    resumed = await uploads.resume(vault, document_id)
    assert [part.number for part in resumed.parts] == list(range(1, count))
    last = await _send_part(vault, document_id, count, content[part_size * (count - 1) :])
    with pytest.raises(UploadIncomplete):
        await uploads.complete(vault, document_id, CompleteUpload(parts=[CompletedPart(number=count, etag=last)]))
    with pytest.raises(NotFound):
        await uploads.sign_parts(vault, document_id, SignParts(numbers=[count + 1]))
    document = await uploads.complete(vault, document_id, CompleteUpload())
    assert (document.status, document.size) == ("stored", size)
    assert (await uploads.complete(vault, document_id, CompleteUpload())).status == "stored"
    assert await usage(vault) == Usage(size, 0, 1)


async def test_an_aborted_upload_in_parts_leaves_no_parts(vault: TenantDatabase) -> None:
    created = await create(vault, size=uploads.MULTIPART_FROM)
    key, upload_id = await row(vault, created.document.id, "object_key"), await row(vault, created.document.id, "upload_id")
    await _send_part(vault, created.document.id, 1, bytes(uploads.PART_SIZE))
    await uploads.abort(vault, created.document.id)
    with pytest.raises(NotFound):
        await object_store().list_parts(key, upload_id)
    assert await usage(vault) == Usage(0, 0, 0)


@pytest.mark.parametrize("size", [64 * 2**20, 64 * 2**20 + 1, 5 * 2**30, 2**40, 10 * 2**40])
def test_parts_add_up_to_the_document(size: int) -> None:
    count = uploads.part_count(size)
    assert count <= MAX_PARTS
    lengths = [uploads.part_length(size, number) for number in (1, count - 1, count)]
    assert uploads.part_size(size) * (count - 1) + lengths[-1] == size
    assert 0 < lengths[-1] <= lengths[0] == lengths[1]


async def test_the_trash_takes_and_gives_back(vault: TenantDatabase) -> None:
    document = await stored(vault)
    await library.trash(vault, document.id)
    trashed = await library.get(vault, document.id)
    await library.trash(vault, document.id)
    assert trashed.trashed_at is not None
    assert (await library.get(vault, document.id)).trashed_at == trashed.trashed_at
    assert (await library.restore(vault, document.id)).trashed_at is None
    assert (await library.restore(vault, document.id)).trashed_at is None
    assert await usage(vault) == Usage(len(LETTER), 0, 1)


async def test_a_download_has_the_human_name(vault: TenantDatabase) -> None:
    document = await stored(vault, filename="Grüße \U0001f4c4.txt")
    link = await library.download(vault, document.id, "inline")
    async with httpx.AsyncClient(timeout=60) as browser:
        answer = await browser.get(link.url)
    assert answer.content == LETTER
    assert answer.headers["content-disposition"].startswith("inline; ")
    assert "filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%F0%9F%93%84.txt" in answer.headers["content-disposition"]


async def test_what_could_run_scripts_is_never_shown_inline(vault: TenantDatabase) -> None:
    document = await stored(vault, b"<script>alert(1)</script>", filename="page.html", content_type="text/html")
    link = await library.download(vault, document.id, "inline")
    async with httpx.AsyncClient(timeout=60) as browser:
        assert (await browser.get(link.url)).headers["content-disposition"].startswith("attachment; ")


async def test_what_has_not_arrived_cannot_be_downloaded(vault: TenantDatabase) -> None:
    created = await create(vault)
    with pytest.raises(library.UploadIncomplete):
        await library.download(vault, created.document.id, "attachment")
    assert (await library.text(vault, created.document.id)).pages == []
    with pytest.raises(NotFound):
        await library.thumbnail(vault, created.document.id)
