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
    "czech": ("smlouva", "smlouvy"),
    "estonian": ("arve", "arved"),
    "persian": ("قرارداد", "قراردادها"),
    "polish": ("umowa", "umowy"),
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
    assert set(PAIRS) == set(stems.LANGUAGES.values())


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


def test_a_phone_number_is_known_by_its_last_digits_and_nothing_else_is() -> None:
    def lexemes(text: str) -> set[str]:
        return {lexeme for spelling in spellings(text) for lexeme in spelling.lexemes if lexeme.startswith("=tel")}

    assert lexemes("+49 (0)30 / 123 456") == lexemes("030 123456") == {"=tel30123456"}
    for text in ("1234567890", "03.07.2024 10", "01.01.2024 - 31.12.2024", "A-0123456789", "0,123456789", "0" * 40):
        assert not lexemes(text), text


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


MORE_WAYS = [
    (
        "de",
        "Überweisung an IBAN DE89 3704 0044 0532 0130 00 bitte",
        ["DE89370400440532013000", "de89 3704 0044 0532 0130 00", "DE89-3704-0044-0532-0130-00"],
    ),
    ("en", "Pay to GB29NWBK60161331926819 today", ["GB29 NWBK 6016 1331 9268 19", "gb29nwbk60161331926819"]),
    ("de", "Telefon +49 (0)30 / 123 45 67", ["+49 30 1234567"]),
    ("de", "Tel. 0049 30 1234567", ["+49 30 1234567", "+49301234567"]),
    ("de", "Tel. 030-1234567", ["030 1234567", "(030) 123 45 67", "0301234567"]),
    ("de", "Summe EUR1.234,56 zahlen", ["1234.56", "1.234,56", "1,234.56"]),
    ("de", "Summe 1.234,56EUR zahlen", ["1234.56", "1.234,56"]),
    ("de", "Summe 12.345.678,90 € zahlen", ["12345678.90", "12,345,678.90", "12345678,90", "12345678.9"]),
    ("en", "Total $1,234.50 due", ["1234,5", "1234.50", "1.234,50"]),
    ("fr", "Total 1 234,56 € à payer", ["1234,56", "1.234,56"]),
    ("fr", "Total 1\u202f234,56 € à payer", ["1234,56", "1 234,56"]),
    ("de", "Summe CHF 1’234.56", ["1234.56"]),
    ("de", "1.234,- Euro", ["1234"]),
    ("en", "dated 03-Jul-2024", ["3 July 2024", "2024-07-03", "03.07.2024"]),
    ("en", "on July 3rd, 2024", ["3.7.2024"]),
    ("en", "on the 3rd of July 2024", ["3.7.2024"]),
    ("en", "on the 3rd of July, 2024", ["3.7.2024"]),
    ("de", "am 3. Jul. 2024", ["2024-07-03"]),
    ("de", "am 03.07.24", ["2024-07-03", "3. Juli 2024"]),
    ("de", "Mittwoch, den 3.Juli 2024", ["2024-07-03"]),
    ("ru", "3 июля 2024 г.", ["2024-07-03", "03.07.2024"]),
    ("pl", "dnia 3 lipca 2024 r.", ["2024-07-03"]),
    ("cs", "dne 3. července 2024", ["2024-07-03"]),
    ("tr", "3 Temmuz 2024", ["2024-07-03"]),
    ("sv", "den 3 juli 2024", ["2024-07-03"]),
    ("da", "3. oktober 2024", ["2024-10-03"]),
    ("fi", "3. heinäkuuta 2024", ["2024-07-03"]),
    ("hu", "2024. július 3.", ["2024-07-03"]),
    ("es", "a 3 de septiembre de 2024", ["2024-09-03"]),
    ("pt", "3 de março de 2024", ["2024-03-03"]),
    ("ja", "２０２４年７月３日", ["2024-07-03", "2024年7月3日"]),
    ("ko", "2024년 7월 3일", ["2024-07-03"]),
    ("en", "20240703", ["2024-07-03"]),
    ("de", "Haftpflichtversicherungen und Gebäudeversicherung", ["Versicherung", "Haftpflichtversicherung", "Haftpflicht"]),
    ("de", "Die Wohnungsmietverträge", ["Mietvertrag", "Mietverträge"]),
    ("de", "Der Wohnungsmietvertrag", ["Mietverträge", "Vertrag"]),
    ("de", "Einkommensteuerbescheides", ["Steuerbescheid", "Bescheid"]),
    ("de", "Stromrechnungsnummer", ["Rechnung", "Stromrechnung"]),
    ("de", "Kraftfahrzeughaftpflichtversicherungsschein", ["Versicherungsschein", "Haftpflicht", "Kraftfahrzeug", "Versicherung"]),
    ("nl", "De zorgverzekeringspolis", ["verzekering", "polis"]),
    ("sv", "Hyresavtalet", ["avtal"]),
    ("fr", "La déclaration des revenus", ["decl*", "décl*", "declaration", "declaratino"]),
    ("de", "Frau Müller aus Köln", ["Mueller", "Koeln", "Muller"]),
    ("de", "Frau Mueller aus Koeln und Muellers Auto", ["Müller", "Köln"]),
    ("de", "Grundstücksverkehrsgenehmigung", ["grundst*", "Grundstück*", "grundstu*"]),
    ("en", "electroencephalography report", ["electroencefalography", "electroencephalograhpy", "elektroencephalography", "electro*"]),
    ("en", "Otorhinolaryngologist", ["otorhinolaringologist", "otorinolaryngologist"]),
    ("en", "mortgage", ["morgage", "mortage", "mortgaeg"]),
    ("en", "receipt", ["reciept", "recipt"]),
    ("en", "Zürich Versicherung", ["zurich"]),
    ("ar", "كِتَابُ الحِسَاب", ["كتاب", "الحساب"]),
    ("he", "חֶשְׁבּוֹן", ["חשבון"]),
    ("ar", "رقم ١٢٣٤٥", ["12345"]),
    ("hi", "संख्या १२३४५", ["12345"]),
    ("ko", "임대차계약서를 첨부합니다", ["임대차", "계약서", "임대차계약서"]),
    ("th", "ใบแจ้งหนี้ค่าไฟฟ้าประจำเดือน", ["ค่าไฟฟ้า", "ใบแจ้งหนี้", "ไฟฟ้า"]),
    ("km", "វិក្កយបត្រអគ្គិសនី", ["អគ្គិសនី"]),
    ("lo", "ໃບແຈ້ງໜີ້ຄ່າໄຟຟ້າ", ["ຄ່າໄຟຟ້າ"]),
    ("zh", "房屋租赁合同续签通知", ["租赁合同", "租赁", "合同", "续签"]),
    ("zh", "臺灣電力公司帳單", ["電力", "帳單"]),
    ("ja", "電気料金のご請求書", ["請求書", "電気料金", "料金"]),
    ("ja", "ｱﾊﾟｰﾄの賃貸契約書", ["アパート", "契約書"]),
    ("ja", "Ｎｏ．１２３４５　ＡＢＣ", ["12345", "abc"]),
    ("my", "မီတာခ", ["မီတာ"]),
    ("pt", "As inscrições e as declarações", ["inscrição", "declaracao", "inscricoes"]),
    ("ru", "Новый договор аренды", ["договора", "новая", "договоры"]),
    ("ru", "Счёт за электроэнергию", ["счет", "счёт"]),
    ("tr", "Kira sözleşmesi İSTANBUL", ["sözleşme", "istanbul", "ıstanbul"]),
    ("en", "e-mail to john.doe@example.org about O'Brien's", ["email", "e-mail", "john.doe@example.org", "OBrien", "O'Brien"]),
    ("en", "Card 4111 1111 1111 1111 exp 12/26", ["4111111111111111", "4111-1111-1111-1111", "12/26"]),
    ("en", "Call 555-867-5309 now", ["5558675309", "(555) 867-5309", "555 867 5309", "555.867.5309"]),
    ("fr", "Tél. 01 23 45 67 89", ["0123456789", "01.23.45.67.89", "+33 1 23 45 67 89"]),
    ("en", "VAT DE 123456789 and DE123456789", ["DE123456789"]),
    ("de", "Steuernummer 12/345/67890", ["1234567890", "12 345 67890"]),
    ("pl", "Umowa najmu lokalu mieszkalnego", ["umowy", "lokal", "mieszkalny", "umów"]),
    ("pl", "Faktury za prąd i wodę", ["faktura", "prad", "woda", "prądu"]),
    ("cs", "Smlouva o pronájmu bytu", ["smlouvy", "pronájem", "byt", "smlouvu"]),
    ("cs", "Faktury za elektřinu", ["faktura", "elektřina", "elektrina"]),
    ("et", "Üürilepingu lisa", ["üürileping", "lepingu", "leping"]),
    ("fa", "قراردادهای اجاره", ["قرارداد", "اجاره"]),
    ("fa", "كتاب\u200cهای من", ["کتاب", "کتابها"]),
    ("hu", "A lakásbérleti szerződések", ["szerződés", "szerzodes", "lakásbérlet"]),
    ("fi", "Vuokrasopimuksen irtisanominen", ["vuokrasopimus", "irtisanomisen"]),
    ("nl", "Huurovereenkomsten en rekeningen", ["huurovereenkomst", "overeenkomst", "rekening"]),
    ("da", "Lejekontrakten og regningerne", ["lejekontrakt", "kontrakt", "regning"]),
    ("no", "Leiekontrakten", ["leiekontrakt", "kontrakt"]),
    ("sv", "Hyreskontraktet för lägenheten", ["hyreskontrakt", "kontrakt", "lägenhet", "lagenhet"]),
    ("ro", "Facturile și contractele de închiriere", ["factura", "factură", "contract", "inchiriere"]),
    ("el", "Τα συμβόλαια ενοικίασης", ["συμβόλαιο", "συμβολαιο", "ενοικίαση"]),
    ("tr", "Kira sözleşmesinin yenilenmesi", ["sözleşme", "sozlesme", "kira"]),
    ("uk", "Договір оренди квартири", ["договір", "квартири"]),
    ("he", "הסכם שכירות בדירה", ["שכירות", "הסכם"]),
    ("vi", "Hợp đồng thuê nhà", ["hop dong", "Hợp đồng"]),
    ("ko", "전기요금 고지서가 도착했습니다", ["전기요금", "고지서", "전기", "요금"]),
    ("ko", "김철수님의 보험증권은 서랍에", ["김철수", "보험증권", "보험", "서랍"]),
    ("th", "สัญญาเช่าบ้านเลขที่ ๑๒๓", ["สัญญาเช่า", "เช่าบ้าน", "123", "สัญญา"]),
    ("th", "น้ำประปา", ["น้ำ", "ประปา"]),
    ("km", "កិច្ចសន្យាជួលផ្ទះ", ["ជួលផ្ទះ", "កិច្ចសន្យា"]),
    ("lo", "ສັນຍາເຊົ່າເຮືອນ", ["ເຊົ່າ", "ສັນຍາ"]),
    ("zh", "医疗保险理赔申请表", ["保险", "理赔", "医疗保险", "申请"]),
    ("zh", "订单号ABC123已发货", ["ABC123", "订单", "发货"]),
    ("ja", "アパートの賃貸借契約を更新する", ["契約", "賃貸借", "アパート", "更新"]),
    ("ja", "ガス料金ｶﾞｽ", ["ガス", "ｶﾞｽ", "ガス料金"]),
    ("ja", "（株）山田商店　㈱", ["山田商店", "株"]),
    ("ja", "令和６年７月３日", ["令和6年7月3日", "7月3日"]),
    (
        "de",
        "IBAN: DE12\u00a05001\u00a00517\u00a00648\u00a04898\u00a090",
        ["DE12500105170648489890", "DE12 5001 0517 0648 4898 90"],
    ),
    ("fr", "IBAN FR76 3000 6000 0112 3456 7890 189", ["FR7630006000011234567890189", "fr76 3000 6000 0112 3456 7890 189"]),
    ("nl", "IBAN NL91ABNA0417164300", ["NL91 ABNA 0417 1643 00"]),
    ("en", "IBAN MT84MALT011000012345MTLCAST001S", ["MT84 MALT 0110 0001 2345 MTLC AST0 01S"]),
    ("en", "Amex 3782 822463 10005", ["378282246310005", "3782-822463-10005"]),
    ("de", "Tel.: +49 (0) 171 / 9876543", ["+491719876543", "0171 9876543", "01719876543", "0171/9876543"]),
    ("en", "+1 (212) 555-0199", ["2125550199", "(212) 555-0199", "+12125550199", "212-555-0199"]),
    ("en", "+44 20 7946 0958", ["+442079460958", "020 7946 0958", "02079460958"]),
    ("fr", "+33 (0)1 44 55 66 77", ["01 44 55 66 77", "+33144556677"]),
    ("de", "Betrag: -1.234,56", ["1234,56", "1234.56"]),
    ("de", "12,5 %", ["12.5", "12,50", "12,5"]),
    ("en", "USD 1,234,567.89", ["1234567.89", "1.234.567,89", "1 234 567,89"]),
    ("de", "€ 99,-", ["99"]),
    ("de", "1234,56€", ["1.234,56", "1,234.56", "1234.56"]),
    ("de", "0,99 EUR", ["0.99", "0,99"]),
    ("hi", "₹1,23,456.50", ["123456.50", "1,23,456.50", "123456,50"]),
    ("en", "1234567.8", ["1,234,567.80", "1.234.567,8"]),
    (
        "de",
        "31.12.2025",
        ["31. Dezember 2025", "2025-12-31", "31/12/2025", "Dec 31, 2025", "31 Dec 2025", "31.12.25", "31. Dez 2025"],
    ),
    ("en", "12/31/2025", ["2025-12-31", "31.12.2025"]),
    ("en", "2025/12/31", ["31.12.2025"]),
    ("en", "Wednesday, 31 December 2025", ["31.12.2025"]),
    ("fr", "le 1er janvier 2025", ["2025-01-01", "1.1.2025", "01/01/2025"]),
    ("it", "1º gennaio 2025", ["2025-01-01"]),
    ("es", "1 de enero del 2025", ["2025-01-01"]),
    ("nl", "1 maart 2025", ["2025-03-01"]),
    ("pt", "1º de março de 2025", ["2025-03-01"]),
    ("uk", "3 липня 2024 року", ["2024-07-03"]),
    ("bg", "3 юли 2024 г.", ["2024-07-03"]),
    ("sr", "3. јул 2024", ["2024-07-03"]),
    ("hr", "3. srpnja 2024.", ["2024-07-03"]),
    ("el", "3 Ιουλίου 2024", ["2024-07-03"]),
    ("et", "3. juuli 2024", ["2024-07-03"]),
    ("lv", "2024. gada 3. jūlijs", ["2024-07-03"]),
    ("lt", "2024 m. liepos 3 d.", ["2024-07-03"]),
    ("vi", "ngày 3 tháng 7 năm 2024", ["2024-07-03"]),
    ("ar", "٣ يوليو ٢٠٢٤", ["2024-07-03"]),
    ("ar", "٠٣/٠٧/٢٠٢٤", ["2024-07-03", "03.07.2024"]),
    ("th", "3 กรกฎาคม 2567", ["2567"]),
    ("zh", "二〇二四年七月三日", ["二〇二四年"]),
    ("en", "2024-07-03T10:20:30Z", ["2024-07-03", "3.7.2024"]),
    ("de", "Betriebskostenabrechnung 2023", ["Betriebskosten", "Abrechnung", "Nebenkostenabrechnung Betriebskosten", "Kostenabrechnung"]),
    ("de", "Kündigungsfristen", ["Kündigung", "Frist", "Kuendigungsfrist", "kundigungs*"]),
    ("de", "Rechtsschutzversicherungsbeitrag", ["Rechtsschutz", "Versicherungsbeitrag", "Beitrag"]),
    ("de", "Lohnsteuerbescheinigung", ["Lohnsteuer", "Bescheinigung", "Steuerbescheinigung"]),
    ("de", "Arztrechnungen", ["Rechnung", "Arztrechnung"]),
    ("de", "KFZ-Versicherung", ["Kfz Versicherung", "KFZVersicherung", "kfz-versicherung"]),
    ("de", "Zahnärzte", ["Zahnarzt", "Zahnaerzte"]),
    ("de", "Häuser", ["Haus", "Haeuser"]),
    ("de", "Straßenverkehrsamt", ["Strassenverkehrsamt", "Straße"]),
    ("en", "well-known co-operation", ["wellknown", "cooperation", "co operation"]),
    ("en", "The children’s certificates", ["children's", "certificate", "childrens"]),
    ("en", "analyses of policies", ["analysis", "policy"]),
    ("en", "prescription", ["perscription", "prescritpion", "prescripton"]),
    ("en", "unemployment benefits", ["unemployement", "unemploymnet benefit"]),
    ("en", "Wi\u2011Fi router", ["wifi", "wi-fi", "wi fi"]),
    ("en", "naïve café résumé", ["naive", "cafe", "resume", "résumé"]),
    ("en", "ﬁnancial eﬀects", ["financial", "effect"]),
    ("en", "№ 12345 ½ x² ℡", ["12345"]),
    ("en", "invoice#2024-0815", ["2024-0815", "20240815", "0815"]),
    ("en", "AB-1234/56", ["AB1234", "AB-1234/56", "ab 1234"]),
    ("de", "Az.: 3 C 123/24", ["3 C 123/24", "123/24"]),
    ("en", "C++ and C# and .NET", ["c++", "c#", ".net"]),
    ("en", "snake_case_name.pdf", ["snake_case_name", "snake case", "case_name"]),
    ("en", "https://example.org/path?x=1", ["example.org", "https://example.org/path", "path"]),
    ("ru", "Страховой полис ОСАГО", ["страховая", "полиса", "полисы", "ОСАГО"]),
    ("ru", "ёлка и счёты", ["елка", "счеты"]),
    ("ar", "فاتورة الكهرباء", ["الفاتورة", "كهرباء", "فاتوره"]),
    ("es", "facturación de pólizas", ["póliza", "poliza", "facturaciones"]),
    ("pt", "apólices de seguros", ["apólice", "apolice", "seguro"]),
    ("it", "le bollette della luce", ["bolletta", "bollette"]),
    ("fr", "Les baux d'habitation", ["d'habitation", "habitations"]),
    ("fr", "l'assurance-vie", ["assurance vie", "assurance", "l'assurance", "assurance-vie"]),
    ("fr", "Œuvre d'art", ["oeuvre", "œuvre"]),
    ("ca", "col·legi", ["collegi", "col·legi"]),
    ("ta", "மின்சார கட்டணம்", ["கட்டணம்", "மின்சார"]),
    ("hi", "बिजली का बिल", ["बिजली", "बिल"]),
]


@pytest.mark.parametrize(("language", "text", "queries"), MORE_WAYS)
async def test_what_people_write_is_found_as_people_ask_for_it(vault: Vault, language: str, text: str, queries: list[str]) -> None:
    await vault.add("right", text, language=language, filename="a.txt")
    await vault.add("noise", "something else altogether", language="en", filename="b.txt")
    assert [query for query in queries if "right" not in await vault.titles(query)] == []
