"""A judged collection of our own: 300 papers as people keep them at home, in English, German and French, and 60 questions.

Of each of 60 kinds (`title | text | question`) there are five papers, from five senders, in five years, with the small talk that letters have.
A question asks for a kind in other words than the papers use where people do so; the five papers of the kind are relevant to it, judged by
hand when the kinds were written, and no other paper is, though many share its words (a rent increase is no rental contract).
"""

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.ranking import Collection

_SENDERS = {
    "en": ("Harbour Services Ltd", "Northfield & Sons", "City of Elmsworth", "Bluebell Group", "Mrs A. Whitcombe"),
    "de": ("Hafenwerke GmbH", "Kanzlei Nordfeld", "Stadt Ulmenau", "Glockenblume AG", "Frau A. Weidner"),
    "fr": ("Services du Port SARL", "Cabinet Champnord", "Ville d'Ormeval", "Groupe Campanule", "Mme A. Vidal"),
}

_AROUND = {
    "en": (
        "Dear Mr Reed, thank you for your letter. {text} Our reference is {number}. If you have any questions please call us.",
        "Reference {number}, date {day}.{month}.{year}. {text} Please keep this letter with your records. Yours sincerely, {sender}",
        "{sender} writes to you about the following. {text} The amount of {amount} euros is shown on the enclosed page. Kind regards",
    ),
    "de": (
        "Sehr geehrter Herr Riedel, vielen Dank für Ihr Schreiben. {text} Unser Zeichen lautet {number}. Bei Fragen rufen Sie uns an.",
        "Aktenzeichen {number}, Datum {day}.{month}.{year}. {text} Bitte bewahren Sie dieses Schreiben auf. Mit freundlichen Grüßen, {sender}",
        "{sender} teilt Ihnen Folgendes mit. {text} Der Betrag von {amount} Euro steht auf der beigefügten Seite. Freundliche Grüße",
    ),
    "fr": (
        "Cher Monsieur Rivière, merci pour votre lettre. {text} Notre référence est {number}. Pour toute question appelez-nous.",
        "Référence {number}, date {day}.{month}.{year}. {text} Veuillez conserver ce courrier. Veuillez agréer nos salutations, {sender}",
        "{sender} vous informe de ce qui suit. {text} Le montant de {amount} euros figure sur la page jointe. Cordialement",
    ),
}

_KINDS = {
    "en": """
Electricity bill | For the past year you used 2,310 kilowatt hours of electricity. The balance is due within two weeks. | how much power did I use last year
Electricity contract | We confirm your new electricity tariff. The price per kilowatt hour is guaranteed for twelve months. | which electricity tariff did I sign up for
Water bill | The water meter showed 84 cubic metres. Sewage charges are included in the sum. | what I paid for water and sewage
Rental contract | The landlord lets the flat on the second floor to the tenant. The deposit is three monthly rents. | lease of my flat with the deposit
Rent increase | From next March the rent of your flat rises by four per cent, as the rent index allows. | letter saying that the rent goes up
Service charge statement | Heating, lift and caretaker of the house were shared among the flats by floor space. | yearly statement of heating and caretaker costs
Car insurance policy | Your vehicle is covered for liability and for theft. The premium is paid each quarter. | insurance policies for the car
Accident claim | We have received your report of the collision at the crossing. The repair of the bumper is covered. | what became of the damage after the crash at the crossing
Home contents insurance | Furniture and household goods are insured against fire, burglary and burst pipes. | am I insured against burglars at home
Tax assessment | The income tax for the year was assessed. You will receive a refund to your account. | income tax refund notice
Donation receipt | We certify that we received a donation which is used for charitable purposes alone. | proof that I gave to charity for the tax office
Payslip | Gross salary, social security contributions and net pay of the month are listed below. | my monthly salary after deductions
Employment contract | The employee begins as an engineer. The probation lasts six months, holidays are thirty days. | how many days of holiday do I have at work
Notice of termination | We herewith terminate the employment with three months' notice. A reference will follow. | I was dismissed from my job
Doctor's bill | For the consultation, the ultrasound and the blood test we charge the following fees. | invoice of the doctor for a blood test
Vaccination record | Tetanus and measles were vaccinated. The next booster is due in ten years. | when is my next tetanus shot due
School report | Mathematics good, French satisfactory. The pupil moves up into the next class. | my daughter's marks in mathematics
Flight booking | Your flight to Lisbon leaves at seven in the morning. One piece of luggage is included. | booked flights to Portugal with luggage
Hotel reservation | A double room with breakfast is reserved for three nights. Cancellation is free until May. | can the hotel room still be cancelled
Washing machine warranty | The washing machine has a guarantee of five years. Keep the receipt from the shop. | guarantee of the washing machine
""",
    "de": """
Stromrechnung | Im vergangenen Jahr haben Sie 2.310 Kilowattstunden verbraucht. Der Restbetrag ist in zwei Wochen fällig. | wie hoch war mein Stromverbrauch in Kilowattstunden
Stromliefervertrag | Wir bestätigen Ihren neuen Tarif für Strom. Der Arbeitspreis ist zwölf Monate garantiert. | welchen Tarif habe ich beim Strom abgeschlossen
Wasserbescheid | Der Wasserzähler zeigte 84 Kubikmeter. Die Gebühren für Abwasser sind enthalten. | Gebühren für Wasser und Abwasser
Wohnungsmietvertrag | Der Vermieter überlässt dem Mieter die Wohnung im zweiten Stock. Die Kaution beträgt drei Monatsmieten. | Mietvertrag meiner Wohnung mit Kaution
Mieterhöhung | Ab März steigt die Miete Ihrer Wohnung um vier Prozent, wie es der Mietspiegel zulässt. | Schreiben dass die Miete nach dem Mietspiegel erhöht wird
Nebenkostenabrechnung | Heizung, Aufzug und Hausmeister wurden nach der Wohnfläche auf die Wohnungen verteilt. | Abrechnung von Heizung und Hausmeister
Kfz-Versicherung | Ihr Fahrzeug ist gegen Haftpflicht und Diebstahl versichert. Der Beitrag wird vierteljährlich gezahlt. | Versicherung für das Auto gegen Diebstahl
Schadensmeldung | Ihre Meldung des Zusammenstoßes an der Kreuzung liegt vor. Die Reparatur der Stoßstange wird übernommen. | Unfall an der Kreuzung Reparatur der Stoßstange
Hausratversicherung | Möbel und Hausrat sind gegen Feuer, Einbruch und Leitungswasser versichert. | bin ich gegen Einbrüche versichert
Steuerbescheid | Die Einkommensteuer für das Jahr wurde festgesetzt. Die Erstattung geht auf Ihr Konto. | Erstattung der Einkommensteuer
Spendenbescheinigung | Wir bestätigen eine Zuwendung, die nur für gemeinnützige Zwecke verwendet wird. | Bescheinigung über meine Spende
Gehaltsabrechnung | Bruttogehalt, Beiträge zur Sozialversicherung und Auszahlungsbetrag des Monats stehen unten. | monatliches Gehalt nach Abzügen
Arbeitsvertrag | Der Arbeitnehmer beginnt als Ingenieur. Die Probezeit dauert sechs Monate, der Urlaub dreißig Tage. | wie viele Urlaubstage habe ich in der Arbeit
Kündigung | Hiermit kündigen wir das Arbeitsverhältnis mit einer Frist von drei Monaten. Ein Zeugnis folgt. | meine Arbeit wurde gekündigt mit Frist
Arztrechnung | Für Beratung, Ultraschall und Blutuntersuchung berechnen wir folgende Gebühren. | Rechnungen vom Arzt für Ultraschall und Blut
Impfausweis | Geimpft wurde gegen Tetanus und Masern. Die nächste Auffrischung ist in zehn Jahren. | wann muss ich Tetanus auffrischen
Schulzeugnis | Mathematik gut, Französisch befriedigend. Die Schülerin rückt in die nächste Klasse vor. | Noten meiner Tochter in Mathematik
Flugbuchung | Ihr Flug nach Lissabon startet um sieben Uhr. Ein Gepäckstück ist eingeschlossen. | Flüge nach Lissabon mit Gepäck
Hotelreservierung | Ein Doppelzimmer mit Frühstück ist für drei Nächte reserviert. Die Stornierung ist bis Mai kostenlos. | kann ich das Hotel noch stornieren
Garantieschein | Die Waschmaschine hat eine Garantie von fünf Jahren. Bewahren Sie den Kassenbon auf. | Garantie der Waschmaschine
""",
    "fr": """
Facture d'électricité | Au cours de l'année vous avez consommé 2 310 kilowattheures. Le solde est à payer sous deux semaines. | combien d'électricité avons-nous consommée
Contrat d'électricité | Nous confirmons votre nouveau tarif. Le prix du kilowattheure est garanti douze mois. | quel tarif garanti pour l'électricité
Facture d'eau | Le compteur d'eau indiquait 84 mètres cubes. L'assainissement est compris. | ce que coûtent l'eau et l'assainissement
Bail d'habitation | Le bailleur loue l'appartement du deuxième étage au locataire. Le dépôt de garantie est de trois loyers. | contrat de location de l'appartement avec dépôt de garantie
Révision du loyer | À partir de mars le loyer augmente de quatre pour cent selon l'indice de référence. | lettre qui augmente les loyers selon l'indice
Décompte des charges | Le chauffage, l'ascenseur et le gardien ont été répartis selon la surface des appartements. | répartition des frais de chauffage et de gardien
Assurance automobile | Votre véhicule est assuré pour la responsabilité civile et le vol. La prime est trimestrielle. | assurances de la voiture contre le vol
Déclaration de sinistre | Nous avons reçu votre constat de la collision au carrefour. La réparation du pare-chocs est prise en charge. | collision au carrefour et réparation
Assurance habitation | Les meubles sont assurés contre l'incendie, le cambriolage et le dégât des eaux. | suis-je assuré contre les cambriolages
Avis d'imposition | L'impôt sur le revenu de l'année a été établi. Le remboursement sera versé sur votre compte. | remboursement des impôts sur le revenu
Reçu de don | Nous certifions avoir reçu un don employé uniquement à des fins d'intérêt général. | attestation de mes dons
Bulletin de paie | Salaire brut, cotisations sociales et net à payer du mois sont indiqués ci-dessous. | salaire net du mois après cotisations
Contrat de travail | Le salarié commence comme ingénieur. La période d'essai dure six mois, les congés trente jours. | combien de jours de congé au travail
Lettre de licenciement | Nous mettons fin à votre contrat avec un préavis de trois mois. Un certificat suivra. | j'ai été licencié avec préavis
Note d'honoraires du médecin | Pour la consultation, l'échographie et l'analyse de sang nous facturons ces honoraires. | honoraires du médecin pour une analyse de sang
Carnet de vaccination | Vaccins contre le tétanos et la rougeole. Le prochain rappel est dans dix ans. | quand faire le rappel du vaccin contre le tétanos
Bulletin scolaire | Mathématiques bien, allemand assez bien. L'élève passe dans la classe supérieure. | notes de ma fille en mathématiques
Réservation de vol | Votre vol pour Lisbonne part à sept heures. Un bagage est compris. | vols pour Lisbonne avec bagages
Réservation d'hôtel | Une chambre double avec petit déjeuner est réservée pour trois nuits. L'annulation est gratuite jusqu'en mai. | annuler la chambre d'hôtel gratuitement
Bon de garantie | Le lave-linge est garanti cinq ans. Conservez le ticket de caisse du magasin. | garantie du lave-linge
""",
}


def collection() -> "Collection":
    """The collection, always the same."""
    from tests.benchmarks.ranking import Collection, Paper

    chance = Random(10)
    documents: dict[str, Paper] = {}
    questions: dict[str, str] = {}
    relevant: dict[str, dict[str, float]] = {}
    for language, kinds in _KINDS.items():
        for number, line in enumerate(kinds.strip().splitlines()):
            title, text, question = (part.strip() for part in line.split("|"))
            key = f"{language}-{number}"
            questions[key], relevant[key] = question, {}
            for at, sender in enumerate(_SENDERS[language]):
                written = _AROUND[language][(at + number) % 3].format(
                    text=text,
                    sender=sender,
                    number=chance.randrange(10_000, 99_999),
                    amount=chance.randrange(20, 900),
                    day=chance.randrange(1, 28),
                    month=chance.randrange(1, 12),
                    year=2019 + at,
                )
                documents[f"{key}-{at}"] = Paper(f"{title} {2019 + at}, {sender}", written, language)
                relevant[key][f"{key}-{at}"] = 1.0
    return Collection("Papers at home (en, de, fr)", documents, questions, relevant)
