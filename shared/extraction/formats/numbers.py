"""Numbers and dates of spreadsheets as their cells show them (number formats: ECMA-376, part 1, 18.8.30 and 18.8.31).

A number is given as it is shown and as its value, `1.234,50 € = 1234.5`, a date as it is shown and as ISO 8601 writes it. How a cell looks
depends also on the country of whoever opens the workbook, which no file tells: what is shown is written with a decimal comma (dollars and
pounds, and all numbers of a workbook in English, with a point), and with a point too unless `shared.search.spellings` takes both for one.
Months and days are named in the language of the workbook's words. The sign between two writings keeps them apart.
"""

import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import isfinite

from shared.extraction import language as languages

_BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "#,##0", 6: "#,##0", 7: "#,##0.00", 8: "#,##0.00", 9: "0%",
    10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??", 14: "dd.mm.yyyy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "dd.mm.yyyy h:mm", 37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00",
    41: "#,##0", 42: "#,##0", 43: "#,##0.00", 44: "#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    **dict.fromkeys((*range(27, 32), 36, *range(50, 55), 57, 58), "yyyy-mm-dd"), 32: "h:mm", 33: "h:mm:ss", 34: "h:mm", 35: "h:mm:ss",
    55: "h:mm", 56: "h:mm:ss",
}  # fmt: skip
"""Formats that files name by number only. Currencies are those of the country; 14 and 22 are written as where German is spoken."""

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
}
_DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "it": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "nl": "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
    "pt": "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
}
_LANGUAGES = {0x09: "en", 0x07: "de", 0x0C: "fr", 0x0A: "es", 0x10: "it", 0x13: "nl", 0x16: "pt"}
"""The primary language of a Windows language identifier, its lower ten bits ([MS-LCID])."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<width>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]|(?P<half>AM/PM|A/P)|(?P<general>General)'
    r"|(?P<exponent>E[+-])|(?P<date>y+|m+|d+|h+|s+|e+)|(?P<digit>[0#?])|(?P<other>.)",
    re.I | re.S,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[\d.]+)")
_ELAPSED = re.compile(r"h+|m+|s+", re.I)
_EXACT = Context(prec=340)
_SEPARATOR = " = "
_SPELLED_DECIMALS = 2
"""Decimals up to which search takes comma and point for the same."""
_ENGLISH_CURRENCIES = frozenset("$£")
_SIMPLE = re.compile(r"-?(?:0|[1-9]\d*)(?:\.(\d+))?", re.A)
_TO_COMMA = str.maketrans(",.", ".,")
_SHORT = 12
"""Characters up to which a cell shows all of a number."""
_LAST_DAY = 2_958_465.999_999_9  # 31 December 9999
_TEXTS_LOOKED_AT = 1_000
_MAX_CODE = 255  # 18.8.30: a format code is no longer

Token = tuple[str, str]


class NumberFormat:
    """One number format. `text()` gives a number in all its writings, with a sign between them."""

    def __init__(self, code: str, *, since_1904: bool = False, language: str = "") -> None:
        self._since_1904 = since_1904
        self._sections = [_Section(tokens, language) for tokens in _sections(code[:_MAX_CODE])[:3]]
        self._conditional = any(section.holds(0) is not None for section in self._sections)
        self._plain = code.strip().lower() in ("general", "@", "")

    @classmethod
    def built_in(cls, number: int, *, since_1904: bool = False, language: str = "") -> "NumberFormat":
        return cls(_BUILT_IN.get(number, "General"), since_1904=since_1904, language=language)

    def text(self, raw: str, *, brief: bool = False) -> str:
        """`raw` is the value as files hold it; raises ValueError where it is no number. `brief`: no more writings than search needs."""
        if self._plain and len(raw) <= _SHORT and (simple := _SIMPLE.fullmatch(raw)):
            return raw if brief or len(simple[1] or "") <= _SPELLED_DECIMALS else f"{raw.replace('.', ',')}{_SEPARATOR}{raw}"
        value = float(raw)
        if not isfinite(value):
            raise ValueError(raw)
        plain = _general(value)
        section, magnitude = self._section(value)
        if section is None or section.general:
            return plain if brief else _SEPARATOR.join(dict.fromkeys((*_shown_generally(value), plain)))
        if section.is_date:
            return self._date(section, value, brief) or plain
        texts = section.numbers(magnitude, plain)
        if brief and section.is_exact(plain):
            return texts[0] or plain
        return _SEPARATOR.join(dict.fromkeys(text for text in (*texts, plain) if text))

    def date(self, moment: datetime) -> str:
        """A date that the file holds as such."""
        dates = [section for section in self._sections if section.is_date]
        shown = [dates[0].date(moment, 0.0)] if dates else []
        return _with_usual(shown, moment, day=True)

    def _section(self, value: float) -> tuple["_Section | None", float]:
        sections = self._sections
        if self._conditional:
            for section in sections:
                if section.holds(value) is not False:
                    return section, value
            return None, value
        if value < 0 and len(sections) > 1:
            return sections[1], -value
        if value == 0 and len(sections) > 2:
            return sections[2], 0.0
        return (sections[0] if sections else None), value

    def _date(self, section: "_Section", serial: float, brief: bool) -> str | None:
        if section.elapsed:
            return section.date(datetime(1900, 1, 1), serial)
        if not 0 <= serial <= _LAST_DAY:
            return None
        # day 60 is a 29 February 1900 that never was (18.17.4.1)
        first = datetime(1904, 1, 1) if self._since_1904 else datetime(1899, 12, 30) if serial >= 60 else datetime(1899, 12, 31)
        try:
            moment = first + timedelta(milliseconds=round(serial * 86_400_000))
        except OverflowError:
            return None
        shown = section.date(moment, serial)
        return shown if brief and section.is_whole_date else _with_usual([shown], moment, day=section.names_day or serial >= 1)


class _Section:
    """What stands between two semicolons of a format."""

    def __init__(self, tokens: list[Token], language: str) -> None:
        self.general = any(kind == "general" for kind, _ in tokens) or not tokens
        self._condition = next((match for kind, text in tokens if kind == "bracket" and (match := _CONDITION.match(text))), None)
        self.elapsed = any(kind == "elapsed" for kind, _ in tokens)
        letters = "".join(text for kind, text in tokens if kind == "date").lower()
        self.is_date = self.elapsed or (any(letter in letters for letter in "ymdhs") and not self.general)
        self.names_day = "y" in letters or "d" in letters
        order = "".join(dict.fromkeys(letters))
        # 07/03/24 may be read either way
        self.is_whole_date = order.startswith(("ymd", "dmy")) or ("mmm" in letters and order.startswith("mdy"))
        self._language = language
        for kind, text in tokens:
            if kind == "bracket" and text.startswith("$"):
                tag = text[1:].rpartition("-")[2] if "-" in text else ""
                self._language = _language(tag) or self._language
                if tag.upper() == "F800":
                    tokens = _sections('dddd", "d". "mmmm yyyy')[0]
                    self.names_day = True
                    break
        self._tokens = [token for token in (_plainer(token) for token in tokens) if token]
        if not self.is_date:
            self._prepare_number()

    def holds(self, value: float) -> bool | None:
        """Whether its condition holds; None without one."""
        if self._condition is None:
            return None
        try:
            limit = float(self._condition[2])
        except ValueError:
            return None
        sign = self._condition[1]
        if sign == "<>":
            return value != limit
        return ("<" in sign and value < limit) or (">" in sign and value > limit) or ("=" in sign and value == limit)

    def _prepare_number(self) -> None:
        self._before: list[str] = []
        self._after: list[str] = []
        self._whole: list[Token] = []  # digits, and literals among them
        self._decimals = ""
        self._thousands, self._scale, self._unusual = False, 0, False
        seen_point, commas = False, 0
        pending: list[Token] = []
        for kind, text in self._tokens:
            if kind == "digit":
                if seen_point:
                    self._decimals += text
                else:
                    self._thousands |= commas > 0
                    self._whole += [*pending, (kind, text)] if self._whole else [(kind, text)]
                    pending, commas = [], 0
            elif text == "." and kind == "other" and not seen_point:
                seen_point = True
                self._scale -= 3 * commas
                commas = 0
                self._after += [literal for _, literal in pending]
                pending = []
            elif text == "," and kind == "other" and (self._whole or seen_point):
                commas += 1
            elif kind in ("exponent", "at") or (kind == "other" and text == "/" and self._whole):
                self._unusual = True
            else:
                self._scale += 2 if text == "%" and kind == "other" else 0
                if not self._whole and not seen_point:
                    self._before.append(text)
                elif seen_point:
                    self._after.append(text)
                else:
                    pending.append(("literal", text))
        self._scale -= 3 * commas
        self._after = [text for _, text in pending] + self._after if not seen_point else self._after
        self._digits = [text for kind, text in self._whole if kind == "digit"]
        self._parted = len(self._digits) != len(self._whole)
        first_zero = next((place for place, text in enumerate(self._digits) if text == "0"), len(self._digits))
        self._least = len(self._digits) - first_zero
        self._literal_only = not self._digits and not self._decimals
        self._simple = not (self._literal_only or self._parted or self._unusual or self._scale)
        self._usual = self._simple and self._least == 1 and not self._decimals.strip("0")
        self._python_format = f"{',' if self._thousands else ''}.{len(self._decimals)}f"
        before, after = "".join(self._before), "".join(self._after)
        self._around = before, after
        self._with_point = self._language == "en" or bool(_ENGLISH_CURRENCIES.intersection(before + after))

    def is_exact(self, plain: str) -> bool:
        """Whether search takes what is shown of this value for the value itself."""
        decimals = len(plain.partition(".")[2])
        return self._simple and self._least <= 1 and decimals <= min(len(self._decimals), _SPELLED_DECIMALS)

    def numbers(self, value: float, plain: str) -> list[str]:
        """The number as this format writes it, with a decimal comma, and with a point where search needs it."""
        if self._unusual:
            shown = _scientific(self._tokens, value) or _fraction(self._tokens, value)
            return [*filter(None, (shown,)), *_shown_generally(value)]
        before, after = self._around
        exact = not self._scale and "e" not in plain and len(plain.partition(".")[2]) <= len(self._decimals)
        if exact and self._usual:
            point = f"{abs(value):{self._python_format}}"
            sign = "-" if value < 0 else ""
            shown = point if self._with_point else point.translate(_TO_COMMA)
            texts = [f"{sign}{before}{shown}{after}".strip()]
            return texts if len(self._decimals) <= _SPELLED_DECIMALS or self._with_point else [*texts, f"{sign}{point}"]
        if self._literal_only:
            return [f"{before}{after}".strip()]
        if exact:  # nothing to round
            whole, _, decimals = f"{abs(value):.{len(self._decimals)}f}".partition(".")
            sign = "-" if value < 0 else ""
        else:
            scaled = Decimal(f"{value:.15g}").scaleb(self._scale, _EXACT)
            rounded = scaled.quantize(Decimal(1).scaleb(-len(self._decimals)), ROUND_HALF_UP, _EXACT)
            whole, _, decimals = f"{abs(rounded):f}".partition(".")
            sign = "-" if rounded < 0 else ""
        least = len(self._decimals.rstrip("#?"))
        decimals = decimals[:least] + decimals[least:].rstrip("0")
        whole = whole.lstrip("0").rjust(self._least, "0")
        if self._parted:
            shown = self._spread(whole)
            return [f"{sign}{before}{shown}{',' + decimals if decimals else ''}{after}".strip()]
        grouped = f"{int(whole):,}" if self._thousands and whole and whole[0] != "0" and len(whole) <= 300 else whole
        point = f"{sign}{before}{grouped}{'.' + decimals if decimals else ''}{after}".strip()
        if self._with_point:
            return [point]
        texts = [f"{sign}{before}{grouped.replace(',', '.')}{',' + decimals if decimals else ''}{after}".strip()]
        if len(decimals) > _SPELLED_DECIMALS:
            texts.append(f"{sign}{grouped}.{decimals}")
        return texts

    def _spread(self, whole: str) -> str:
        """The digits over placeholders that have literals among them, as in 000-00-000, from the right."""
        left = list(whole)
        pieces: list[str] = []
        places = len(self._digits)
        for kind, text in reversed(self._whole):
            if kind != "digit":
                if left:
                    pieces.append(text[::-1])
                continue
            places -= 1
            if left:
                pieces.append(left.pop())
            if not places:
                pieces += reversed(left)
                left = []
        return "".join(pieces)[::-1]

    def date(self, moment: datetime, serial: float) -> str:
        """A date as this format writes it."""
        months, days = _MONTHS[self._language or "de"].split(), _DAYS[self._language or "de"].split()
        tokens = self._tokens
        halves = any(kind == "half" for kind, _ in tokens)
        seconds_shown = any(kind in ("date", "elapsed") and text[0] in "sS" for kind, text in tokens)
        whole_seconds = round(abs(serial) * 86_400) if seconds_shown else int(abs(serial) * 86_400 + 0.5)
        fractions = any(text == "." and then == "digit" for (_, text), (then, _) in pairwise(tokens))
        if not fractions and moment.microsecond >= 500_000:
            moment += timedelta(seconds=1)
        pieces: list[str] = ["-"] if self.elapsed and serial < 0 else []
        for place, (kind, text) in enumerate(tokens):
            letter, length = text[:1].lower(), len(text)
            if kind == "elapsed":
                total = whole_seconds // {"h": 3600, "m": 60, "s": 1}[letter]
                pieces.append(str(total).rjust(length, "0"))
            elif kind == "half":
                half = "AM" if moment.hour < 12 else "PM"
                pieces.append(half if length > 3 else half[0])
            elif kind == "date" and self.elapsed and letter in "ms":
                pieces.append(str(whole_seconds // (60 if letter == "m" else 1) % 60).rjust(length, "0"))
            elif kind == "date" and letter in "ye":
                pieces.append(f"{moment.year % 100:02}" if letter == "y" and length <= 2 else str(moment.year))
            elif kind == "date" and letter == "m" and _are_minutes(tokens, place):
                pieces.append(str(moment.minute).rjust(min(length, 2), "0"))
            elif kind == "date" and letter in "md" and length > 2:
                name = months[moment.month - 1] if letter == "m" else days[moment.weekday()]
                short = name[: 1 if length == 5 else 2 if letter == "d" and self._language in ("", "de") else 3]
                pieces.append(name if length == 4 or length > 5 else short)
            elif kind == "date":
                hour = (moment.hour % 12 or 12) if halves else moment.hour
                number = {"m": moment.month, "d": moment.day, "h": hour, "s": moment.second}[letter]
                pieces.append(str(number).rjust(min(length, 2), "0"))
            elif kind == "digit":
                pieces.append(str(moment.microsecond // 100_000) if place and tokens[place - 1][1] == "." else "")
            elif kind != "bracket":
                pieces.append(text)
        return "".join(pieces).strip()


def _scientific(tokens: list[Token], value: float) -> str:
    """A number with an exponent; "" if the format has none. Of more than one digit before the point it counts in steps of them."""
    place = next((place for place, (kind, _) in enumerate(tokens) if kind == "exponent"), None)
    if place is None:
        return ""
    shape = "".join(text for kind, text in tokens[:place] if kind == "digit" or text == ".")
    whole, _, decimals = shape.partition(".")
    step = max(1, len(whole))
    number = Decimal(f"{value:.15g}")
    power = number.adjusted() // step * step if number else 0
    digits = number.scaleb(-power).quantize(Decimal(1).scaleb(-len(decimals)), ROUND_HALF_UP, _EXACT)
    if abs(digits) >= 10**step:
        digits, power = digits.scaleb(-step).quantize(Decimal(1).scaleb(-len(decimals)), ROUND_HALF_UP, _EXACT), power + step
    least = sum(kind == "digit" for kind, _ in tokens[place + 1 :])
    sign = "-" if power < 0 else "+" if "+" in tokens[place][1] else ""
    return f"{f'{digits:f}'.replace('.', ',')}E{sign}{abs(power):0{max(1, least)}}"


def _fraction(tokens: list[Token], value: float) -> str:
    """A number as a fraction, its denominator as the format says or as large as its digits allow; "" if the format has none."""
    place = next((place for place, (kind, text) in enumerate(tokens) if kind == "other" and text == "/"), None)
    if place is None or abs(value) > 1e12:
        return ""
    below = "".join(text for kind, text in tokens[place + 1 :] if kind == "digit" or text.isdecimal())
    if below.strip("?#0").isdecimal():
        denominator = int(below.strip("?#")[:6]) or 1
        numerator = round(abs(value) * denominator)
    else:
        exact = Fraction(abs(value)).limit_denominator(10 ** min(max(1, len(below)), 6) - 1)
        numerator, denominator = exact.numerator, exact.denominator
    kinds = [kind == "digit" for kind, _ in tokens[:place]]
    has_whole = any(kinds) and False in kinds[kinds.index(True) :]
    whole, numerator = divmod(numerator, denominator) if has_whole else (0, numerator)
    parts = [str(whole)] if whole or not numerator else []
    parts += [f"{numerator}/{denominator}"] if numerator or not has_whole else []
    return ("-" if value < 0 else "") + " ".join(parts)


def _sections(code: str) -> list[list[Token]]:
    sections: list[list[Token]] = [[]]
    for match in _TOKEN.finditer(code):
        kind, text = str(match.lastgroup), match[str(match.lastgroup)]
        if kind == "other" and text == ";":
            sections.append([])
        else:
            kind = "elapsed" if kind == "bracket" and _ELAPSED.fullmatch(text) else "at" if text == "@" and kind == "other" else kind
            sections[-1].append((kind, text))
    return sections


def _plainer(token: Token) -> Token | None:
    kind, text = token
    if kind in ("quoted", "escaped"):
        return "literal", text
    if kind == "width":
        return "literal", " "
    if kind == "fill" or (kind == "bracket" and not text.startswith("$")):
        return None
    if kind == "bracket":
        symbol = (text[1:].rpartition("-")[0] if "-" in text else text[1:]) or ""
        return ("literal", symbol) if symbol else None
    return token


def language_of(texts: list[str]) -> str:
    """The language of a workbook with these texts, if its months have names here; "" if not, or if the texts do not tell."""
    spoken = languages.detect("\n".join(texts[:_TEXTS_LOOKED_AT]))
    return spoken if spoken in _MONTHS else ""


def _language(tag: str) -> str:
    try:
        return _LANGUAGES.get(int(tag, 16) & 0x3FF, "") if tag else ""
    except ValueError:
        return tag[:2].lower() if tag[:2].lower() in _MONTHS else ""


def _are_minutes(tokens: list[Token], place: int) -> bool:
    """An m beside hours or seconds (18.8.30)."""
    if len(tokens[place][1]) > 2:
        return False
    times = [text[0].lower() for kind, text in tokens[:place] if kind in ("date", "elapsed")]
    then = [text[0].lower() for kind, text in tokens[place + 1 :] if kind in ("date", "elapsed")]
    return times[-1:] == ["h"] or then[:1] == ["s"]


def _with_usual(shown: list[str], moment: datetime, *, day: bool) -> str:
    moment += timedelta(microseconds=500_000)
    time = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
    if not day:
        return _SEPARATOR.join(dict.fromkeys((*shown, time)))
    timed = f" {time}" if moment.hour or moment.minute or moment.second else ""
    german = f"{moment.day:02}.{moment.month:02}.{moment.year:04}{timed}"
    iso = f"{moment.year:04}-{moment.month:02}-{moment.day:02}{timed}"
    return _SEPARATOR.join(dict.fromkeys((*shown, german, iso)))


def _general(value: float) -> str:
    """The value with the 15 digits that spreadsheets calculate with."""
    text = f"{value:.15g}"
    return f"{Decimal(text):f}" if "e" in text and abs(Decimal(text).adjusted()) <= 25 else text


@lru_cache(4096)
def _shown_generally(value: float) -> list[str]:
    """As a cell without a format shows it, to eleven digits; with decimal comma and with point where search needs both."""
    shown = _general(float(f"{value:.11g}"))
    return [shown.replace(".", ","), shown] if len(shown.partition(".")[2]) > _SPELLED_DECIMALS else [shown]
