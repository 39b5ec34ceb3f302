# /// script
# requires-python = ">=3.11"
# dependencies = ["reportlab", "python-docx", "openpyxl", "pillow", "python-pptx", "odfpy", "pikepdf"]
# ///
"""Makes `scripts/samples`, everyday papers of an invented household, one for each way a document is read, and `documents` beside this file,
the formats that the tests need besides.

Run `uv run tests/extraction/make_documents.py` (PEP 723) after changing a text; the documents are committed, so nobody else needs to.
With a FOLDER, it writes papers with words to be found there instead, for `python -m tests.benchmarks rightness`.
People, firms, addresses and account numbers are invented.
"""

# None of these libraries belongs to the project.
# mypy: ignore-errors

import datetime
import io
import json
import random
import sys
from email.message import EmailMessage
from pathlib import Path

import docx
import odf.dc
import odf.opendocument
import odf.table
import odf.text
import openpyxl
import openpyxl.comments
import pikepdf
import pptx
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

SAMPLES = Path(__file__).parents[2] / "scripts" / "samples"
DOCUMENTS = Path(__file__).parent / "documents"
DAY = datetime.datetime(2026, 3, 2, 9, 30, tzinfo=datetime.UTC)

RENTAL = [
    (
        "1 The apartment",
        "The landlord, Margaret Holloway, lets to the tenant, Daniel Okafor, the apartment on the second floor of 14 Linden "
        "Street, Ashford: three rooms, a kitchen, a bathroom and a balcony facing the garden, 78 square metres in all, with "
        "cellar room number 6. The apartment is let unfurnished. The fitted kitchen with stove, refrigerator and dishwasher "
        "belongs to the landlord.",
    ),
    (
        "2 Term of the contract",
        "The tenancy begins on 1 April 2026 and runs for an indefinite time. The tenant may end it with a notice period of "
        "three months to the end of a calendar month. Notice must be given in writing. The landlord may give notice only for "
        "the reasons that the law provides.",
    ),
    (
        "3 Rent and additional costs",
        "The monthly rent is 940 euros. Heating and water are paid in advance with 165 euros a month and settled once a year. "
        "Rent and advance payments are due on the third working day of each month and are paid to the landlord's account DE02 "
        "1203 0000 0000 2020 51.",
    ),
    (
        "4 Deposit",
        "The tenant pays a deposit of 2,820 euros, three monthly rents, in three equal instalments. The landlord keeps it apart "
        "from her own assets and returns it with interest within six months after the end of the tenancy, less what the tenant "
        "still owes.",
    ),
    (
        "5 Repairs and care of the apartment",
        "The landlord keeps the apartment in good repair. The tenant reports damage such as damp walls, a leaking tap or a "
        "broken window without delay. Minor repairs up to 100 euros each, and up to 300 euros a year, are borne by the tenant.",
    ),
    (
        "6 Pets and subletting",
        "Small animals may be kept. Dogs and cats need the landlord's consent, which she may refuse only for good reason. The "
        "tenant may take in a lodger with the landlord's written permission.",
    ),
    (
        "7 House rules",
        "Quiet hours are from ten in the evening to six in the morning. Bicycles are kept in the cellar. The stairwell is "
        "cleaned by the tenants in weekly turns; the plan hangs beside the letter boxes.",
    ),
    (
        "8 Handing over",
        "At the beginning and at the end of the tenancy both parties go through the apartment and record its condition and the "
        "readings of the meters for electricity, gas and water. The tenant receives four keys to the apartment, two to the "
        "front door and one to the letter box.",
    ),
]


def rental_contract() -> None:
    """A text PDF of three pages."""
    style = getSampleStyleSheet()
    story: list[Flowable] = [Paragraph("Rental contract for residential premises", style["Title"]), Spacer(1, 24)]
    for number, (heading, text) in enumerate(RENTAL):
        story += [Paragraph(heading, style["Heading2"]), Paragraph(text, style["BodyText"]), Spacer(1, 14)]
        if number in (3, 6):
            story.append(PageBreak())
    story += [Spacer(1, 60), Paragraph("Ashford, 2 March 2026", style["BodyText"]), Spacer(1, 40)]
    story.append(Table([["Margaret Holloway, landlord", "Daniel Okafor, tenant"]]))
    document = SimpleDocTemplate(str(SAMPLES / "rental-contract.pdf"), pagesize=A4, title="Rental contract 14 Linden Street", invariant=1)
    document.build(story)


def invoice() -> None:
    """A text PDF of two pages, with tables."""
    style = getSampleStyleSheet()
    rows = [["Position", "Quantity", "Unit price", "Amount"]]
    goods = [
        ("Inspection and adjustment of gears and brakes", 1, 49.00),
        ("Brake pads, front and rear", 2, 14.90),
        ("Chain, 11-speed", 1, 32.50),
        ("Tyre 28 inch, puncture-proof", 2, 38.00),
        ("Bottom bracket with fitting", 1, 57.00),
        ("LED headlight 80 lux", 1, 64.90),
    ]
    rows += [[name, str(count), f"{price:.2f} EUR", f"{count * price:.2f} EUR"] for name, count, price in goods]
    net = sum(count * price for _, count, price in goods)
    rows += [["Net amount", "", "", f"{net:.2f} EUR"], ["Value added tax 19 %", "", "", f"{net * 0.19:.2f} EUR"]]
    rows += [["Invoice total", "", "", f"{net * 1.19:.2f} EUR"]]
    story: list[Flowable] = [
        Paragraph("Spoke &amp; Saddle Bicycle Workshop", style["Title"]),
        Paragraph("8 Mill Lane, Ashford", style["BodyText"]),
        Spacer(1, 30),
        Paragraph("Invoice 2026-0417", style["Heading1"]),
        Paragraph("Customer: Daniel Okafor, 14 Linden Street, Ashford. Date of service: 20 April 2026.", style["BodyText"]),
        Spacer(1, 20),
        Table(rows),
        Spacer(1, 30),
        Paragraph("Please transfer the amount within 14 days, quoting the invoice number. Thank you for your order.", style["BodyText"]),
        PageBreak(),
        Paragraph("Warranty and terms of payment", style["Heading1"]),
        Paragraph(
            "We give a warranty of twelve months on the parts fitted and on our work. Wear of brake pads, chain and tyres is not covered. "
            "Goods remain our property until the invoice has been paid in full. For late payment we charge a reminder fee of five euros.",
            style["BodyText"],
        ),
    ]
    document = SimpleDocTemplate(str(SAMPLES / "bicycle-invoice.pdf"), pagesize=A4, title="Invoice 2026-0417", invariant=1)
    document.build(story)


def scanned_electricity_bill() -> None:
    """A PDF that is only a picture: slightly turned and noisy, as a scanner delivers it."""
    page = Image.new("L", (1240, 1754), 250)
    draw = ImageDraw.Draw(page)
    lines = [
        (46, "Northgate Power Company"), (26, "Customer service, 1 Harbour Road, Ashford"), (26, ""), (30, "Mr Daniel Okafor"),
        (30, "14 Linden Street, Ashford"), (30, ""), (38, "Electricity bill for the year 2025"), (30, ""),
        (28, "Contract account: 4471 0093 2208"), (28, "Meter number: 1EMH0008412276"), (28, "Meter reading on 1 January 2025: 18,204 kWh"),
        (28, "Meter reading on 31 December 2025: 20,619 kWh"), (28, "Consumption: 2,415 kilowatt hours"), (28, ""),
        (28, "Energy price: 2,415 kWh at 0.31 euros      748.65 euros"),
        (28, "Basic charge: 12 months at 9.90 euros      118.80 euros"),
        (28, "Advance payments received                  -828.00 euros"),
        (32, "Amount due                                  39.45 euros"), (28, ""),
        (28, "Please pay the amount due by 28 February 2026."), (28, "Your new monthly payment is 73 euros from March 2026."), (28, ""),
        (28, "A third of your electricity came from wind and sun."),
    ]  # fmt: skip
    y = 130
    for size, text in lines:
        draw.text((130, y), text, font=ImageFont.load_default(size), fill=25)
        y += size + 26
    page = page.rotate(0.6, fillcolor=250, resample=Image.Resampling.BICUBIC)
    speckles = random.Random(4)
    for _ in range(900):
        page.putpixel((speckles.randrange(1240), speckles.randrange(1754)), speckles.randrange(120, 220))
    scan = io.BytesIO()
    page.save(scan, "JPEG", quality=45, dpi=(150, 150))
    pdf = canvas.Canvas(str(SAMPLES / "electricity-bill-scan.pdf"), pagesize=A4, invariant=1)
    pdf.drawImage(ImageReader(scan), 0, 0, *A4)
    pdf.save()


def employer_letter() -> None:
    """A Word document, the sender in the page header."""
    letter = docx.Document()
    letter.core_properties.title = "Salary adjustment"
    letter.core_properties.author = "Brightwater Logistics"
    letter.core_properties.created = letter.core_properties.modified = DAY.replace(tzinfo=None)
    letter.sections[0].header.paragraphs[0].text = "Brightwater Logistics Ltd, Personnel Department, 90 Canal Quay, Ashford"
    letter.add_heading("Adjustment of your salary", 1)
    for text in (
        "Dear Mr Okafor,",
        "We are pleased to tell you that your gross monthly salary rises from 3,650 to 3,890 euros with effect from 1 May 2026. With this "
        "we acknowledge your part in the move of the warehouse and your work as a trainer of our apprentices.",
        "Your weekly working time remains 38 hours and your annual leave 29 days. All other terms of your employment contract of "
        "3 September 2021 stay as they are. Please sign the copy of this letter and return it to the personnel department.",
        "The new payslip will show the following items:",
    ):
        letter.add_paragraph(text)
    table = letter.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Item", "Amount a month"
    for item, amount in (("Base salary", "3,740 euros"), ("Trainer's allowance", "150 euros"), ("Travel subsidy", "49 euros")):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = item, amount
    letter.add_paragraph("Yours sincerely,\nPriya Raman\nHead of Personnel")
    letter.save(str(SAMPLES / "employer-letter.docx"))


def tax_expenses() -> None:
    """A workbook of two sheets."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Income tax 2025"
    sheet.append(["Date", "Deductible expense", "Category", "Amount in euros"])
    for row in (
        ("2025-01-14", "Tax adviser, return for 2024", "Advice", 240.00),
        ("2025-02-03", "Desk lamp for the home office", "Work equipment", 59.90),
        ("2025-03-22", "Train ticket to a training course", "Travel expenses", 84.20),
        ("2025-05-09", "Trade union membership fee", "Fees", 156.00),
        ("2025-06-30", "Donation to the river rescue service", "Donations", 120.00),
        ("2025-09-12", "Professional literature on logistics", "Work equipment", 43.50),
        ("2025-11-18", "Chimney sweep", "Household services", 71.40),
    ):
        sheet.append(row)
    sheet.append(["", "Total", "", "=SUM(D2:D8)"])
    commuting = book.create_sheet("Commuting")
    commuting.append(["Month", "Days at the office", "Distance in kilometres"])
    for month, days in (("January", 15), ("February", 14), ("March", 17)):
        commuting.append([month, days, 12])
    book.properties.created = book.properties.modified = DAY.replace(tzinfo=None)
    book.properties.title = "Deductible expenses for the tax return 2025"
    book.save(SAMPLES / "tax-expenses-2025.xlsx")


def hotel_booking() -> None:
    """An HTML page."""
    (SAMPLES / "hotel-booking.html").write_text(
        """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Your booking at Hotel Seeblick</title>
<style>body { font-family: sans-serif } td { padding: 4px 12px }</style></head>
<body>
<h1>Your booking is confirmed</h1>
<p>Dear Daniel Okafor, thank you for booking with us. We look forward to your stay by the lake.</p>
<table>
<tr><th>Booking number</th><td>HS-77120</td></tr>
<tr><th>Arrival</th><td>Friday, 10 July 2026, from 3 pm</td></tr>
<tr><th>Departure</th><td>Monday, 13 July 2026, until 11 am</td></tr>
<tr><th>Room</th><td>Double room with breakfast and lake view</td></tr>
<tr><th>Price</th><td>3 nights at &euro;128, &euro;384 in all</td></tr>
</table>
<p>Cancellation is free of charge until 3 July 2026. The journey by train takes two hours; we fetch you from the station on request.</p>
<script>console.log("not part of the text")</script>
</body>
</html>
""",
        encoding="utf-8",
    )


def insurance_mail() -> None:
    """An e-mail with an HTML alternative and an attachment."""
    mail = EmailMessage()
    mail["From"] = "Claims Department <claims@evergreen-insurance.example>"
    mail["To"] = "Daniel Okafor <daniel@okafor.example>"
    mail["Subject"] = "Your claim 88-2041: water damage in the kitchen"
    mail["Date"] = DAY
    mail["Message-ID"] = "<88-2041@evergreen-insurance.example>"
    text = (
        "Dear Mr Okafor,\n\nthank you for reporting the water damage of 21 February 2026 under your household contents insurance, policy "
        "HC-5530-118. We have recognised the claim. After deduction of the excess of 150 euros we pay 612 euros for the kitchen floor and "
        "the dishwasher to your account within five working days.\n\nPlease keep the receipts of the repair. The assessor's list is "
        "attached.\n\nYour Evergreen Insurance, Claims Department\n"
    )
    mail.set_content(text)
    mail.add_alternative("<p>" + text.replace("\n\n", "</p><p>") + "</p>", subtype="html")
    mail.add_attachment(
        "item;damage in euros\nkitchen floor, laminate;487\ndishwasher, water inlet;275\n", subtype="csv", filename="assessment.csv"
    )
    (SAMPLES / "insurance-claim.eml").write_bytes(_with_fixed_boundaries(mail))


def _with_fixed_boundaries(mail: EmailMessage) -> bytes:
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(f"sample-boundary-{number}")
    return mail.as_bytes()


def utility_costs_in_german() -> None:
    """Plain text in German, in the encoding of an older Windows program."""
    (SAMPLES / "nebenkostenabrechnung.txt").write_bytes(
        """Hausverwaltung Lindenhof
Nebenkostenabrechnung für das Jahr 2025

Sehr geehrter Herr Okafor,

für Ihre Wohnung im zweiten Obergeschoss übersenden wir Ihnen die Abrechnung der Heiz- und Betriebskosten.
Die Kosten wurden nach der Wohnfläche von 78 m² und nach Ihrem gemessenen Verbrauch verteilt.

Heizung und Warmwasser        1.012,40 €
Kaltwasser und Entwässerung     318,75 €
Müllabfuhr                      146,20 €
Hausreinigung und Beleuchtung   201,90 €
Grundsteuer und Versicherung    264,35 €
Summe                         1.943,60 €
Ihre Vorauszahlungen          1.980,00 €
Guthaben                         36,40 €

Das Guthaben wird mit der nächsten Miete verrechnet. Einwände gegen die Abrechnung können Sie innerhalb von zwölf
Monaten erheben. Die Belege können Sie nach Vereinbarung in unseren Geschäftsräumen einsehen.

Mit freundlichen Grüßen
Ihre Hausverwaltung
""".encode("cp1252")
    )


def corrupt_pdf() -> None:
    """Begins like a PDF and is none: a broken download. Meant to end `failed`."""
    noise = random.Random(13).randbytes(1500)
    (SAMPLES / "corrupt.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pag" + noise)


def slides() -> None:
    """Two slides, the first with speaker's notes."""
    deck = pptx.Presentation()
    for title, body in (
        ("Household budget 2026", "Rent, food, insurance, savings"),
        ("Savings plan", "Two hundred euros a month for the new kitchen"),
    ):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = title, body
    deck.slides[0].notes_slide.notes_text_frame.text = "Ask the bank about interest"
    deck.core_properties.title = "Budget"
    deck.save(str(DOCUMENTS / "budget.pptx"))


def open_documents() -> None:
    """An ODT letter in German and an ODS table."""
    letter = odf.opendocument.OpenDocumentText()
    letter.meta.addElement(odf.dc.Title(text="Kündigung"))
    letter.text.addElement(odf.text.H(outlinelevel=1, text="Kündigung meines Vertrags"))
    text = (
        "Sehr geehrte Damen und Herren, hiermit kündige ich den Vertrag für mein Fitnessstudio zum Ende des Monats. Bitte bestätigen "
        "Sie mir den Erhalt und die Beendigung des Vertrags schriftlich."
    )
    letter.text.addElement(odf.text.P(text=text))
    letter.save(DOCUMENTS / "cancellation.odt")
    readings = odf.opendocument.OpenDocumentSpreadsheet()
    table = odf.table.Table(name="Meter readings")
    for values in (("Date", "Electricity", "Gas"), ("2026-01-01", 20619, 8841), ("2026-02-01", 20830, 9012)):
        row = odf.table.TableRow()
        for value in values:
            kind = {"valuetype": "float", "value": value} if isinstance(value, int) else {"valuetype": "string"}
            cell = odf.table.TableCell(**kind)
            cell.addElement(odf.text.P(text=str(value)))
            row.addElement(cell)
        table.addElement(row)
    readings.spreadsheet.addElement(table)
    readings.save(DOCUMENTS / "meter-readings.ods")


def rich_text() -> None:
    """RTF with characters of Windows-1252."""
    (DOCUMENTS / "reminder.rtf").write_bytes(
        rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}}{\info{\title Payment reminder}}\f0\fs24 Dear Mr Okafor, "
        rb"the \b membership fee\b0  of 45 \'80 for the library caf\'e9 is still due. "
        rb"Please pay it by the end of the month.\par With kind regards\par}"
    )


def encrypted_pdfs() -> None:
    """One that needs a password to open, one that anybody may open (AES-256, ISO 32000-2)."""
    for name, user in (("encrypted.pdf", "secret"), ("owner-password.pdf", "")):
        with pikepdf.open(SAMPLES / "bicycle-invoice.pdf") as pdf:
            pdf.save(DOCUMENTS / name, encryption=pikepdf.Encryption(user=user, owner="owner", R=6))


def papers(folder: Path, each: int = 6) -> None:
    """`each` papers with every library into the folder, and `papers.json`: kind, file, the words to be found and those not to be."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for kind, extension, words_on_it, write in (
        ("B docx", ".docx", 8, _paper_of_python_docx),
        ("C odt", ".odt", 5, _paper_of_odfpy),
        ("D pptx", ".pptx", 6, _paper_of_python_pptx),
        ("E pdf", ".pdf", 4, _paper_of_reportlab),
        ("G xlsx", ".xlsx", 5, _paper_of_openpyxl),
    ):
        for number in range(each):
            chance = random.Random(f"{kind} {number}")
            words = [
                "".join(chance.choices("bdfgklmnprst", k=1) + chance.choices("aeiou", k=1)) * 2 + f"wort{n}x{number}"
                for n in range(words_on_it)
            ]
            name = f"{extension[1:]}-library-{number}{extension}"
            write(folder / name, words)
            made.append({"kind": kind, "file": name, "wanted": words, "unwanted": []})
    (folder / "papers.json").write_text(json.dumps(made, indent=1))


def _paper_of_python_docx(path: Path, words: list[str]) -> None:
    document = docx.Document()
    document.add_heading(words[0], 1)
    paragraph = document.add_paragraph(f"Im Schreiben steht\t{words[1]} und ")
    paragraph.add_run(words[2]).bold = True
    document.add_paragraph(words[3], style="List Bullet")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = words[4], words[5]
    document.sections[0].header.paragraphs[0].text = words[6]
    document.sections[0].footer.paragraphs[0].text = words[7]
    document.save(str(path))


def _paper_of_odfpy(path: Path, words: list[str]) -> None:
    letter = odf.opendocument.OpenDocumentText()
    letter.text.addElement(odf.text.H(outlinelevel=1, text=words[0]))
    paragraph = odf.text.P(text="Im Schreiben steht ")
    outer = odf.text.Span()
    outer.addElement(odf.text.Span(text=words[1]))
    paragraph.addElement(outer)
    paragraph.addElement(odf.text.Tab())
    paragraph.addElement(odf.text.A(href="https://example.org/", text=words[2]))
    letter.text.addElement(paragraph)
    note = odf.text.Note(noteclass="footnote", id="n1")
    note.addElement(odf.text.NoteCitation(text="1"))
    body = odf.text.NoteBody()
    body.addElement(odf.text.P(text=words[3]))
    note.addElement(body)
    with_note = odf.text.P(text="Siehe unten")
    with_note.addElement(note)
    letter.text.addElement(with_note)
    table = odf.table.Table(name="Tafel")
    row, cell = odf.table.TableRow(), odf.table.TableCell(valuetype="string")
    cell.addElement(odf.text.P(text=words[4]))
    row.addElement(cell)
    table.addElement(row)
    letter.text.addElement(table)
    letter.save(path)


def _paper_of_python_pptx(path: Path, words: list[str]) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = words[0], words[1]
    slide.notes_slide.notes_text_frame.text = words[2]
    table = slide.shapes.add_table(1, 2, 0, 0, 4_000_000, 400_000).table
    table.cell(0, 0).text, table.cell(0, 1).text = words[3], words[4]
    slide.shapes.add_textbox(0, 0, 2_000_000, 400_000).text_frame.text = words[5]
    deck.save(str(path))


def _paper_of_reportlab(path: Path, words: list[str]) -> None:
    page = canvas.Canvas(str(path), pagesize=A4, invariant=1)
    page.drawString(80, 780, f"Im Schreiben steht {words[0]} und mehr")
    page.saveState()
    page.translate(60, 300)
    page.rotate(90)
    page.drawString(0, 0, f"Am Rand steht {words[1]}")
    page.restoreState()
    page.acroForm.textfield(name="feld", value=words[2], x=80, y=600, width=200, height=20)
    page.textAnnotation(words[3], (300, 600, 400, 640))
    page.showPage()
    page.save()


def _paper_of_openpyxl(path: Path, words: list[str]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet["A1"], sheet["B1"] = words[0], 1234.5
    sheet["A2"] = words[1]
    sheet["A2"].comment = openpyxl.comments.Comment(words[2], "Anna")
    sheet.oddHeader.center.text = words[3]
    book.create_sheet("Zwei")["C3"] = words[4]
    book.save(path)


if __name__ == "__main__" and len(sys.argv) > 1:
    papers(Path(sys.argv[1]))
elif __name__ == "__main__":
    rental_contract()
    invoice()
    scanned_electricity_bill()
    employer_letter()
    tax_expenses()
    hotel_booking()
    insurance_mail()
    utility_costs_in_german()
    corrupt_pdf()
    slides()
    open_documents()
    rich_text()
    encrypted_pdfs()
