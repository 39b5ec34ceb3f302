"""Dates as people write them, in some thirty languages: `3. Mai 2024`, `May 3rd, 2024`, `03/05/24`, `2024年5月3日`, `令和6年5月3日`.

Which of two small numbers is the day is told by the document itself if it can be (another date has a 13th month), by signs of the
country in English, and otherwise by the language. All patterns are linear in the text.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

# Full names and usual abbreviations without their dots, without accents, in the cases in which they stand in dates.
_MONTH_NAMES = (
    "january jan januar jaenner janner jan janvier janv gennaio genn enero ene janeiro januari stycznia styczen sty ledna leden januara "
    "sijecnja sijecanj tammikuuta tammikuu januar ianuarie ian ocak oca yanuari sausio janvaris jaanuar января янв январь "
    "січня січ януари "
    "ιανουαριου ιαν gener urtarrila",
    "february feb februar feber fevrier fevr fev febbraio febbr febrero fevereiro februari lutego luty lut unora unor februara veljace "
    "veljaca helmikuuta helmikuu februarie subat sub vasario februaris veebruar февраля фев февраль лютого лют февруари φεβρουαριου φεβ "
    "febrer",
    "march mar marz maerz mrz mars marzo marco maart mrt marca marzec brezna brezen ozujka ozujak maaliskuuta maaliskuu marcius marc "
    "martie mart maret kovo marts marta мarta марта мар март березня бер μαρτιου μαρ marc",
    "april apr avril avr aprile abril abr kwietnia kwiecien kwi dubna duben aprila travnja travanj huhtikuuta huhtikuu "
    "aprilis aprilie nisan "
    "nis balandzio aprill апреля апр апрель квітня квіт април απριλιου απρ",
    "may mai maggio magg mayo maio mei maja maj kvetna kveten svibnja svibanj toukokuuta toukokuu majus mayis geguzes maijs "
    "мая май травня "
    "трав μαιου μαι maig",
    "june jun juni juin giugno giu junio junho juni czerwca czerwiec cze cervna cerven juna lipnja lipanj kesakuuta kesakuu junius iunie "
    "haziran haz birzelio junijs juuni июня июн июнь червня черв юни ιουνιου ιουν juny",
    "july jul juli juillet juil luglio lugl julio julho lipca lipiec lip cervence cervenec jula srpnja srpanj heinakuuta heinakuu julius "
    "iulie temmuz tem liepos julijs juuli июля июл июль липня юли ιουλιου ιουλ juliol",
    "august aug aout agosto ago augustus sierpnia sierpien sie srpna srpen augusta avgusta kolovoza kolovoz elokuuta elokuu augusztus "
    "agustos agu rugpjucio augusts августа авг август серпня серп αυγουστου αυγ agost",
    "september sep sept septembre settembre sett septiembre set setembro wrzesnia wrzesien wrz zari septembra rujna rujan syyskuuta "
    "syyskuu szeptember szept septembrie eylul eyl rugsejo septembris сентября сен сент сентябрь вересня вер септември σεπτεμβριου σεπ "
    "setembre",
    "october oct oktober okt octobre ottobre ott octubre outubro out pazdziernika pazdziernik paz rijna rijen oktobra listopada listopad "
    "lokakuuta lokakuu octombrie ekim eki spalio oktobris oktoober октября окт октябрь жовтня жовт октомври οκτωβριου οκτ octubre",
    "november nov novembre noviembre novembro listopadu novembra studenoga studenog studeni marraskuuta marraskuu noiembrie kasim kas "
    "lapkricio novembris ноября ноя ноябрь листопада лист ноември νοεμβριου νοε",
    "december dec dezember dez decembre dicembre dic diciembre dezembro grudnia grudzien gru prosince prosinec decembra "
    "prosinca prosinac "
    "joulukuuta joulukuu decembrie aralik ara gruodzio decembris detsember декабря дек декабрь грудня груд декември "
    "δεκεμβριου δεκ desembre "
    "desember",
)
_AMBIGUOUS = {"listopada": {"pl": 11, "hr": 10, "cs": 11}, "srpna": {"cs": 8}, "lipnja": {"hr": 6}}
_NAME = "[^\\W\\d_]{3,13}+"
_YEAR = "(?:1[89]|20)\\d\\d"
_DATES = re.compile(
    rf"""(?<![\w/.\-:])(?:
      (?P<iso_year>{_YEAR})(?P<iso_separator>[-/.])\ ?(?P<iso_month>\d\d?)(?P=iso_separator)\ ?(?P<iso_day>\d\d?)\.?(?![\w/\-]|\.\d)
    | (?P<first>\d\d?)\ ?(?P<separator>[./\-])\ ?(?P<second>\d\d?)\ ?(?P=separator)\ ?(?P<third>{_YEAR}|['’]?\d\d)(?![\w/\-]|[.,]\d)
    | (?P<day>\d\d?)\ ?(?:st|nd|rd|th|er|ère|ª|º|°|ste|de|e|-?го)?(?:\.|\b)?[\ \-./]{{0,2}}(?:(?:of|de|del|d[’']|di)\ ?)?
        (?P<name>{_NAME})\.?,?[\ \-./]{{0,2}}(?:(?:de|del|of)\ )?(?P<year>{_YEAR}|['’]\d\d|(?<=[-/])\d\d)(?!\d)
    | (?P<us_name>{_NAME})\.?\ (?P<us_day>\d\d?)(?:st|nd|rd|th)?,?\ (?P<us_year>{_YEAR})(?!\d)
    | (?P<big_year>{_YEAR})\.?\ (?:m\.\ |gada\ )?(?P<big_name>{_NAME})\.?\ (?P<big_day>\d\d?)(?!\d)
    | (?P<cjk_year>{_YEAR})\ ?[年년]\ ?(?P<cjk_month>\d\d?)\ ?[月월]\ ?(?P<cjk_day>\d\d?)\ ?[日일]
    | (?P<era>令和|平成|昭和)\ ?(?P<era_year>\d\d?|元)\ ?年\ ?(?P<era_month>\d\d?)\ ?月\ ?(?P<era_day>\d\d?)\ ?日
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925}
_AMERICAN = re.compile(r"\b[A-Z]{2} \d{5}(?:-\d{4})?\b|\(\d{3}\) \d{3}-\d{4}|\bZIP\b|\bUSA\b|United States|\bSSN\b|\bIRS\b")
_NOT_AMERICAN = re.compile(
    r"£|€|\bVAT\b|\bGST\b|\bIBAN\b|\bplc\b|\bLtd\b|\bUnited Kingdom\b|\bIreland\b|\bAustralia\b|\bIndia\b|\bcolour\b|\bSort code\b"
    r"|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b"
)


@dataclass(frozen=True)
class WrittenDate:
    """A date and where it stands in the text; `has_name` if its month is a word."""

    on: date
    start: int
    end: int
    has_name: bool


def find(text: str, language: str | None) -> list[WrittenDate]:
    """Every date of the text that exists, in order; `language` is ISO 639-1."""
    if _DIGIT.search(text) is None:
        return []
    matches = list(_DATES.finditer(text))
    month_first = _is_month_first(text, matches, language)
    return [found for match in matches if (found := _read(match, month_first, language)) is not None]


def _read(match: re.Match[str], month_first: bool, language: str | None) -> WrittenDate | None:
    parts = match.groupdict()
    if parts["iso_year"]:
        numbers = (parts["iso_year"], parts["iso_month"], parts["iso_day"])
    elif parts["first"]:
        # With dots nobody writes the month first.
        swapped = month_first and parts["separator"] != "."
        numbers = (parts["third"], parts["first" if swapped else "second"], parts["second" if swapped else "first"])
    elif parts["cjk_year"]:
        numbers = (parts["cjk_year"], parts["cjk_month"], parts["cjk_day"])
    elif parts["era"]:
        year = 1 if parts["era_year"] == "元" else int(parts["era_year"])
        numbers = (str(_ERAS[parts["era"]] + year), parts["era_month"], parts["era_day"])
    else:
        kind = next(kind for kind in ("", "us_", "big_") if parts[f"{kind}name"])
        month = _month(parts[f"{kind}name"], language)
        if month is None:
            return None
        numbers = (parts[f"{kind}year"], str(month), parts[f"{kind}day"])
    try:
        on = date(_year(numbers[0]), int(numbers[1]), int(numbers[2]))
    except ValueError:
        return None
    return WrittenDate(on, match.start(), match.end(), any(parts[name] for name in ("name", "us_name", "big_name", "cjk_year", "era")))


def _month(name: str, language: str | None) -> int | None:
    plain = folded(name)
    return _AMBIGUOUS.get(plain, {}).get(language or "") or _MONTHS.get(plain)


def _year(written: str) -> int:
    digits = written.lstrip("'’")
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (2000 if int(digits) < 70 else 1900)


def _is_month_first(text: str, matches: list[re.Match[str]], language: str | None) -> bool:
    """Whether 03/05/2024 is in March."""
    firsts = [(int(match["first"]), int(match["second"])) for match in matches if match["first"] and match["separator"] != "."]
    if any(first > 12 >= second for first, second in firsts):
        return False
    if any(second > 12 >= first for first, second in firsts):
        return True
    if language not in ("en", None) or not firsts:
        return False
    signs = len(_AMERICAN.findall(text[:20_000])) - len(_NOT_AMERICAN.findall(text[:20_000]))
    if signs == 0:
        # A month's name before the day is American, too.
        signs = sum(1 if match["us_name"] else -1 for match in matches if match["us_name"] or match["name"])
    return signs > 0 or (signs == 0 and language == "en" and "$" in text)


_LETTERS = str.maketrans("łøđı", "lodi")


def folded(text: str) -> str:
    """In lower case, without accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character)).translate(_LETTERS)


_MONTHS = {folded(name): number for number, names in enumerate(_MONTH_NAMES, 1) for name in names.split()}


def words(text: str) -> Iterator[str]:
    """The words of a text, folded."""
    return (match[0] for match in re.finditer(r"[^\W\d_]+", folded(text)))
