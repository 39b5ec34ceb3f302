"""Phrases: words that stand one behind the other, and which documents need not be read to know that theirs do not."""

from random import Random
from uuid import UUID

import pytest

from shared.db import Database, TenantDatabase
from shared.search.analysis import FURTHER, analyse
from shared.search.neighbours import MOST_PAIRS, neighbours_of, places_of
from tests.search.vault import Vault


@pytest.fixture
def vault(db: Database, owner: UUID) -> Vault:
    return Vault(TenantDatabase(db, owner))


def may_have(neighbours: bytes, left: str, right: str) -> bool:
    """As the database asks."""
    bits = [place % (8 * len(neighbours)) for place in places_of(left, right)]
    return all(neighbours[bit // 8] >> bit % 8 & 1 for bit in bits)


def test_neighbours_are_never_denied_and_others_seldom_taken_for_some() -> None:
    chance = Random(10)
    lexemes = [f"w{number}" for number in range(300)]
    positions: dict[str, list[int]] = {}
    at = 0
    for _ in range(1_000):
        at += chance.choice([0, 1, 1, 1, 1, 2])
        positions.setdefault(chance.choice(lexemes), []).append(at)
    neighbours = neighbours_of(positions)
    assert neighbours is not None
    sets = {lexeme: set(places) for lexeme, places in positions.items()}
    wrong = others = 0
    for left in sets:
        for right in sets:
            if any(place + 1 in sets[right] for place in sets[left]):
                assert may_have(neighbours, left, right), (left, right)
            else:
                others += 1
                wrong += may_have(neighbours, left, right)
    assert wrong < 0.1 * others


@pytest.mark.parametrize("positions", [{}, {"a": [1]}, {"a": [1], "b": [1]}, {"a": [1, 3], "b": [5]}])
def test_without_neighbours_none_is_taken_for_some(positions: dict[str, list[int]]) -> None:
    neighbours = neighbours_of(positions)
    assert neighbours is not None
    assert not any(may_have(neighbours, left, right) for left in "ab" for right in "ab")


def test_a_document_of_some_pages_has_neighbours_and_a_long_one_none() -> None:
    def made(words: int) -> bytes | None:
        return analyse([" ".join(f"w{number}" for number in range(words))], language="english", filename="f", title="t").neighbours

    assert len(made(600) or b"") < 600
    assert made(MOST_PAIRS - 10) is not None
    assert made(MOST_PAIRS + 10) is None
    assert analyse(["the part " * 500], language="english", filename="f", title="t").neighbours is None, "not all positions are held"


@pytest.mark.parametrize(
    "phrase",
    [
        '"Straße 5"', '"strasse 5"', '"5 Übergrößen"', '"uebergroesse kosten"', '"kosten 1.234,50"', '"1234,50 Euro"', '"1.234,50 Euro"',
        '"Euro im"', '"im Mai"', '"scan_of landlord"', '"Ihr Vertrag"', "wasser-werk", "wasser-werk or nothing", '"請求書"', "請求書",
        '"Ende der Seite zweite Seite"', '"ende" "zweite Seite"',
    ],
)  # fmt: skip
async def test_phrases_are_found_in_every_spelling(vault: Vault, phrase: str) -> None:
    page = "Lange Straße 5, Übergrößen kosten 1.234,50 Euro im Mai beim Wasser-Werk 請求書。 Ende der Seite"
    await vault.add("Ihr Vertrag", page, "zweite Seite", filename="scan_of-Landlord.pdf", language="de")
    await vault.add("other", "Seite Straße, Wasser kosten Übergröße", language="de")
    assert await vault.titles(phrase) == ["Ihr Vertrag"]
    async with vault.db.transaction() as tx:
        assert await tx.fetch_value("SELECT bool_and(neighbours IS NOT NULL) FROM document_search") is True


@pytest.mark.parametrize("query", ['"grey heron"', '"grey heron" lands', '"heron lands" or "grey heron"', '-"white heron"', "grey-heron"])
@pytest.mark.parametrize("without", [True, False])
async def test_a_document_that_an_older_analysis_indexed_is_found(vault: Vault, query: str, *, without: bool) -> None:
    await vault.add("right", "a grey heron stands")
    await vault.add("wrong", "a white heron, grey")
    if without:
        async with vault.db.transaction() as tx:
            await tx.execute("UPDATE document_search SET neighbours = NULL")
    assert await vault.titles(query) == ["right"]


async def test_the_positions_of_a_document_without_the_neighbours_are_not_read(vault: Vault) -> None:
    await vault.add("read", "a grey heron")
    await vault.add("passed over", "a heron, grey")
    async with vault.db.transaction() as tx:
        # What only reading positions would tell.
        await tx.execute("UPDATE document_search SET contents = '''grey'':1 ''heron'':2'")
    assert await vault.titles('"grey heron"') == ["read"]
    assert await vault.titles('"grey heron"', "filename") == ["read"]


async def test_phrases_are_found_wherever_they_stand_in_a_huge_document(vault: Vault) -> None:
    usual = "the party of the first part and lorem ipsum dolor sit amet " * 40
    pages = [usual] * 900
    pages[10] += "blue whale"
    pages[400] += "grey heron"
    pages[899] += "the third party walks home"
    await vault.add("huge", *pages)
    await vault.add("other", "blue heron, grey whale, home walks the third")
    for query in (
        '"grey heron"', '"blue whale" "grey heron"', '"third party walks home"', '"amet blue whale"', "grey-heron",
        '"heron grey" or "third party"', 'whale -"heron grey"', '"grey heron" -"blue heron"', '"heron the party"',
    ):  # fmt: skip
        assert "huge" in await vault.titles(query), query
    for query in ('"heron blue"', '"blue whale" "heron grey"', 'amet -"grey heron"', '"grey heron" -"third party"', '"heron a party"'):
        assert await vault.titles(query) == [], query
    assert await vault.titles('"grey heron"', "filename") == ["huge"]
    assert "<mark>grey</mark> <mark>heron</mark>" in ((await vault.hits('"grey heron"'))[0].snippet or "")


async def test_a_page_of_more_words_than_have_positions_is_searched_to_its_end(vault: Vault) -> None:
    await vault.add("one page", " ".join(f"w{number}" for number in range(70_000)))
    for query in ('"w1 w2"', '"w15998 w15999"', '"w16001 w16002"', '"w40000 w40001 w40002"', '"w69998 w69999"'):
        assert await vault.titles(query) == ["one page"], query
    assert await vault.titles('"w2 w1"') == []
    assert await vault.titles('"w1 w16002"') == []


async def test_phrases_are_found_though_one_of_their_words_stands_too_often_for_its_positions(vault: Vault) -> None:
    lines = [f"EUR {number} booked" for number in range(900)]
    await vault.add("pages", *["\n".join(lines[at : at + 30]) for at in range(0, 900, 30)])
    await vault.add("one page", "\n".join(lines))
    for query in ('"EUR 5"', '"299 booked EUR 300"', '"EUR 898 booked EUR 899 booked"'):
        assert sorted(await vault.titles(query)) == ["one page", "pages"], query
    assert await vault.titles('"898 EUR"') == []


def test_what_is_kept_of_a_text_of_any_kind_is_bounded() -> None:
    for text in ("word " * 300_000, "".join(f"{number:07} " for number in range(100_000)), "の" * 150_000):
        made = analyse([text], language="english", filename="f", title="t")
        assert len(made.further) <= FURTHER
        assert all(len(part) < 4_000_000 for part in made.further)
