"""From stored to extracted, once, and with what went wrong said in words."""

import asyncio
import hashlib
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import extract_step, library, lifecycle, step_history
from shared.documents.library import ObjectRefused
from shared.documents.models import Document
from shared.errors import NotFound
from shared.extraction import Extraction, ExtractionWarning, extract
from shared.identity import deletion
from shared.storage import ObjectStore, StorageUnavailable, object_store
from tests import accounts
from tests.documents.conftest import PDF, Usage, published, read_through, row, stored, usage
from tests.identity.waiting import until_others_wait


async def _history(vault: TenantDatabase, document: Document) -> dict[str, tuple[str, int]]:
    return {step.step: (step.state, step.attempts) for step in await step_history.history(vault, document.id)}


async def test_a_stored_document_is_read(vault: TenantDatabase) -> None:
    document = await stored(vault, PDF, filename="heron.pdf", content_type="application/pdf")
    assert await extract_step.read(vault, document.id, 1)
    read = await library.get(vault, document.id)
    assert (read.status, read.title, read.page_count) == ("extracted", "About the heron", 1)
    assert read.sha256 == hashlib.sha256(PDF).hexdigest()
    text = await library.text(vault, document.id)
    assert "heron landed" in text.pages[0].text
    assert (await library.text(vault, document.id, 1)).pages == text.pages
    with pytest.raises(NotFound):
        await library.text(vault, document.id, 2)
    tag, picture = await library.thumbnail(vault, document.id)
    assert picture[:4] == b"RIFF"
    assert tag == '"1"'
    assert [event.type for event in await published(vault, document.id)] == ["document.stored", "document.extracted"]
    assert await _history(vault, document) == {"upload": ("done", 1), "extract": ("done", 1)}


async def test_what_could_not_be_read_is_told_with_the_document(vault: TenantDatabase) -> None:
    document = await stored(vault)
    assert document.warnings == []

    async def extract_in_part(*arguments: Any, **named: Any) -> Extraction:
        return replace(await extract(*arguments, **named), warnings=[ExtractionWarning("page_unreadable", "Page 2 could not be read.")])

    assert await extract_step.read(vault, document.id, 1, extractor=extract_in_part)
    read = await library.get(vault, document.id)
    assert [(warning.code, warning.detail) for warning in read.warnings] == [("page_unreadable", "Page 2 could not be read.")]


async def test_what_the_database_will_never_take_ends_the_document_instead_of_being_tried_for_hours(vault: TenantDatabase) -> None:
    document = await stored(vault)

    async def extract_nonsense(*arguments: Any, **named: Any) -> Extraction:
        return replace(await extract(*arguments, **named), pages=["no text of PostgreSQL: \0"])

    assert await extract_step.read(vault, document.id, 1, extractor=extract_nonsense)
    failed = await library.get(vault, document.id)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == ("failed", "document_too_complex")


async def test_reading_again_changes_nothing(vault: TenantDatabase) -> None:
    document = await stored(vault)
    outcomes = await asyncio.gather(*(extract_step.read(vault, document.id, 1) for _ in range(3)))
    assert outcomes.count(True) == 1
    before = await library.get(vault, document.id)
    assert not await extract_step.read(vault, document.id, 1)
    assert await library.get(vault, document.id) == before
    assert len(await published(vault, document.id)) == 2


async def test_an_event_of_an_older_revision_changes_nothing(vault: TenantDatabase) -> None:
    document = await stored(vault)
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET revision = 2 WHERE id = %(id)s", {"id": document.id})
    assert not await extract_step.read(vault, document.id, 1)
    assert (await library.get(vault, document.id)).status == "stored"


async def test_reading_anew_replaces_what_was_read(vault: TenantDatabase) -> None:
    document = await stored(vault)
    await extract_step.read(vault, document.id, 1)
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET revision = 2, status = 'stored' WHERE id = %(id)s", {"id": document.id})
    assert await extract_step.read(vault, document.id, 2)
    assert len((await library.text(vault, document.id)).pages) == 1


async def test_the_type_is_decided_from_the_bytes(vault: TenantDatabase) -> None:
    document = await stored(vault, b"<!doctype html><title>Herons of the river</title><p>heron", content_type="text/plain")
    await extract_step.read(vault, document.id, 1)
    assert (await library.get(vault, document.id)).content_type == "text/html"


async def test_a_title_the_owner_gave_stays(vault: TenantDatabase) -> None:
    document = await stored(vault, PDF, filename="heron.pdf", content_type="application/pdf")
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET title = 'My own', title_source = 'owner' WHERE id = %(id)s", {"id": document.id})
    await extract_step.read(vault, document.id, 1)
    assert (await library.get(vault, document.id)).title == "My own"


@pytest.mark.parametrize(
    ("content", "content_type", "code"),
    [
        (b"\x89PNG\r\n\x1a\nthis is no picture", "image/png", "document_corrupt"),
        (b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0" * 20, "application/pdf", "unsupported_type"),
    ],
)
async def test_what_cannot_be_read_fails_and_stays_downloadable(
    vault: TenantDatabase, content: bytes, content_type: str, code: str
) -> None:
    document = await stored(vault, content, filename="letter.bin", content_type=content_type)
    failed = await read_through(vault, document.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error.step, failed.error.code) == ("extract", code)
    assert failed.error.detail
    assert await _history(vault, document) == {"upload": ("done", 1), "extract": ("failed", 1)}
    assert (await library.download(vault, document.id, "attachment")).url
    assert not await extract_step.read(vault, document.id, 1)
    async with vault.transaction() as tx:
        found = await tx.fetch_value("SELECT name::text FROM document_search WHERE document_id = %(id)s", {"id": document.id})
    assert "letter" in found, "it is found by its name"


async def test_an_original_that_is_gone_fails_with_that_reason(vault: TenantDatabase) -> None:
    document = await stored(vault)
    await object_store().delete(await row(vault, document.id, "object_key"))
    await extract_step.read(vault, document.id, 1)
    error = (await library.get(vault, document.id)).error
    assert error is not None
    assert error.code == "object_missing"


async def test_bytes_that_are_not_those_announced_fail_with_that_reason(vault: TenantDatabase) -> None:
    document = await stored(vault)
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET sha256 = repeat('0', 64) WHERE id = %(id)s", {"id": document.id})
    await extract_step.read(vault, document.id, 1)
    error = (await library.get(vault, document.id)).error
    assert error is not None
    assert (error.step, error.code) == ("upload", "object_mismatch")
    assert await object_store().stat(await row(vault, document.id, "object_key")) is None
    assert await usage(vault) == Usage(0, 0, 1)
    with pytest.raises(ObjectRefused):
        await library.download(vault, document.id, "attachment")


async def test_a_store_that_is_down_is_tried_again(vault: TenantDatabase) -> None:
    document = await stored(vault)
    nowhere = ObjectStore(
        endpoint="http://127.0.0.1:9", public_endpoint="http://127.0.0.1:9", region="x", access_key="a", secret_key="b", bucket="c"
    )
    with pytest.raises(StorageUnavailable):
        await extract_step.read(vault, document.id, 1, store=nowhere)
    assert (await library.get(vault, document.id)).status == "stored"
    assert (await _history(vault, document))["extract"] == ("running", 1)
    assert await extract_step.read(vault, document.id, 1)
    assert (await _history(vault, document))["extract"] == ("done", 2)


async def test_a_step_that_was_given_up_goes_on_when_its_delivery_is_retried(vault: TenantDatabase) -> None:
    document = await stored(vault)
    await _give_up(vault, document.id)
    assert await extract_step.read(vault, document.id, 1)
    read = await library.get(vault, document.id)
    assert (read.status, read.error) == ("extracted", None)


async def test_a_document_that_moved_on_meanwhile_is_not_overwritten(vault: TenantDatabase) -> None:
    document = await stored(vault)

    async def slow(*arguments: Any, **named: Any) -> Any:
        extraction = await extract(*arguments, **named)
        async with vault.transaction() as tx:
            await tx.execute("UPDATE documents SET revision = 2 WHERE id = %(id)s", {"id": document.id})
        return extraction

    assert not await extract_step.read(vault, document.id, 1, extractor=slow)
    assert (await library.text(vault, document.id)).pages == []
    assert [event.type for event in await published(vault, document.id)] == ["document.stored"]


async def _erase_account(db: Database, owner: UUID) -> None:
    async with db.system() as tx:
        await deletion.close(tx, owner)
    await accounts.erase(owner)


async def test_a_document_that_is_read_while_its_account_is_erased_leaves_no_thumbnail(db: Database, vault: TenantDatabase) -> None:
    document = await stored(vault, PDF, filename="heron.pdf", content_type="application/pdf")

    async def slow(*arguments: Any, **named: Any) -> Any:
        extraction = await extract(*arguments, **named)
        assert extraction.thumbnail is not None
        await _erase_account(db, vault.owner_id)
        return extraction

    assert not await extract_step.read(vault, document.id, 1, extractor=slow)
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM document_thumbnails WHERE owner_id = %s", (vault.owner_id,)) == 0


async def test_a_document_that_is_read_anew_has_the_new_thumbnail_or_none(vault: TenantDatabase) -> None:
    document = await stored(vault, PDF, filename="heron.pdf", content_type="application/pdf")
    assert await extract_step.read(vault, document.id, 1)
    for revision, drawn in ((2, True), (3, False)):
        async with vault.transaction() as tx:
            await tx.execute("UPDATE documents SET status = 'stored', revision = %s WHERE id = %s", (revision, document.id))

        async def extractor(*arguments: Any, drawn: bool = drawn, **named: Any) -> Extraction:
            extraction = await extract(*arguments, **named)
            return extraction if drawn else replace(extraction, thumbnail=None)

        assert await extract_step.read(vault, document.id, revision, extractor=extractor)
        if drawn:
            assert (await library.thumbnail(vault, document.id))[0] == f'"{revision}"'
        else:
            with pytest.raises(NotFound):
                await library.thumbnail(vault, document.id)


async def test_a_second_delivery_does_not_mark_as_running_what_the_first_has_just_done(db: Database, vault: TenantDatabase) -> None:
    document = await stored(vault)
    async with vault.transaction() as first:
        await first.execute("UPDATE documents SET status = 'extracted' WHERE id = %(id)s", {"id": document.id})
        await step_history.record(first, owner_id=vault.owner_id, document_id=document.id, revision=1, step="extract", state="done")
        second = asyncio.create_task(extract_step.read(vault, document.id, 1))
        await until_others_wait(db, first, 1)
    assert not await second
    assert (await _history(vault, document))["extract"][0] == "done"


async def _give_up(vault: TenantDatabase, document_id: UUID) -> None:
    async with vault.transaction() as tx:
        assert await lifecycle.fail(
            tx,
            owner_id=vault.owner_id,
            document_id=document_id,
            revision=1,
            while_status="stored",
            step="extract",
            code=lifecycle.GAVE_UP,
            detail="It did not work out.",
        )
