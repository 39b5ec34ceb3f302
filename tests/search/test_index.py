"""The search index: what is written, and what is counted."""

from uuid import UUID

import psycopg
import pytest

from shared.db import Database, Transaction
from shared.documents import reindexing
from shared.ids import new_id
from shared.search import index as search_index


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
    for number, page in enumerate(pages, 1):
        await tx.execute(
            "INSERT INTO document_pages (document_id, owner_id, number, text) VALUES (%s, %s, %s, %s)", [document_id, owner, number, page]
        )
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
    """In how many documents each word stands, merged or not yet."""
    return dict(
        await (
            await tx.connection.execute(
                """
                SELECT lexeme, length(postings) / 6 FROM search_postings_of(%(owner)s, ARRAY(
                    SELECT lexeme FROM search_terms WHERE owner_id = %(owner)s
                    UNION
                    SELECT unnest(lexemes) FROM document_search WHERE owner_id = %(owner)s
                )) WHERE postings <> ''
                """,
                {"owner": owner},
            )
        ).fetchall()
    )


async def merge(tx: Transaction, owner: UUID) -> None:
    """Takes over what has changed, as the next documents would."""
    while await tx.fetch_value("SELECT merge_search_changes(%s, 1)", [owner]):
        pass


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
        for number in range(search_index.MERGE_EVERY + 5):
            await indexed(tx, owner, f"shared unique{number}", filename="f")
        await merge(tx, owner)
    async with db.tenant(owner) as tx:
        assert (await counts(tx, owner))["share"] == search_index.MERGE_EVERY + 5
        assert await tx.fetch_value("SELECT count(*) FROM search_terms WHERE owner_id = %s", [owner]) > 0
        await tx.execute("DELETE FROM documents WHERE owner_id = %s", [owner])
        await merge(tx, owner)
        assert await counts(tx, owner) == {}
        assert await tx.fetch_value("SELECT count(*) FROM search_terms WHERE owner_id = %s", [owner]) == 0


async def test_postings_say_the_same_before_and_after_they_are_merged(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        kept = [await indexed(tx, owner, f"shared heron {'word ' * (number % 300)}", filename=f"{number}.pdf") for number in range(300)]
        for document_id in kept[::3]:
            await tx.execute("DELETE FROM documents WHERE id = %s", [document_id])
        for document_id in kept[1::3]:
            await search_index.refresh_title(tx, owner_id=owner, document_id=document_id, filename="renamed.pdf", title="")

        async def postings() -> dict[str, set[bytes]]:
            rows = await tx.connection.execute(
                "SELECT lexeme, postings FROM search_postings_of(%s, ARRAY['heron', 'word', 'renam', 'renamed', 'share'])", [owner]
            )
            gone = {
                int.to_bytes(number, 4, "big")
                for (number,) in await (await tx.connection.execute("SELECT number FROM search_changes WHERE documents = -1")).fetchall()
            }
            return {
                lexeme: {entry for at in range(0, len(packed), 6) if (entry := packed[at : at + 6])[:4] not in gone}
                for lexeme, packed in await rows.fetchall()
            }

        while not await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s", [owner]):
            await indexed(tx, owner, "weather", filename="last.pdf")  # the last one may have had all merged
        before = await postings()
        await merge(tx, owner)
        assert await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s", [owner]) == 0
        assert await postings() == before
        assert len(before["heron"]) == 200
        assert len(before["renamed"]) == 100


async def test_writers_merge_what_has_come_now_and_then(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        for _ in range(search_index.MERGE_EVERY + 20 * search_index.MERGE_TRIED_EVERY):
            await indexed(tx, owner, "shared")
        waiting = await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s", [owner])
        assert waiting < search_index.MERGE_EVERY + 20 * search_index.MERGE_TRIED_EVERY


async def test_a_merge_takes_no_more_than_so_many_words_at_a_time(db: Database, owner: UUID) -> None:
    async def take(lexemes: int) -> int:
        before = await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s", [owner])
        await tx.fetch_value("SELECT merge_search_changes(%s, 1, 256, %s)", [owner, lexemes])
        left: int = before - await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s", [owner])
        return left

    async with db.tenant(owner) as tx:
        pages = [" ".join(f"w{chr(97 + number)}{word}" for word in range(500)) for number in range(6)]
        kept = [await indexed(tx, owner, page) for page in pages]
        assert await take(1) == 1, "at least one, however many words it has"
        assert await take(750) == 2
        assert await take(100_000) == 3
        assert (await counts(tx, owner))["file"] == 6
        await tx.execute("DELETE FROM documents WHERE id = ANY (%s)", [kept])
        assert await take(750) == 2
        assert await take(1) == 1
        assert await take(100_000) == 3
        assert await counts(tx, owner) == {}


async def test_new_words_are_taken_over_a_few_documents_at_a_time_until_none_is_left(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        for number in range(5):
            await indexed(tx, owner, f"heron{'abcde'[number]}")
        await tx.execute("DELETE FROM documents WHERE owner_id = %s", [owner])
        assert await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s", [owner]) == 0
        assert await tx.fetch_value("SELECT merge_search_changes(%s, 1, 2)", [owner]) == 2
        await merge(tx, owner)
        assert await tx.fetch_value("SELECT count(*) FROM search_new_words WHERE owner_id = %s", [owner]) == 0


async def test_a_word_is_known_as_long_as_a_document_that_waits_has_it(db: Database, owner: UUID) -> None:
    async def words() -> set[str]:
        rows = await (await tx.connection.execute("SELECT word FROM search_words WHERE owner_id = %s", [owner])).fetchall()
        return {word for (word,) in rows} - {"file", "pdf"}

    async with db.tenant(owner) as tx:
        merged = await indexed(tx, owner, "heron stork")
        await merge(tx, owner)
        assert await words() == {"heron", "stork"}
        filling = await indexed(tx, owner, " ".join(f"filler{number}" for number in range(300)))
        await indexed(tx, owner, "heron")
        await tx.execute("DELETE FROM documents WHERE id = %s", [merged])
        await tx.fetch_value("SELECT merge_search_changes(%s, 1, 256, 1)", [owner])
        assert await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s AND documents = 1", [owner]) == 1
        assert await words() == {"heron"}
        await merge(tx, owner)
        assert await words() == {"heron"}
        await tx.execute("DELETE FROM documents WHERE owner_id = %s AND id <> %s", [owner, filling])
        await merge(tx, owner)
        assert await words() == set()


async def test_what_is_full_is_written_no_more(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        for number in range(600):
            await indexed(tx, owner, "shared", filename=f"{number}.pdf")
        await merge(tx, owner)
        assert await tx.fetch_value("SELECT count(*) FROM search_postings WHERE owner_id = %s AND lexeme = 'share'", [owner]) == 2
        assert (await counts(tx, owner))["share"] == 600


async def test_an_account_can_be_deleted_with_its_documents(db: Database, owner: UUID, other_owner: UUID) -> None:
    for one in (owner, other_owner):
        async with db.tenant(one) as tx:
            for _ in range(300):
                await indexed(tx, one, "alpha")
            await merge(tx, one)
            await indexed(tx, one, "beta")
    async with db.system() as tx:
        await tx.execute("DELETE FROM users WHERE id = %s", [owner])
    async with db.system() as tx:
        for table in ("search_changes", "search_new_words", "search_terms", "search_words", "search_postings", "search_totals"):
            assert await tx.fetch_value(f"SELECT count(*) FROM {table} WHERE owner_id = %s", [owner]) == 0
            assert await tx.fetch_value(f"SELECT count(*) FROM {table} WHERE owner_id = %s", [other_owner]) > 0


async def test_an_account_is_not_deleted_while_its_words_are_merged(db: Database, owner: UUID) -> None:
    """What a foreign key of each row would hold: the rows are written without one."""
    for text in ("alpha", "beta"):
        async with db.tenant(owner) as tx:
            await indexed(tx, owner, text)
        async with db.tenant(owner) as tx:
            await tx.fetch_value("SELECT merge_search_changes(%s, 1)", [owner])
            if text == "beta":  # a new row of search_totals, which has its key, would lock the account, too
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    async with db.system() as other:
                        await other.execute("SELECT FROM users WHERE id = %s FOR UPDATE NOWAIT", [owner])


async def test_all_that_waits_is_merged_though_one_transaction_takes_a_part(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        for document in range(4):
            await indexed(tx, owner, " ".join(f"w{document}x{number}" for number in range(20_000)))
        # Whatever writers have merged already.
        assert await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s", [owner]) > 0
    await reindexing.merge_waiting()
    async with db.tenant(owner) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM search_changes WHERE owner_id = %s", [owner]) == 0
        assert await tx.fetch_value("SELECT count(*) FROM search_new_words WHERE owner_id = %s", [owner]) == 0
