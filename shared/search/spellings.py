"""Numbers, dates and account numbers as people spell them: each spelling is found by every other.

`spellings` names the places of a text that may be written differently, with lexemes that do not depend on how: `1.234,56`, `1,234.56`
and `1234,56` are all `=1234.56`; `3.7.2024`, `2024-07-03` and `3. Juli 2024` are all `=2024-07-03`; an IBAN, a card or a phone number is
its letters and digits without what stands between them. The same function is applied to documents and to queries.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from shared.search.words import fold


@dataclass(frozen=True)
class Spelling:
    """A place of the text, and the lexemes by which it is found besides its words."""

    start: int
    end: int
    lexemes: tuple[str, ...]


_MONTHS = {
    fold(name): number
    for number, names in enumerate(
        (
            "january jan januar janner janvier janv enero gennaio gen janeiro januari январь января янв styczeń stycznia leden "
            "ledna ocak tammikuu tammikuuta január ianuarie ιανουάριος ιανουαρίου січень січня "
            "януари јануар јануара siječanj siječnja januarja jaanuar janvāris janvārī sausio يناير ינואר जनवरी",
            "february feb februar februari fevrier fevr febrero febbraio fevereiro февраль февраля фев luty lutego únor února "
            "şubat helmikuu helmikuuta február februarie φεβρουάριος φεβρουαρίου лютий лютого "
            "февруари фебруар фебруара veljača veljače februarja veebruar februāris februārī vasario فبراير פברואר फ़रवरी फरवरी",
            "march mar marz mars marzo marco maart mrz март марта marzec marca březen března mart maaliskuu maaliskuuta március "
            "martie μάρτιος μαρτίου березень березня "
            "март марта ožujak ožujka marca märts marts martā kovo مارس מרץ मार्च",
            "april apr avril abril aprile avr abr апрель апреля апр kwiecień kwietnia duben dubna nisan huhtikuu huhtikuuta "
            "április aprilie απρίλιος απριλίου квітень квітня "
            "април априла travanj travnja aprila aprill aprīlis aprīlī balandžio أبريل ابريل אפריל अप्रैल",
            "may mai mayo maggio maio mei maj mag май мая maja květen května mayıs toukokuu toukokuuta május μάιος μαΐου травень травня "
            "май мај маја svibanj svibnja maja maijs maijā gegužės مايو מאי मई",
            "june jun juni juin junio giugno junho giu июнь июня июн czerwiec czerwca červen června haziran kesäkuu kesäkuuta "
            "június iunie ιούνιος ιουνίου червень червня "
            "юни јун јуна lipanj lipnja junija juuni jūnijs jūnijā birželio يونيو יוני जून",
            "july jul juli juillet juil julio luglio julho lug июль июля июл lipiec lipca červenec července temmuz heinäkuu "
            "heinäkuuta július iulie ιούλιος ιουλίου липень липня "
            "юли јул јула srpanj srpnja julija juuli jūlijs jūlijā liepos يوليو יולי जुलाई",
            "august aug aout agosto ago augustus augusti август августа авг sierpień sierpnia srpen srpna ağustos elokuu "
            "elokuuta augusztus αύγουστος αυγούστου серпень серпня "
            "август августа kolovoz kolovoza avgust avgusta augustus agustus augusts augustā rugpjūčio أغسطس אוגוסט अगस्त",
            "september sep sept septembre septiembre settembre setembro set сентябрь сентября сен wrzesień września září eylül "
            "syyskuu syyskuuta szeptember septembrie σεπτέμβριος σεπτεμβρίου вересень вересня "
            "септември септембар септембра rujan rujna septembra septembris septembrī rugsėjo سبتمبر ספטמבר सितंबर सितम्बर",
            "october oct oktober okt octobre octubre ottobre outubro out ott октябрь октября окт październik października říjen "
            "října ekim lokakuu lokakuuta október octombrie οκτώβριος οκτωβρίου жовтень жовтня "
            "октомври октобар октобра oktobra oktoober oktobris oktobrī spalio أكتوبر אוקטובר अक्टूबर अक्तूबर",
            "november nov novembre noviembre novembro ноябрь ноября ноя listopad listopada listopadu kasım marraskuu marraskuuta "
            "noiembrie νοέμβριος νοεμβρίου листопад листопада "
            "ноември новембар новембра studeni studenoga studenog novembra novembris novembrī lapkričio نوفمبر נובמבר नवंबर नवम्बर",
            "december dec dezember dez decembre diciembre dicembre dezembro dic декабрь декабря дек grudzień grudnia prosinec "
            "prosince aralık joulukuu joulukuuta decembrie δεκέμβριος δεκεμβρίου грудень грудня "
            "декември децембар децембра prosinac prosinca decembra detsember decembris decembrī desember gruodžio ديسمبر דצמבר "
            "दिसंबर दिसम्बर",
        ),
        1,
    )
    for name in names.split()
}
"""By folded name: in the languages of Europe and some others, as a date has them."""

_THAI_MONTHS = (
    "มกราคม", "กุมภาพันธ์", "มีนาคม", "เมษายน", "พฤษภาคม", "มิถุนายน", "กรกฎาคม", "สิงหาคม", "กันยายน", "ตุลาคม", "พฤศจิกายน", "ธันวาคม",
)  # fmt: skip
_MONTHS |= {fold(name): number for number, name in enumerate(_THAI_MONTHS, 1)}

_BUDDHIST, _BUDDHIST_SINCE = 543, 2400
"""Years by which Thai dates are ahead, and from which year on one is such a date."""

_CURRENCY = "EUR|USD|GBP|CHF"
_BEFORE_AMOUNT = rf"(?:(?<![\w.,])|(?<={_CURRENCY}))"
_BEHIND_AMOUNT = rf"(?!(?!{_CURRENCY})\w|[.,]\d)"
_GROUPED = re.compile(
    rf"{_BEFORE_AMOUNT}(\d{{1,3}}(?:([.,'’\u00a0\u202f ])\d{{3}})(?:\2\d{{3}})*|\d{{1,2}}(?:,\d{{2}})+,\d{{3}})"
    rf"(?:([.,])(\d{{1,2}}))?{_BEHIND_AMOUNT}"
)
"""Amounts in groups of three digits; or, as in India, of two before the last three."""

_DECIMAL = re.compile(rf"{_BEFORE_AMOUNT}(\d+)[.,](\d{{1,2}}){_BEHIND_AMOUNT}")
_ACCOUNT = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ \u00a0]?[\dA-Z]{4}){2,7}(?:[ \u00a0]?[\dA-Z]{1,3})?(?!\w)", re.IGNORECASE)
_DIGITS = re.compile(r"(?<![\w.,])\+?\(?\d{1,6}\)?(?:[ \u00a0./()-]{1,2}\d{1,8}){1,8}(?!\w)")
_DIGITS_AT_LEAST, _DIGITS_AT_MOST = 8, 20
_ISO_DATE = re.compile(r"(?<![\w.-])(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?!(?!T\d)\w|[.-]\d)")
_NAME = r"([A-Za-z\u00aa-\u024f\u0370-\u052f\u05d0-\u065f\u066e-\u06ef\u0900-\u0963\u1e00-\u1fff]{2,12})"
"""A month's name, in scripts that part words by spaces; in Hindi it has marks that are no letters."""

_SHORT_DATE = re.compile(r"(?<![\w./-])(\d{1,2})([./-])\s?(\d{1,2})\2\s?(\d{4}|\d{2})(?![\w]|[./-]\d)")
_DAY_MONTH = re.compile(
    rf"(?<!\w)(\d{{1,2}})(?:\.\s?|(?:st|nd|rd|th|er|º|ª)?\s|-)(?:de\s|of\s|ב)?{_NAME}(?:\.?,?\s|-)(?:de\s|del\s)?(\d{{4}})(?!\w)",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(rf"(?<!\w){_NAME}\.?\s(\d{{1,2}})(?:st|nd|rd|th)?,?\s(\d{{4}})(?!\w)", re.IGNORECASE)
_YEAR_MONTH_DAY = re.compile(rf"(?<!\w)(\d{{4}})\.?\s(?:m\.\s)?{_NAME}\.?\s(\d{{1,2}})(?!\w)")
_DATES_ABROAD = (
    (re.compile(r"(\d{4})[年년]\s?(\d{1,2})[月월]\s?(\d{1,2})[日일]"), "ymd", ("月", "월")),
    (re.compile(rf"(?<!\w)(\d{{4}})\.\sgada\s(\d{{1,2}})\.\s{_NAME}"), "ydm", (". gada ",)),
    (re.compile(r"(?<!\w)(\d{1,2})\stháng\s(\d{1,2})(?:\snăm\s|,\s)(\d{4})(?!\w)"), "dmy", (" tháng ",)),
    (re.compile(rf"(\d{{1,2}})\s?({'|'.join(_THAI_MONTHS)})\s?(?:พ\.ศ\.\s?)?(\d{{4}})"), "dmy", ("คม", "ยน", "พันธ์")),
)
"""Dates of one or two languages: the order of year, month and day, and what every text with one has any of."""

_PHONE = re.compile(r"(?<![\w.,+/-])(?:\+|\(?0)[\d ()/.\u00a0\u2011-]{7,24}\d(?!\w)")
_PHONE_DIGITS, _PHONE_END = range(9, 16), 8
"""Digits of a phone number (E.164 allows 15), and how many of the last say which it is, with and without the country's code."""

_ABROAD = re.compile(r"(?<!\w)00([1-9]\d{7,17})(?!\w)")
"""A phone number with 00 for the plus sign, in one run."""

_DIGIT = re.compile(r"\d+")
_WHICH_DIGITS = bytes(chr(code).isdigit() and code < 128 for code in range(256))
_REACH = 48
"""Characters without a digit that a spelling has at most on either side of one: an account number may end in nine groups of letters."""

_BETWEEN = re.compile(r"[\W_]+")


def spellings(text: str) -> list[Spelling]:
    """Every place that is spelt in one of several ways, in no particular order; places may overlap."""
    found: list[Spelling] = []
    patterns = [(pattern, order) for pattern, order, marks in _DATES_ABROAD if any(mark in text for mark in marks)]
    for start, end in _around_digits(text):
        found += _numbers(text, start, end)
        found += _dates(text, start, end)
        found += _dates_abroad(text, start, end, patterns)
        found += _joined(text, start, end)
    return found


def _around_digits(text: str) -> list[tuple[int, int]]:
    """The parts of the text that stand within REACH of a digit: most of a text needs no looking at."""
    parts: list[tuple[int, int]] = []
    for first, last in _digit_runs(text):
        start, end = max(0, first - _REACH), min(len(text), last + _REACH)
        if parts and start <= parts[-1][1]:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    return parts


def _digit_runs(text: str) -> Iterator[tuple[int, int]]:
    if not text.isascii():
        yield from (match.span() for match in _DIGIT.finditer(text))
        return
    digits = text.encode().translate(_WHICH_DIGITS) + b"\0"
    first = digits.find(1)
    while first >= 0:
        last = digits.find(0, first)
        yield first, last
        first = digits.find(1, last)


def _numbers(text: str, start: int, end: int) -> Iterator[Spelling]:
    for match in _GROUPED.finditer(text, start, end):
        digits = fold(_BETWEEN.sub("", match[1]))
        lexemes = [digits.lstrip("0") or "0"]
        if match[4] is not None and match[3] != match[2]:
            lexemes.append(f"={lexemes[0]}.{fold(match[4]).ljust(2, '0')}")
        elif match[2] == " ":
            continue  # a row of numbers, for all one can tell
        yield Spelling(match.start(), match.end(), tuple(lexemes))
    for match in _DECIMAL.finditer(text, start, end):
        yield Spelling(match.start(), match.end(), (f"={fold(match[1]).lstrip('0') or '0'}.{fold(match[2]).ljust(2, '0')}",))


def _dates(text: str, start: int, end: int) -> Iterator[Spelling]:
    for match in _ISO_DATE.finditer(text, start, end):
        yield from _date(match, (match[1], match[2], match[3]))
    for match in _SHORT_DATE.finditer(text, start, end):
        year = match[4] if len(match[4]) == 4 else f"20{match[4]}" if match[4] < "70" else f"19{match[4]}"
        # With strokes, either may be the month: where it is written so, both are found.
        either = [(year, match[3], match[1])] + ([(year, match[1], match[3])] if match[2] == "/" else [])
        yield from _date(match, *either)
    for match in _DAY_MONTH.finditer(text, start, end):
        if month := _MONTHS.get(fold(match[2])):
            yield from _date(match, (match[3], str(month), match[1]))
    for match in _MONTH_DAY.finditer(text, start, end):
        if month := _MONTHS.get(fold(match[1])):
            yield from _date(match, (match[3], str(month), match[2]))
    for match in _YEAR_MONTH_DAY.finditer(text, start, end):
        if month := _MONTHS.get(fold(match[2])):
            yield from _date(match, (match[1], str(month), match[3]))


def _dates_abroad(text: str, start: int, end: int, patterns: list[tuple[re.Pattern[str], str]]) -> Iterator[Spelling]:
    for pattern, order in patterns:
        for match in pattern.finditer(text, start, end):
            part = dict(zip(order, match.groups(), strict=True))
            year = int(part["y"])
            month = _MONTHS.get(fold(part["m"]), part["m"])
            yield from _date(match, (str(year - _BUDDHIST if year > _BUDDHIST_SINCE else year), str(month), part["d"]))


def _date(match: re.Match[str], *candidates: tuple[str, str, str]) -> Iterator[Spelling]:
    lexemes = []
    for year, month, day in candidates:
        try:
            lexemes.append(f"={date(int(year), int(month), int(day)).isoformat()}")
        except ValueError:
            continue
    if lexemes:
        yield Spelling(match.start(), match.end(), tuple(dict.fromkeys(lexemes)))


def _joined(text: str, start: int, end: int) -> Iterator[Spelling]:
    for match in _ACCOUNT.finditer(text, start, end):
        joined = _BETWEEN.sub("", match[0]).lower()
        if len(joined) < match.end() - match.start() and sum(c.isdigit() for c in joined) >= _DIGITS_AT_LEAST:
            yield Spelling(match.start(), match.end(), (fold(joined),))
    for match in _DIGITS.finditer(text, start, end):
        joined = fold(_BETWEEN.sub("", match[0]))
        if _DIGITS_AT_LEAST <= len(joined) <= _DIGITS_AT_MOST:
            abroad = (joined[2:],) if joined.startswith("00") else ()
            yield Spelling(match.start(), match.end(), (joined, *abroad))
    for match in _PHONE.finditer(text, start, end):
        digits = fold(_BETWEEN.sub("", match[0]))
        if len(digits) in _PHONE_DIGITS and not _SHORT_DATE.match(text, match.start()):
            at_home = (digits[1:],) if match[0].startswith("+1") else ()
            yield Spelling(match.start(), match.end(), (f"=tel{digits[-_PHONE_END:]}", *at_home))
    for match in _ABROAD.finditer(text, start, end):
        yield Spelling(match.start(), match.end(), (fold(match[1]),))
