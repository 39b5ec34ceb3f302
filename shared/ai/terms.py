"""Turns text into terms: accents folded, English and German endings cut, so that `Rechnung`, `RECHNUNGEN` and `invoice`, `invoices` meet.

One light stemmer for both languages (after Harman's S-stemmer and Savoy's light stemmer for German): a household's papers mix them,
often on one page, and a wrong guess of the language must not change a term. Terms are kept in the database (`topic_terms`): whoever
changes the rules here makes them strangers to what was learned before.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"  # scripts without spaces: a character is a word, phrases do the rest
    r"|(?<!\d)(?:19|20)\d\d(?!\d)"  # a year, for topics such as "Taxes 2024"
    r"|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]{2,40}"
    r"(?:[-\u00ad\u2010]\n[^\W\d_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]{1,40})?"  # broken at a line's end, as narrow columns have it
)

_ASCII_WORD = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)|[A-Za-z]{2,40}(?:-\n[A-Za-z]{1,40})?", re.ASCII)
"""What `_WORD` finds in ASCII, in half the time."""

_BREAK = re.compile(r"[-\u00ad\u2010]\n")

_ENDINGS = ("ern", "es", "en", "er", "em", "e", "s", "n")


def terms(text: str) -> list[str]:
    """Every word as its term, in order."""
    return [term(word) for word in _pattern(text).findall(text)]


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each word of `terms(text)` stands in the text: start and end."""
    return (match.span() for match in _pattern(text).finditer(text))


def starts(text: str) -> list[int]:
    """Where each word of `terms(text)` begins."""
    return [match.start() for match in _pattern(text).finditer(text)]


def _pattern(text: str) -> re.Pattern[str]:
    return _ASCII_WORD if text.isascii() else _WORD


def folded(word: str) -> str:
    """Lower case, accents and umlauts without their marks, ß as ss."""
    lowered = word.casefold()
    if lowered.isascii():
        return lowered
    plain = "".join(character for character in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(character))
    return plain.casefold()


@lru_cache(maxsize=16_384)
def term(word: str) -> str:
    """A word's term: folded, in one piece, its ending cut."""
    plain = folded(word) if "\n" not in word else folded(_BREAK.sub("", word))
    length = len(plain)
    if length <= 3:
        return plain
    if plain.endswith("ies") and length > 4:
        return plain[:-3] + "y"
    if plain.endswith("ing") and length >= 7:
        return plain[:-3]
    if plain.endswith(("nisse", "nissen")):
        return plain[: plain.rindex("nis") + 3]
    if plain.endswith(("ss", "is", "us")):
        return plain
    for ending in _ENDINGS:
        if plain.endswith(ending) and length - len(ending) >= (3 if len(ending) < 3 and ending[-1] in "es" else 4):
            return plain[: -len(ending)]
    return plain


_COMMON_WORDS = """
a about above after again against all also am an and any are as at be because been before being below between both but by can cannot
could did do does doing done down during each either else ever every few first for from further get give given got had has have having
he her here hers him his how however i if in into is it its itself just last least less like made make many may me might more most much
must my neither never new next no nor not now of off often on once one only onto or other our ours out over own per please rather same
second see shall she should since so some still such take than that the their them then there these they this those three through thus
to too two under until up upon us use used using very via want was we well were what when where whether which while who whom whose why
will with within without would yes yet you your yours aber alle allem allen aller alles als also am an ander andere anderen anderer
anderes auch auf aus bei beim beide bereits bin bis bist bitte da dabei dadurch dafür dagegen daher damit danach dann daran darauf
daraus darf darin darüber das dass davon dazu dein deine dem den denen denn der deren des dessen die dies diese diesem diesen dieser
dieses dir doch dort du durch eben ein eine einem einen einer eines einige einmal er erst erste es etwa etwas euch euer für ganz gar
gegen gemäß haben habe hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im immer in indem innerhalb
ins ist ja je jede jedem jeden jeder jedes jedoch jetzt kann kein keine keinem keinen keiner können könnte lassen man mehr mein meine
meinem meinen meiner mich mir mit möchten muss müssen nach nachdem nicht nichts noch nun nur ob oder ohne per schon sehr sein seine
seinem seinen seiner seit sich sie sind so sofern sollen sollte sondern sonst sowie soweit über um und uns unser unsere unserem unseren
unserer unter viel vom von vor während war waren warum was weil weiter welche welchem welchen welcher welches wenn wer werde werden wie
wieder will wir wird wo wurde wurden zu zum zur zwei zwischen
"""
COMMON = frozenset(term(word) for word in _COMMON_WORDS.split())
"""Words that say nothing about what a document is about."""

_GENERIC_WORDS = """
address attached best city contact copy customer date day days dear document email enclosed fax file found germany hello information inc
kind letter ltd mail mobile month months mr mrs ms name number office page phone reference regards scan sincerely street subject team
tel telephone thank thanks time today total web website week year years yours www http https com org net pdf docx xlsx jpg png january
february march april may june july august september october november december monday tuesday wednesday thursday friday saturday sunday
amount account euro eur usd gbp dollar adresse ag anlage anrede ansprechpartner betrag betreff bzw co datum dank deutschland dokument
eingang freundlichen freuen frau firma gmbh gern geehrte geehrter geehrten gruß grüße grüßen guten herr herrn hausnummer information
informationen jahr jahre kg kopie kunde kunden mai januar februar märz juni juli oktober dezember montag dienstag mittwoch donnerstag
freitag samstag sonntag monat monate name nummer nr ort platz plz postfach seite sehr straße str stadt tag tage telefon telefax uhr
unterschrift vielen vorname nachname woche zeichen zeit
"""
GENERIC = frozenset(term(word) for word in _GENERIC_WORDS.split())
"""Words that stand in most letters, whatever they are about."""
