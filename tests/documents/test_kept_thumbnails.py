"""Thumbnails that an earlier version of DocuVault kept in the object store: shown, and gone when they are to go."""

from uuid import UUID

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import extract_step, library, purging, reconciliation
from shared.errors import NotFound
from shared.identity import deletion
from shared.storage import object_store
from shared.storage.object_keys import ThumbnailKey
from tests import accounts
from tests.documents.conftest import PDF, published, read_through, row, stored

PICTURES = {1: b"of the first reading", 2: b"of the second"}


async def _read_by_an_earlier_version(vault: TenantDatabase) -> tuple[UUID, list[str]]:
    """A document that was read twice then, and the keys of what lies in the store: only the last one is named."""
    document = await stored(vault, PDF, filename="heron.pdf", content_type="application/pdf")
    await read_through(vault, document.id)
    keys = [str(ThumbnailKey(vault.owner_id, document.id, revision)) for revision in PICTURES]
    for key, picture in zip(keys, PICTURES.values(), strict=True):
        await object_store().put(key, picture, content_type="image/webp")
    async with vault.transaction() as tx:
        await tx.execute("DELETE FROM document_thumbnails WHERE document_id = %s", (document.id,))
        await tx.execute("UPDATE documents SET thumbnail_key = %s, revision = 2 WHERE id = %s", (keys[-1], document.id))
    return document.id, keys


async def _left(keys: list[str]) -> list[str]:
    return [key for key in keys if await object_store().stat(key) is not None]


async def test_it_is_shown_as_before(vault: TenantDatabase) -> None:
    document_id, keys = await _read_by_an_earlier_version(vault)
    assert await library.thumbnail(vault, document_id) == ('"2"', PICTURES[2])
    await object_store().delete(keys[-1])
    with pytest.raises(NotFound):
        await library.thumbnail(vault, document_id)


async def test_a_new_reading_takes_its_place_and_the_clean_up_removes_it(vault: TenantDatabase) -> None:
    document_id, keys = await _read_by_an_earlier_version(vault)
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET status = 'stored', revision = 3 WHERE id = %s", (document_id,))
    assert await extract_step.read(vault, document_id, 3)
    tag, picture = await library.thumbnail(vault, document_id)
    assert (tag, picture[:4]) == ('"3"', b"RIFF")
    await reconciliation.clean_up()
    assert await _left(keys) == []


async def test_a_purge_removes_those_of_all_readings(vault: TenantDatabase) -> None:
    document_id, keys = await _read_by_an_earlier_version(vault)
    original = await row(vault, document_id, "object_key")
    await library.trash(vault, document_id)
    await purging.purge(vault, document_id)
    [erased] = [event.data["object_keys"] for event in await published(vault, document_id) if event.type == "document.purged"]
    assert erased == [original, *keys]
    await purging.erase(vault.owner_id, erased)
    assert await _left(keys) == []


async def test_it_goes_with_its_account(db: Database, vault: TenantDatabase) -> None:
    _, keys = await _read_by_an_earlier_version(vault)
    async with db.system() as tx:
        await deletion.close(tx, vault.owner_id)
    await accounts.erase(vault.owner_id)
    assert await _left(keys) == []
