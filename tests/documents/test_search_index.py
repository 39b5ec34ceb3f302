"""The search index: what is written, and what is counted."""

from uuid import UUID

import pytest

from shared.db import Database, Transaction
from shared.documents import search_index
from shared.ids import new_id


async def insert_document(tx: Transaction, owner: UUID, *, filename: str = "file.pdf", title: str = "file") -> UUID:
    document_id = new_id()
    await tx.execute(
        """
        INSERT INTO documents (id, owner_id, filename, title, size, content_type, status, object_key)
        VALUES (%(id)s, %(owner)s, %(filename)s, %(title)s, 1, 'application/pdf', 'extracted', %(key)s)
        """,
        {"id": document_id, "owner": owner, "filename": filename, "title": title, "key": f"{owner}/{document_id}/x"},
    )
    return document_id


async def indexed(
    tx: Transaction, owner: UUID, *pages: str, language: str | None = "en", filename: str = "file.pdf", title: str = ""
) -> UUID:
    document_id = await insert_document(tx, owner, filename=filename, title=title)
    await search_index.index(
        tx, owner_id=owner, document_id=document_id, language=language, filename=filename, title=title, pages=list(pages)
    )
    return document_id


async def matches(tx: Transaction, document_id: UUID, query: str) -> bool:
    return bool(
        await tx.fetch_value(
            "SELECT contents @@ %(query)s::tsquery FROM document_search WHERE document_id = %(id)s", {"query": query, "id": document_id}
        )
    )


async def counts(tx: Transaction, owner: UUID) -> dict[str, int]:
    """In how many documents each word stands, counted or not yet."""
    return dict(
        await (
            await tx.connection.execute(
                """
                SELECT lexeme, sum(documents)::integer FROM (
                    SELECT lexeme, documents FROM search_terms WHERE owner_id = %(owner)s
                    UNION ALL
                    SELECT lexeme, documents FROM search_changes, unnest(tsvector_to_array(lexemes)) AS lexeme WHERE owner_id = %(owner)s
                ) AS all_of_them GROUP BY lexeme HAVING sum(documents) <> 0
                """,
                {"owner": owner},
            )
        ).fetchall()
    )


async def test_words_are_stemmed_in_the_documents_language(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        german = await indexed(tx, owner, "Die Rechnungen vom März", language="de")
        unknown = await indexed(tx, owner, "Die Rechnungen vom März", language="xx")
        assert await matches(tx, german, "rechnung & marz")
        assert await matches(tx, unknown, "rechnungen & marz")


async def test_indexing_anew_replaces_the_document(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        document_id = await indexed(tx, owner, "alpha")
        await search_index.index(tx, owner_id=owner, document_id=document_id, language="en", filename="file.pdf", title="", pages=["beta"])
        assert not await matches(tx, document_id, "alpha")
        assert await matches(tx, document_id, "beta")
        assert await counts(tx, owner) == {"beta": 1, "file": 1, "pdf": 1}


async def test_a_new_title_replaces_the_old_one_and_leaves_the_text(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        document_id = await indexed(tx, owner, "alpha beta", filename="old.pdf", title="beta")
        await search_index.refresh_title(tx, owner_id=owner, document_id=document_id, filename="new.pdf", title="fresh")
        assert not await matches(tx, document_id, "old")
        assert await matches(tx, document_id, "new & fresh & alpha <-> beta")
        assert await counts(tx, owner) == {"alpha": 1, "beta": 1, "new": 1, "pdf": 1, "fresh": 1}


async def test_phrases_do_not_reach_from_one_field_into_the_next(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        document_id = await indexed(tx, owner, "alpha", filename="beta", title="gamma")
        assert not await matches(tx, document_id, "alpha <-> beta")
        assert not await matches(tx, document_id, "beta <-> gamma")
        assert await matches(tx, document_id, "beta & gamma")


async def test_every_word_of_a_huge_document_is_found(db: Database, owner: UUID) -> None:
    words = [f"word{number}" for number in range(40_000)]
    async with db.tenant(owner) as tx:
        document_id = await indexed(tx, owner, " ".join(words), title="name of it")
        assert await matches(tx, document_id, "word1 & word15999 & word16001 & word39999 & name <-> of")
        await search_index.refresh_title(tx, owner_id=owner, document_id=document_id, filename="new", title="")
        assert await matches(tx, document_id, "word39999 & new")


@pytest.mark.parametrize("page", ["x" * 5_000_000, "é" * 100_000 + " " + "ü" * 100_000, " ".join(f"{n:090}ß" for n in range(30_000))])
async def test_no_text_is_too_large(db: Database, owner: UUID, page: str) -> None:
    async with db.tenant(owner) as tx:
        document_id = await indexed(tx, owner, page, title="name")
        assert await matches(tx, document_id, "name")


async def test_deleting_documents_takes_their_words_back(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        for number in range(search_index.COUNT_EVERY + 5):
            await indexed(tx, owner, f"shared unique{number}", filename="f")
    async with db.tenant(owner) as tx:
        assert (await counts(tx, owner))["share"] == search_index.COUNT_EVERY + 5
        assert await tx.fetch_value("SELECT count(*) FROM search_terms WHERE owner_id = %s", [owner]) > 0
        await tx.execute("DELETE FROM documents WHERE owner_id = %s", [owner])
        await tx.execute("SELECT count_search_changes(%s, 1)", [owner])
        assert await counts(tx, owner) == {}
        assert await tx.fetch_value("SELECT count(*) FROM search_terms WHERE owner_id = %s", [owner]) == 0


async def test_an_account_can_be_deleted_with_its_documents(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        await indexed(tx, owner, "alpha")
    async with db.system() as tx:
        await tx.execute("DELETE FROM users WHERE id = %s", [owner])
        assert await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s", [owner]) == 0
