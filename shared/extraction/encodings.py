"""The text of bytes whose encoding nobody knows for sure.

`decode(data, declared)` never raises. It believes, in this order: a byte order mark, the escape sequences of ISO 2022, the pattern
of UTF-16 and UTF-32, valid UTF-8, `declared` (by the labels of the WHATWG Encoding Standard, section 4.2), and of the legacy encodings the
one whose text looks most like writing. chardet's guess is one voice in that; it knows the letters that languages use, and not what stands
inside of words, so the candidates are compared by that, too.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator

from shared.extraction import language

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_LABELS = {
    "cp1252": "ascii us-ascii iso-8859-1 iso8859-1 iso88591 iso_8859-1 iso-ir-100 latin1 latin-1 l1 x-cp1252 windows-1252 ansi",
    "cp1254": "iso-8859-9 iso8859-9 iso_8859-9 latin5 l5 windows-1254 x-cp1254",
    "cp874": "iso-8859-11 iso8859-11 tis-620 windows-874 dos-874",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji windows-31j ms932 cp932",
    "cp949": "euc-kr euckr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean windows-949 cp949",
    "gb18030": "gb2312 gbk chinese csgb2312 gb_2312-80 x-gbk gb18030 cp936 windows-936 euc-cn",
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5 csbig5 cp950",
    "euc_jp": "euc-jp x-euc-jp",
    "iso2022_jp_ext": "iso-2022-jp csiso2022jp",
    "iso8859-8": "iso-8859-8 iso-8859-8-i iso-8859-8-e logical visual hebrew",
    "mac_roman": "macintosh mac x-mac-roman macroman",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "koi8-u": "koi8-ru koi8-u",
    "cp866": "ibm866 866 cp866",
    "utf-16-le": "utf-16 utf-16le unicode ucs-2 iso-10646-ucs-2",
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 x-unicode20utf8 utf-8-sig",
}
_BY_LABEL = {label: name for name, labels in _LABELS.items() for label in labels.split()}
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "ascii": "cp1252"}  # fmt: skip  # noqa: E501
_SEVERAL_BYTES = {"cp932", "cp949", "gb18030", "big5hkscs", "euc_jp", "iso2022_jp_ext", "johab", "utf-16-le", "utf-16-be", "utf-7"}

_SAMPLE, _COMPARED = 16 * 1024, 4 * 1024
"""Bytes that chardet is given, and that candidates are compared on."""
_SURE_ENOUGH = 0.1
"""chardet's confidence; a handful of Latin letters gets 0.05, 25 letters of Turkish 0.12, whole sentences 0.25 to 0.65."""
_WESTERN = ("cp1252", "cp850", "mac_roman", "cp437")
"""Tried whatever chardet says: most likely first."""
_WRITTEN_IN_CP1252 = {"en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "fi", "ca"}
_NO_DOUBT = 0.85
_LESS_KNOWN = {
    "pl cs sk hu hr sl ro": ("cp1250", "iso8859-2", "cp852"), "tr": ("cp1254", "cp857"), "lt lv et": ("cp1257", "iso8859-13", "cp775"),
    "da no is": ("cp865", "cp861"),
}  # fmt: skip
"""Tried whatever chardet says, if what they make of the bytes are letters of one of their languages."""
_DIFFERENT_LETTERS = 4
"""So many different letters, all of one alphabet, are no chance."""
_OF_ONE_LANGUAGE = 0.4
"""What fewer of them count, of whatever alphabet."""
_CANDIDATES = 8
_NEVER = {"hp-roman8", "cp037", "cp500", "cp1026", "cp1140", "cp875", "cp424", "cp273"}
"""Of mainframes and printers: no file on a person's disk, and one of them is always near."""
_ALPHABETS = {
    "en": "éèêçñöüäï", "de": "äöüßé", "fr": "àâæçéèêëîïôœùûüÿ", "es": "áéíñóúü", "it": "àèéìîòóù", "pt": "ãáâàçéêíóôõúü", "nl": "áéëèïóöü",
    "sv": "åäöé", "da": "æøåé", "no": "æøåéòóô", "fi": "äöå", "ca": "àçéèíïóòúü", "pl": "ąćęłńóśźż", "cs": "áčďéěíňóřšťúůýž",
    "sk": "áäčďéíĺľňóôŕšťúýž", "hr": "čćđšž", "sl": "čšž", "is": "áðéíóúýþæö",
    "lt": "ąčęėįšųūž", "lv": "āčēģīķļņšūž", "et": "äõöüšž", "hu": "áéíóöőúüű", "ro": "ăâîșşțţ", "tr": "çğıöşüâî",
}  # fmt: skip
"""Letters beyond ASCII by language (ISO 639-1)."""
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_RUN_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
_PAIRS = {"gb18030", "cp949", "euc_jp"}
"""Encodings of which both bytes of a character are beyond ASCII."""
_AROUND = 200
"""Bytes kept on either side of one beyond ASCII."""
_ISO_2022 = ((b"\x1b$)C", "iso2022_kr"), (b"\x1b$)A", "iso-2022-cn"), (b"\x1b$", "iso2022_jp_ext"))
_HZ = re.compile(rb"~\{(?:[!-}][!-~]){2,}~\}")
_UTF_7 = re.compile(rb"[A-Za-z ]\+A[L-P][A-Za-z0-9+/]-[A-Za-z ]")
"""A letter of Western Europe in UTF-7 (RFC 2152), within a word."""
_EURO = re.compile(r"(?<=\d)\u00a4|(?<=\d )\u00a4|\u00a4(?= ?\d)")
"""The euro of ISO 8859-15, where ISO 8859-1 has a sign that nobody writes beside a number."""
_SHIFTED = re.compile(rb"\x0e([^\x0f\n]*)\x0f?")
_NO_TEXT = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\x1a")) + b"\x7f"


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of any bytes, declared to be in an encoding or not."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if (text := _escaped(data)) is not None:
        return text
    if wide := wide_encoding(data):
        return data.decode(wide, "replace")
    label = codec(declared) if declared else None
    if label in _SEVERAL_BYTES:
        assert label is not None
        if (text := _strictly(data, label)) is not None:
            return text
        text = data.decode(label, "replace")
        if text.count("\ufffd") <= len(text) // 100:
            return text
    if (text := _strictly(data, "utf-8")) is not None:
        return text
    if label and label != "utf-8" and (text := _strictly(data, label)) is not None:
        return text
    if (text := _line_by_line(data)) is not None:
        return text
    text = data.decode("utf-8", "replace")
    # UTF-8 with some broken bytes: hardly any other encoding makes valid sequences by chance
    if sum(character > "\x7f" for character in text[:_SAMPLE]) > 2 * text.count("\ufffd", 0, _SAMPLE):
        return text
    encoding = _legacy_encoding(data)
    text = data.decode(encoding, "replace")
    return _EURO.sub("€", text) if encoding == "cp1252" else text


def codec(label: str) -> str | None:
    """Python's name of the encoding that a page or a mail calls so; None for what is none, or makes no text ("hex" is a codec, too)."""
    name = label.strip().strip("\"'").lower()
    try:
        found = codecs.lookup(_BY_LABEL.get(name, name))
        return _WIDER.get(found.name, found.name) if found._is_text_encoding else None
    except (LookupError, ValueError):
        return None


def wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a byte order mark, told by its zeros or by making sense in one byte order only."""
    sample = data[: 4096 - 4096 % 4]
    if len(sample) < 4:
        return None
    quarter = max(1, len(sample) // 4)
    zeros = [sample[place::4].count(0) for place in range(4)]
    if zeros[3] >= quarter and zeros[2] > quarter * 0.9 and zeros[0] < quarter * 0.1:
        return "utf-32-le"
    if zeros[0] >= quarter and zeros[1] > quarter * 0.9 and zeros[3] < quarter * 0.1:
        return "utf-32-be"
    half = max(1, len(sample) // 2)
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if odd > half * 0.4 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.4 and odd < half * 0.05:
        return "utf-16-be"
    # Letters beyond Latin: their lower bytes, or the upper ones, are controls that no other text has so many of.
    if len(sample) - len(sample.translate(None, _NO_TEXT)) < len(sample) * 0.015:
        return None
    little, big = _sense(sample, "utf-16-le"), _sense(sample, "utf-16-be")
    best = max(little, big)
    if best < 0.9 or abs(little - big) < 0.1:
        return None
    return "utf-16-le" if little > big else "utf-16-be"


def _sense(sample: bytes, encoding: str) -> float:
    """The share of characters that people write."""
    text = sample[: len(sample) - len(sample) % 2].decode(encoding, "replace")
    return sum(_is_written(ord(character)) for character in text) / len(text)


def _is_written(code: int) -> bool:
    return (
        0x20 <= code < 0x7F
        or code in (9, 10, 13)
        or 0xA0 <= code < 0x180
        or 0x386 <= code < 0x530
        or 0x5D0 <= code < 0x5F3
        or 0x60C <= code < 0x6D4
        or 0x905 <= code < 0x970
        or 0xE01 <= code < 0xE5B
        or 0x2010 <= code < 0x2027
        or code in (0x20AC, 0x2116)
        or 0x3000 <= code < 0x3100
        or 0x4E00 <= code < 0x9FB0
        or 0xAC00 <= code < 0xD7A4
        or 0xFF01 <= code < 0xFFE0
    )


def _escaped(data: bytes) -> str | None:
    for escape, encoding in _ISO_2022:
        if escape in data:
            if encoding != "iso-2022-cn":
                text = data.decode(encoding, "replace")
            else:  # Python has no codec for it: GB 2312 shifted in and out (RFC 1922)
                seven = data.replace(escape, b"")
                text = _SHIFTED.sub(lambda run: bytes(byte | 0x80 for byte in run[1]), seven).decode("gb18030", "replace")
            return text if text.count("\ufffd") <= len(text) // 20 else None
    if data.isascii() and _UTF_7.search(data[:_SAMPLE]):
        return _strictly(data, "utf-7")
    if b"~{" in data[:_SAMPLE] and _HZ.search(data[:_SAMPLE]):
        return _strictly(data, "hz")
    return None


def _line_by_line(data: bytes) -> str | None:
    """What was put together of UTF-8 and a legacy encoding, line by line; None if it is not."""
    lines = data.split(b"\n")
    beyond = [line for line in lines if not line.isascii()]
    others = [line for line in beyond if _strictly(line, "utf-8") is None]
    if not others or (len(beyond) - len(others)) * 5 < len(beyond) or any(_has_sequences(line) for line in others):
        return None
    encoding = _legacy_encoding(b"\n".join(others))
    texts = (_strictly(line, "utf-8") for line in lines)
    return "\n".join(line.decode(encoding, "replace") if text is None else text for line, text in zip(lines, texts, strict=True))


def _has_sequences(line: bytes) -> bool:
    """Whether some of it is UTF-8."""
    return any(character > "\x7f" and character != "\ufffd" for character in line.decode("utf-8", "replace"))


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except (UnicodeError, ValueError):
        return None
    return None if text.count("\0") > len(text) // 10 else text


class ModelsLeftOut(BaseException):
    """chardet is needed, and this process does without its models. No Exception: it is no damage to the part of a document being read."""


_models_left_out = False


def leave_models_out() -> None:
    """From here on `decode` raises ModelsLeftOut, in this process and its children, when it needs chardet.

    Its models take 25 MB, which each child of a process costs 5 ms of CPU time for, and few documents need them."""
    global _models_left_out
    _models_left_out = True


def load_models() -> None:
    """Have chardet and its models loaded (a quarter of a second, once)."""
    global _models_left_out
    if not _models_left_out:
        return  # where they are not left out, they load by themselves
    import chardet

    chardet.detect(bytes(range(128, 256)) * 4)
    _models_left_out = False


def _legacy_encoding(data: bytes) -> str:
    sample = _telling(data)
    spoken = language.detect(data[: 4 * _SAMPLE].decode("cp1252", "replace"))
    if spoken in _WRITTEN_IN_CP1252 and _plausibility(sample, "cp1252", _ALPHABETS[spoken]) > _NO_DOUBT:
        return "cp1252"
    if _models_left_out:
        raise ModelsLeftOut
    import chardet

    scores = {encoding: 0.01 * (len(_WESTERN) - number) for number, encoding in enumerate(_WESTERN)}
    guesses = chardet.detect_all(sample, ignore_threshold=True)[:_CANDIDATES]
    surest = max((guess["confidence"] for guess in guesses), default=0)
    by_chardet: dict[str, float] = {}
    for guess in guesses:
        encoding = codec(guess["encoding"] or "") or ""
        # the Unicode ones are ruled out by the marks, zeros and sequences looked for before
        if encoding and encoding not in _NEVER and not encoding.startswith("utf"):
            by_chardet.setdefault(encoding, guess["confidence"] / surest)  # once, though it may be guessed by several names
    surest_one = next(iter(by_chardet), "")
    if surest < _SURE_ENOUGH and not (surest_one in _PAIRS and _is_of_pairs(sample)):
        by_chardet = {}
    for encoding, share in by_chardet.items():
        scores[encoding] = scores.get(encoding, 0) + share
    for languages, encodings in _LESS_KNOWN.items():
        for encoding in encodings:
            if len(_letters(sample, encoding)) >= _DIFFERENT_LETTERS and _is_one_alphabet(sample, encoding, languages.split()):
                scores[encoding] = scores.get(encoding, 0) + 1
    for encoding in scores:
        if _is_one_alphabet(sample, encoding, _ALPHABETS):
            scores[encoding] += _OF_ONE_LANGUAGE
    if spoken is None and surest >= _SURE_ENOUGH:
        spoken = guesses[0].get("language")
    alphabet = _ALPHABETS.get(spoken or "", "")
    return max(scores, key=lambda encoding: scores[encoding] + 1.5 * _plausibility(sample, encoding, alphabet))


def _is_of_pairs(sample: bytes) -> bool:
    """Whether the bytes beyond ASCII come in twos, more than one of them together, as Chinese and Korean words do."""
    return all(len(run) > 2 and not len(run) % 2 for run in _RUN_BEYOND_ASCII.findall(sample))


def _is_one_alphabet(sample: bytes, encoding: str, languages: Iterable[str]) -> bool:
    """Whether all letters beyond ASCII, if there are any, are some that one of the languages has."""
    letters = _letters(sample, encoding)
    return bool(letters) and any(letters <= set(_ALPHABETS[language]) for language in languages)


def _letters(sample: bytes, encoding: str) -> set[str]:
    """The letters beyond ASCII, and signs that no language has."""
    letters = {character.lower() for character in sample[:_COMPARED].decode(encoding, "replace") if character >= "\x80"}
    return {letter for letter in letters if letter not in _COMMON_SIGNS and not letter.isspace()}


def _telling(data: bytes) -> bytes:
    """The lines that tell encodings apart: those with bytes beyond ASCII, or what stands around these."""
    pieces: list[bytes] = []
    length, end = 0, 0
    while length < _SAMPLE and (beyond := _BEYOND_ASCII.search(data, end)):
        place = beyond.start()
        begin = max(end, place - _AROUND)
        begin = max(begin, data.rfind(b"\n", begin, place) + 1)
        end = data.find(b"\n", place, place + _AROUND)
        end = end + 1 if end >= 0 else place + _AROUND
        pieces.append(data[begin:end])
        length += end - begin
    return b"".join(pieces)


def _plausibility(sample: bytes, encoding: str, alphabet: str) -> float:
    """How much the characters beyond ASCII look like writing where they stand: 1 at best, below 0 for nonsense. `alphabet`: the letters
    beyond ASCII of the language it seems to be, if that is known."""
    text = sample[:_COMPARED].decode(encoding, "replace")
    points = list(_points(text, alphabet))
    if len(points) < _FEW and not alphabet:  # the letters that most people here have on their keyboards
        points = [point - 0.15 * ("\u0100" <= letter < "\u0250") for point, letter in zip(points, _beyond_ascii(text), strict=True)]
    return sum(points) / len(points) if points else -1.0


_FEW = 6
_FRAMES = re.compile("[\u2500-\u259f]")
_APOSTROPHES = "’'‘-–·—…"
_COMMON_SIGNS = "„“”‚‘’«»–—…•€£§°©®™½¼²³·¿¡№×"


def _beyond_ascii(text: str) -> Iterator[str]:
    return (character for character in text if character >= "\x80")


def _points(text: str, alphabet: str) -> Iterator[float]:
    for place, character in enumerate(text):
        if character < "\x80":
            continue
        before = text[place - 1] if place else " "
        after = text[place + 1] if place + 1 < len(text) else " "
        category = unicodedata.category(character)
        if character == "\ufffd" or category in ("Cc", "Co", "Cn", "Cs"):
            yield -2.0
        elif category[0] in "LM" and character not in "ˆˇ":
            strange = alphabet and character.lower() not in alphabet
            yield _letter_points(before, character, after) - (0.6 if strange else 0)
        elif _FRAMES.match(character):
            framed = [not other.isalnum() for other in (before, after)]
            yield 0.9 if all(framed) else -0.2 if any(framed) else -1.0
        elif before.isalpha() and after.isalpha():
            yield 0.3 if character in _APOSTROPHES else -1.0
        elif character in "„‚" and (before.isalnum() or not after.isalnum()):
            yield -0.6  # they open what is quoted
        elif character in "„‚“”»«" and before.isalnum() != after.isalnum():
            yield 0.9
        elif character in "–—€" and before.isspace() and not after.isalpha():
            yield 0.8
        elif character in "€£¥" and after.isalpha():
            yield -0.3
        elif category == "Zs":  # one that must not break, beside one that may
            yield -0.3 if before == " " or after == " " else 0.4
        elif character in _COMMON_SIGNS:
            yield 0.4
        else:
            yield -0.6 if before.isalpha() or after.isalpha() else 0.0


def _letter_points(before: str, letter: str, after: str) -> float:
    if before.isalpha() and before.islower() and letter.isupper():
        return -0.8
    if letter.islower() and after.isupper():
        return -0.8 if before.isupper() else -0.5
    if letter.isupper() and before.isalpha() and after.isalpha() and before.isupper() and after.islower():
        return -0.3
    if letter in "ªºƒ":  # MacRoman and DOS have them where others have letters
        return -0.5
    latin = letter < "\u0370"
    for other in (before, after):
        if other.isalpha() and (other < "\u0370") != latin:
            return -1.0 if letter < "\u1100" else 0.2
    if not before.isalpha() and not after.isalpha():
        return (-0.2 if letter.isupper() else 0.2) if latin else 0.6
    return 1.0
