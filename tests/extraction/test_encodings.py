# ruff: noqa: E501 (texts)
"""Text in every encoding that people's files are in is read as it was written."""

import io

import pytest

from shared.extraction import content_types
from shared.extraction.encodings import codec, decode
from tests.extraction.conftest import Read
from tests.extraction.shared_cases import cases_of, missing_from

WRITTEN = {
    "German": (
        "Die Müllabfuhr kommt am Dienstag. Bitte stellt die Tonnen an die Straße, größere Stücke holt der Händler.",
        "cp1252 cp850 cp437 mac_roman utf-16-le utf-16-be utf-32-le utf-32-be iso8859-1 cp1250 iso8859-15",
    ),
    "Polish from DOS": ("Zażółć gęślą jaźń w domu nad rzeką, proszę. Święto łąki, źródło i ścieżka.", "cp852 cp1250 iso8859-2"),
    "Czech from DOS": ("Příliš žluťoučký kůň úpěl ďábelské ódy. Včelař má úly u řeky.", "cp852 cp1250 iso8859-2"),
    "Lithuanian from DOS": ("Išrašas iš sąskaitos už šį mėnesį, ačiū už dėmesį. Žąsys ir ąžuolai.", "cp1257 cp775"),
    "German list": (
        "Einkauf: Äpfel, Möhren, Öl, Käse, Brötchen",
        "cp1252 cp850 cp437 mac_roman utf-16-le utf-32-be",
    ),
    "one German word": (
        "Schlüssel",
        "cp1252 cp850 cp437 mac_roman utf-16-le",
    ),
    "French": (
        "L'été dernier, les élèves ont visité la forêt près du château. Ça leur a plu, même si la leçon était longue.",
        "cp1252 cp850 cp437 mac_roman",
    ),
    "DOS table": (
        "┌──────────┬───────┐\r\n│ Gerät    │ Stück │\r\n├──────────┼───────┤\r\n│ Säge     │ 3     │\r\n│ Bügel    │ 14    │\r\n└──────────┴───────┘\r\n",
        "cp437 cp850",
    ),
    "DOS table of double lines": (
        "╔══════════╦═══════╗\r\n║ Lager    ║ Menge ║\r\n╠══════════╬═══════╣\r\n║ Nuts     ║ 3     ║\r\n╚══════════╩═══════╝\r\n",
        "cp437 cp850 cp866",
    ),
    "Russian": (
        "Собрание жильцов состоится в субботу. Просим принести ключи от подвала и новые списки.",
        "cp866 cp1251 koi8-r iso8859-5 mac_cyrillic utf-16-le utf-16-be",
    ),
    "two Russian words": (
        "Привет, мир",
        "cp866 cp1251 koi8-r utf-16-le utf-16-be",
    ),
    "Ukrainian": (
        "Шановні мешканці, збори відбудуться в суботу. Просимо принести ключі від підвалу та їжу.",
        "cp1251 koi8-u utf-16-be",
    ),
    "Russian DOS table": (
        "│ Фамилия    │ Сумма │\r\n├────────────┼───────┤\r\n│ Иванов     │ 100   │\r\n│ Петрова    │ 250   │\r\n",
        "cp866",
    ),
    "Polish": (
        "Zażółć gęślą jaźń. Spotkanie mieszkańców odbędzie się w środę o siódmej wieczorem.",
        "cp1250 iso8859-2 cp852",
    ),
    "Czech": (
        "Příliš žluťoučký kůň úpěl ďábelské ódy. Schůze se koná ve středu večer.",
        "cp1250 iso8859-2 cp852",
    ),
    "Hungarian": (
        "Árvíztűrő tükörfúrógép. A közgyűlést kedden tartjuk, kérjük hozzák a kulcsokat.",
        "cp1250 iso8859-2",
    ),
    "Greek": (
        "Η συνέλευση των ενοίκων θα γίνει το Σάββατο. Φέρτε τα κλειδιά.",
        "cp1253 iso8859-7 utf-16-le",
    ),
    "Turkish": (
        "Toplantı cumartesi günü yapılacak. Lütfen anahtarları getiriniz, teşekkür ederiz. Işıkları söndürün.",
        "cp1254 iso8859-9",
    ),
    "Japanese": (
        "図書館の開館時間は午前九時からです。本を返すときは窓口までお持ちください。",
        "shift_jis euc_jp iso2022_jp utf-16-le utf-16-be",
    ),
    "Katakana": (
        "カタカナのメモ：タオルとセッケンを持参",
        "shift_jis euc_jp iso2022_jp utf-16-le utf-16-be",
    ),
    "one Japanese word": (
        "会議録",
        "iso2022_jp",
    ),
    "simplified Chinese": (
        "会议定于星期六举行，请各位住户带上钥匙和名单。谢谢大家的合作。",
        "gb2312 gb18030 hz utf-16-le utf-16-be",
    ),
    "traditional Chinese": (
        "會議訂於星期六舉行，請各位住戶帶上鑰匙和名單。謝謝大家的合作。",
        "big5 utf-16-le utf-16-be gb18030",
    ),
    "Korean": (
        "회의는 토요일에 열립니다. 열쇠와 명단을 가져오세요. 감사합니다.",
        "euc_kr iso2022_kr utf-16-le utf-16-be johab cp949",
    ),
    "Hebrew": (
        "אסיפת הדיירים תתקיים ביום שישי. נא להביא מפתחות.",
        "cp1255 utf-16-le",
    ),
    "Arabic": (
        "يعقد اجتماع السكان يوم السبت. يرجى إحضار المفاتيح.",
        "cp1256 iso8859-6 utf-16-le",
    ),
    "Thai": (
        "การประชุมจะจัดขึ้นในวันเสาร์ กรุณานำกุญแจมาด้วย",
        "tis-620 cp874 utf-16-le",
    ),
    "Lithuanian": (
        "Gyventojų susirinkimas įvyks šeštadienį. Prašome atsinešti raktus ir sąrašus.",
        "cp1257 utf-16-le",
    ),
    "Latvian": (
        "Iedzīvotāju sapulce notiks sestdien. Lūdzam paņemt līdzi atslēgas un sarakstus.",
        "cp1257",
    ),
    "Icelandic": (
        "Húsfundur verður haldinn á laugardaginn. Vinsamlegast komið með lykla og þökk.",
        "cp1252 cp861 mac_iceland",
    ),
    "Vietnamese": (
        "Cuộc họp sẽ diễn ra vào thứ bảy.",
        "utf-16-le",
    ),
    "Windows signs": (
        "Kosten: 45 € für „Bücher“ – bitte überweisen…",
        "cp1252",
    ),
    "Swedish": (
        "Årsmötet hålls på lördag. Ta med nycklar och smörgåsar, det blir kaffe också.",
        "cp1252 cp850 cp437 mac_roman",
    ),
    "Danish": (
        "Årsmødet holdes på lørdag. Husk nøgler og smørrebrød, der bliver også kaffe på gården.",
        "cp1252 cp850 cp865 mac_roman",
    ),
    "Spanish": (
        "La reunión será el sábado por la mañana. ¿Quién trae el café? ¡Los niños también!",
        "cp1252 cp850 cp437 mac_roman",
    ),
    "Portuguese": (
        "A reunião será no sábado às três. Não esqueçam as chaves e a lição das crianças.",
        "cp1252 cp850 cp860 mac_roman",
    ),
    "Italian": (
        "La città è più bella perché c'è il sole. Così sarà anche lunedì.",
        "cp1252 mac_roman",
    ),
    "Bulgarian": (
        "Събранието ще се проведе в събота. Моля, донесете ключовете си.",
        "cp1251 cp866 utf-16-le",
    ),
    "Serbian": (
        "Скупштина станара одржаће се у суботу. Молимо понесите кључеве и књиге.",
        "cp1251 iso8859-5",
    ),
    "Croatian": (
        "Sastanak će biti u subotu. Molimo donesite ključeve i sve što želite reći, đaci također.",
        "cp1250 iso8859-2",
    ),
    "Romanian": (
        "Şedinţa va avea loc sâmbătă. Vă rugăm să aduceţi cheile şi listele, mulţumim.",
        "cp1250 iso8859-2",
    ),
}
_EACH = [(name, encoding) for name, (_, encodings) in WRITTEN.items() for encoding in encodings.split()]


@pytest.mark.parametrize(("name", "encoding"), _EACH)
def test_a_text_is_read_whatever_its_encoding(name: str, encoding: str) -> None:
    text, _ = WRITTEN[name]
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(("name", "encoding"), _EACH)
def test_no_encoding_makes_a_text_a_program(name: str, encoding: str) -> None:
    text, _ = WRITTEN[name]
    assert content_types.detect(io.BytesIO(text.encode(encoding)), "notes.txt") == content_types.TEXT


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "mac_roman"])
def test_letters_far_down_in_a_long_file_decide(encoding: str) -> None:
    text = "rent;940\n" * 50_000 + "Müllgebühr für größere Häuser;12\n"
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "cp437", "mac_roman"])
@pytest.mark.parametrize("text", ["Bücher", "Äpfel und Birnen", "GRÜSSE AUS KÖLN", "ÜBUNG", "Wärme 20°C", "Préparé à Genève", "12 Möbel"])
def test_a_few_words_are_enough(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("label", "encoding"),
    [("ISO-8859-1", "cp1252"), ("us-ascii", "cp1252"), (" 'latin1' ", "cp1252"), ("GB2312", "gb18030"), ("ks_c_5601-1987", "cp949"),
     ("Shift_JIS", "cp932"), ("iso-8859-9", "cp1254"), ("x-sjis", "cp932"), ("KOI8-R", "koi8-r"), ("windows-31j", "cp932"),
     ("hex", None), ("no such", None), ("\0", None)],
)  # fmt: skip
def test_a_label_means_what_browsers_take_it_for(label: str, encoding: str | None) -> None:
    assert codec(label) == encoding


def test_a_text_labelled_iso_8859_1_keeps_the_signs_of_windows() -> None:
    assert decode("48 € – „ja“…".encode("cp1252"), "iso-8859-1") == "48 € – „ja“…"


@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1252", "us-ascii", "koi8-r"])
def test_utf8_under_the_label_of_another_is_utf8(label: str) -> None:
    assert decode("Gewölbe für Zwölf".encode(), label) == "Gewölbe für Zwölf"


def test_the_euro_of_iso_8859_15_is_one() -> None:
    text = "Gebühr 45 € für größere Wohnungen, € 20 für kleine, Zeichen ¤"
    assert decode(text.replace("¤", "").encode("iso8859-15")) == text.replace("¤", "")
    assert decode("ein ¤ für alle Größen".encode("cp1252")) == "ein ¤ für alle Größen"


def test_utf7_is_read() -> None:
    assert decode("Größere Mängel".encode("utf-7")) == "Größere Mängel"
    for plain in ("C+AB-x", "1+AP8-2", "a+APw", "Blutgruppe A+AB-B"):
        assert decode(plain.encode()) == plain


def test_chinese_shifted_in_seven_bits_is_read() -> None:
    text = "会议定于星期六举行"
    shifted = b"\x1b$)A\x0e" + bytes(byte & 0x7F for byte in text.encode("gb2312")) + b"\x0f\n"
    assert decode(shifted) == text + "\n"


def test_colours_in_a_log_are_no_japanese() -> None:
    log = "\x1b[31mFehler\x1b[0m: Gerät fehlt\n"
    assert decode(log.encode()) == log


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_a_page_in_utf16_is_a_page(encoding: str) -> None:
    page = "<!doctype html><title>Grüße</title><p>Hallo"
    assert content_types.detect(io.BytesIO(page.encode(encoding)), "x") == content_types.HTML


@pytest.mark.parametrize("binary", [bytes(range(256)) * 8, b"\x01\0\x02\0" * 500, b"MZ\x90\0\x03" + bytes(300), b"\0\1\2\3" * 99])
def test_a_program_is_no_text(binary: bytes) -> None:
    assert content_types.detect(io.BytesIO(binary), "notes.txt") == content_types.BINARY


async def test_a_table_of_100000_rows_is_read_to_its_end(read: Read) -> None:
    rows = "".join(f"{number};Beitrag {number};12,50\n" for number in range(100_000))
    found = await read(rows.encode(), "beitraege.csv")
    assert found.content_type == content_types.CSV
    assert "\n99999;Beitrag 99999;12,50" in found.pages[-1]
    assert not found.warnings


async def test_a_table_longer_than_what_is_read_says_so(read: Read) -> None:
    found = await read(b"a row with enough words to be long;1\n" * 400_000, "long.csv")
    assert [warning.code for warning in found.warnings] == ["text_cut_short"]


@pytest.mark.parametrize("case", cases_of("H"), ids=lambda case: case["file"])
async def test_the_shared_cases_of_encodings(case: dict[str, object], read: Read) -> None:
    assert await missing_from(case, read) == []
