"""Documents that an older version indexed are indexed anew while the vault serves."""

from uuid import UUID

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import reindexing
from shared.search.analysis import ANALYSIS
from tests.search.vault import Vault


@pytest.fixture
def vault(db: Database, owner: UUID) -> Vault:
    return Vault(TenantDatabase(db, owner))


async def _age(vault: Vault, document_id: UUID) -> None:
    """As an older version left it: other words, an older analysis."""
    async with vault.db.transaction() as tx:
        await tx.execute(
            """
            UPDATE document_search
            SET analysis = 0, lexemes = ARRAY['old'], frequencies = decode('01', 'hex'), contents = 'old',
                number = nextval('search_numbers')
            WHERE document_id = %s
            """,
            [document_id],
        )


async def test_what_is_stale_is_indexed_anew_and_nothing_else(vault: Vault) -> None:
    documents = [await vault.add(f"{number}", f"heron {number}", filename=f"{number}.pdf") for number in range(3)]
    await _age(vault, documents[0])
    await _age(vault, documents[1])
    assert set(await vault.titles("old")) == {"1", "0"}
    assert set(await vault.titles("heron")) == {"2"}
    seen: list[reindexing.Progress] = []
    done = await reindexing.reindex(progress=seen.append)
    assert done.done >= 2
    assert seen
    assert set(await vault.titles("heron")) == {"0", "1", "2"}
    assert await vault.titles("old") == []


async def test_a_run_that_stopped_is_taken_up_where_it_stopped(vault: Vault) -> None:
    for number in range(3):
        await _age(vault, await vault.add(f"{number}", "heron"))
    await reindexing.reindex(at_most=1)
    while (await reindexing.reindex(at_most=1)).done:
        pass
    assert set(await vault.titles("heron")) == {"0", "1", "2"}


async def test_everything_is_declared_stale_bit_by_bit_and_indexed_anew_with_progress(
    db: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindexing, "DECLARED_AT_ONCE", 2)
    monkeypatch.setattr(reindexing, "AT_ONCE", 2)
    async with db.system() as tx:
        # Other tests' documents are left alone, as those of a newer version are.
        await tx.execute("UPDATE document_search SET analysis = %s", [ANALYSIS + 1])
    documents = [await vault.add(f"{number}", "heron") for number in range(5)]
    await vault.merge()
    async with vault.db.transaction() as tx:
        before = await tx.fetch_value("SELECT array_agg(number) FROM document_search WHERE document_id = ANY (%s)", [documents])
    seen: list[reindexing.Progress] = []
    await reindexing.reindex(everything=True, progress=seen.append)
    assert [(progress.done, progress.left) for progress in seen] == [(2, 3), (4, 1), (5, 0)]
    async with vault.db.transaction() as tx:
        after = await tx.fetch_value("SELECT array_agg(number) FROM document_search WHERE document_id = ANY (%s)", [documents])
    assert not set(before) & set(after)
    for _ in range(2):
        assert set(await vault.titles("heron")) == {str(number) for number in range(5)}
        await vault.merge()
