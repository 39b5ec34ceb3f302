"""Words as people write them: every way is found by every other."""

import json
import os
from pathlib import Path
from uuid import UUID

import pytest

from shared.db import Database, TenantDatabase
from shared.extraction.language import detect
from shared.search import stems
from shared.search.spellings import spellings
from tests.search.vault import Vault

PAIRS = {
    "arabic": ("كتاب", "الكتاب"),
    "armenian": ("աշխատանք", "աշխատանքի"),
    "basque": ("kontratua", "kontratuak"),
    "catalan": ("informació", "informacions"),
    "danish": ("regning", "regningerne"),
    "dutch": ("rekening", "rekeningen"),
    "english": ("invoice", "invoices"),
    "finnish": ("lasku", "laskut"),
    "french": ("déclaration", "déclarations"),
    "german": ("Rechnung", "Rechnungen"),
    "greek": ("λογαριασμός", "λογαριασμοί"),
    "hindi": ("किताब", "किताबें"),
    "hungarian": ("számla", "számlák"),
    "indonesian": ("ajar", "mengajar"),
    "irish": ("íocaíocht", "íocaíochta"),
    "italian": ("dichiarazione", "dichiarazioni"),
    "lithuanian": ("namas", "namai"),
    "nepali": ("घर", "घरको"),
    "norwegian": ("regning", "regninger"),
    "portuguese": ("inscrição", "inscrições"),
    "romanian": ("declarație", "declarații"),
    "russian": ("большой", "большая"),
    "serbian": ("рачун", "рачуни"),
    "spanish": ("declaración", "declaraciones"),
    "swedish": ("räkning", "räkningar"),
    "tamil": ("புத்தகம்", "புத்தகங்கள்"),
    "turkish": ("kitap", "kitaplar"),
    "yiddish": ("טיש", "טישן"),
}
ISO = {name: code for code, name in stems.LANGUAGES.items()}

CASES = Path(os.environ.get("AWKWARD_PAPERS") or Path(__file__).resolve().parents[2].parent / "shared" / "cases")


@pytest.fixture
def vault(db: Database, owner: UUID) -> Vault:
    return Vault(TenantDatabase(db, owner))


@pytest.mark.parametrize("language", PAIRS)
async def test_a_word_is_found_by_its_other_forms_in_every_language(vault: Vault, language: str) -> None:
    one, other = PAIRS[language]
    await vault.add("one", one, language=ISO[language])
    await vault.add("other", other, language=ISO[language])
    assert set(await vault.titles(one)) == {"one", "other"}
    assert set(await vault.titles(other)) == {"one", "other"}


def test_every_stemmer_is_tried() -> None:
    assert set(PAIRS) == set(stems.LANGUAGES.values()) - {"czech", "estonian", "persian", "polish"}


@pytest.mark.parametrize(
    "ways",
    [
        ["1.234,56", "1,234.56", "1234,56", "1234.56", "1 234,56", "1'234.56"],
        ["7.800", "7,800", "7800"],
        ["DE00 1111 2222 3333 4444 55", "DE00111122223333444455", "de00 1111 2222 3333 4444 55"],
        ["4012 8888 8888 1881", "4012-8888-8888-1881", "4012888888881881"],
        ["+49 30 1234567", "+49 (30) 123-4567", "+49/30/1234567"],
        [
            "2024-07-03",
            "03.07.2024",
            "3.7.2024",
            "3. Juli 2024",
            "3 July 2024",
            "July 3, 2024",
            "3 juillet 2024",
            "3 de julio de 2024",
            "2024年7月3日",
        ],
        ["ﾎﾞｰﾄｸﾗﾌﾞ", "ボートクラブ"],
        ["Ａ４　用紙", "A4 用紙"],
        ["Straße", "STRASSE", "strasse"],
        ["Müller", "muller", "MU\u0308LLER"],
        ["declaração", "declaracao", "DECLARAÇÃO"],
    ],
)
async def test_every_way_to_write_it_is_found_by_every_other(vault: Vault, ways: list[str]) -> None:
    for number, way in enumerate(ways):
        await vault.add(f"{number}", f"before {way} after", language="pt" if "ã" in ways[0] else "de")
    for way in ways:
        assert set(await vault.titles(way)) == {f"{number}" for number in range(len(ways))}, way


@pytest.mark.parametrize(
    ("text", "language", "queries"),
    [
        ("우리 창고에서 사다리를 빌렸습니다. 관리인에게 열쇠가 있습니다", "ko", ["창고", "사다리", "관리인", "열쇠"]),
        ("กุญแจโรงเก็บเรืออยู่ที่เลขาฯ", "th", ["กุญแจ", "โรงเก็บเรือ", "เลขา"]),
        ("ກະແຈຢູ່ໃນຫ້ອງການ", "lo", ["ຫ້ອງການ"]),
        ("កូនសោនៅក្នុងការិយាល័យ", "km", ["ការិយាល័យ"]),
        ("图书馆的借书期限为两周", "zh", ["借书", "期限", "图书馆", "书"]),
        ("会議室の予約は二週間前まで", "ja", ["予約", "会議室", "二週間"]),
    ],
)
async def test_a_word_inside_a_run_of_letters_is_found(vault: Vault, text: str, language: str, queries: list[str]) -> None:
    await vault.add("right", text, language=language)
    await vault.add("mixed up", "".join(reversed(text)), language=language)
    for query in queries:
        assert "right" in await vault.titles(query), query
        if len(query) > 1:
            assert await vault.titles(query) == ["right"], query


async def test_a_compound_is_found_by_its_parts_behind_the_word_itself(vault: Vault) -> None:
    await vault.add("flat", "Der Wohnungsmietvertrag vom Mai", language="de")
    await vault.add("annex", "Eine Mietvertragsanlage", language="de")
    await vault.add("lease", "Der Mietvertrag", language="de")
    await vault.add("other", "Der Kaufvertrag", language="de")
    titles = await vault.titles("Mietvertrag")
    assert titles[0] == "lease"
    assert set(titles) == {"lease", "flat", "annex"}


async def test_a_star_stands_for_the_rest_of_a_word(vault: Vault) -> None:
    await vault.add("one", "An invoice")
    await vault.add("many", "Invoicing is hard")
    await vault.add("none", "In voice only")
    assert set(await vault.titles("invoi*")) == {"one", "many"}
    assert await vault.titles("zzz*") == []
    assert await vault.titles("*") == []


@pytest.mark.parametrize("typo", ["Grundstuecksverkehrsgenehmigung", "Grundstücksverkerhsgenemigung", "Grundstückverkehrsgenehmigun"])
async def test_typos_in_long_and_rare_words_are_found(vault: Vault, typo: str) -> None:
    await vault.add("permit", "Grundstücksverkehrsgenehmigung", language="de")
    assert await vault.titles(typo) == ["permit"]


def test_rows_of_numbers_and_nonsense_are_no_dates() -> None:
    for text in ("99.99.2024", "2024-13-45", "1.2.3.4.5", "31 February 2024", "12 34"):
        assert not [lexeme for spelling in spellings(text) for lexeme in spelling.lexemes if lexeme.startswith("=2")], text


@pytest.mark.skipif(not CASES.is_dir(), reason=f"there is no {CASES}")
async def test_the_awkward_papers_about_search_are_found(vault: Vault) -> None:
    for case in json.loads((CASES / "cases.json").read_text()):
        if case["kind"].startswith("I "):
            text = (CASES / case["file"]).read_text()
            await vault.add(case["file"], text, language=detect(text), filename=case["file"])
    for case in json.loads((CASES / "cases.json").read_text()):
        if case["kind"].startswith("I "):
            for query in case["found"]:
                assert case["file"] in await vault.titles(query), (case["file"], query)
