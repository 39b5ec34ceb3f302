"""Who a paper comes from: letterhead, window line, signature, foot; and who it goes to."""

import pytest

from shared.extraction import letter_senders

LETTERS: list[tuple[str, str, str | None]] = [
    ("window line", "Stadtwerke Köln GmbH · Parkgürtel 24 · 50823 Köln\n\nFrau\nAnna Beispiel\nBachweg 3\n50667 Köln\n\n"
     "Köln, 3. Mai 2024", "Stadtwerke Köln GmbH"),
    ("window line with bars", "Max Muster | Hauptstr. 1 | 10115 Berlin\n\nFinanzamt Mitte\nNeue Jakobstr. 6\n10179 Berlin\n\n"
     "Sehr geehrte Damen", "Max Muster"),
    ("letterhead", "NORTHWIND WEB STUDIO LTD\n12 Mill Lane, Leeds LS1 4AP\n\nInvoice to: Jane Roe", "NORTHWIND WEB STUDIO LTD"),
    ("office", "Finanzamt Freiburg-Stadt\nSteuernummer 06/123\n\nHerrn\nJonas Weber\n79098 Freiburg\n\n"
     "Bescheid", "Finanzamt Freiburg-Stadt"),
    ("addressee is none", "Herrn\nKarl Klein\nKlein GmbH\nHauptstr. 1\n10115 Berlin\n\nGuten Tag,\nanbei die Unterlagen.\n\n"
     "Mit freundlichen Grüßen\nEva Groß", "Eva Groß"),
    ("signed for a firm", "Dear Jane,\nthank you for your call.\n\nKind regards,\n\nTom Hill\nHill & Sons Ltd", "Hill & Sons Ltd"),
    ("American", "Acme Corporation\n1 Main Street\nAustin, TX 78701\n\nMay 3, 2024", "Acme Corporation"),
    ("French", "Mairie de Lyon\n1 place de la Comédie\n69001 Lyon\n\nMadame Dupont", "Mairie de Lyon"),
    ("Spanish", "Endesa Energía, S.A.U.\nC/ Ribera del Loira 60\n28042 Madrid\n\nFactura", "Endesa Energía, S.A.U."),
    ("a first line with its address", "Harbour Mutual\n12 Quay Street\nBristol BS1 4ST\n\n3 May 2024\n\nDear Mr Roe,", "Harbour Mutual"),
    ("a doctor", "Ordonnance\nDocteur Paul Martin\nLe 22 mai 2024\nMme Claire Petit", "Docteur Paul Martin"),
    ("a labelled one", "Lohnsteuerbescheinigung für 2023\nArbeitgeber: Krause Bau AG\nDatum: 31.01.2024", "Krause Bau AG"),
    ("foot", "Ihre Rechnung\nPos 1  Schrauben  12,00\nSumme 12,00\n\n"
     "Eisen Huber KG, Werkstr. 2, 80331 München, HRB 1234", "Eisen Huber KG"),
    ("the paper's heading is none", "Versicherungsschein zur Haftpflichtversicherung\nVersicherungsnummer: 12\nBeitrag 60,00", None),
    ("a table's lines are none", "Transactions\n03/04 Grocer Ltd card payment 12.00\n04/04 Bank fee 3.10", None),
    ("a recipe has none", "Omas Apfelkuchen\n3 Äpfel\n200 g Mehl", None),
    ("nothing", "", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "wanted"), LETTERS, ids=[letter[0] for letter in LETTERS])
def test_the_sender_is_found_and_nobody_else(name: str, text: str, wanted: str | None) -> None:
    found = [one for one in letter_senders.names([text]) if one.weight >= letter_senders.LIKELY]
    assert (found[0].text if found else None) == wanted, found


def test_names_that_are_not_likely_are_given_for_whoever_knows_them() -> None:
    assert "Telenova Deutschland" in [
        name.text for name in letter_senders.names(["Telenova Deutschland    Ihre Mobilfunkrechnung\nSumme 12,00"])
    ]


def test_a_text_made_to_be_slow_is_not() -> None:
    for text in ("· " * 100_000, "Ltd " * 100_000, "a" * 1_000_000, "A. " * 100_000, "Mit freundlichen Grüßen\n" * 50_000, "\t" * 100_000):
        letter_senders.names([text])
