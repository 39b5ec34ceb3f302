"""Whatever was lost on the way, a document ends `ready` or honestly `failed`.

Reconcilers of other tests run on the same database: one of them may have taken the document, and be at it still.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import (
    classify_step,
    extract_step,
    library,
    lifecycle,
    listing,
    quotas,
    reconciliation,
    step_history,
    streamed_uploads,
    upload_step,
    uploads,
)
from shared.documents.listing import Filters
from shared.documents.upload_step import Upload
from shared.errors import NotFound
from shared.storage import object_store
from tests.documents.conftest import LETTER, Usage, create, published, row, send, status, stored, usage


async def _age(db: Database, document_id: UUID, by: timedelta = timedelta(minutes=2)) -> None:
    """As if the document had stood still for so long."""
    async with db.system() as tx:
        await tx.execute(
            """
            UPDATE documents
            SET looked_at = looked_at - %(by)s, updated_at = updated_at - %(by)s, upload_expires_at = upload_expires_at - %(by)s
            WHERE id = %(id)s
            """,
            {"by": by, "id": document_id},
        )


async def _deliveries(db: Database, document_id: UUID, state: str) -> None:
    """As if the deliveries of the document's events had come to this."""
    async with db.system() as tx:
        await tx.execute(
            """
            UPDATE deliveries SET state = %(state)s, finished_at = CASE WHEN %(state)s IN ('done', 'dead') THEN now() END
            WHERE event_id IN (SELECT id FROM events WHERE subject = %(subject)s)
            """,
            {"state": state, "subject": str(document_id)},
        )


async def _reconcile(db: Database, document_id: UUID) -> None:
    """Reconciles; where another test's reconciler holds the document, returns once that one has done with it."""
    await reconciliation.reconcile()
    async with db.system() as tx:
        await tx.execute("SELECT FROM documents WHERE id = %(id)s FOR UPDATE", {"id": document_id})


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what is done in the store, outside of any transaction."""
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_an_upload_whose_notification_was_lost_is_found(db: Database, vault: TenantDatabase) -> None:
    created = await create(vault)
    await send(created)
    await reconciliation.reconcile()
    assert await status(vault, created.document.id) == "uploading", "it has not stood still for long"
    await _age(db, created.document.id)
    await reconciliation.reconcile()

    async def found() -> bool:
        return await status(vault, created.document.id) == "stored"

    await _until(found)
    assert len(await published(vault, created.document.id)) == 1


async def test_an_upload_under_way_is_left_alone(db: Database, vault: TenantDatabase) -> None:
    created = await create(vault)
    await _age(db, created.document.id)
    await reconciliation.reconcile()
    assert await status(vault, created.document.id) == "uploading"


async def test_a_document_whose_event_was_lost_is_sent_on_again(db: Database, vault: TenantDatabase) -> None:
    document = await stored(vault)
    [first] = await published(vault, document.id)
    async with db.system() as tx:
        await tx.execute("DELETE FROM events WHERE subject = %(subject)s", {"subject": str(document.id)})
    await _age(db, document.id)
    await _reconcile(db, document.id)
    [again] = await published(vault, document.id)
    assert again.id != first.id
    assert (again.type, again.data) == (first.type, first.data)


async def test_a_document_whose_delivery_ended_without_effect_is_sent_on_again(db: Database, vault: TenantDatabase) -> None:
    document = await stored(vault)
    [first] = await published(vault, document.id)
    await _deliveries(db, document.id, "done")
    await _age(db, document.id)
    await _reconcile(db, document.id)
    [again] = await published(vault, document.id)
    assert again.id != first.id


@pytest.mark.parametrize("state", ["ready", "waiting", "running"])
async def test_a_document_whose_delivery_is_on_its_way_is_left_alone(db: Database, vault: TenantDatabase, state: str) -> None:
    document = await stored(vault)
    [first] = await published(vault, document.id)
    await _deliveries(db, document.id, state)
    await _age(db, document.id, timedelta(hours=2))
    await _reconcile(db, document.id)
    assert await published(vault, document.id) == [first]
    assert await status(vault, document.id) == "stored"


async def test_a_document_whose_delivery_is_dead_has_failed(db: Database, vault: TenantDatabase) -> None:
    document = await stored(vault)
    await _deliveries(db, document.id, "dead")
    await _age(db, document.id)
    await _reconcile(db, document.id)
    failed = await library.get(vault, document.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error.step, failed.error.code) == ("extract", lifecycle.GAVE_UP)
    assert {step.step: step.state for step in await step_history.history(vault, document.id)} == {"upload": "done", "extract": "failed"}
    assert [hit.id for hit in (await listing.search_documents(vault, "letter", Filters(), "-relevance", 10, None)).items] == [document.id]
    assert await extract_step.read(vault, document.id, 1), "retrying the delivery resumes it"


async def test_an_extracted_document_whose_delivery_is_dead_has_failed(db: Database, vault: TenantDatabase) -> None:
    document = await stored(vault)
    await extract_step.read(vault, document.id, 1)
    await _deliveries(db, document.id, "dead")
    await _age(db, document.id)
    await _reconcile(db, document.id)
    error = (await library.get(vault, document.id)).error
    assert error is not None
    assert (error.step, error.code) == ("classify", lifecycle.GAVE_UP)
    assert await classify_step.classify(vault, document_id=document.id, revision=1), "retrying the delivery resumes it"
    ready = await library.get(vault, document.id)
    assert (ready.status, ready.error) == ("ready", None)
    assert not await classify_step.classify(vault, document_id=document.id, revision=1)


async def test_an_expired_upload_is_gone_with_its_room(db: Database, vault: TenantDatabase) -> None:
    created = await create(vault)
    key = await row(vault, created.document.id, "object_key")
    await _age(db, created.document.id, timedelta(hours=2))
    await reconciliation.clean_up()
    with pytest.raises(NotFound):
        await library.get(vault, created.document.id)
    assert await usage(vault) == Usage(0, 0, 0)
    assert await send(created) == 200
    assert await upload_step.object_arrived(key) == "removed"


async def test_an_expired_upload_in_parts_is_aborted(db: Database, vault: TenantDatabase) -> None:
    created = await create(vault, size=uploads.MULTIPART_FROM)
    key, upload_id = await row(vault, created.document.id, "object_key"), await row(vault, created.document.id, "upload_id")
    await _age(db, created.document.id, timedelta(hours=25))
    await reconciliation.clean_up()

    async def aborted() -> bool:
        try:
            await object_store().list_parts(key, upload_id)
        except NotFound:
            return True
        return False

    await _until(aborted)
    assert await usage(vault) == Usage(0, 0, 0)


async def test_an_expired_upload_that_has_arrived_is_kept(db: Database, vault: TenantDatabase) -> None:
    created = await create(vault)
    await send(created)
    await _age(db, created.document.id, timedelta(hours=2))
    await reconciliation.clean_up()
    assert await status(vault, created.document.id) == "stored"
    assert await usage(vault) == Usage(len(LETTER), 0, 1)


async def _received_by_one_that_died(vault: TenantDatabase) -> Upload:
    """A document that came through us: its bytes are stored, and then its process was killed."""
    upload = upload_step.new_upload(
        vault.owner_id, "x.txt", size=10, content_type="text/plain", sha256=None, method="through_us", lifetime=streamed_uploads.LIFETIME
    )
    async with vault.transaction() as tx:
        await upload_step.insert(tx, upload, "x.txt", allow_duplicate=False)
    await object_store().put(upload.object_key, b"ten bytes!", content_type="text/plain")
    return upload


async def test_what_a_killed_gateway_was_receiving_is_removed_once_its_time_is_up(db: Database, vault: TenantDatabase) -> None:
    upload = await _received_by_one_that_died(vault)
    await _age(db, upload.id)
    await reconciliation.reconcile()
    assert await status(vault, upload.id) == "uploading", "somebody may be receiving it still"
    await _age(db, upload.id, streamed_uploads.LIFETIME)
    await reconciliation.clean_up()
    with pytest.raises(NotFound):
        await library.get(vault, upload.id)

    async def removed() -> bool:
        return await object_store().stat(upload.object_key) is None

    await _until(removed)
    assert await usage(vault) == Usage(0, 0, 0)


async def test_an_upload_that_grew_since_it_was_looked_at_gives_back_all_its_room(db: Database, vault: TenantDatabase) -> None:
    upload = await _received_by_one_that_died(vault)
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET size = size + 90 WHERE id = %(id)s", {"id": upload.id})
        await quotas.reserve(tx, vault.owner_id, 90)
    assert await upload_step.discard(vault, upload)
    assert await usage(vault) == Usage(0, 0, 0)


async def test_an_upload_that_has_time_left_is_kept(vault: TenantDatabase) -> None:
    created = await create(vault)
    await reconciliation.clean_up()
    assert await status(vault, created.document.id) == "uploading"


async def test_an_upload_that_is_resumed_while_expired_ones_are_given_up_is_kept(db: Database, vault: TenantDatabase) -> None:
    created = await create(vault)
    await _age(db, created.document.id, timedelta(hours=2))
    async with vault.transaction() as tx:
        expired = await upload_step.find(tx, vault.owner_id, created.document.id)
    assert expired is not None
    await uploads.resume(vault, created.document.id)
    # The clean-up found it before that, and comes to it now.
    await reconciliation._finalize_or_discard(expired)
    assert await status(vault, created.document.id) == "uploading"
    assert await usage(vault) == Usage(0, len(LETTER), 0)


async def test_an_expired_tombstone_takes_what_came_late_along(db: Database, vault: TenantDatabase) -> None:
    created = await create(vault)
    key = await row(vault, created.document.id, "object_key")
    await uploads.abort(vault, created.document.id)
    await send(created)
    async with db.system() as tx:
        await tx.execute("UPDATE upload_tombstones SET expires_at = now() WHERE object_key = %(key)s", {"key": key})
    await reconciliation.clean_up()
    assert await object_store().stat(key) is None
    async with vault.transaction() as tx:
        assert not await tx.fetch_value("SELECT true FROM upload_tombstones WHERE object_key = %(key)s", {"key": key})
