"""The date on a paper, among all the others that it speaks of; in many languages."""

from datetime import date

import pytest

from shared.extraction import letter_dates, written_dates

TODAY = date(2026, 11, 26)

WRITTEN = [
    ("3. Mai 2024", "de"), ("03.05.2024", "de"), ("3.5.24", "de"), ("3. 5. 2024", "cs"), ("03/05/2024", "fr"),
    ("3 May 2024", "en"),
    ("May 3, 2024", "en"), ("May 3rd, 2024", "en"), ("3rd of May 2024", "en"), ("3-May-2024", "en"), ("2024-05-03", "en"),
    ("2024/05/03", "ja"),
    ("1er mai 2024", "fr"), ("3 mai 2024", "fr"), ("3 de mayo de 2024", "es"), ("3 de maio de 2024", "pt"), ("3 maggio 2024", "it"),
    ("3 mei 2024", "nl"), ("3 maja 2024", "pl"), ("3. května 2024", "cs"), ("3. mája 2024", "sk"), ("3 maj 2024", "sv"),
    ("3. mai 2024", "no"),
    ("3. toukokuuta 2024", "fi"), ("2024. május 3.", "hu"), ("3 mai 2024", "ro"), ("3 Mayıs 2024", "tr"), ("3 мая 2024 г.", "ru"),
    ("3 травня 2024 р.", "uk"), ("3 май 2024", "bg"), ("3 Μαΐου 2024", "el"), ("3. svibnja 2024.", "hr"), ("3. maja 2024", "sl"),
    ("2024 m. gegužės 3 d.", "lt"), ("2024年5月3日", "ja"), ("令和6年5月3日", "ja"), ("2024년 5월 3일", "ko"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "language"), WRITTEN, ids=[f"{language}-{text}" for text, language in WRITTEN])
def test_a_date_is_read_however_it_is_written(text: str, language: str) -> None:
    wanted = date(2024, 5, 1) if text.startswith("1er") else date(2024, 5, 3)
    assert [found.on for found in written_dates.find(f"({text})", language)] == [wanted]


@pytest.mark.parametrize(
    "text", ["31.02.2024", "13/13/2024", "0211/123456", "10.0.2024.1", "v1.2.2024.5", "12 Monkeys 2024", "2024", "3. Mai"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert written_dates.find(text, "de") == []


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("03/05/2024", "de", date(2024, 5, 3)),
        ("03/05/2024 and 03/25/2024", "en", date(2024, 3, 5)),
        ("03/05/2024 and 25/03/2024", "en", date(2024, 5, 3)),
        ("Austin, TX 78701, 03/05/2024, (512) 555-0100", "en", date(2024, 3, 5)),
        ("London SW1A 1AA, 03/05/2024, total £12.00 incl. VAT", "en", date(2024, 5, 3)),
        ("10. listopada 2024.", "hr", date(2024, 10, 10)),
        ("10 listopada 2024", "pl", date(2024, 11, 10)),
        ("03.05.2024 and 03/25/2024", "en", date(2024, 5, 3)),
    ],
)
def test_which_number_is_the_day_is_told_by_the_document_or_its_language(text: str, language: str, wanted: date) -> None:
    assert written_dates.find(text, language)[0].on == wanted


LETTERS: list[tuple[str, str, str, str | None]] = [
    ("a label of two words", "de", "Rechnung\nBestelldatum 01.02.2024\nRechnungsdatum/Lieferdatum 02.02.2024", "2024-02-02"),
    ("an invitation is for another day", "de", "Einladung zur Hochzeit am 24.08.2024 um 14 Uhr", None),
    ("minutes are written after the meeting", "de", "Protokoll der Mitgliederversammlung am 12.04.2024\nBeginn 19:00\n\n"
     "Eichenau, 20.04.2024\nSchriftführerin", "2024-04-20"),
    ("town and date", "de", "Stadtwerke Köln · Parkgürtel 24 · 50823 Köln\n\nFrau\nAnna Beispiel\n\nKöln, den 3. Mai 2024\n\n"
     "Sehr geehrte Frau Beispiel,\n"
     "wir danken für Ihr Schreiben vom 12.04.2024. Bitte zahlen Sie bis zum 31.05.2024.", "2024-05-03"),
    ("label before a column", "de", "Rechnungsdatum: 03.05.2024\nLieferdatum: 01.05.2024\nFällig am: 17.05.2024", "2024-05-03"),
    ("label in a row of heads", "de", "Rechnungsnummer   Kundennummer   Rechnungsdatum\n4711   0815   03.05.2024\n\n"
     "Summe 12,00 EUR", "2024-05-03"),
    ("label above", "en", "Invoice date\n3 May 2024\nDue date\n17 May 2024", "2024-05-03"),
    ("due date alone is none", "en", "Acme Ltd\nDue date\n17 May 2024\nTotal 12.00", None),
    ("birthday is none", "de", "Patient: Hanna Ritter, geb. 12.04.1987\nDiagnose: Gonarthrose", None),
    ("born alone on a line", "en", "Name: Jane Roe\nDate of birth\n4 July 1980\nWe confirm your cover.", None),
    ("a period is none", "de", "Abrechnungszeitraum 01.01.2024 - 31.12.2024\nVerbrauch 1200 kWh", None),
    ("a period in words", "en", "Statement period: from 1 April 2024 to 30 April 2024\nBalance 20.00", None),
    ("a table is none", "en", "Transactions\n03/04/2024 Grocer 12.00\n04/04/2024 Baker 3.10\n05/04/2024 Tram 2.40", None),
    ("a table beside the date", "de", "Kontoauszug vom 31.03.2024\nBuchungstag Text Betrag\n01.03.2024 Miete 700,00\n"
     "02.03.2024 Strom 40,00", "2024-03-31"),
    ("alone on its line", "en", "Harbour Mutual\n12 Quay Street\n\n3 May 2024\n\nDear Mr Roe,\n"
     "your claim of 11 January 2024 was received.", "2024-05-03"),
    ("weekday", "de", "Freitag, 3. Mai 2024\n\nLiebe Oma,\nam 12. April 2024 waren wir im Zoo.", "2024-05-03"),
    ("American", "en", "Acme Inc.\n1 Main St\nAustin, TX 78701\n\nMay 3, 2024\n\nDear Ms. Doe:\n"
     "Payment is due by June 1, 2024.", "2024-05-03"),
    ("American numbers", "en", "Acme Inc.\nAustin, TX 78701\nInvoice Date: 05/03/2024\nDue Date: 06/01/2024\nTotal: $12.00", "2024-05-03"),
    ("British numbers", "en", "Acme Ltd\nLeeds LS1 4AP\nInvoice date: 03/05/2024\nPayment due: 17/05/2024\nVAT 20% £2.00", "2024-05-03"),
    ("French", "fr", "EDF\nParis, le 3 mai 2024\n\nMadame, Monsieur,\n"
     "votre courrier du 12 avril 2024 nous est bien parvenu.", "2024-05-03"),
    ("French bill", "fr", "Facture n° 12\nDate de facture : 03/05/2024\nDate d'échéance : 03/06/2024", "2024-05-03"),
    ("Spanish", "es", "Madrid, a 3 de mayo de 2024\n\nEstimado cliente:\nSu contrato vence el 1 de julio de 2024.", "2024-05-03"),
    ("Italian", "it", "Milano, 3 maggio 2024\n\nGentile cliente,\nla scadenza è il 1 giugno 2024.", "2024-05-03"),
    ("Portuguese", "pt", "Data de emissão: 03/05/2024\nVencimento: 20/05/2024\nTotal 12,00", "2024-05-03"),
    ("Dutch", "nl", "Factuurdatum 03-05-2024\nVervaldatum 17-05-2024", "2024-05-03"),
    ("Polish", "pl", "Warszawa, dnia 3 maja 2024 r.\n\nSzanowny Panie,\ntermin płatności: 17 maja 2024", "2024-05-03"),
    ("Czech", "cs", "Datum vystavení: 3. 5. 2024\nDatum splatnosti: 17. 5. 2024", "2024-05-03"),
    ("Swedish", "sv", "Fakturadatum 2024-05-03\nFörfallodag 2024-06-02", "2024-05-03"),
    ("Turkish", "tr", "Fatura Tarihi: 03.05.2024\nSon Ödeme Tarihi: 17.05.2024", "2024-05-03"),
    ("Russian", "ru", "Счет № 12 от 3 мая 2024 г.\nОплатить до 17 мая 2024 г.", "2024-05-03"),
    ("Japanese", "ja", "請求書\n発行日 2024年5月3日\nお支払期限 2024年5月31日", "2024-05-03"),
    ("a till", "de", "Bäckerei Mayer\n3 Brötchen 1,35\nSumme 1,35\n03.05.2024 08:12", "2024-05-03"),
    ("heading", "en", "Invoice 1187 of 3 May 2024\nfor the repair of a tap", "2024-05-03"),
    ("answered letter alone is none", "de", "Sehr geehrte Damen und Herren,\nIhr Schreiben vom 12.04.2024 haben wir erhalten.", None),
    ("an appointment alone is none", "en", "Dear Jane,\nyour appointment is on 3 May 2024 at 10:00 in room 4.", None),
    ("edition is none", "de", "Merkblatt 12\nStand: 01.03.2020\nHinweise zum Antrag", None),
    ("nothing in the future", "de", "Berlin, 3. Mai 2031\n\nLiebe Zukunft,", None),
    ("signed at the end", "de", "Mietvertrag\n§ 1 Der Mieter mietet eine Wohnung.\n" + "Es gilt das Übliche. \n" * 400 + "\n"
     "Berlin, 3. Mai 2024\nUnterschrift", "2024-05-03"),
    ("no date at all", "en", "Omelette\nThree eggs, a spoon of milk, salt.", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "language", "text", "wanted"), LETTERS, ids=[letter[0] for letter in LETTERS])
def test_the_letters_own_date_is_found_and_no_other(name: str, language: str, text: str, wanted: str | None) -> None:
    found = letter_dates.find([text], language, today=TODAY)
    assert (None if found is None else found.on.isoformat()) == wanted, found


def test_the_place_is_told() -> None:
    found = letter_dates.find(["", "Paris, le 3 mai 2024\n\nMadame,"], "fr", today=TODAY)
    assert found == letter_dates.LetterDate(date(2024, 5, 3), 2, "Paris, le 3 mai 2024")


def test_a_text_made_to_be_slow_is_not() -> None:
    for text in ("1.1." * 100_000, "3 Mai " * 50_000, "1/1/1 " * 50_000, "a" * 1_000_000, "\n" * 100_000, "3. " + "x" * 100_000):
        assert letter_dates.find([text[:1_000_000]], None, today=TODAY) is None
