"""Versions: one original takes another's place, nothing is lost or counted twice, and earlier ones come back."""

import asyncio
import hashlib
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from shared.api.models import PageQuery
from shared.db import Database, TenantDatabase
from shared.documents import details, library, listing, purging, reconciliation, replacing, step_history, upload_step, uploads, versions
from shared.documents.library import ObjectRefused
from shared.documents.listing import Filters
from shared.documents.models import CompleteUpload, Document
from shared.documents.quotas import QuotaExceeded
from shared.documents.replacing import NotReplaceable
from shared.documents.upload_step import DuplicateDocument
from shared.documents.uploads import UploadFinished, UploadIncomplete
from shared.errors import LimitReached, NotFound
from shared.storage import object_store
from tests.documents.conftest import LETTER, Usage, create, published, read_through, row, send, set_quota, stored, usage
from tests.identity.waiting import until_others_wait

SECOND = b"Dear ibis,\nthe waterworks regret the mistake.\n"


async def replaced(vault: TenantDatabase, document_id: UUID, content: bytes = SECOND, **more: Any) -> Document:
    """The document with `content` as its new version, read."""
    document = await stored(vault, content, replaces=document_id, **more)
    return await read_through(vault, document.id, await row(vault, document_id, "revision"))


async def listed(vault: TenantDatabase, document_id: UUID) -> list[tuple[int, str, bool]]:
    page = await versions.list_page(vault, document_id, PageQuery())
    return [(version.number, version.filename, version.current) for version in page.items]


async def id_of(vault: TenantDatabase, document_id: UUID, number: int) -> UUID:
    page = await versions.list_page(vault, document_id, PageQuery())
    return next(version.id for version in page.items if version.number == number)


async def content(vault: TenantDatabase, document_id: UUID, version_id: UUID | None = None) -> bytes:
    link = await library.download(vault, document_id, "attachment", version_id=version_id)
    async with httpx.AsyncClient() as browser:
        return (await browser.get(link.url)).content


async def hits(vault: TenantDatabase, query: str) -> list[UUID]:
    return [hit.id for hit in (await listing.search_documents(vault, query, Filters())).items]


async def test_a_new_version_is_the_same_document_with_another_original(vault: TenantDatabase) -> None:
    first = await read_through(vault, (await stored(vault)).id)
    created = await create(vault, SECOND, filename="second.txt", replaces=first.id)
    assert created.document == first, "until it has come, the document is as it was"
    assert await content(vault, first.id) == LETTER
    await send(created, SECOND)
    document = await uploads.complete(vault, first.id, CompleteUpload())
    assert (document.id, document.version, document.status, document.filename) == (first.id, 2, "stored", "second.txt")
    assert (document.size, document.title, document.created_at) == (len(SECOND), "second", first.created_at)
    assert await listed(vault, first.id) == [(2, "second.txt", True), (1, "letter.txt", False)]
    assert await content(vault, first.id) == SECOND
    assert await content(vault, first.id, await id_of(vault, first.id, 1)) == LETTER
    assert await content(vault, first.id, await id_of(vault, first.id, 2)) == SECOND
    assert await usage(vault) == Usage(len(LETTER) + len(SECOND), 0, 1)
    assert [event.data["revision"] for event in await published(vault, first.id) if event.type == "document.stored"] == [1, 2]


async def test_search_shows_the_current_version_and_never_the_text_of_another(vault: TenantDatabase) -> None:
    document = await read_through(vault, (await stored(vault)).id)
    assert await hits(vault, "heron") == [document.id]
    await stored(vault, SECOND, filename="second.txt", replaces=document.id)
    assert await hits(vault, "heron") == []
    assert await hits(vault, "second") == [document.id], "by its name until it is read"
    assert (await library.text(vault, document.id)).pages == []
    await read_through(vault, document.id, 2)
    assert await hits(vault, "ibis") == [document.id]
    await versions.restore(vault, document.id, await id_of(vault, document.id, 1))
    await read_through(vault, document.id, 3)
    assert (await hits(vault, "ibis"), await hits(vault, "heron")) == ([], [document.id])


async def test_a_version_that_is_taken_back_keeps_its_number_and_the_next_one_gets_a_new_one(vault: TenantDatabase) -> None:
    document_id = (await stored(vault)).id
    await replaced(vault, document_id, filename="second.txt")
    first, second = await id_of(vault, document_id, 1), await id_of(vault, document_id, 2)
    restored = await versions.restore(vault, document_id, first)
    assert (restored.version, restored.filename, restored.size, restored.status) == (1, "letter.txt", len(LETTER), "stored")
    assert await content(vault, document_id) == LETTER
    assert await listed(vault, document_id) == [(2, "second.txt", False), (1, "letter.txt", True)]
    assert await versions.restore(vault, document_id, first) == restored, "again changes nothing"
    assert (await id_of(vault, document_id, 1), await id_of(vault, document_id, 2)) == (first, second), "ids stay"
    assert (await replaced(vault, document_id, b"a third\n", filename="third.txt")).version == 3
    assert await usage(vault) == Usage(len(LETTER) + len(SECOND) + 8, 0, 1)


async def test_what_a_person_set_stays_with_the_document(vault: TenantDatabase) -> None:
    document = await read_through(vault, (await stored(vault)).id)
    async with vault.transaction() as tx:
        await tx.execute(
            "UPDATE documents SET title = 'Mine', title_source = 'owner', notes = 'kept' WHERE owner_id = %s AND id = %s",
            (vault.owner_id, document.id),
        )
    after = await replaced(vault, document.id, filename="scan_0042.txt")
    assert (after.title, after.notes, after.filename) == ("Mine", "kept", "scan_0042.txt")


async def test_an_upload_that_replaces_is_no_document_of_its_own(vault: TenantDatabase) -> None:
    document = await stored(vault)
    await create(vault, SECOND, replaces=document.id)
    assert (await listing.list_documents(vault, Filters(statuses=("uploading",)))).items == []
    assert [one.id for one in (await listing.list_documents(vault, Filters())).items] == [document.id]
    async with vault.transaction() as tx:
        changed: list[UUID] = await tx.fetch_value(
            "SELECT array_agg(DISTINCT document_id) FROM document_changes WHERE owner_id = %s", (vault.owner_id,)
        )
    assert changed == [document.id], "streams tell of the document alone"


async def test_of_clients_one_replaces_a_document_at_a_time(vault: TenantDatabase) -> None:
    document = await stored(vault)
    outcomes = await asyncio.gather(
        *(create(vault, f"version {number}\n".encode(), replaces=document.id) for number in range(5)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["CreatedUpload"] + ["NotReplaceable"] * 4
    await uploads.abort(vault, document.id)
    assert await usage(vault) == Usage(len(LETTER), 0, 1)
    assert (await library.get(vault, document.id)).version == 1
    with pytest.raises(UploadFinished):
        await uploads.abort(vault, document.id)
    assert (await replaced(vault, document.id)).version == 2


async def test_finalizing_again_by_any_way_makes_one_version(vault: TenantDatabase) -> None:
    document = await stored(vault)
    created = await create(vault, SECOND, replaces=document.id)
    await send(created, SECOND)
    async with vault.transaction() as tx:
        key = await tx.fetch_value("SELECT object_key FROM documents WHERE replaces = %s", (document.id,))
    await asyncio.gather(
        *(upload_step.object_arrived(key) for _ in range(3)),
        *(uploads.complete(vault, document.id, CompleteUpload()) for _ in range(3)),
    )
    assert await upload_step.object_arrived(key) == "known"
    assert (await library.get(vault, document.id)).version == 2
    assert await usage(vault) == Usage(len(LETTER) + len(SECOND), 0, 1)


async def test_a_lost_notification_of_a_version_costs_a_minute(vault: TenantDatabase, db: Database) -> None:
    document = await stored(vault)
    await send(await create(vault, SECOND, replaces=document.id), SECOND)
    async with db.system() as tx:
        await tx.execute("UPDATE documents SET looked_at = '-infinity' WHERE replaces = %s", (document.id,))
    await reconciliation.reconcile()
    assert (await library.get(vault, document.id)).version == 2


async def test_an_upload_of_a_version_that_expired_leaves_the_document_as_it_was(vault: TenantDatabase, db: Database) -> None:
    document = await stored(vault)
    await create(vault, SECOND, replaces=document.id)
    async with db.system() as tx:
        await tx.execute("UPDATE documents SET upload_expires_at = now() - interval '1 day' WHERE replaces = %s", (document.id,))
    await reconciliation.clean_up()
    assert await library.get(vault, document.id) == document
    assert await usage(vault) == Usage(len(LETTER), 0, 1)
    assert (await replaced(vault, document.id)).version == 2


async def test_completing_before_the_version_arrived_is_too_early(vault: TenantDatabase) -> None:
    document = await stored(vault)
    await create(vault, SECOND, replaces=document.id)
    with pytest.raises(UploadIncomplete):
        await uploads.complete(vault, document.id, CompleteUpload())
    assert (await uploads.resume(vault, document.id)).method == "single"


async def test_another_object_than_promised_is_no_version(vault: TenantDatabase) -> None:
    document = await stored(vault)
    await create(vault, SECOND, replaces=document.id)
    async with vault.transaction() as tx:
        key = await tx.fetch_value("SELECT object_key FROM documents WHERE replaces = %s", (document.id,))
    await object_store().put(key, b"longer than what was announced, by some bytes at least", content_type="text/plain")
    with pytest.raises(ObjectRefused):
        await uploads.complete(vault, document.id, CompleteUpload())
    assert await library.get(vault, document.id) == document
    assert await content(vault, document.id) == LETTER
    assert await object_store().stat(key) is None
    assert await usage(vault) == Usage(len(LETTER), 0, 1)


async def test_a_version_that_cannot_be_read_is_current_and_the_earlier_one_comes_back(vault: TenantDatabase) -> None:
    document = await read_through(vault, (await stored(vault)).id)
    failed = await replaced(vault, document.id, b"%PDF-1.4 not really", filename="broken.pdf", content_type="application/pdf")
    assert (failed.status, failed.version) == ("failed", 2)
    assert failed.error is not None
    assert failed.error.step == "extract"
    assert await content(vault, document.id) == b"%PDF-1.4 not really"
    await versions.restore(vault, document.id, await id_of(vault, document.id, 1))
    back = await read_through(vault, document.id, 3)
    assert (back.status, back.error) == ("extracted", None)


async def test_what_is_in_the_trash_cannot_be_replaced_but_what_was_on_its_way_arrives_there(vault: TenantDatabase) -> None:
    document = await stored(vault)
    created = await create(vault, SECOND, replaces=document.id)
    await library.trash(vault, document.id)
    await send(created, SECOND)
    await uploads.complete(vault, document.id, CompleteUpload())
    after = await library.get(vault, document.id)
    assert (after.version, after.trashed_at is None) == (2, False)
    for refused in (
        create(vault, b"third\n", replaces=document.id),
        versions.restore(vault, document.id, await id_of(vault, document.id, 1)),
    ):
        with pytest.raises(NotReplaceable):
            await refused
    await library.restore(vault, document.id)
    assert await content(vault, document.id) == SECOND


async def test_a_purge_takes_every_version_and_what_was_to_be_one(vault: TenantDatabase) -> None:
    document = await stored(vault)
    await replaced(vault, document.id)
    async with vault.transaction() as tx:
        first = await tx.fetch_value("SELECT object_key FROM document_versions WHERE document_id = %s", (document.id,))
    second = await row(vault, document.id, "object_key")
    created = await create(vault, b"third\n", replaces=document.id)
    async with vault.transaction() as tx:
        third = await tx.fetch_value("SELECT object_key FROM documents WHERE replaces = %s", (document.id,))
    await library.trash(vault, document.id)
    await purging.purge(vault, document.id)
    [keys] = [event.data["object_keys"] for event in await published(vault, document.id) if event.type == "document.purged"]
    assert {first, second} <= set(keys)
    await purging.erase(vault.owner_id, keys)
    assert await usage(vault) == Usage(0, 0, 0)
    await send(created, b"third\n")
    assert await upload_step.object_arrived(third) == "removed"
    assert [await object_store().stat(key) for key in (first, second, third)] == [None, None, None]


async def test_replacing_and_purging_at_once_leave_one_or_the_other(vault: TenantDatabase) -> None:
    for _ in range(5):
        document = await stored(vault)
        created = await create(vault, SECOND, replaces=document.id)
        await send(created, SECOND)
        await library.trash(vault, document.id)
        await asyncio.gather(
            uploads.complete(vault, document.id, CompleteUpload()), purging.purge(vault, document.id), return_exceptions=True
        )
        assert await usage(vault) == Usage(0, 0, 0)


async def test_a_purge_that_waits_for_a_new_version_takes_the_earlier_one_with_it(db: Database, vault: TenantDatabase) -> None:
    document = await stored(vault)
    former = await row(vault, document.id, "object_key")
    created = await create(vault, SECOND, replaces=document.id)
    await send(created, SECOND)
    await library.trash(vault, document.id)
    async with vault.transaction() as tx:
        await replacing.lock(tx, vault.owner_id, document.id)
        completing = asyncio.create_task(uploads.complete(vault, document.id, CompleteUpload()))
        await until_others_wait(db, tx, 1)
        purge = asyncio.create_task(purging.purge(vault, document.id))
        await until_others_wait(db, tx, 2)
    await asyncio.gather(completing, purge, return_exceptions=True)
    assert await usage(vault) == Usage(0, 0, 0)
    [erased] = [event.data["object_keys"] for event in await published(vault, document.id) if event.type == "document.purged"]
    assert former in erased


async def test_the_same_bytes_are_no_new_version_unless_that_is_wanted(vault: TenantDatabase) -> None:
    digest = hashlib.sha256(LETTER).hexdigest()
    document = await stored(vault, sha256=digest)
    with pytest.raises(DuplicateDocument) as refused:
        await create(vault, sha256=digest, replaces=document.id)
    assert refused.value.members == {"document_id": str(document.id)}
    created = await create(vault, SECOND, sha256=hashlib.sha256(SECOND).hexdigest(), replaces=document.id)
    with pytest.raises(DuplicateDocument) as refused:
        await create(vault, SECOND, sha256=hashlib.sha256(SECOND).hexdigest())
    assert refused.value.members == {"document_id": str(document.id)}, "an upload's own id is nobody's business"
    await send(created, SECOND)
    assert (await uploads.complete(vault, document.id, CompleteUpload())).version == 2
    assert (await replaced(vault, document.id, SECOND, allow_duplicate=True)).version == 3


async def test_versions_count_in_the_quota(vault: TenantDatabase, db: Database) -> None:
    document = await stored(vault)
    await set_quota(db, vault.owner_id, len(LETTER) + len(SECOND) - 1)
    with pytest.raises(QuotaExceeded):
        await create(vault, SECOND, replaces=document.id)
    assert (await library.get(vault, document.id)).version == 1


async def test_a_document_has_so_many_versions_and_no_more(vault: TenantDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    document = await stored(vault)
    monkeypatch.setattr(replacing, "AT_MOST", 2)
    assert (await replaced(vault, document.id)).version == 2
    with pytest.raises(LimitReached):
        await create(vault, b"third\n", replaces=document.id)


async def test_what_is_anothers_nobodys_or_not_there_yet_cannot_be_replaced(vault: TenantDatabase, other_owner: UUID, db: Database) -> None:
    other = TenantDatabase(db, other_owner)
    theirs = await stored(other)
    await stored(other, SECOND, replaces=theirs.id)
    for document_id in (theirs.id, uuid4()):
        with pytest.raises(NotFound):
            await create(vault, replaces=document_id)
        with pytest.raises(NotFound):
            await versions.list_page(vault, document_id, PageQuery())
        with pytest.raises(NotFound):
            await versions.restore(vault, document_id, uuid4())
    mine = await stored(vault)
    for taken in (await id_of(other, theirs.id, 1), await id_of(other, theirs.id, 2), uuid4(), mine.id):
        with pytest.raises(NotFound):
            await versions.restore(vault, mine.id, taken)
        with pytest.raises(NotFound):
            await library.download(vault, mine.id, "attachment", version_id=taken)
    with pytest.raises(NotReplaceable):
        await create(vault, SECOND, replaces=(await create(vault, b"on its way\n")).document.id)


async def test_the_history_tells_of_each_version(vault: TenantDatabase) -> None:
    document = await stored(vault)
    await replaced(vault, document.id)
    await versions.restore(vault, document.id, await id_of(vault, document.id, 1))
    steps = await step_history.history(vault, document.id)
    assert [step.detail for step in steps if step.step == "upload"] == [None, "version 2", "version 1"]


async def test_a_title_of_a_surer_source_outlives_the_file_name(vault: TenantDatabase) -> None:
    document = await stored(vault)
    async with vault.transaction() as tx:
        await details.propose(tx, owner_id=vault.owner_id, document_id=document.id, source="mail", title="The invoice")
    assert (await replaced(vault, document.id, filename="scan_0042.txt")).title == "The invoice"
