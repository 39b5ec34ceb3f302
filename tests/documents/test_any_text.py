"""Texts of every shape go through the whole step to `extracted`; what of them cannot be found is said in `warnings`."""

import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.db import TenantDatabase
from shared.documents import library, listing
from shared.documents.listing import Filters
from shared.documents.models import Document
from shared.search import words
from shared.search.analysis import analyse
from tests.documents.conftest import read_through, stored


async def _read(vault: TenantDatabase, text: str | bytes, filename: str = "text.txt") -> Document:
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    document = await stored(vault, content, filename=filename, content_type="text/plain")
    return await read_through(vault, document.id)


async def _is_found(vault: TenantDatabase, document: Document, query: str) -> bool:
    return document.id in [hit.id for hit in (await listing.search_documents(vault, query, Filters())).items]


async def _is_indexed(vault: TenantDatabase, document: Document, word: str) -> bool:
    async with vault.transaction() as tx:
        where = {"owner": vault.owner_id, "id": document.id}
        language: str = await tx.fetch_value(
            "SELECT language FROM document_search WHERE owner_id = %(owner)s AND document_id = %(id)s", where
        )
        lexemes = analyse([word], language=language, filename="", title="").lexemes
        return bool(
            await tx.fetch_value(
                "SELECT lexemes @> %(lexemes)s::text[] FROM document_search WHERE owner_id = %(owner)s AND document_id = %(id)s",
                where | {"lexemes": lexemes},
            )
        )


def _codes(document: Document) -> list[str]:
    return [warning.code for warning in document.warnings]


def _numbers(count: int, seed: int = 1) -> list[str]:
    chance = random.Random(seed)
    return [str(chance.randrange(10**9, 10**10)) for _ in range(count)]


def _letters(count: int, alphabet: str = "abcdefghijklmnopqrstuvwxyz", length: int = 9) -> list[str]:
    chance = random.Random(2)
    return ["".join(chance.choices(alphabet, k=length)) for _ in range(count)]


async def test_a_table_of_18000_articles_in_12_months_is_found_by_each_of_them(vault: TenantDatabase) -> None:
    table = "".join(f"A{10_000_000 + article};{month:02}\n" for month in range(1, 13) for article in range(18_000))
    assert len(table) > 2_700_000
    document = await _read(vault, table, "articles.csv")
    assert (document.status, _codes(document)) == ("extracted", ["index_cut_short"])
    assert document.warnings[0].detail.endswith("Each of its words is found.")
    assert await _is_found(vault, document, "A10017999")
    assert all([await _is_indexed(vault, document, f"a{10_000_000 + article}") for article in range(0, 18_000, 999)])


async def test_the_last_row_of_a_table_of_40000_rows_is_found(vault: TenantDatabase) -> None:
    rows = [f"{number};customer {amount % 977};{amount}.50\n" for number, amount in zip(_numbers(40_000), range(40_000), strict=True)]
    document = await _read(vault, "".join(rows) + "the very last heron;1\n", "table.csv")
    assert (document.status, document.warnings) == ("extracted", [])
    assert await _is_found(vault, document, "heron")
    assert await _is_indexed(vault, document, rows[-1].partition(";")[0])


async def test_of_more_numbers_than_can_be_found_the_words_between_them_are(vault: TenantDatabase) -> None:
    numbers = _numbers(900_000)
    numbers.insert(880_000, "heronry")
    document = await _read(vault, "\n".join(numbers), "numbers.csv")
    assert (document.status, _codes(document)) == ("extracted", ["index_cut_short"])
    assert await _is_indexed(vault, document, "heronry")
    assert await _is_indexed(vault, document, numbers[0])
    assert not await _is_indexed(vault, document, numbers[-1])


SHAPES: dict[str, Callable[[], str | bytes]] = {
    "20,000 different words, 30 times": lambda: " ".join(_letters(20_000) * 30),
    "one word of 1 MB": lambda: "a" * 1_000_000,
    "one word of 1 MB in marks": lambda: "a\u0301\u0323" * 200_000,
    "10 MB of digits": lambda: " ".join(_numbers(909_000)),
    "10 MB of digits in one": lambda: "1234567890" * 1_000_000,
    "all of Han": lambda: "".join(map(chr, range(0x4E00, 0x9FA6))) * 40,
    "all of the astral Han": lambda: "".join(map(chr, range(0x20000, 0x2A6D0))) * 12,
    "emoji alone": lambda: "".join(map(chr, range(0x1F300, 0x1F6FF))) * 3_000,
    "Korean": lambda: " ".join(_letters(150_000, "".join(map(chr, range(0xAC00, 0xAF00))), 5)),
    "Devanagari": lambda: " ".join(_letters(120_000, "कखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह" + "ािीुूेैोौ्ंः", 12)),
    "Arabic with marks": lambda: " ".join(_letters(120_000, "ابتثجحخدذرزسشصضطظعغفقكلمنهوي" + "\u064b\u064e\u0651", 10)),
    "Thai without spaces": lambda: "".join(_letters(200_000, "กขคงจฉชซญดตถทธนบปผฝพฟภมยรลวสหอะาิีึืุูเแโใไ่้", 8)),
    "long words": lambda: " ".join(_letters(20_000, length=300)),
    "long words of wide letters": lambda: " ".join(_letters(8_000, "𐐀𐐁𐐂𐐃𐐄𐐅𐐆𐐇", 120)),
    "letters and digits by turns": lambda: " ".join(_letters(90_000, "a1b2c3d4é5", 40)),
    "addresses": lambda: " ".join(f"https://example.org/{word}/a-b_c.html?x={word}" for word in _letters(40_000)),
    "numbers with points and signs": lambda: " ".join(f"-{n[:3]}.{n[3:6]}e{n[6]}" for n in _numbers(300_000)),
    "ligatures that are long words": lambda: "\ufdfa " * 200_000,
    "NUL between words": lambda: (b"word and another " * 20 + b"\0") * 5_000,
    "lone surrogates": lambda: "word \ud800 other " * 100_000,
    "nothing but white space": lambda: " \n\t\u3000" * 500_000,
    "one letter in 255 places and more": lambda: "x " * 1_000_000,
    "every character there is": lambda: " ".join(chr(n) for n in range(0xA0, 0x30000) if not 0xD800 <= n < 0xE000),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_text_of_any_shape_is_read_and_found(vault: TenantDatabase, shape: str) -> None:
    document = await _read(vault, SHAPES[shape](), "heronry.txt")
    assert document.status == "extracted"
    assert await _is_indexed(vault, document, "heronry")
    every = words.words((await library.text(vault, document.id)).pages[0].text)
    assert all([await _is_indexed(vault, document, word) for word in every[:1] + ([] if document.warnings else every[-1:])])


# not the control characters, many of which make a file of something else than text
_any_text = st.text(st.characters(exclude_categories=["Cc"]), max_size=60)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_any_text, min_size=1, max_size=30), st.integers(1, 4_000))
async def test_texts_that_nobody_thought_of_are_read(vault: TenantDatabase, parts: list[str], times: int) -> None:
    text = "".join(f"{part}{number} " for number in range(times) for part in parts)[:1_000_000]
    assert (await _read(vault, text)).status == "extracted"
