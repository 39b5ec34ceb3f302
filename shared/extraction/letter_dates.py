"""The date on a paper: when its sender wrote it, and not one of the other dates that it speaks of.

A letter's date stands at a place that people recognise: behind “Date:” or “Rechnungsdatum”, behind the sender's town (“Hamburg, 3. Mai
2024”), alone on a line above the salutation, or in the heading (“Kontoauszug vom …”). Each date is weighed by such signs; one of a table, a
period, a birth, a due date, or of the letter that is answered is none. What is not likely enough is better not found.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from shared.extraction import written_dates
from shared.extraction.written_dates import WrittenDate, folded

CHARACTERS = 6_000
"""Characters looked at of the first page; of the last one so many at its end, where contracts are signed."""
SIGNED_CHARACTERS = 1_500

LIKELY = 3.0
"""What a date's signs must add up to."""

OLDEST = date(1800, 1, 1)
AHEAD = timedelta(days=45)
"""How far ahead a letter may be dated: a bill that is sent early, a clock that is wrong."""

PLACE_CHARACTERS = 120


@dataclass(frozen=True)
class LetterDate:
    """The date, the number of its page (from 1) and the line that it stands on."""

    on: date
    page: int
    line: str


def _any(words: str) -> re.Pattern[str]:
    """Any of these, folded, as words; `*` stands for the rest of a word."""
    alternatives = "|".join(re.escape(word.strip()).replace(r"\*", r"\w*").replace(r"\ ", r"\s+") for word in words.split("|"))
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)")


_ISSUED = _any(
    "rechnungsdatum|rechnungs-datum|belegdatum|ausstellungsdatum|ausgestellt am|erstellt am|erstellungsdatum|briefdatum|bescheiddatum"
    "|datum des schreibens"
    "|datum des bescheids|datum der rechnung|ausfertigungsdatum|druckdatum|auszugsdatum"
    "|invoice date|date of invoice|bill date|billing date|date issued|issued on|issue date|date of issue|statement date|letter date|dated"
    "|date of letter|date of notice|notice date|receipt date|document date|tax point|date of this notice"
    "|date de facture|date de la facture|date de facturation|date d'emission|emis le|emise le|date du document"
    "|date du releve|fait a|etabli le"
    "|fecha de factura|fecha factura|fecha de emision|fecha de expedicion|fecha de la factura|emitida el|fecha del documento"
    "|data fattura|data emissione|data di emissione|data della fattura|data documento|emessa il|emesso il"
    "|data da fatura|data de emissao|data do documento|emitido em|emitida em"
    "|factuurdatum|datum factuur|dagtekening|afgiftedatum|briefdatum|opgemaakt te"
    "|data wystawienia|data faktury|data sporzadzenia|wystawiono dnia|wystawiono|sporzadzono dnia"
    "|datum vystaveni|vystaveno dne|vystaveno|datum vystavenia|vyhotovene dna|fakturadatum|utstallt|fakturadato|udstedt|utstedt"
    "|paivays|laskun paivays|laskun paivamaara|szamla kelte|kelt|kiallitas datuma|data facturii|data emiterii|fatura tarihi"
    "|duzenleme tarihi|datum izdaje|datum racuna|sastavljeno|дата выдачи|дата составления|дата счета|выдано|дата рахунку|дата издаване"
    "|ημερομηνια εκδοσης|発行日|請求日|作成日|発行年月日|开票日期|開票日期|签发日期|작성일|발행일"
)
_DATED = _any(
    "datum|date|le|den|fecha|data|dato|datum|kuupaev|paivamaara|tarih|datums|дата|від|от|ημερομηνια|日付|日期|날짜|일자|pvm|dne|dnia|am"
)
_OTHER = _any(
    # due
    "fallig*|zahlbar|zahlungsziel|zu zahlen|zahlungstermin|frist|fristende|spatestens|bis|bis zum|abbuchung*|abgebucht"
    "|eingezogen|lastschrift"
    "|due|payable|pay by|payment date|deadline|no later than|by|before|until|expires|expiry|expiration|valid|validity|exp|debited"
    "|echeance|exigible|avant le|jusqu'au|au plus tard|date limite|limite|valable|prelevement|preleve|expire"
    "|vencimiento|vence|antes del|hasta|plazo|caducidad|validez|valido"
    "|scadenza|scade|entro|entro il|fino al|valido fino"
    "|vencimento|ate|prazo|validade|vervaldatum|voor|uiterlijk|geldig tot|betaaldatum|termin platnosci|do dnia|platne do"
    "|splatnost*|zaplatit do"
    "|forfallodag|forfallsdato|forfald|betales senest|erapaiva|fizetesi hatarido|hatarido|scadent*|son odeme*|rok placila|dospijece"
    "|срок|до|оплатить до|ληξη|期限|支払期限|お支払期限|截止|到期*|만기|납부기한|gultig*|ablauf*|lauft ab"
    # born
    "|geburtsdatum|geb|geboren*|born|birth|date of birth|birthdate|dob|ne le|nee le|naissance|nacido|nacida|nacimiento"
    "|nato il|nata il|nascita"
    "|nascimento|nascido|nascida|geboortedatum|geboren op|urodzen*|narozen*|fodt|fodd|fodelse*|syntynyt|syntymaaika|szuletett|szuletesi"
    "|nascut*|dogum*|rojen*|roden*|рождения|родился|родилась|народження|γεννηση*|生年月日|出生*|생년월일"
    # of the letter that is answered, of an order, a delivery, a visit, a trip, a contract, an edition
    "|ihr schreiben|ihre nachricht|ihr antrag|ihre bestellung|ihrer bestellung|ihre anfrage|ihr auftrag|ihr brief"
    "|ihre e-mail|ihr einspruch"
    "|bestelldatum|bestellung|bestellt*|auftragsdatum|lieferdatum|liefertermin|leistungsdatum|geliefert|lieferung|eingang|eingegangen"
    "|buchungsdatum|buchungstag|wertstellung|valuta|vertragsbeginn|vertragsende|beginn|ende|seit|ab|ab dem|zum|termin|anreise|abreise"
    "|stand|version|fassung|rev|revision|zuletzt|letzte*|nachste*"
    "|your letter|your order|your request|your application|your message|your email|order date|ordered|order|delivery|delivered|shipped"
    "|ship date|shipping date|received|booking date|appointment|arrival|departure|check-in|check-out|start*|end|ends|ended"
    "|since|from|effective"
    "|edition|last|next|previous|admission|discharge|admitted|discharged|service date|visit|value date|posted"
    "|transaction date|hired|updated"
    "|votre lettre|votre courrier|votre commande|votre demande|date de commande|commande du|livraison|livre le|depuis"
    "|a partir du|rendez-vous"
    "|debut|fin|arrivee|depart|derniere*|prochain*"
    "|su carta|su pedido|su solicitud|fecha de pedido|pedido|entrega|desde|a partir del|cita|inicio|fin|llegada|salida|ultim*|proxim*"
    "|vostra lettera|vostro ordine|ordine del|consegna|dal|appuntamento|inizio|fine|arrivo|partenza|prossim*"
    "|sua carta|encomenda|desde|inicio|fim|uw brief|uw bestelling|besteldatum|leverdatum|vanaf|afspraak|sinds|per"
    "|data sprzedazy|data dostawy"
    "|od dnia|datum uskutecneni*|datum dodani|leveransdatum|leveringsdato|toimituspaiva|teljesites*|data livrarii|teslim tarihi|siparis*"
    "|дата поставки|納品日|配送日|注文日|利用日|交付日期|订购日期|주문일"
)
_ANSWERED = _any(
    "ihr|ihre|ihrem|ihrer|ihren|your|votre|vos|su|sus|vuestra|vostra|vostro|sua|seu|uw|panstwa|wasz*|vase|vas|er|ert|deres|teidan|"
    "вашего|вашем|ваше"
)
_TITLE_OF = _any("vom|of|dated|du|de|del|della|van|z dnia|ze dne|av|af|fra|от|від|am|on|le|il|el|em|op")
_KIND = _any(
    "rechnung*|mrt|ct|rontgen*|untersuchung*|labor*|gutschrift|mahnung|zahlungserinnerung|kontoauszug|bescheid"
    "|steuerbescheid|*bescheid|quittung|beleg|kassenbon|angebot"
    "|auftragsbestatigung|lieferschein|abrechnung|*abrechnung|befund|arztbrief|attest|rezept|protokoll|vertrag|kundigung|bescheinigung"
    "|versicherungsschein|police|zeugnis|einladung|vollmacht"
    "|invoice|bill|receipt|statement|credit note|reminder|quote|quotation|estimate|confirmation|notice|certificate|report|policy|contract"
    "|minutes|prescription|letter|facture|avoir|releve|avis|devis|recu|attestation|certificat|ordonnance|contrat|factura|recibo|extracto"
    "|presupuesto|certificado|informe|contrato|fattura|ricevuta|estratto conto|preventivo|certificato|referto|contratto|fatura|recibo"
    "|factuur|rekening|afschrift|offerte|polis|faktura|rachunek|wyciag|umowa|dohoda|smlouva|kvittering|kvitto|lasku|tiliote|szamla|racun"
    "|счет|акт|договор|рахунок|договір"
)
_EVENT = _any("einladung*|invitation*|invito|invitacion|convite|uitnodiging|zaproszenie|pozvanka|meghivo|hochzeit*|wedding|mariage|boda")
"""Papers that are for another day than that of their date."""
_ALSO = re.compile(r"[^\W\d_]/[^\W\d_]+\W*$")
"""A label of two words: “Rechnungsdatum/Lieferdatum”."""
_SALUTATION = re.compile(
    r"^(?:sehr geehrte|liebe[rs]? |guten tag|hallo |dear |to whom it may|hello |hi |madame|monsieur|chere? |bonjour|estimad|querid|muy sr"
    r"|egregio|gentile|gent\.|spett|cari? |exm[oa]|prezad|caro |cara |geachte|beste "
    r"|szanown|vazen|mili |mila |kara |baste |hej |kjaere|kaere"
    r"|hyva |tisztelt|kedves|stimat|sayin|spostovan|postovan|уважаем|шановн|αξιοτιμ|拝啓|尊敬的|안녕)"
)
_AMOUNT = re.compile(r"\d[.,]\d\d(?!\d)|[€$£¥]|\b(?:eur|usd|gbp|chf|zl|pln|kc|czk|kr|huf|ft)\b")
_RANGE = re.compile(
    r"\s*(?:-|–|—|‐|~|〜|～|bis(?: zum)?|to|until|through|thru|and|und|au|al|a|ate|t/m|tot(?: en met)?|do|till|til|по|до|から)\s*"
)
_TIME = re.compile(r"\b[0-2]?\d:[0-5]\d\b")
_CELLS = re.compile(r" {2,}|\t+|\s\|\s")
_LETTERS = re.compile(r"[^\W\d_]+")
_TOWN = re.compile(r"^[^\W\d_][^\d,;:]{1,40}(?:,|,?\s*\(.{1,30}\),?|\s)\s*(?:den|le|a|ad|dnia|dne|the|li|den|il|el|em|am|on)?\s*$")
_WEEKDAY = _any(
    "montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag|mo|di|mi|do|fr|sa|so|monday|tuesday|wednesday|thursday|friday"
    "|saturday|sunday|mon|tue|wed|thu|fri|sat|sun|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|miercoles"
    "|jueves|viernes"
    "|sabado|domingo|lunedi|martedi|mercoledi|giovedi|venerdi|sabato|domenica|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag"
)


def find(pages: Sequence[str], language: str | None, *, today: date) -> LetterDate | None:
    """The paper's own date, or None if none is likely to be it; `language` is ISO 639-1 (which of 3/5 is the day)."""
    if not pages:
        return None
    best: tuple[float, LetterDate] | None = None
    for number, text, is_end in _looked_at(pages):
        for weight, found, line in _weighed(text, language, today, is_end=is_end):
            if weight >= LIKELY and (best is None or weight > best[0]):
                best = weight, LetterDate(found.on, number, line[:PLACE_CHARACTERS])
    return best[1] if best else None


def _looked_at(pages: Sequence[str]) -> list[tuple[int, str, bool]]:
    """The number of a page, what is looked at of it, and whether that is the document's end."""
    first = next((number for number, page in enumerate(pages[:3], 1) if page.strip()), 1)
    some = [(first, pages[first - 1][:CHARACTERS], False)]
    if len(pages[first - 1]) > CHARACTERS or len(pages) > first:
        some.append((len(pages), pages[-1][-SIGNED_CHARACTERS:], True))
    return some


def _weighed(text: str, language: str | None, today: date, *, is_end: bool) -> list[tuple[float, WrittenDate, str]]:
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    dates = [found for found in written_dates.find(text, language) if OLDEST <= found.on <= today + AHEAD]
    if not dates:
        return []
    by_line: dict[int, list[WrittenDate]] = {}
    for found in dates:
        by_line.setdefault(bisect_right(starts, found.start) - 1, []).append(found)
    salutation = next((number for number, line in enumerate(lines) if _SALUTATION.match(folded(line.strip()))), None)
    weighed = []
    for number, here in by_line.items():
        for found in here:
            weight = _weight(_DatedLine(lines, number, starts[number], by_line), found, salutation, is_end=is_end)
            weighed.append((weight, found, " ".join(lines[number].split())))
    return weighed


@dataclass(frozen=True)
class _DatedLine:
    """A line among others; `start` is its place in the text, `dates` are those of all lines."""

    lines: Sequence[str]
    number: int
    start: int
    dates: dict[int, list[WrittenDate]]

    @property
    def text(self) -> str:
        return self.lines[self.number]

    def before(self) -> str:
        """The line above that is not empty."""
        return next((line for line in reversed(self.lines[max(0, self.number - 3) : self.number]) if line.strip()), "")

    def in_a_table(self) -> bool:
        """Whether the lines around begin with dates, too, or the line has amounts."""
        near = [at for at in (self.number - 2, self.number - 1, self.number + 1, self.number + 2) if at in self.dates]
        alike = [at for at in near if self._begins_with_a_number(at) and self._begins_with_a_number(self.number)]
        return len(alike) >= 2 or (len(alike) == 1 and len(_LETTERS.findall(self.text)) > 3) or bool(_AMOUNT.search(folded(self._rest())))

    def _begins_with_a_number(self, at: int) -> bool:
        return self.lines[at].strip()[:1].isdigit()

    def _rest(self) -> str:
        rest = self.text
        for found in reversed(self.dates[self.number]):
            at = found.start - self.start
            rest = rest[:at] + " " + rest[at + found.end - found.start :]
        return rest


def _weight(line: _DatedLine, found: WrittenDate, salutation: int | None, *, is_end: bool) -> float:
    text = line.text
    at, end = found.start - line.start, found.end - line.start
    before, after = text[:at], text[end:]
    if _is_of_a_period(line, found, before, after):
        return -10.0
    cell = _CELLS.split(before)[-1] if before.strip() else ""
    if not cell.strip() and before.strip():
        # The cell before this one may be its label.
        cell = next(part for part in reversed(_CELLS.split(before)) if part.strip())
        if not (_ISSUED.search(folded(cell)) or _DATED.search(folded(cell)) or _OTHER.search(folded(cell))):
            cell = ""
    said = folded(cell)[-60:]
    near = said
    weight = 0.0
    issued = _last(_ISSUED, said)
    other = _last(_OTHER, near)
    labelled = False
    if issued is not None and (other is None or issued > other or _ALSO.search(said)):
        weight, labelled = 7.0, True
    elif other is not None and _is_near(near, other):
        return -10.0
    elif (dated := _last(_DATED, near)) is not None and _is_near(near, dated) and _begins_line(near, dated):
        weight, labelled = 5.0, True
    if not before.strip(" \t|:.") and not labelled:
        # The label stands above it: alone, or as the head of a column.
        above = folded(line.before())
        has_dates = bool(written_dates.find(line.before(), None))
        if len(above) <= 120 and not has_dates:
            if _ISSUED.search(above) and not _OTHER.search(_ISSUED.sub(" ", above)):
                weight, labelled = 6.0, True
            elif _OTHER.search(above) and len(above) <= 60 and not _ISSUED.search(above):
                weight -= 6.0
            elif _DATED.search(above) and len(above) <= 60:
                weight, labelled = 4.0, True
    if line.in_a_table():
        return weight - 4.0 if labelled and weight >= 6.0 else -10.0
    rest = _LETTERS.findall(_without(_WEEKDAY, folded(cell + " " + _CELLS.split(after)[0])))
    if not labelled:
        if not rest and (not cell.strip(" ,.") and not _TIME.search(after)):
            weight += 4.5  # alone on its line
        elif (
            _TOWN.match(_without(_WEEKDAY, folded(cell)).strip() + " ")
            and len(after.strip(" .")) <= 2
            and len(cell) <= 60
            and not (_KIND.search(folded(cell)) and _TITLE_OF.search(folded(cell)[-6:]))
        ):
            weight += 6.5  # behind a town
        elif _TIME.search(after[:12]) and len(text) <= 60:
            weight += 3.5  # a till's
        elif (
            len(text) <= 100
            and _KIND.search(folded(before))
            and not _EVENT.search(folded(before))
            and _TITLE_OF.search(folded(before)[-12:])
            and not _ANSWERED.search(folded(before))
        ):
            weight += 5.0  # in a heading
        elif _EVENT.search(folded(before)):
            weight -= 3.0
        elif len(text) <= 70 and not after.strip(" .") and _TITLE_OF.search(folded(before)[-6:]) and not _ANSWERED.search(folded(before)):
            weight += 3.5 if text.strip()[:1].isupper() else 0.0
        elif not rest[3:] and len(before) <= 40 and not _ANSWERED.search(folded(before)):
            weight += 2.0
        else:
            weight -= 3.0  # in a sentence
    if len(line.dates[line.number]) > 1 and not labelled:
        weight -= 2.0
    if salutation is not None:
        weight += 1.0 if line.number < salutation else -2.0
    if is_end:
        weight -= 2.0
    # The higher, the likelier.
    return weight - min(1.5, line.number / 40)


def _is_of_a_period(line: _DatedLine, found: WrittenDate, before: str, after: str) -> bool:
    others = [other for other in line.dates[line.number] if other is not found]
    for other in others:
        gap = (
            line.text[found.end - line.start : other.start - line.start]
            if other.start > found.start
            else (line.text[other.end - line.start : found.start - line.start])
        )
        if _RANGE.fullmatch(folded(gap)):
            return True
    # 01.01. - 31.01.2024
    return bool(re.search(r"\d{1,2}\.(?:\s?\d{1,2}\.)?\s*(?:-|–|bis)\s*$", before) or re.match(r"\s*(?:-|–|bis)\s*\d", after))


def _last(pattern: re.Pattern[str], text: str) -> int | None:
    """Where the last match ends."""
    return next((match.end() for match in reversed(list(pattern.finditer(text)))), None)


def _is_near(text: str, end: int) -> bool:
    """Whether hardly anything stands between a label and the date."""
    between = text[end:]
    return len(between) <= 30 and len(_LETTERS.findall(between)) <= 3


def _begins_line(text: str, end: int) -> bool:
    """Whether hardly anything stands before a label, so that it is one and no word of a sentence."""
    return len(_LETTERS.findall(text[:end])) <= 3


def _without(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(" ", text)
