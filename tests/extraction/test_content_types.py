# ruff: noqa: E501 (tables)
"""The content type comes from the bytes; detection and decoding never raise, whatever they are given."""

import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.extraction import cleaning, content_types, language
from shared.extraction.content_types import BINARY, ENCRYPTED_OFFICE, OLE, SUPPORTED, detect
from shared.extraction.formats import html, plain
from tests.extraction.made_documents import docx, paragraph, zipped

SIGNATURES = [
    b"%PDF-", b"PK\x03\x04", b"PK\x05\x06", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"GIF89a", b"RIFF....WEBP", b"{\\rtf", b"From: a\r\n",
    b"<!doctype html>", b"\xff\xfe", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"",
]  # fmt: skip


@settings(deadline=None)  # the first one imports
@given(st.sampled_from(SIGNATURES), st.binary(max_size=4000), st.text(max_size=300))
def test_detection_never_raises(start: bytes, rest: bytes, filename: str) -> None:
    assert detect(io.BytesIO(start + rest), filename) in SUPPORTED | {ENCRYPTED_OFFICE, OLE, BINARY}


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 3000), st.binary(max_size=20))
def test_detection_survives_any_damage_to_an_archive(junk: bytes, at: int, patch: bytes) -> None:
    archive = bytearray(docx(paragraph("x")) + junk)
    archive[at : at + len(patch)] = patch
    assert detect(io.BytesIO(bytes(archive)), "a.docx") in SUPPORTED | {ENCRYPTED_OFFICE, OLE, BINARY}


@settings(deadline=None)
@given(st.binary(max_size=3000), st.sampled_from([None, "utf-8", "hex", "zip", "undefined", "idna", "utf-7", "no such", "\0", "cp037"]))
def test_decoding_never_raises_and_can_be_stored(data: bytes, declared: str | None) -> None:
    text = cleaning.clean(plain.decode(data, declared))
    assert "\0" not in text
    assert text.encode() is not None


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=2000), st.text(max_size=2000)))
def test_any_html_has_a_text(page: bytes | str) -> None:
    text, title = html.to_text(page)
    assert isinstance(text, str)
    assert title is None or isinstance(title, str)


@settings(deadline=None)
@given(st.text(st.sampled_from("e\u0301\0\u200b\u00ad\ud800 \r\n\ufb01a"), max_size=30) | st.text(max_size=500))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = cleaning.clean(text)
    assert cleaning.is_clean(once)
    assert cleaning.clean(once) == once
    json.dumps(once).encode()
    assert not any(character in once for character in "\0\r\ud800\x1b")


@settings(deadline=None)
@given(st.text())
def test_a_language_is_a_code_or_none(text: str) -> None:
    found = language.detect(text)
    assert found is None or (len(found) == 2 and found.islower())


LETTERS = {
    "en": "Dear Mr Okafor, please find attached the statement for your account. The amount is due by the end of the month.",
    "de": "Sehr geehrte Frau Müller, anbei erhalten Sie die Abrechnung für das Jahr. Bitte überweisen Sie den Betrag bis zum Ende des Monats.",
    "fr": "Madame, Monsieur, veuillez trouver ci-joint la facture de votre abonnement. Le montant est à régler avant la fin du mois.",
    "es": "Estimado señor, le enviamos la factura de su contrato. El importe se debe pagar antes de que termine el mes en la cuenta indicada.",
    "it": "Gentile cliente, Le inviamo la fattura del mese. L'importo della bolletta è da pagare entro la fine del mese sul conto indicato.",
    "pt": "Prezado cliente, segue em anexo a fatura do seu contrato. O valor deve ser pago até ao fim do mês na conta indicada.",
    "nl": "Geachte heer, hierbij ontvangt u de factuur van uw abonnement. Wij verzoeken u het bedrag voor het einde van de maand te betalen.",
    "sv": "Hej, här kommer fakturan för ditt abonnemang. Beloppet ska betalas före slutet av månaden och du kan också betala det på nätet.",
    "da": "Kære kunde, her er regningen for dit abonnement. Beløbet skal betales inden udgangen af måneden, og det kan også gøres på nettet af jer.",
    "no": "Kjære kunde, her er regningen for abonnementet. Beløpet skal betales innen utgangen av måneden, og det kan også gjøres på nettet av deg.",
    "fi": "Hyvä asiakas, tässä on lasku. Se on maksettava ennen kuun loppua, mutta voit myös maksaa sen verkossa, jos haluat.",
    "pl": "Szanowny Panie, w załączeniu przesyłamy fakturę. Prosimy o zapłatę do końca miesiąca na konto, które jest podane na fakturze.",
    "cs": "Vážený pane, v příloze posíláme fakturu. Částku je třeba zaplatit do konce měsíce na účet, který je uveden na faktuře, nebo se ozvěte.",
    "hu": "Tisztelt Ügyfelünk! Mellékelten küldjük a számlát, és kérjük, hogy az összeget a hónap végéig fizesse be, mert ez még nem történt meg.",
    "tr": "Sayın müşterimiz, bu ayın faturası ektedir. Lütfen tutarı ay sonuna kadar ödeyin ve bir sorun olursa bizi arayın, çok teşekkürler.",
    "ro": "Stimate client, vă trimitem factura pentru această lună. Suma este de plată până la sfârșitul lunii și nu mai târziu, în contul dat.",
    "ru": "Уважаемый клиент, направляем вам счёт. Просим оплатить его до конца месяца.",
    "uk": "Шановний клієнте, надсилаємо вам рахунок. Просимо сплатити його до кінця місяця, і дякуємо.",
    "bg": "Уважаеми клиенти, изпращаме ви фактура за месеца. Сумата трябва да се плати до края на месеца.",
    "el": "Αγαπητέ πελάτη, σας στέλνουμε τον λογαριασμό του μήνα.",
    "ja": "お客様各位、今月の請求書をお送りします。お支払い期限は月末です。",
    "zh": "尊敬的客户,请在月底之前支付账单。谢谢您的合作。",
    "ko": "고객님께, 이번 달 청구서를 보내드립니다. 월말까지 납부해 주십시오.",
    "ar": "عزيزي العميل، نرسل إليك فاتورة هذا الشهر. يرجى الدفع قبل نهاية الشهر.",
    "he": "לקוח יקר, מצורפת החשבונית לחודש זה. נא לשלם עד סוף החודש.",
}  # fmt: skip


@pytest.mark.parametrize("code", LETTERS)
def test_the_language_of_a_short_letter_is_known(code: str) -> None:
    assert language.detect(LETTERS[code]) == code


def test_too_little_text_has_no_language() -> None:
    assert [language.detect(text) for text in ("", "12.50 EUR", "IMG_2041", "Okafor, Daniel")] == [None] * 4


@pytest.mark.parametrize(
    ("code", "encoding"),
    [
        ("de", "utf-8"), ("de", "utf-8-sig"), ("de", "utf-16"), ("de", "utf-16-le"), ("de", "utf-16-be"), ("de", "utf-32"), ("de", "cp1252"),
        ("fr", "iso8859-1"), ("fr", "cp1252"), ("es", "cp1252"), ("pl", "cp1250"), ("cs", "cp1250"), ("ru", "cp1251"), ("ru", "koi8-r"),
        ("ru", "cp866"), ("el", "cp1253"), ("tr", "cp1254"), ("ja", "shift_jis"), ("ja", "euc-jp"), ("zh", "gb18030"), ("ko", "euc-kr"),
    ],
)  # fmt: skip
def test_text_in_any_encoding_is_read(code: str, encoding: str) -> None:
    assert plain.decode(LETTERS[code].encode(encoding)) == LETTERS[code]


@pytest.mark.parametrize("text", ["Grüße", "Café Olé", "Müller & Söhne, Köln, 12,50 €"])
def test_a_few_western_letters_are_read_as_such(text: str) -> None:
    assert plain.decode(text.encode("cp1252")) == text


def test_utf8_with_a_broken_byte_stays_utf8() -> None:
    data = (LETTERS["de"] * 3).encode()
    assert plain.decode(data[:-40] + b"\xff" + data[-40:]).count("ü") == 9


def test_every_extension_leads_to_a_kind_we_read() -> None:
    assert set(content_types.EXTENSIONS.values()) == SUPPORTED == set(content_types.NAMES)
    assert all(extension.startswith(".") and extension.islower() for extension in content_types.EXTENSIONS)


@pytest.mark.parametrize(
    ("content", "filename", "kind"),
    [
        (b"junk before\n%PDF-1.4", "a", content_types.PDF),
        (b"\xef\xbb\xbf <!-- hi --><HTML lang=en>", "a.txt", content_types.HTML),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">', "a", content_types.HTML),
        (b"Received: from x\r\n by y\r\nSubject: z\r\n\r\nhello", "a.txt", content_types.EML),
        (b"From a@b Mon Jan 1\nFrom: a@b\nTo: c@d\n\nhello", "mbox", content_types.EML),
        (b"Subject: agenda\n\nhello", "a.eml", content_types.EML),
        (b"Subject: agenda\nTo: do\n\nhello", "notes.txt", content_types.TEXT),
        (b"Date: today\nFrom: here to there we walked\nand then rested\n", "diary.txt", content_types.TEXT),
        ("Привет".encode("utf-16"), "a.txt", content_types.TEXT),
        (b"text in a file named like a picture", "a.png", content_types.TEXT),
        (b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff" + bytes(100), "setup.txt", BINARY),
        (b"P5\n1000 500\n255\n" + b"\xff" * 500, "scan.txt", BINARY),
        (b"P6 2024 12 Stunden\nP5 2024 8 Stunden\n", "stunden.txt", content_types.TEXT),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "a.txt", BINARY),
        (zipped({"mimetype": b"application/vnd.oasis.opendocument.text-template"}), "a", content_types.ODT),
        (zipped({"mimetype": b"application/epub+zip"}), "a", content_types.EPUB),
        (zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "a.docx", content_types.XLSX),
    ],
)  # fmt: skip
def test_the_kind_of(content: bytes, filename: str, kind: str) -> None:
    assert detect(io.BytesIO(content), filename) == kind


def test_random_bytes_are_no_document() -> None:
    assert detect(io.BytesIO(os.urandom(5000)), "a.txt") == BINARY


def test_importing_the_package_is_cheap() -> None:
    import subprocess
    import sys

    code = "import sys, shared.extraction; print([m for m in ('asyncio', 'kreuzberg', 'PIL', 'pydantic', 'zipfile') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True).stdout
    assert "kreuzberg" not in out
    assert "PIL" not in out
    assert "asyncio" not in out
