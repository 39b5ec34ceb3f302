# ruff: noqa: E501 (pages)
"""Languages of text recognition: found wherever they lie, chosen by what stands on the page, and named if they are missing."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from shared.extraction import Scan, ocr_languages, recognize
from shared.extraction.formats.recognition import Recognizer
from shared.extraction.language import guess_without_accents
from shared.extraction.limits import Limits
from tests.extraction.corpus import letter

PLACES = ocr_languages.folders()
FRENCH = """Madame, Monsieur, nous vous prions de trouver ci-joint
la facture de votre abonnement à l'été. Le montant dû
est à régler avant la fin du mois de février par chèque.
Les pêcheurs du hameau fêtent la Saint-Éloi à l'église."""
RUSSIAN = "Уважаемые жильцы дома номер семь,\nв субботу утром состоится уборка двора.\nПросим принести лопаты и вёдра."
JAPANESE = "用水路の掃除は土曜日の朝に行います。\n長靴と軍手を持って公民館に集まってください。\n雨の場合は翌週に延期します。"
FONTS = {
    "latin": ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf"),
    "japanese": ("/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf", "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
}


def page(text: str, font: str = "latin", degrees: int = 0) -> Image.Image:
    path = next(filter(os.path.exists, FONTS[font]), None)
    if path is None:
        pytest.skip(f"there is no font with {font} letters on this machine")
    picture = Image.new("L", (1400, 700), 255)
    ImageDraw.Draw(picture).multiline_text((60, 60), text, font=ImageFont.truetype(path, 40), fill=0, spacing=24)
    return picture.rotate(degrees, expand=True)


def needs(code: str) -> None:
    if ocr_languages.folder_of(code, PLACES) is None:
        pytest.skip(f"there are no data of {code} on this machine (Debian has tesseract-ocr-{code})")


def test_data_are_found_in_the_folder_of_the_setting_before_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xyz.traineddata").write_bytes(b"")
    (tmp_path / "eng.traineddata").write_bytes(b"")
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    places = ocr_languages.folders()
    assert ocr_languages.folder_of("xyz", places) == str(tmp_path)
    assert ocr_languages.folder_of("eng", places) == str(tmp_path)
    assert ocr_languages.folder_of("deu", places) not in (None, str(tmp_path)), "the rest is taken from elsewhere"
    assert ocr_languages.folder_of("../eng", places) is None


def test_what_is_known_and_what_is_missing_is_said(tmp_path: Path) -> None:
    for code in ("eng", "fra"):
        (tmp_path / f"{code}.traineddata").write_bytes(b"")
    assert ocr_languages.in_words(["eng", "deu"], str(tmp_path)) == ("eng, fra", "deu")


def test_with_all_languages_installed_each_script_has_one(tmp_path: Path) -> None:
    for code in {*ocr_languages.BY_LANGUAGE.values(), *(code for codes in ocr_languages.BY_SCRIPT.values() for code in codes)}:
        (tmp_path / f"{code}.traineddata").write_bytes(b"")
    loaded = ocr_languages.besides(["eng", "deu"], str(tmp_path))
    assert len(loaded) == ocr_languages.MAX_LOADED
    assert {"fra", "spa", "ita", "pol", "jpn", "chi_sim", "kor", "rus", "ell", "ara", "heb", "tha"} <= set(loaded)


def test_french_is_read_with_its_accents_where_there_are_data_of_it() -> None:
    needs("fra")
    recognizer = Recognizer(["eng", "deu"], PLACES)
    text = recognizer.text_of(page(FRENCH))
    for word in ("à l'été", "dû", "février", "chèque", "pêcheurs", "Saint-Éloi", "église"):
        assert word in text
    assert recognizer.missing == []


def test_french_without_data_of_it_is_read_and_said_to_be_doubtful() -> None:
    wheels = os.pathsep.join(place for place in PLACES.split(os.pathsep) if not place.startswith("/usr/share"))
    if ocr_languages.folder_of("fra", wheels):
        pytest.skip("there are data of French beside those of the wheels")
    recognizer = Recognizer(["eng", "deu"], wheels)
    assert "facture de votre abonnement" in recognizer.text_of(page(FRENCH))
    assert recognizer.missing == ["French"]


def test_russian_is_read_by_its_script() -> None:
    needs("rus")
    assert "состоится уборка двора" in Recognizer(["eng", "deu"], PLACES).text_of(page(RUSSIAN))


def test_letters_nobody_can_read_are_named_and_no_nonsense_is_made_of_them() -> None:
    if ocr_languages.folder_of("jpn", PLACES):
        pytest.skip("there are data of Japanese on this machine")
    recognizer = Recognizer(["eng", "deu"], PLACES)
    assert recognizer.text_of(page(JAPANESE, "japanese")) == ""
    assert recognizer.missing == ["Japanese"]
    assert "tesseract-ocr-jpn" in ocr_languages.told_missing("Japanese", "page 1")


@pytest.mark.parametrize(("line", "script", "code"), [
    ("חוזה השכירות מתחיל באחד באפריל", "Hebrew", "heb"),
    ("يبدأ عقد الإيجار في الأول من أبريل", "Arabic", "ara"),
])  # fmt: skip
def test_one_line_in_other_letters_is_no_nonsense_either(line: str, script: str, code: str) -> None:
    needs("osd")
    if any(ocr_languages.folder_of(known, PLACES) for known in ocr_languages.BY_SCRIPT[script]):
        pytest.skip(f"there are data of {script} on this machine")
    recognizer = Recognizer(["eng", "deu"], PLACES)
    assert recognizer.text_of(page(line)) == ""
    assert recognizer.missing == [script]
    assert f"tesseract-ocr-{code}" in ocr_languages.told_missing(script, "page 1")


def test_one_line_of_russian_is_read_as_such() -> None:
    needs("rus")
    needs("osd")
    assert "вступает в силу" in Recognizer(["eng", "deu"], PLACES).text_of(page("Договор вступает в силу первого"))


def test_a_few_words_of_a_known_language_are_kept_whatever_they_look_like() -> None:
    for text in ("Total 45,00", "Kehrwoche\nZimmerling", "12.04.2026 45,80 EUR"):
        recognizer = Recognizer(["eng", "deu"], PLACES)
        assert "".join(recognizer.text_of(page(text)).split()) == "".join(text.split())
        assert recognizer.missing == []


@pytest.mark.parametrize(("text", "language"), [
    ("VäZeni näjomnici, v sobotu räno sa uskutoéni upratovanie dvora. Prosime prineste lopaty a vedra, ktore budu potrebne", "sk"),
    ("PoStovani stanari, u subotu ujutro odrzat ce se Ciscenje dvorista. Molimo donesite lopate i kante koje ce biti potrebne", "hr"),
    ("Szanowni Panstwo, w sobote odbedzie sie zebranie. Prosimy o wplate skladki do konca miesiaca na rachunek, ktory jest podany na stronie, oraz przez kase", "pl"),
    ("Mo 9-12 Di 9-12 Mi 9-12 Do 14-18 Fr 9-12 Sa geschlossen So geschlossen " * 4, None),
    ("Kohlrabi 3,50 Pastinaken 2,80 Summe 6,30 bar 10,00 zurück 3,70", None),
    ("", None),
])  # fmt: skip
def test_a_language_is_guessed_without_its_accents_if_it_is_clear(text: str, language: str | None) -> None:
    assert guess_without_accents(text) == language


def test_slovak_without_data_of_it_is_read_and_said_to_be_doubtful() -> None:
    if ocr_languages.folder_of("slk", PLACES):
        pytest.skip("there are data of Slovak on this machine")
    recognizer = Recognizer(["eng", "deu"], PLACES)
    slovak = "Vážení nájomníci, v sobotu ráno sa uskutoční\nupratovanie dvora. Prosíme prineste lopaty\na vedrá, ktoré budú potrebné."
    assert "prineste lopaty" in recognizer.text_of(page(slovak))
    assert recognizer.missing == ["Slovak"]
    assert "tesseract-ocr-slk" in ocr_languages.told_missing("Slovak", "page 1")


def test_umlauts_are_read_though_english_is_among_the_languages() -> None:
    text = Recognizer(["eng", "deu"], PLACES).text_of(page("Frau Müller überweist Größeres.\nDer Zählerstand für den Flur"))
    for word in ("Müller", "überweist", "Größeres", "Zählerstand", "für"):
        assert word in text


def test_english_is_read_though_german_is_among_the_languages() -> None:
    english = "The landlord keeps the apartment in good repair.\nMinor repairs are borne by the tenant, who gives notice\nin writing within three months of the 2nd of July."
    assert " ".join(Recognizer(["eng", "deu"], PLACES).text_of(page(english)).split()) == " ".join(english.split())


def test_a_german_page_after_a_french_one_is_read_as_german() -> None:
    needs("fra")
    recognizer = Recognizer(["eng", "deu"], PLACES)
    recognizer.text_of(page(FRENCH))
    german = "Sehr geehrte Frau Müller, anbei erhalten Sie die\nAbrechnung für das Jahr. Bitte überweisen Sie den Betrag."
    assert "Müller" in recognizer.text_of(page(german))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_words_are_where_they_stand_on_the_page_as_it_was_given(degrees: int) -> None:
    picture = page("Heron kingfisher cormorant\nstork and bittern\nwaterbirds of the lower marsh\nare counted in spring", degrees=degrees)
    found = Recognizer(["eng"], PLACES).page_of(picture)
    assert found is not None
    assert (found.width, found.height) == picture.size
    [place] = [word for word in found.words if word[0] == "kingfisher"]
    _, left, top, width, height = place
    assert (width > 2 * height) == (degrees in (0, 180))
    ink = picture.crop((left, top, left + width, top + height)).histogram()
    assert sum(ink[:128]) > 0.1 * width * height


async def test_what_comes_out_of_the_sandbox_has_the_words_with_their_places(tmp_path: Path) -> None:
    out = io.BytesIO()
    letter().save(out, "PNG")
    path = tmp_path / "object"
    path.write_bytes(out.getvalue())
    done = await recognize(path, filename="a.png", scans=[Scan(0, 0)], limits=Limits(), cpu_seconds=5)
    [seen] = done.pages
    assert seen is not None
    assert seen.confidence > 60
    assert (seen.width, seen.height) == letter().size
    assert {word[0] for word in seen.words} <= set((done.texts[0] or "").split())
