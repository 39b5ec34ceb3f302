"""Household papers with the topics they belong under, written for these tests.

`labels` are the topics a careful person would file the paper under; `also` those that would be no mistake either. The first set was at hand
while the local provider's numbers were chosen; the second was written before and kept aside, and is what the tests hold it to.
"""

from dataclasses import dataclass

TOPICS_ENGLISH = {
    "invoices": "Invoices",
    "insurance": "Insurance",
    "housing": "Housing",
    "taxes": "Taxes",
    "work": "Work",
    "health": "Health",
    "bank": "Banking",
    "travel": "Travel",
    "education": "School",
    "vehicles": "Car",
}
TOPICS_GERMAN = {
    "invoices": "Rechnungen",
    "insurance": "Versicherungen",
    "housing": "Wohnung & Miete",
    "taxes": "Steuern",
    "work": "Arbeit",
    "health": "Gesundheit",
    "bank": "Bank",
    "travel": "Reisen",
    "education": "Schule",
    "vehicles": "Auto",
}


@dataclass(frozen=True)
class Paper:
    filename: str
    text: str
    labels: frozenset[str]
    also: frozenset[str]
    language: str


def _paper(filename: str, language: str, labels: str, also: str, text: str) -> Paper:
    return Paper(filename, text.strip(), frozenset(labels.split()), frozenset(also.split()), language)


AT_HAND = (
    _paper(
        "scan_0012.pdf",
        "de",
        "invoices",
        "housing",
        """
Elektro Brandl GmbH · Hauptstraße 14 · 84028 Landshut

Frau Miriam Vogt
Lerchenweg 3
84034 Landshut

Rechnung Nr. 2024-1187                                   Landshut, 14.03.2024

Sehr geehrte Frau Vogt,
für die Arbeiten in Ihrer Küche berechnen wir wie vereinbart:

Pos.  Bezeichnung                   Menge   Einzelpreis   Gesamt
1     Herdanschlussdose montiert      1        48,00       48,00
2     Arbeitsstunde Geselle           3        62,00      186,00

Nettobetrag 234,00 EUR
19 % MwSt. 44,46 EUR
Gesamtbetrag 278,46 EUR

Bitte überweisen Sie den Betrag innerhalb von 14 Tagen ohne Abzug auf unser Konto
IBAN DE02 1203 0000 0000 2020 51. Vielen Dank für Ihren Auftrag.
""",
    ),
    _paper(
        "northwind-4471.pdf",
        "en",
        "invoices",
        "",
        """
NORTHWIND WEB STUDIO LTD
INVOICE

Invoice number: NW-4471            Invoice date: 2 May 2024
Bill to: Harcourt Bakery, 9 Mill Lane, Leeds

Description                         Qty    Unit price    Amount
Website maintenance, April           1       180.00      180.00
Additional photo gallery             2        45.00       90.00

Subtotal  270.00
VAT 20%    54.00
Amount due 324.00 GBP

Payment terms: 30 days. Please quote the invoice number with your payment.
""",
    ),
    _paper(
        "police.pdf",
        "de",
        "insurance",
        "contracts",
        """
Bergland Versicherung AG
Versicherungsschein zur Privathaftpflichtversicherung

Versicherungsnummer: PH 77.120.334-8
Versicherungsnehmer: Jonas Albrecht, Am Anger 7, 99084 Erfurt
Versicherungsbeginn: 01.07.2023, 12 Uhr        Ablauf: 01.07.2024

Deckungssumme: 10 Mio. EUR pauschal für Personen-, Sach- und Vermögensschäden.
Selbstbeteiligung: 150 EUR je Schadenfall.
Der Jahresbeitrag einschließlich Versicherungsteuer beträgt 68,90 EUR.

Der Vertrag verlängert sich um ein Jahr, wenn er nicht drei Monate vor Ablauf gekündigt wird.
""",
    ),
    _paper(
        "claim-letter.docx",
        "en",
        "insurance",
        "housing",
        """
Harbour Mutual
Claims department

Dear Mr Osei,

Claim number HM-2291-B: water damage on 11 January

Thank you for sending us the plumber's report. Your home contents policy covers sudden escape of water, and we accept your claim.
After the deductible of 200 we will pay 1,340 to the account you named. If you disagree with this decision, your policy document
tells you on page 14 how to complain. Your premium for the next insurance year will not change because of this claim.

Yours sincerely
A. Lindqvist, senior claims adjuster
""",
    ),
    _paper(
        "Mietvertrag_unterschrieben.pdf",
        "de",
        "housing",
        "",
        """
Mietvertrag über Wohnraum

zwischen Herrn Karl Thoma, Regensburg (Vermieter)
und Frau Aylin Demir, zurzeit Straubing (Mieterin)

§ 1 Mietsache
Vermietet wird die Wohnung im 2. Obergeschoss, Gartenstraße 22, bestehend aus 3 Zimmern, Küche, Bad und Kellerabteil. Die Wohnfläche
beträgt 74 Quadratmeter.
§ 3 Miete
Die Kaltmiete beträgt monatlich 720 EUR. Daneben wird eine Vorauszahlung auf die Betriebskosten von 190 EUR erhoben.
§ 4 Kaution
Die Mieterin leistet eine Mietsicherheit von drei Monatsmieten.
§ 9 Die Kündigungsfrist richtet sich nach dem Gesetz.
""",
    ),
    _paper(
        "bescheid2022.pdf",
        "de",
        "taxes",
        "",
        """
Finanzamt Freiburg-Stadt
Bescheid für 2022 über Einkommensteuer und Solidaritätszuschlag

Steuernummer 06123/45678              Identifikationsnummer 12 345 678 901

Festsetzung
Die Einkommensteuer wird festgesetzt auf 6.214 EUR. Ab Steuerabzug vom Lohn 6.890 EUR.
Mithin sind zu viel entrichtet 676 EUR.
Das Guthaben wird auf das Konto bei der Sparkasse erstattet.

Besteuerungsgrundlagen: Einkünfte aus nichtselbständiger Arbeit, Bruttoarbeitslohn 48.200, ab Werbungskosten 1.870.
Sie können gegen diesen Bescheid innerhalb eines Monats Einspruch einlegen.
""",
    ),
    _paper(
        "contract_signed_final.pdf",
        "en",
        "work",
        "",
        """
EMPLOYMENT AGREEMENT

This agreement is made between Fernway Logistics Inc. ("the Employer") and Dana Whitfield ("the Employee").

1. Position. The Employee starts on 1 September as Warehouse Planner and reports to the site manager.
2. Probationary period. The first six months are a probationary period.
3. Salary. The gross annual salary is 41,500, paid in twelve equal instalments at the end of each month.
4. Working hours. 38 hours a week, Monday to Friday. Overtime is compensated by time off.
5. Annual leave. 25 days in each calendar year.
6. The Employee joins the company's group health insurance after the probationary period.
""",
    ),
    _paper(
        "Abrechnung 03-2024.pdf",
        "de",
        "work",
        "taxes",
        """
Entgeltabrechnung März 2024
Kessler Maschinenbau GmbH & Co. KG        Personalnummer 00412
Herrn Tobias Renner      Eintritt 01.10.2019      Steuerklasse 1      Krankenkasse AOK

Lohnart                    Betrag
Gehalt                    3.650,00
Überstunden 6,5 h           158,20
Gesamtbrutto              3.808,20
Lohnsteuer                 -512,33
Krankenversicherung        -308,46
Rentenversicherung         -354,16
Arbeitslosenversicherung    -49,51
Auszahlungsbetrag         2.583,74
""",
    ),
    _paper(
        "befund.pdf",
        "de",
        "health",
        "",
        """
Radiologische Gemeinschaftspraxis am Domplatz
Dr. med. S. Pohl, Dr. med. E. Arslan, Fachärzte für Radiologie

Patientin: Hanna Ritter, geb. 12.04.1987
MRT des rechten Kniegelenks vom 08.02.2024

Klinische Angaben: Schmerzen nach Sturz beim Skifahren, Verdacht auf Innenmeniskusläsion.
Befund: Kein Nachweis einer Fraktur. Kleiner Gelenkerguss. Der Innenmeniskus zeigt im Hinterhorn eine horizontale Signalanhebung.
Beurteilung: Degenerative Veränderung, keine Ruptur. Konservative Behandlung mit Physiotherapie empfohlen.
""",
    ),
    _paper(
        "lab.pdf",
        "en",
        "health",
        "",
        """
Riverside Medical Laboratory
Patient: George Tennant        Ordered by: Dr Amara Obi, general practitioner
Blood test collected 17 Oct 2023

Haemoglobin 148 g/L (130-170)
Ferritin 21 ug/L (30-400) low
Cholesterol 5.9 mmol/L (below 5.0) high
Comment: results suggest mild iron deficiency. Please discuss treatment with your doctor.
""",
    ),
    _paper(
        "Kontoauszug_2024_02.pdf",
        "de",
        "bank",
        "",
        """
Volksbank Oberelbe eG
Kontoauszug Nr. 2/2024            Girokonto 4711 220 03
Kontoinhaber: Familie Schulte

Alter Saldo vom 31.01.2024                     1.204,11 H
02.02. Gehalt Stadt Pirna                      2.310,40 H
05.02. Dauerauftrag Miete Februar                -780,00 S
09.02. Lastschrift Stadtwerke Abschlag Strom      -92,00 S
14.02. Kartenzahlung Tankstelle                   -61,27 S
Neuer Saldo vom 29.02.2024                     2.581,24 H
""",
    ),
    _paper(
        "confirmation.html",
        "en",
        "travel",
        "",
        """
Thank you for booking with Albatross Airways!

Booking reference: QX7TRL
Passenger: Ms Ingrid Solberg

Outbound flight AB 1284, Friday 12 July, Oslo Gardermoen 07:35 - Lisbon 11:10
Return flight AB 1285, Sunday 21 July, Lisbon 12:00 - Oslo Gardermoen 17:25
1 checked bag up to 23 kg each way. Online check in opens 24 hours before departure. Please be at the gate 30 minutes before boarding.
""",
    ),
    _paper(
        "zeugnis.jpg",
        "de",
        "education",
        "",
        """
Grundschule am Mühlbach
Zeugnis
für Emil Hartwig, Klasse 3b, Schuljahr 2022/23, 2. Halbjahr

Deutsch gut, Mathematik sehr gut, Sachunterricht gut, Musik befriedigend, Sport sehr gut
Bemerkungen: Emil beteiligt sich rege am Unterricht und erledigt seine Hausaufgaben sorgfältig.
Er rückt in die 4. Klasse vor. Die Klassenlehrerin
""",
    ),
    _paper(
        "IMG_20240402.jpg",
        "de",
        "vehicles invoices",
        "",
        """
Autohaus Lindner   Meisterwerkstatt
Rechnung 88213
Fahrzeug: Skoda Octavia Kombi, amtl. Kennzeichen ERZ-KL 204, Kilometerstand 118.450
Inspektion mit Ölwechsel          219,00
Bremsbeläge vorn erneuert         164,50
Hauptuntersuchung (TÜV)           130,00
Summe netto 513,50   MwSt 19 % 97,57   Rechnungsbetrag 611,07 EUR
Zahlbar sofort ohne Abzug.
""",
    ),
    _paper(
        "rezept.txt",
        "de",
        "",
        "",
        """
Omas Apfelkuchen

Für den Teig 250 g Mehl, 125 g Butter, 80 g Zucker, ein Ei und eine Prise Salz rasch verkneten und kalt stellen.
Fünf säuerliche Äpfel schälen, vierteln und einritzen. Den Teig in eine gefettete Form drücken, die Äpfel darauf verteilen,
mit Zimt und Zucker bestreuen und bei 180 Grad etwa 45 Minuten backen. Dazu passt geschlagene Sahne.
""",
    ),
    _paper(
        "notes.md",
        "en",
        "",
        "",
        """
Reading notes: The history of lighthouses

Early beacons burned wood and coal on open platforms. Fresnel's lens of 1822 bent the light of a single lamp into a beam that could be seen
twenty miles away. Keepers trimmed the wicks every four hours and wound the clockwork that turned the lens. By the 1980s almost all
stations had been automated, and many towers now belong to museums.
""",
    ),
    _paper(
        "einladung.pdf",
        "de",
        "",
        "",
        """
Liebe Freunde,
wir feiern! Am Samstag, dem 15. Juni, wird Lotte vierzig, und das soll in unserem Garten gebührend begangen werden. Ab 16 Uhr gibt es
Kaffee und Kuchen, abends wird gegrillt, und Pauls Band hat versprochen zu spielen. Bringt gute Laune und vielleicht einen Salat mit.
Bitte sagt bis Ende Mai Bescheid, ob ihr kommt. Herzlich, Lotte und Andreas
""",
    ),
    _paper(
        "minutes.docx",
        "en",
        "",
        "",
        """
Choir committee, minutes of 6 March
Present: Rosa, Ben, Mirela, Tom
The spring programme was agreed: two madrigals, the Fauré, and an encore still to be chosen. Ben will ask the church about the piano.
Rehearsals move to Tuesday evenings from April. Mirela is going to design the poster. Next meeting on 3 April at Rosa's.
""",
    ),
)

KEPT_ASIDE = (
    _paper(
        "document(3).pdf",
        "de",
        "invoices",
        "communication",
        """
Telenova Deutschland    Ihre Mobilfunkrechnung
Kundennummer 30 118 774     Rechnungsnummer 5529018837     Rechnungsdatum 05.04.2024

Sehr geehrter Herr Kaya,
anbei erhalten Sie Ihre Rechnung für den Monat März.
Grundpreis Allnet M                    24,99
Zusatzoption EU-Roaming                 4,95
Rechnungsbetrag inkl. 19 % USt.        29,94 EUR
Der Betrag wird am 15.04.2024 von Ihrem Konto abgebucht.
""",
    ),
    _paper(
        "plumbing.pdf",
        "en",
        "invoices",
        "housing",
        """
Doyle & Sons Plumbing and Heating
Invoice no. 1093          Date: 21 November 2023
To: Mrs P. Ramaswamy, 4 Chapel Close

Call-out and first hour          85.00
Replace thermostatic valve       42.50
Total due                       127.50
Please pay within 14 days by bank transfer. Thank you for your business.
""",
    ),
    _paper(
        "Zahlungserinnerung.pdf",
        "de",
        "invoices",
        "",
        """
Zahnradversand Kühn e. K.
Zahlungserinnerung
Sehr geehrte Damen und Herren,
sicher ist es Ihrer Aufmerksamkeit entgangen: Unsere Rechnung 24-00381 vom 02.01.2024 über 89,90 EUR war am 16.01.2024 fällig.
Bitte überweisen Sie den offenen Betrag bis zum 15.02.2024. Sollten Sie inzwischen gezahlt haben, betrachten Sie dieses Schreiben
als gegenstandslos.
""",
    ),
    _paper(
        "Beitragsanpassung.pdf",
        "de",
        "insurance",
        "housing",
        """
Nordstern Hausrat
Ihre Hausratversicherung HR-55.203.1: Beitragsanpassung zum 1. Januar

Sehr geehrte Frau Petersen,
die Kosten für Schäden durch Leitungswasser und Einbruch sind gestiegen. Deshalb müssen wir Ihren Beitrag anpassen: von 112,40 EUR auf
119,80 EUR im Jahr. Ihr Versicherungsschutz bleibt unverändert, die Versicherungssumme beträgt weiterhin 65.000 EUR.
Sie können den Vertrag wegen der Erhöhung innerhalb eines Monats kündigen.
""",
    ),
    _paper(
        "schedule.pdf",
        "en",
        "insurance vehicles",
        "",
        """
Motor insurance: policy schedule
Policy number 90-44-1172-MC        Insurer: Cliffside Underwriting
Policyholder: Mr Declan Moore
Vehicle: Ford Focus 1.0, registration 191-D-20871, annual mileage 12,000
Cover: comprehensive, including windscreen and breakdown assistance
No claims discount: 5 years. Excess: 300. Annual premium: 512.00
""",
    ),
    _paper(
        "Nebenkosten_2023.pdf",
        "de",
        "housing",
        "utilities",
        """
Hausverwaltung Weiß & Partner
Betriebskostenabrechnung für das Jahr 2023
Mieter: Ehepaar Nowak, Wohnung 12, Ahornallee 5

Kostenart            Gesamt        Ihr Anteil
Heizung und Warmwasser  14.220,10      688,41
Müllabfuhr               2.310,00      111,83
Hausmeister              4.900,00      237,22
Grundsteuer              3.120,00      151,05
Ihre Vorauszahlungen 1.320,00 EUR, Guthaben 131,49 EUR
""",
    ),
    _paper(
        "landlord_letter.txt",
        "en",
        "housing",
        "",
        """
Dear tenant,

the annual inspection of the smoke alarms in the building takes place on 9 October between 9 and 12. Please make sure that someone is at
home to let the technician into your flat. As announced, the monthly rent rises to 945 from 1 December; the service charge stays the same.
If you want to end your tenancy, the lease asks for three months' notice in writing.

Kind regards, M. Castellano, property management
""",
    ),
    _paper(
        "Scan 7.pdf",
        "de",
        "taxes",
        "",
        """
Ausdruck der elektronischen Lohnsteuerbescheinigung für 2023
Nachstehende Daten wurden maschinell an die Finanzverwaltung übertragen.
eTIN  RNNRTBSA91C07X         Steuerklasse 1, Kinderfreibeträge 0,0
3. Bruttoarbeitslohn einschließlich Sachbezüge   44.812,00
4. Einbehaltene Lohnsteuer                        6.101,00
5. Einbehaltener Solidaritätszuschlag                 0,00
6. Einbehaltene Kirchensteuer des Arbeitnehmers     488,08
""",
    ),
    _paper(
        "sa302.pdf",
        "en",
        "taxes",
        "",
        """
HM Revenue & Customs
Self Assessment: tax calculation for the tax year 2022-23

Total income received                    38,420
less Personal Allowance                  12,570
Total income on which tax is due         25,850
Income tax due                            5,170
less Tax already deducted at source      -4,980
Amount you owe by 31 January                190
""",
    ),
    _paper(
        "kuendigung_bestaetigung.pdf",
        "de",
        "work",
        "",
        """
Kessler Maschinenbau GmbH & Co. KG, Personalabteilung

Bestätigung Ihrer Kündigung
Sehr geehrter Herr Renner,
wir bestätigen den Eingang Ihrer Kündigung vom 12.05. Das Arbeitsverhältnis endet fristgerecht zum 31.08. Ihren Resturlaub von 9 Tagen
nehmen Sie bitte bis dahin. Ihr Arbeitszeugnis und die Arbeitspapiere erhalten Sie mit der letzten Abrechnung. Wir danken Ihnen für die
gute Zusammenarbeit und wünschen Ihnen für Ihre neue Stelle alles Gute.
""",
    ),
    _paper(
        "offer.eml",
        "en",
        "work",
        "",
        """
Subject: Your offer from Lumen Analytics

Hi Priya,
we are delighted to offer you the position of Junior Data Analyst in our Glasgow office. Your starting salary would be 31,000 a year
plus a performance bonus of up to 5 %. You would report to Callum, work 37.5 hours a week, two days from home, and have 28 days of paid
leave. Please sign the attached contract of employment by Friday. Your first day would be 3 June.
Best, Fiona, human resources
""",
    ),
    _paper(
        "AU.jpg",
        "de",
        "health",
        "work insurance",
        """
Arbeitsunfähigkeitsbescheinigung                 Erstbescheinigung
AOK Plus      Name, Vorname des Versicherten: Franke, Lisa
arbeitsunfähig seit 11.12.2023, voraussichtlich bis einschließlich 15.12.2023
festgestellt am 11.12.2023
Diagnose J06.9 G
Dr. med. Ulrike Sommer, Fachärztin für Allgemeinmedizin
""",
    ),
    _paper(
        "HKP.pdf",
        "de",
        "health",
        "insurance",
        """
Zahnarztpraxis Dr. Hellwig & Kollegen
Heil- und Kostenplan
Patient: Vincent Adler
Regio 36: Vollkeramikkrone, Regio 46: Einlagefüllung
Voraussichtliches Honorar nach GOZ 612,40 EUR, Material und Labor 455,00 EUR, Festzuschuss der Krankenkasse 198,71 EUR
Bitte reichen Sie den Plan vor Beginn der Behandlung bei Ihrer Krankenkasse ein.
""",
    ),
    _paper(
        "discharge.pdf",
        "en",
        "health",
        "",
        """
St Brendan's Hospital, Department of Orthopaedics
Discharge summary
Patient: Eileen Kavanagh, admitted 3 March, discharged 8 March
Diagnosis: displaced fracture of the left wrist. Operation: open reduction and plate fixation on 4 March.
Medication on discharge: paracetamol 1 g up to four times a day. Remove stitches after 12 days, X-ray control at six weeks.
""",
    ),
    _paper(
        "statement.pdf",
        "en",
        "bank",
        "",
        """
Millbank Building Society
Your current account statement, 1 to 30 June
Sort code 20-14-33     Account number 55018821

Opening balance                            842.10
03 Jun  Direct debit  Thames Water          -31.00
07 Jun  Card payment  Corner Grocer         -18.45
28 Jun  Salary        Lumen Analytics     2,014.77
Closing balance                          2,807.42
Arranged overdraft limit 500. Interest rate on overdrafts 35 % a year.
""",
    ),
    _paper(
        "Wertpapierabrechnung.pdf",
        "de",
        "bank",
        "",
        """
Depotbank Rheinufer AG
Wertpapierabrechnung: Kauf
Depotnummer 810 442 17
Nominale 25 Stück, Weltfonds ETF thesaurierend, ISIN IE00BK5BQT80
Kurs 104,22 EUR, Kurswert 2.605,50 EUR, Provision 6,90 EUR
Der Gegenwert von 2.612,40 EUR wird Ihrem Verrechnungskonto mit Valuta 18.03.2024 belastet.
""",
    ),
    _paper(
        "Buchung.pdf",
        "de",
        "travel",
        "",
        """
Ihre Buchungsbestätigung
Ferienhotel Seeblick, Malcesine
Buchungsnummer 774-20183
Anreise Samstag, 10.08.2024, ab 15 Uhr; Abreise Samstag, 17.08.2024, bis 10 Uhr
2 Erwachsene, 1 Kind; Doppelzimmer mit Zustellbett und Seeblick, 7 Übernachtungen mit Halbpension
Kostenlose Stornierung bis 14 Tage vor Anreise. Wir freuen uns auf Ihren Besuch!
""",
    ),
    _paper(
        "ticket.pdf",
        "de",
        "travel",
        "",
        """
Online-Ticket
Super Sparpreis, 1 Person, 2. Klasse, BahnCard 25
Hinfahrt am 23.05.2024: Dresden Hbf ab 08:10 Gleis 3, ICE 1554, Erfurt Hbf an 10:26, Sitzplatz Wagen 7, Platz 54
Rückfahrt am 26.05.2024: Erfurt Hbf ab 17:31, ICE 1559, Dresden Hbf an 19:48
Zugbindung: gilt nur in den angegebenen Zügen. Reisende: Frau Katharina Lang
""",
    ),
    _paper(
        "itinerary.docx",
        "en",
        "travel",
        "",
        """
Scotland, nine days: our itinerary
Day 1: flight to Edinburgh, pick up the rental car at the airport, two nights at the Canongate hotel.
Day 3: drive to Pitlochry, check in at the guest house before six.
Day 5: ferry to Mull, whale watching booked for the morning.
Day 9: return the car, departure 18:40.
""",
    ),
    _paper(
        "Elternbrief_Nov.pdf",
        "de",
        "education",
        "",
        """
Gymnasium Neustadt
Elternbrief Nr. 3
Liebe Eltern,
der Elternabend der 6. Klassen findet am 21. November um 19 Uhr in der Aula statt. Thema ist die Wahl der zweiten Fremdsprache.
Für die Klassenfahrt nach Sylt im Mai bitten wir um die Anzahlung von 90 EUR bis Monatsende. In der letzten Woche vor den Ferien
endet der Unterricht nach der vierten Stunde. Mit freundlichen Grüßen, die Schulleitung
""",
    ),
    _paper(
        "transcript.pdf",
        "en",
        "education",
        "",
        """
University of Wexmoor, Registry
Transcript of records: Samuel Adeyemi, Bachelor of Science, second year

Module                          Credits    Grade
Linear Algebra                    10         72
Statistics and Probability        10         65
Databases                         10         81
Overall average 72.7. The student has progressed to the third year.
""",
    ),
    _paper(
        "anhoerung.pdf",
        "de",
        "vehicles",
        "legal",
        """
Stadt Kassel, Ordnungsamt, Bußgeldstelle
Verwarnung mit Verwarnungsgeld
Ihnen wird vorgeworfen, am 04.09.2023 um 14:22 Uhr als Führer des PKW mit dem Kennzeichen KS-AB 417 die zulässige Höchstgeschwindigkeit
innerhalb geschlossener Ortschaften um 9 km/h überschritten zu haben. Beweismittel: Messung mit Foto.
Das Verwarnungsgeld beträgt 30 EUR und ist innerhalb einer Woche zu zahlen.
""",
    ),
    _paper(
        "mot.pdf",
        "en",
        "vehicles",
        "",
        """
MOT test certificate
Vehicle registration number LK63 VDR      Make and model: Toyota Yaris
Odometer reading 81,302 miles             Date of test 5 February
Result: pass with advisories
Nearside front tyre worn close to legal limit. Rear brake discs slightly corroded.
Next test due by 4 February
""",
    ),
    _paper(
        "gedicht.txt",
        "de",
        "",
        "",
        """
Im Herbst, wenn früh die Nebel steigen
und still der Wald das Laub verliert,
da sitzen wir beim Klang der Geigen,
bis draußen keiner mehr spaziert.
Der Mond hängt rund in kahlen Zweigen,
die Katze schläft, der Kater friert.
""",
    ),
    _paper(
        "readme.txt",
        "en",
        "",
        "",
        """
Weather station

A small program that reads temperature and humidity from the sensor on the balcony every five minutes and draws a chart. Start it with
python station.py --port 8080 and open the page in a browser. The data is kept in one SQLite file; delete it to begin anew. Pull requests
are welcome, please run the formatter first.
""",
    ),
    _paper(
        "garten.odt",
        "de",
        "",
        "",
        """
Gartenplan 2024
Beet 1: Tomaten und Basilikum, davor Ringelblumen. Beet 2: Bohnen an Stangen, im Juni noch einmal nachsäen. Beet 3 bleibt mit Phacelia
bedeckt, damit sich der Boden erholt. Kompost im März verteilen, Johannisbeeren nach der Ernte schneiden. Rasen erst ab Ende April mähen.
""",
    ),
    _paper(
        "story.docx",
        "en",
        "",
        "",
        """
Chapter one
The fog had come in before dawn, and by the time Margaret reached the quay there was nothing left of the harbour but the sound of it. She
set down her basket and waited. Somewhere out there her brother was rowing home, as he had done every morning since the herring came back,
and somewhere behind her a door opened and closed. "You're early," said a voice she had hoped never to hear again.
""",
    ),
    _paper(
        "article.html",
        "en",
        "",
        "",
        """
Why bees dance
A forager that has found a good patch of clover returns to the hive and runs in a figure of eight on the comb. The angle of the middle
run against the vertical gives the direction relative to the sun, its length the distance. Other bees follow with their antennae, taste
a sample of the nectar and fly out. Experiments with robot bees have shown that the dance alone is enough to guide them.
""",
    ),
    _paper(
        "protokoll.pdf",
        "de",
        "",
        "donations legal",
        """
Kleingärtner Sonnenhang, Protokoll der Sitzung vom 9. April
Anwesend: Frau Busch, Herr Yilmaz, Herr Krüger, Frau Maler
1. Der Wasseranschluss an Parzelle 14 ist undicht, Herr Krüger kümmert sich. 2. Das Sommerfest findet am 6. Juli statt, Frau Maler fragt die
Kapelle. 3. Die Hecke am Hauptweg wird gemeinsam am 20. April geschnitten. 4. Verschiedenes: Jemand hat seine Gummistiefel vergessen.
""",
    ),
)

HABITS = {
    "Projekt Falke": (
        """
Statusbericht Kalenderwoche 14: Die Drohnenvermessung der Nordwand ist abgeschlossen, die Punktwolke liegt vor. Brutplätze der Falken wurden
kartiert, Nistkasten 3 ist besetzt. Nächster Schritt: Abstimmung mit dem Steinbruchbetreiber über die Sperrzone.
""",
        """
Protokoll Telefonat mit dem Steinbruchbetreiber: Die Sperrzone um Nistkasten 3 und die Nordwand wird bis Ende Juli eingehalten,
Sprengungen nur noch an der Ostwand. Falken dürfen in der Brutzeit nicht gestört werden. Drohnenvermessung nur nach Anmeldung.
""",
        """
Statusbericht Kalenderwoche 18: Drei Jungvögel in Nistkasten 3 beringt. Die Kamera an der Nordwand liefert Bilder, die Falken füttern
regelmäßig. Steinbruchbetreiber hat die Sperrzone um zwei Wochen verlängert. Punktwolke wurde ausgewertet.
""",
        """
Statusbericht Kalenderwoche 22: Erster Jungvogel ausgeflogen. Nistkasten 3 wird nach der Brutzeit gereinigt. Der Steinbruchbetreiber
bittet um einen Abschlussbericht zur Sperrzone an der Nordwand mit Bildern der Falken.
""",
    ),
    "Oakfield": (
        """
Oakfield Rowing Club. Dear member, the boathouse will be closed on Saturday while the slipway is repaired. Sculls and oars must be back on
their racks by Friday evening. Crews for the spring regatta are posted on the boathouse door.
""",
        """
Oakfield Rowing Club newsletter: novices are invited to try sculls on Sunday mornings. The regatta committee needs umpires and launch
drivers. Please return borrowed oars to the boathouse. The coxswain course begins in April.
""",
        """
From the captain of Oakfield Rowing Club: results of the winter regatta. Our coxed four came second, the novices' double sculls won its
heat. The new oars have arrived and will be varnished in the boathouse next week. Umpires, thank you.
""",
        """
Oakfield Rowing Club: crews and launch drivers for the summer regatta. Novices row in the second heat, coxswains meet at the boathouse at
seven. Bring your own sculls rigger spanner. Umpires are still needed.
""",
    ),
}
"""Topics whose names say nothing: three papers each to learn from, a fourth to recognise."""
