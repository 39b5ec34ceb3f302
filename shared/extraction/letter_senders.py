"""Who a paper comes from: names that its letterhead, its small line above the address, its signature and its foot give.

`names` gives them likeliest first, with how likely each is; whose name the owner has used before is for the caller to know. The addressee
is none of them: what stands right above a postcode and town, without a sign of a firm or an office, is left out.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.extraction.written_dates import folded

CHARACTERS = 6_000
RETURN_ADDRESS_LINES, HEAD_LINES = 25, 14
"""Lines of the first page's top that may have the small line of an envelope's window, and that can be the letterhead."""
NAMES = 12
"""Names given at most."""
LIKELY = 3.0
"""From here on a name is likely enough by itself; below, only if it is known."""
LONGEST, LONGEST_LINE = 80, 160
OFFICE_LINES = 6
"""Lines from the top in which the name of an office, a practice or a bank is the sender's, and not what the paper is about."""


Adder = Callable[[str, float], None]
"""Takes a name and how likely it is."""


@dataclass(frozen=True)
class WrittenName:
    """A name as it is written, and how likely it is the sender's."""

    text: str
    weight: float


def _any(words: str) -> re.Pattern[str]:
    alternatives = "|".join(re.escape(word.strip()).replace(r"\*", r"\w*").replace(r"\ ", r"\s+") for word in words.split("|"))
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)")


_FIRM = _any(
    "gmbh|mbh|kgaa|ohg|gbr|e.v.|e.v|e.k.|e.k|e.g.|gesmbh|ges.m.b.h.|ltd|ltd.|limited|plc|llp|llc|inc|inc.|corp|corp."
    "|corporation|co.|company"
    "|s.a.|sarl|s.a.r.l.|s.a.s.|eurl|s.l.|s.a.u.|s.p.a.|srl|s.r.l.|lda|lda.|b.v.|n.v.|sp. z o.o.|s.r.o.|a.s.|kft|kft."
    "|zrt|zrt.|nyrt|a/s|aps|oyj|d.o.o.|d.d.|ооо|оао|зао|пао|тов|株式会社|有限会社|有限公司|주식회사"
)
_SHORT_FIRM = re.compile(r"(?<![\w-])(?:AG|KG|UG|SE|SA|SAS|SL|SpA|SPA|AB|AS|BV|NV|OY|Oy|eG|EG|eV|EV|eK)(?![\w-])")
_OFFICE = _any(
    "stadtwerke|stadt|gemeinde|landkreis|landratsamt|finanzamt|amtsgericht|landgericht|burgeramt|bundesamt|jobcenter|agentur fur arbeit"
    "|deutsche rentenversicherung|familienkasse|krankenkasse|versicherung*|*versicherung|bank|*bank|sparkasse|*kasse"
    "|universitat|hochschule|schule"
    "|*schule|gymnasium|klinik*|*klinik|klinikum|krankenhaus|praxis|*praxis|zahnarzt*|apotheke|*apotheke|kanzlei"
    "|rechtsanwalt*|steuerberat*|notar*"
    "|hausverwaltung|*verwaltung|verein|*verein|werkstatt|autohaus|hotel|kindergarten|kindertagesstatte|verlag|institut"
    "|ministerium|behorde|*amt"
    "|council|city of|county|department|ministry|university|college|school|hospital|clinic|surgery|dental|pharmacy|insurance"
    "|assurance|bank|bank of"
    "|building society|revenue|hm revenue*|energy|water|electric*|gas|telecom*|mobile|airlines|airways|railway*|solicitors"
    "|attorneys|accountants"
    "|properties|property management|estate agents|plumbing|garage|motors|society|association|foundation|trust|authority|office|institute"
    "|mairie|commune|prefecture|ministere|direction|caisse|assurance*|banque|credit|universite|lycee|college|hopital"
    "|clinique|cabinet|pharmacie"
    "|notaire|syndic|societe|electricite|mutuelle|ayuntamiento|ministerio|agencia|banco|caja|seguros|universidad|colegio"
    "|hospital|clinica|farmacia"
    "|comune|ministero|agenzia|banca|assicurazion*|universita|scuola|ospedale|farmacia|studio|gemeente|belastingdienst"
    "|verzekering*|universiteit"
    "|ziekenhuis|huisarts*|urzad|szpital|uniwersytet|zaklad*|camara|prefeitura|seguradora|универститет|банк|министерство|больница"
)
_STREET = re.compile(
    r"(?:str\.|straße|strasse|weg|platz|allee|gasse|ring|ufer|damm|chaussee|gürtel|straat|laan)(?!\w)"
    r"|\b(?:street|st|road|rd|avenue|ave|lane|drive|boulevard|blvd|rue|place|calle|avda|via|viale|piazza|ulica|ul|C/)(?!\w)",
    re.IGNORECASE,
)
_TOWN = re.compile(
    r"(?:\b(?:[A-Z]{1,2}-)?\d{4,5}(?: [A-Z]{2})? [^\W\d_]{2,}|\b[A-Z]{2} \d{5}(?:-\d{4})?\b"
    r"|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b|\b\d{2}-\d{3} [^\W\d_]{2,}"
    r"|〒\d{3}-\d{4})"
)
_SEPARATOR = re.compile(r"\s*[·•|∙▪‣●*]\s*|\s+[-–—]\s+|,\s+|;\s+| {3,}|\t+")
_MAY_SEPARATE = re.compile(r"[·•|∙▪‣●*–—,;\t-]|   ")
"""Stands in each separator, and is found much sooner."""
_PO_BOX = re.compile(r"\b(?:postfach|p\.?\s?o\.? box|bp|casilla)\b", re.IGNORECASE)
_CONTACT = re.compile(
    r"@|www\.|https?:|\b(?:tel|telefon|phone|fax|mobil|e-?mail|iban|bic|ust|steuernr|hrb|vat|tva|seite|page|datum|date|kunden|customer|account"
    r"|rechnung|invoice|betreff|subject|re:|an:|to:|herrn|frau|herr|mr|mrs|ms|mme|m\.|sr\.|sra\.)\b",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(
    r"^(?:herrn?|frau|firma|familie|an|mr|mrs|ms|mx|miss|dr|to|mme|mlle|m\.|monsieur|madame|sr|sra|sig|sig\.ra|dhr|mevr|pan|pani)\b\.?",
    re.I,
)
_CLOSING = re.compile(
    r"^(?:mit (?:freundlichen|besten|herzlichen|vielen) |freundliche gru|beste gru|viele gru|herzliche gru|hochachtungsvoll|i\. ?a\."
    r"|yours |sincerely"
    r"|kind regards|best regards|regards|best wishes|warm regards|many thanks|respectfully|cordialement"
    r"|bien a vous|veuillez agreer|je vous prie"
    r"|sinceres salutations|salutations|atentamente|cordialmente|saludos|un cordial|reciba|cordiali saluti|distinti saluti|in fede"
    r"|atenciosamente|com os melhores|met vriendelijke|hoogachtend|z powazaniem|s pozdravem|s uctou"
    r"|med vanlig|med venlig|med vennlig|ystavallisin"
    r"|udvozlettel|cu stima|saygilar|s postovanjem|lep pozdrav|с уважением|з повагою|με εκτιμηση|敬具)"
)
_AMOUNT = re.compile(r"\d[.,]\d\d\b|[€$£%]")
_PERSON = re.compile(
    r"^(?:(?:Dr|Prof|Dipl|Ing|Mag)\.[\w.\-]*\s+)*[^\W\d_][^\W\d_’'.\-]*\.?"
    r"(?:[ \-](?:(?:von|van|de|der|del|di|da|la|le|zu)\s)*[^\W\d_][^\W\d_’'\-]*\.?){1,3}$"
)
_DOCTOR = re.compile(r"(?:(?:Dr|Prof|PD)\.? |Dres\. |Docteur |Dott\.(?:ssa)? |Dra?\. )(?:[\w.]+ ){0,4}[^\W\d_][^\W\d_’'.-]+$")
_NAMED = re.compile(
    r"(?:Arbeitgeber|Absender|Rechnungssteller|Employer|Sender|Employeur|Expéditeur|Empresa|Datore di lavoro|Mittente) ?: +(\S.{1,80})$"
)
"""Labels of the one whom a form is from."""
_LETTER = re.compile(r"[^\W\d_]")
_SMALL_WORD = re.compile(
    "am|an|and|at|auf|aus|bei|by|da|das|de|del|della|dem|den|der|des|di|die|dos|du|e|en|et|fur|for|from|i|im|in|la|las|le"
    "|les|los|mbh|med|of"
    "|on|och|og|ou|para|per|pour|sur|the|und|van|vom|von|voor|y|z|za|zu|zum|zur"
)
_PAPER = re.compile(
    r"^(?:(?:ihre?|your|votre|su|uw|unsere?|our|dear|liebe[rs]?|hallo|sehr|thank|danke|an|re|betreff?|subject|summe|gesamt\w*|total|anlage\w*)\b"
    r"|[\w-]*(?:rechnung|vertrag|schein|bescheid|bescheinigung|bestatigung|abrechnung|auszug|ausdruck|antrag|nummer|schreiben|zeugnis|ticket|plan)\b"
    r"|(?:invoice|statement|policy|certificate|contract|agreement|notice|receipt|report|minutes|facture|factura|fattura|contrat|contrato)\b)"
)


def names(pages: Sequence[str], *, header: str | None = None) -> list[WrittenName]:
    """The names that a paper gives, likeliest first, none twice. `header` is a mail's sender."""
    found: dict[str, WrittenName] = {}

    def add(text: str, weight: float) -> None:
        text = " ".join(text.split()).strip(" ,;:|·•-–—*_\"'")
        if not 2 <= len(text) <= LONGEST or len(_LETTER.findall(text)) < 2 or len(_LETTER.findall(text)) * 2 < len(text.replace(" ", "")):
            return
        known = found.get(folded(text))
        # Named at two places, it is the likelier.
        found[folded(text)] = WrittenName(text, weight) if known is None else WrittenName(known.text, max(known.weight, weight) + 1.0)

    if header:
        add(header, 10.0)
    page = next((page for page in pages[:3] if page.strip()), "")
    filled = _filled(page[:CHARACTERS])
    _from_return_address(filled[:RETURN_ADDRESS_LINES], add)
    _from_head(filled[:HEAD_LINES], add)
    last = next((page for page in reversed(pages) if page.strip()), "")
    _from_signature(_filled(last[-CHARACTERS:]), add)
    _from_foot(_filled(page[-CHARACTERS:])[-8:], add)
    return sorted(found.values(), key=lambda name: -name.weight)[:NAMES]


def _filled(text: str) -> list[str]:
    return [line.strip()[:LONGEST_LINE] for line in text.split("\n") if line.strip()]


def _parts(line: str) -> list[str]:
    """What separators divide a line into; a legal form belongs to the name before it."""
    if _MAY_SEPARATE.search(line) is None:
        return [line] if line else []
    parts: list[str] = []
    for part in _SEPARATOR.split(line):
        if parts and part and (_FIRM.fullmatch(_folded(part)) or _SHORT_FIRM.fullmatch(part)):
            parts[-1] += f", {part}"
        elif part:
            parts.append(part)
    return parts


def _from_return_address(lines: Sequence[str], add: Adder) -> None:
    """“Stadtwerke Köln GmbH · Parkgürtel 24 · 50823 Köln”: the small line in an envelope's window."""
    for number, line in enumerate(lines):
        parts = _parts(line)
        if len(parts) < 3 or _CONTACT.search(parts[0]):
            continue
        at = next((at for at, part in enumerate(parts) if at > 0 and _TOWN.search(part)), None)
        if at is not None and any(_is_street(part) or _PO_BOX.search(part) for part in parts[1 : at + 1]):
            add(parts[0], (6.0 if _is_organisation(parts[0]) else 4.5) - number / 20)


def _from_head(lines: Sequence[str], add: Adder) -> None:
    """Firms and offices named at the top, but not in the addressee's block; else the very first line above an address of its own."""
    block = _addressee(lines)
    for number, line in enumerate(lines):
        if number in block:
            continue
        for part in _parts(line):
            if not _is_like_a_name(part):
                continue
            if _is_firm(part):
                add(part, 4.8 - number / 8)
            elif number < OFFICE_LINES and len(part.split()) <= 6 and not _OFFICE.search(_folded(part)):
                add(part, 1.8 - number / 10)
            elif _OFFICE.search(_folded(part)) and number < OFFICE_LINES:
                add(part, 4.6 - number / 3)
    for number, line in enumerate(lines):
        if number not in block and number < OFFICE_LINES and len(line) <= 60 and _DOCTOR.match(line):
            add(line, 4.0 - number / 8)
        elif named := _NAMED.match(line):
            add(named[1], 4.0)
    if lines and 0 not in block and len(lines) > 2 and _is_like_a_name(lines[0].strip()):
        followed = any(len(line) <= 60 and (_is_street(line) or _TOWN.search(line)) for line in lines[1:3])
        if followed and len(lines[0].split()) <= 6:
            add(lines[0].strip(), 3.5)


def _is_like_a_name(text: str) -> bool:
    """Whether it is written as names are: hardly a number, no sentence, its words in capitals, and not the paper's own heading."""
    plain = _folded(text)
    if (
        not 2 <= len(text) <= LONGEST
        or len(text.split()) > 9
        or text[-1] in "!?:"
        or ":" in text
        or _CONTACT.search(text)
        or _is_street(text)
    ):
        return False
    if _PAPER.match(plain) or _CLOSING.match(plain) or sum(character.isdigit() for character in text) > 4 or _AMOUNT.search(text):
        return False
    if not (text[0].isupper() or text[0].isdigit() or not text[0].isascii()):
        return False
    words = re.findall(r"[^\W\d_]+", text)
    return bool(words) and all(
        not word[0].islower() or _SMALL_WORD.fullmatch(folded(word)) or _FIRM.fullmatch(folded(word)) or len(word) < 3 for word in words
    )


def _folded(text: str) -> str:
    """Folded, with “e. V.” and “S. A.” written together."""
    return re.sub(r"\b([^\W\d_])\. (?=[^\W\d_]\b)", r"\1.", folded(text))


def _addressee(lines: Sequence[str]) -> set[int]:
    """The lines of the block that a letter is addressed to."""
    block: set[int] = set()
    for number, line in enumerate(lines):
        if _ADDRESSED.match(line.strip()):
            block |= set(range(number, min(number + 5, len(lines))))
            break
    if block:
        # It ends with its town.
        end = next((at for at in sorted(block) if _TOWN.search(lines[at])), max(block))
        return {at for at in block if at <= end}
    return block


def _from_signature(lines: Sequence[str], add: Adder) -> None:
    """What follows the closing: a firm, or else whoever signed."""
    for number in range(len(lines) - 1, -1, -1):
        if _CLOSING.match(folded(lines[number])):
            after = [line for line in lines[number + 1 : number + 6] if not _CONTACT.search(line)]
            firm = next((line for line in after if _is_organisation(line) and len(line) <= LONGEST), None)
            if firm is not None:
                add(firm, 4.0)
            person = next((line for line in after if _PERSON.match(line)), None)
            if person is not None:
                add(person, 3.2 if firm is None else 2.0)
            return


def _from_foot(lines: Sequence[str], add: Adder) -> None:
    for line in lines:
        first = next(iter(_parts(line)), "")
        if _is_firm(first) and _is_like_a_name(first):
            add(first, 3.0)


def _is_organisation(text: str) -> bool:
    return _is_like_a_name(text) and bool(_is_firm(text) or _OFFICE.search(_folded(text)))


def _is_firm(text: str) -> bool:
    return bool(_SHORT_FIRM.search(text) or _FIRM.search(_folded(text)))


def _is_street(text: str) -> bool:
    return bool(re.search(r"\d", text)) and bool(_STREET.search(text))
