"""Finding documents by what stands in them."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.db import Database, TenantDatabase, Transaction
from shared.documents import listing
from shared.documents.listing import Filters
from shared.documents.models import Sort
from shared.errors import InvalidCursor, ValidationFailed
from shared.search import index as search_index
from shared.search import page as search_page
from tests.search.vault import Vault


@pytest.fixture
def vault(db: Database, owner: UUID) -> Vault:
    return Vault(TenantDatabase(db, owner))


@pytest.fixture
def other_vault(db: Database, other_owner: UUID) -> Vault:
    return Vault(TenantDatabase(db, other_owner))


# Words


async def test_a_word_finds_its_document_with_a_snippet(vault: Vault) -> None:
    await vault.add("hello", "The quick <b>brown</b> fox & friends")
    await vault.add("other", "Nothing to see")
    (hit,) = await vault.hits("foxes")
    assert hit.title == "hello"
    assert hit.snippet == "The quick &lt;b&gt;brown&lt;/b&gt; <mark>fox</mark> &amp; friends"
    assert hit.score is not None
    assert hit.score > 1


async def test_all_words_must_be_there(vault: Vault) -> None:
    await vault.add("both", "contract of the landlord")
    await vault.add("one", "contract")
    assert (await vault.titles("contract landlord"))[0] == "both"


async def test_a_phrase_stands_in_this_order(vault: Vault) -> None:
    await vault.add("right", "the annual report of 2024")
    await vault.add("wrong", "report annual")
    assert await vault.titles('"annual report"') == ["right"]
    assert await vault.titles("“annual report”") == ["right"]


async def test_phrases_hold_the_small_words_too(vault: Vault) -> None:
    await vault.add("right", "to be or not to be")
    await vault.add("wrong", "be not to or be to")
    assert await vault.titles('"to be or not to be"') == ["right"]


async def test_an_excluded_word_excludes(vault: Vault) -> None:
    await vault.add("cats", "cats and dogs")
    await vault.add("fish", "cats and fish")
    assert await vault.titles("cats -dog") == ["fish"]
    assert await vault.titles('cats -"and fish"') == ["cats"]


async def test_exclusions_alone_list_the_rest_newest_first(vault: Vault) -> None:
    for name in ("one", "two", "three"):
        await vault.add(name, "cats" if name == "two" else "fish")
    assert await vault.titles("-cats") == ["three", "one"]


async def test_or_stands_between_alternatives(vault: Vault) -> None:
    for word in ("alpha", "beta", "gamma"):
        await vault.add(word, word)
    assert set(await vault.titles("alpha or beta")) == {"alpha", "beta"}
    assert set(await vault.titles("alpha OR -gamma")) == {"alpha", "beta"}


async def test_what_is_written_together_is_found_together(vault: Vault) -> None:
    await vault.add("mine", "Write to max.mustermann@example.org, IBAN DE89-3704, total 1,234.56")
    await vault.add("other", "mustermann max, example 56")
    for query in ("max.mustermann@example.org", "DE89-3704", "1234 or 1,234.56", "mustermann@example"):
        assert (await vault.titles(query)) == ["mine"], query


@pytest.mark.parametrize("query", ["Müller", "MULLER", "muller", "Mu\u0308ller"])
@pytest.mark.parametrize("text", ["Herr Müller", "HERR MU\u0308LLER", "herr muller"])
async def test_accents_and_case_are_folded(vault: Vault, query: str, text: str) -> None:
    await vault.add("letter", text, language="de")
    assert await vault.titles(query) == ["letter"]


async def test_each_document_is_searched_in_its_own_language(vault: Vault) -> None:
    await vault.add("german", "Ihre Rechnungen und Mahnungen", language="de")
    await vault.add("english", "Your invoices and reminders", language="en")
    await vault.add("french", "Vos facturations", language="fr")
    await vault.add("unknown", "rechnung", language="xx")
    assert sorted(await vault.titles("Rechnung")) == ["german", "unknown"]
    assert await vault.titles("invoice") == ["english"]
    assert await vault.titles("facturation") == ["french"]
    assert await vault.titles("mahnung -rechnung") == []


async def test_scripts_without_spaces_are_found_by_their_parts(vault: Vault) -> None:
    await vault.add("japanese", "これは請求書です", language="ja")
    await vault.add("mixed up", "書求請", language="ja")
    assert await vault.titles("請求書") == ["japanese"]


async def test_words_of_other_alphabets_are_found(vault: Vault) -> None:
    await vault.add("russian", "Счета за электроэнергию", language="ru")
    await vault.add("greek", "Η Αθήνα", language="el")
    assert await vault.titles("счёт") == ["russian"]
    assert await vault.titles("ΑΘΗΝΑ") == ["greek"]


async def test_stop_words_are_found_where_there_is_nothing_else(vault: Vault) -> None:
    await vault.add("english", "the end")
    assert await vault.titles("the") == ["english"]
    assert await vault.titles("what was the end") == ["english"]


async def test_snippets_mark_what_the_query_is_about_not_its_small_words(vault: Vault) -> None:
    await vault.add("rent", "The amount of the rent is due on the first")
    (hit,) = await vault.hits("what is the amount of the rent")
    assert hit.snippet == "The <mark>amount</mark> of the <mark>rent</mark> is due on the first"
    (hit,) = await vault.hits('"of the rent"')
    assert hit.snippet == "<mark>The</mark> amount <mark>of</mark> <mark>the</mark> <mark>rent</mark> is due on <mark>the</mark> first"


async def test_a_question_finds_what_has_most_of_its_words(vault: Vault) -> None:
    await vault.add("all", "How to renew your passport at the consulate: a passport is renewed within six weeks")
    await vault.add("most", "The consulate renews documents within weeks")
    await vault.add("few", "Six eggs")
    found = await vault.titles("How do I renew my passport at the consulate?")
    assert found[0] == "all"
    assert "few" not in found


async def test_documents_with_most_words_follow_those_with_all(vault: Vault) -> None:
    await vault.add("two", "insurance claim insurance claim insurance claim")
    await vault.add("three", "insurance policy, with a claim somewhere in a longer text that goes on and on about other things")
    await vault.add("one", "policy")
    for number in range(10):
        await vault.add(f"noise {number}", "weather and sports")
    assert await vault.titles("insurance claim policy") == ["three", "two", "one"]


async def test_phrases_and_exclusions_hold_for_documents_with_most_words_too(vault: Vault) -> None:
    await vault.add("phrase", "annual report")
    await vault.add("words", "report annual budget")
    await vault.add("excluded", "annual report draft")
    assert await vault.titles('"annual report" budget -draft') == ["phrase"]


async def test_the_name_counts_more_than_the_text(vault: Vault) -> None:
    await vault.add("letter", "the tax office wrote about the house", filename="a.pdf")
    await vault.add("Tax return", "the office wrote about the house", filename="b.pdf")
    assert await vault.titles("tax") == ["Tax return", "letter"]


async def test_rare_words_weigh_more_than_common_ones(vault: Vault) -> None:
    for number in range(20):
        await vault.add(f"common {number}", "invoice invoice invoice")
    await vault.add("rare", "invoice about the zeppelin and much more that has to be said in a document of some length")
    assert (await vault.titles("invoice zeppelin"))[0] == "rare"


async def test_a_document_without_text_is_found_by_its_name(vault: Vault) -> None:
    await vault.add("Broken scan", filename="scan_of-Landlord.pdf", status="failed", language=None)
    (hit,) = await vault.hits("landlord")
    assert hit.status == "failed"
    assert hit.snippet == "scan_of-<mark>Landlord</mark>.pdf"
    (hit,) = await vault.hits("broken")
    assert hit.snippet == "<mark>Broken</mark> scan"


async def test_a_renamed_document_is_found_by_its_new_name(vault: Vault) -> None:
    document_id = await vault.add("before", "text")
    async with vault.db.transaction() as tx:
        await tx.execute("UPDATE documents SET title = 'afterwards' WHERE id = %s", [document_id])
        await search_index.refresh_title(tx, owner_id=vault.db.owner_id, document_id=document_id, filename="x.pdf", title="afterwards")
    assert await vault.titles("before") == []
    assert await vault.titles("afterwards text") == ["afterwards"]


@pytest.mark.parametrize(
    ("query", "snippet"),
    [
        ("quokka", "In the end the <mark>Quokkas</mark> paid the Fährmann and the FERRY twice"),
        ("dolor quokka", "In the end the <mark>Quokkas</mark> paid the Fährmann and the FERRY twice"),
        ("Fährmann quokkas", "In the end the <mark>Quokkas</mark> paid the <mark>Fährmann</mark> and the FERRY twice"),
        ("ferry", "In the end the Quokkas paid the Fährmann and the <mark>FERRY</mark> twice"),
        ("dolor", "<mark>dolor</mark> numbat"),
        ("numbat", "dolor <mark>numbat</mark>"),
    ],
)
async def test_a_snippet_shows_the_passage_however_far_into_a_huge_document(vault: Vault, query: str, snippet: str) -> None:
    pages = ["lorem ipsum sit amet consectetur adipiscing elit sed do eiusmod tempor"] * 2_000
    pages[7] += " dolor numbat"
    pages[1_500] = "In the end the Quokkas paid the Fährmann and the FERRY twice"
    await vault.add("huge", *pages)
    for number in range(20):
        await vault.add(f"other {number}", "dolor")
    found = next(hit for hit in await vault.hits(query) if hit.title == "huge").snippet or ""
    assert snippet in found
    assert "<mark>" in found


async def test_pages_without_positions_are_looked_through_for_a_snippet_for_so_long_only(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    await vault.add("huge", *["lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod"] * 1_999, "the quokka paid")
    assert (await vault.hits("quokka"))[0].snippet == "the <mark>quokka</mark> paid"
    monkeypatch.setattr(search_page, "LATER_PATIENCE", 0)
    assert (await vault.hits("quokka"))[0].snippet == "the <mark>quokka</mark> paid", "the first documents are always looked through"
    monkeypatch.setattr(search_page, "LATER_ALWAYS", 0)
    assert ((await vault.hits("quokka"))[0].snippet or "").startswith("lorem ipsum")


async def test_phrases_are_found_far_into_a_huge_document(vault: Vault) -> None:
    pages = [" ".join(f"w{page}x{number}" for number in range(500)) + " the lost treasure is here" for page in range(60)]
    pages[50] += " pirates of the sea"
    await vault.add("book", *pages)
    assert await vault.titles('"pirates of the sea"') == ["book"]
    assert await vault.titles('"w50x499 the lost treasure"') == ["book"]
    assert await vault.titles('"pirates the sea"') == []


async def test_phrases_are_found_though_their_small_words_stand_too_often(vault: Vault) -> None:
    await vault.add("contract", "and the other party of the first part " * 500 + "the consent of the sellers")
    assert await vault.titles('"the consent of the sellers"') == ["contract"]
    assert await vault.titles('"consent sellers"') == []
    assert await vault.titles('party -"the consent of the sellers"') == []


# Typos


@pytest.mark.parametrize("typo", ["electrcity", "electricty", "elecrticity", "elektricity", "electricityy"])
async def test_small_typos_are_found(vault: Vault, typo: str) -> None:
    await vault.add("bill", "Your electricity bill")
    await vault.add("other", "Your elasticity test")
    assert await vault.titles(typo) == ["bill"]


async def test_a_typo_beside_a_right_word_is_found(vault: Vault) -> None:
    await vault.add("right", "water invoice")
    await vault.add("wrong", "gas invoice")
    assert (await vault.titles("watr invoice"))[0] == "right"


async def test_a_word_that_stands_somewhere_is_no_typo(vault: Vault) -> None:
    await vault.add("form", "form")
    await vault.add("from", "farm")
    assert await vault.titles("form") == ["form"]


async def test_typos_are_not_looked_for_in_quotes_nor_in_exclusions_nor_numbers(vault: Vault) -> None:
    await vault.add("bill", "electricity bill 12345")
    assert await vault.titles('"electrcity bill"') == []
    assert await vault.titles("bill -electrcity") == ["bill"]
    assert await vault.titles("12346") == []


async def test_typos_are_found_in_words_long_counted(vault: Vault) -> None:
    await vault.add("bill", "Your electricity bill")
    await vault.merge()
    assert await vault.titles("electrcity") == ["bill"]


# Filters, sorts, pages


async def test_filters_narrow_what_is_found(vault: Vault) -> None:
    day = datetime(2024, 5, 1, tzinfo=UTC)
    await vault.add("a", "word", content_type="text/plain", status="failed", created_at=day, topics=["x", "y"])
    await vault.add("b", "word", language="de", created_at=day + timedelta(days=1), topics=["x"])
    await vault.add("c", "word", trashed_at=day, created_at=day + timedelta(days=2))
    await vault.add("d", "word", status="uploading")
    x, y = await vault.topic("x"), await vault.topic("y")

    async def found(**filters: Any) -> set[str]:
        return set(await vault.titles("word", **filters))

    assert await found() == {"a", "b"}
    assert await found(content_types=("text/plain", "image/png")) == {"a"}
    assert await found(languages=("de", "fr")) == {"b"}
    assert await found(statuses=("failed", "uploading")) == {"a", "d"}
    assert await found(trashed=True) == {"c"}
    assert await found(topic_ids=(x,)) == {"a", "b"}
    assert await found(topic_ids=(x, y)) == {"a"}
    assert await found(created_after=day + timedelta(days=1)) == {"b"}
    assert await found(created_before=day + timedelta(days=1)) == {"a"}


async def test_a_hit_is_a_whole_document(vault: Vault) -> None:
    document_id = await vault.add("a", "word", topics=["x"], page_count=3)
    (hit,) = await vault.hits("word")
    assert hit.id == document_id
    assert (hit.page_count, [topic.name for topic in hit.topics], hit.storage.provider) == (3, ["x"], "minio")
    assert set(hit.model_dump()) == set(type(hit).model_fields)
    assert hit.model_dump_json()


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "filename", "-filename", "size", "-size"])
async def test_what_is_found_can_be_sorted_otherwise(vault: Vault, sort: Sort) -> None:
    for number in (3, 1, 2):
        await vault.add(f"{number}", "word", size=number)
    assert [int(title) for title in await vault.titles("word", sort, limit=2)] == {
        "created_at": [3, 1, 2],
        "-created_at": [2, 1, 3],
        "filename": [1, 2, 3],
        "-filename": [3, 2, 1],
        "size": [1, 2, 3],
        "-size": [3, 2, 1],
    }[sort]


@pytest.mark.parametrize("sort", ["-relevance", "filename", "-created_at"])
async def test_pages_follow_one_another_without_gap_or_repetition(vault: Vault, monkeypatch: pytest.MonkeyPatch, sort: Sort) -> None:
    monkeypatch.setattr(search_page, "CANDIDATES", 7)
    expected = {f"d{number}" for number in range(25)}
    for title in sorted(expected):
        await vault.add(title, "word " * (1 + len(title) * int(title[1:]) % 5))
    for limit in (1, 4, 7, 200):
        titles = await vault.titles("word", sort, limit)
        assert len(titles) == 25
        assert set(titles) == expected


@pytest.mark.parametrize("sort", ["-relevance", "filename", "-created_at"])
@pytest.mark.parametrize("others", [0, 400])
async def test_phrases_out_of_time_end_a_page_short_and_the_next_goes_on(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, sort: Sort, others: int
) -> None:
    """Whether all documents are walked through or the matches are sorted."""
    monkeypatch.setattr(search_page, "PATIENCE", 0)
    monkeypatch.setattr(search_page, "LOOKED_AT", 3)
    for number in range(30):
        await vault.add(f"{number:02}", "grey heron" if number % 7 == 0 else "heron grey")
    for number in range(others):
        await vault.add(f"other {number}", "weather")
    for limit in (1, 3, 50):
        found, pages, cursor = list[str](), 0, None
        while pages == 0 or cursor is not None:
            page = await listing.search_documents(vault.db, '"grey heron"', Filters(), sort, limit, cursor)
            found += [hit.title for hit in page.items]
            pages, cursor = pages + 1, page.next_cursor
        assert sorted(found) == ["00", "07", "14", "21", "28"]
        assert pages == 1 if limit == 50 else 5 // limit + 1 < pages <= 31, "a page that has looked at everything is the last"


@pytest.mark.parametrize("few", [1, 10, 100])
@pytest.mark.parametrize("candidates", [5, 30, 4000])
async def test_a_filter_finds_all_that_it_lets_through_however_many(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, few: int, candidates: int
) -> None:
    """Told apart before ranking, looked for among the best, or both when hardly any of the best passes."""
    monkeypatch.setattr(search_page, "FEW", few)
    monkeypatch.setattr(search_page, "CANDIDATES", candidates)
    monkeypatch.setattr(search_page, "MOST_CANDIDATES", candidates)
    for number in range(20):
        await vault.add(f"best {number}", "word word word")
    expected = [f"page {number}" for number in range(8)]
    for title in reversed(expected):
        await vault.add(title, "word " + "beside " * int(title[5:]), content_type="image/png")
    for limit in (3, 200):
        assert await vault.titles("word", limit=limit, content_types=("image/png",)) == expected
        assert len(await vault.titles("word", limit=limit, content_types=("application/pdf",))) == 20
    page = await listing.search_documents(vault.db, "word", Filters(content_types=("image/png",)), limit=4)
    assert [hit.title for hit in page.items] == expected[:4], "no page ends short before the last"


async def test_pages_are_stable_under_inserts(vault: Vault) -> None:
    expected = {f"d{number}" for number in range(12)}
    for title in sorted(expected):
        await vault.add(title, "word beside " + title)
    seen = []
    cursor = None
    while True:
        page = await listing.search_documents(vault.db, "word", Filters(), limit=5, cursor=cursor)
        seen += [item.title for item in page.items]
        if (cursor := page.next_cursor) is None:
            break
        await vault.add(f"late {len(seen)}", "word word word", language="de")
    assert sorted(seen) == sorted(expected)


async def test_documents_with_most_words_are_paged_too(vault: Vault) -> None:
    for number in range(9):
        await vault.add(f"most {number}", "alpha beta")
    await vault.add("all", "alpha beta gamma")
    for number in range(30):
        await vault.add(f"noise {number}", "noise")
    titles = await vault.titles("alpha beta gamma", limit=4)
    assert titles[0] == "all"
    assert sorted(titles[1:]) == [f"most {number}" for number in range(9)]
    assert sorted(await vault.titles("alpha beta gamma delta", "filename", limit=4))[1:] == sorted(titles[1:])


async def test_a_cursor_is_good_for_its_own_list_alone(vault: Vault, other_vault: Vault) -> None:
    for number in range(3):
        await vault.add(f"{number}", "word other")
    cursor = (await listing.search_documents(vault.db, "word", Filters(), limit=1)).next_cursor
    assert cursor is not None
    assert len(cursor) <= search_page.CURSOR_LIMIT
    with pytest.raises(InvalidCursor):
        await listing.search_documents(vault.db, "other", Filters(), limit=1, cursor=cursor)
    with pytest.raises(InvalidCursor):
        await listing.search_documents(vault.db, "word", Filters(statuses=("ready",)), limit=1, cursor=cursor)
    with pytest.raises(InvalidCursor):
        await listing.search_documents(vault.db, "word", Filters(), sort="filename", limit=1, cursor=cursor)
    with pytest.raises(InvalidCursor):
        await listing.search_documents(other_vault.db, "word", Filters(), limit=1, cursor=cursor)
    with pytest.raises(InvalidCursor):
        await listing.search_documents(vault.db, "word", Filters(), limit=1, cursor=cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB"))


async def test_every_page_takes_two_round_trips(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        await vault.add(f"{number}", "word")
    asked: list[str] = []
    for name in ("fetch_one", "fetch_all"):
        _count_calls(monkeypatch, name, asked)
    page = await listing.search_documents(vault.db, "word wrod", Filters(), limit=1)
    assert len(asked) == 2
    await listing.search_documents(vault.db, "word wrod", Filters(), limit=1, cursor=page.next_cursor)
    assert len(asked) == 4


def _count_calls(monkeypatch: pytest.MonkeyPatch, name: str, asked: list[str]) -> None:
    from shared.db import Transaction

    real = getattr(Transaction, name)

    async def counted(self: Transaction, *arguments: object, **named: object) -> object:
        asked.append(name)
        return await real(self, *arguments, **named)

    monkeypatch.setattr(Transaction, name, counted)


# Nonsense, and others' documents


@pytest.mark.parametrize(
    "query",
    ["", " ", "!!!", '"', '""', "-", "- -", "or", "or or or", "&|!()<->:*'\\", "\0", "\ud800", "NOT", "a:*", "<->", "'; --", "%s %(x)s"],
)
async def test_any_text_is_a_query(vault: Vault, query: str) -> None:
    await vault.add("document", "text")
    assert await vault.titles(query) == []


async def test_a_pasted_page_is_a_query(vault: Vault) -> None:
    await vault.add("document", "lorem ipsum " * 20)
    assert await vault.titles("lorem ipsum " + " ".join(f"w{number} xyz{number}" for number in range(1000))) == ["document"]


@pytest.mark.parametrize(
    "query",
    [
        "word " * 2_000,
        "x" * 10_000,
        "é" * 10_000,
        "日" * 10_000,
        '"' * 9_999,
        "-" * 10_000,
        "- -a " * 2_000,
        "1." * 5_000,
        "1 2 3 4 5 6 7 8 " * 600,
        "a* " * 3_000,
        "topic: " * 1_000,
        "or " * 3_000,
        "the of and to " * 700,
        "😀" * 5_000,
        "😀",
        "%" * 5_000,
        "a\0b",
        "\ud800 word",
        "(" * 5_000 + ")" * 5_000,
        "'" * 10_000,
        "\\" * 10_000,
        "zzz" * 3_000 + "*",
    ],
    ids=lambda query: ascii(query[:12]),
)
async def test_bad_input_is_answered_fast_or_refused_in_a_sentence(vault: Vault, query: str) -> None:
    await vault.add("document", "a word of the text 日 1.2")
    began, refusal = time.process_time(), "Nothing was refused."
    try:
        await listing.search_documents(vault.db, query, Filters())
    except ValidationFailed as refused:
        refusal = str(refused.detail)
    assert refusal.endswith(".")
    assert time.process_time() - began < 2


async def test_documents_of_every_shape_are_found(vault: Vault) -> None:
    await vault.add("one word of a megabyte", "x" * 1_000_000 + " heron")
    await vault.add("many words", " ".join(f"word{number}" for number in range(20_000)) + " heron")
    await vault.add("emoji", "😀" * 1_000 + " heron")
    await vault.add("nul", "heron\u00a0\ufffd")
    assert len(await vault.titles("heron")) == 4
    assert await vault.titles("word19999") == ["many words"]


async def test_more_than_half_of_a_questions_words_need_not_be_there(vault: Vault) -> None:
    await vault.add("one of them", "the heron")
    for number in range(search_index.MERGE_EVERY):
        await vault.add(f"noise {number}", "weather and sports")
    assert await vault.titles("which heron lands beside waterworks every quarter") == ["one of them"]


async def test_the_best_is_found_however_old_it_is(vault: Vault) -> None:
    await vault.add("best", "tariff tariff tariff invoice invoice meter")
    for number in range(400):
        await vault.add(f"newer {number}", f"the tariff of a letter with an invoice in it and more {number}")
    assert (await vault.titles("tariff invoice meter gauge reading of last year"))[0] == "best"
    assert (await vault.titles("tariff invoice"))[0] == "best"


async def test_too_much_in_quotes_is_refused(vault: Vault) -> None:
    with pytest.raises(ValidationFailed):
        await vault.hits('"' + " ".join(f"w{number}" for number in range(1000)) + '"')


async def test_an_empty_vault_finds_nothing(vault: Vault) -> None:
    assert await vault.titles("word -other") == []


async def test_a_rare_word_is_looked_up_by_key_though_row_level_security_stands_before_it(vault: Vault, other_vault: Vault) -> None:
    for number in range(search_index.MERGE_EVERY):
        await vault.add(f"usual {number}", f"the usual words and heron{number}")
        await other_vault.add(f"usual {number}", f"the usual words and heron{number}")
    await vault.merge()
    await other_vault.merge()
    async with vault.db.transaction() as tx:
        assert await tx.fetch_value("SELECT current_user") == "docuvault_app"
        assert await tx.fetch_value("SELECT count(*) FROM search_terms") > search_index.MERGE_EVERY
        before = await _rows_read(tx)
        found = await tx.fetch_value("SELECT count(*) FROM search_postings_of(%s, ARRAY['heron7'])", [vault.db.owner_id])
        assert found == 1
        assert await _rows_read(tx) - before <= 2


async def _rows_read(tx: Transaction) -> int:
    """Rows of the index and its entries that the connection has read, whether they matched or not."""
    read: int = await tx.fetch_value(
        """
        SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::integer
        FROM pg_stat_xact_user_tables WHERE relname IN ('document_search', 'search_terms', 'search_postings', 'search_changes')
        """
    )
    return read


async def test_another_owners_documents_are_never_found(vault: Vault, other_vault: Vault) -> None:
    await vault.add("mine", "shared words")
    await other_vault.add("theirs", "shared secret words electricity")
    assert await vault.titles("shared") == ["mine"]
    assert await vault.titles("-nothing") == ["mine"]
    assert await vault.titles("secret or electricity or electrcity") == []
