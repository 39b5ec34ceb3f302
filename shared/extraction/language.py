"""Which language a text is in, from its small words.

Made for choosing a dictionary for search: a letter or an invoice, not a tweet. Function words ("der", "und", "the", "of") make up a
third of any prose and hardly ever coincide between languages, so counting them is more reliable on short business papers, full of
names and numbers, than statistics over letters; it is also deterministic and takes a millisecond. Languages with a script of their own
are told by it.
"""

import re
import unicodedata
from collections import Counter

_WORDS = {
    "en": """
        the of and to in is that for it with as was on are be by this from at or an you your have not which we will our has
        can please if any been all would their there were
    """,
    "de": """
        der die das und ist in den von zu mit sich des auf für im dem nicht ein eine als auch es an werden aus er hat dass sie
        nach wird bei einer um am sind noch wie einem über so zum haben nur oder aber vor zur bis mehr durch sein wurde wir
        ihr ihre ihren ich bitte einen diese dieser
    """,
    "fr": """
        le la les de des et est en un une du que qui dans pour pas au sur ne se ce il sont par plus avec vous nous votre notre
        être a ont été cette aux ou mais leur son ses elle je si tout
    """,
    "es": """
        el la los las de que y en un una es por con para del se no al lo su como más este esta pero sus ha son le nos ser
        entre cuando muy sin sobre usted está fue han hay también desde
    """,
    "it": """
        il la lo gli le di che e un una è per con non del della dei delle nel nella in da al alla si sono come più anche ha
        questo questa ma suo sua se dal dalla ci essere alle degli
    """,
    "pt": """
        o a os as de que e em um uma é por com para do da dos das no na não se ao mais como seu sua foi são pelo pela ou este
        esta mas nos nas ser tem à você também até entre
    """,
    "nl": """
        de het een van en in is dat op te zijn met voor niet aan er om ook als door bij uit naar dan nog wordt of deze dit wij
        uw u ons heeft worden over maar hebben kan ze werd
    """,
    "sv": """
        och att det som en på är av för med den till inte har ett om de från vi var kan så men eller du din vid ska än sig
        efter när också nu vara era er denna detta
    """,
    "da": """
        og at det som en på er af for med den til ikke har et om de fra vi var kan så men eller du din ved skal sig efter når
        også blev være dette denne vores deres bliver
    """,
    "no": """
        og at det som en på er av for med den til ikke har et om de fra vi var kan så men eller du din ved skal seg etter når
        også ble være dette denne vår deres blir hvis
    """,
    "fi": """
        ja on ei että se oli hän ovat kun myös mutta tai kuin niin sen joka mukaan olla tämä ole jos kanssa vain sekä ne jo
        voi tämän sitä teidän sinun ovat sekä ennen
    """,
    "pl": """
        w i na z do się nie że jest to o jak po za od są przez dla ale oraz przy być tym jego był który która może tego lub
        tylko jednak już ze pan pani
    """,
    "cs": """
        a v na se je že to s z do o i jako za by pro ve k po jsou ale který která nebo od při jeho byl podle však ze své být
        jsme vás není také
    """,
    "hu": """
        a az és hogy nem is egy ez van volt de meg csak már el mint ha vagy kell azt szerint ami után még minden lehet között
        ezt aki pedig nagyon önnek
    """,
    "ro": """
        și de la în a cu pe că nu este pentru din o un care să se mai au fost sunt prin dar ca al ale lui sau după dacă
        această acest între
    """,
    "tr": """
        ve bir bu için ile da de olarak çok daha en gibi olan ne kadar sonra var ancak ya veya değil her ise tarafından mi ki
        göre olduğu üzere
    """,
    "ca": """
        el la els les de que i en un una és per amb del no al seu com més aquest aquesta però dels ha són ser entre sobre
        també seva
    """,
}  # fmt: skip

_LISTS = {language: frozenset(words.split()) for language, words in _WORDS.items()}

# how many languages know a word: one shared by five says a fifth as much
_SHARED = Counter(word for words in _LISTS.values() for word in words)
_WEIGHTS = {language: {word: 1 / _SHARED[word] for word in words} for language, words in _LISTS.items()}

# Norwegian and Danish differ by few small words, so a few longer ones help
_WEIGHTS["da"] |= dict.fromkeys(("af", "hvad", "jeg", "mig", "nogle", "meget", "efter", "kontrakten", "beløbet", "gør"), 1.0)
_WEIGHTS["no"] |= dict.fromkeys(("av", "hva", "jeg", "meg", "noen", "mye", "etter", "kontrakten", "beløpet", "gjør"), 1.0)

_SPEAKERS: dict[str, list[tuple[str, float]]] = {}
"""The languages of each word, with its weight there: looked up by the words of a text, few of which are in it."""
for _language, _weights in _WEIGHTS.items():
    for _word, _weight in _weights.items():
        _SPEAKERS.setdefault(_word, []).append((_language, _weight))

_MORE_WORDS = {
    "sk": """
        a v na sa je že to s z do o i ako za by pre vo k po sú ale ktorá ktorý alebo od pri jeho bol podľa však so svoje byť sme
        vás nie tiež ktoré keď už len bude budú budeme prosíme
    """,
    "hr": """
        i u na se je da su za od s iz o kao koji koja koje ne ili bi po što ali to te do sa bio biti će ima nije kod samo prema
        nakon ove ovaj svoje molimo vas
    """,
    "sl": """
        in v na se je da so za od s z iz o kot ki pa ne ali bi po kar če to do tudi bil biti ima ni pri samo glede ter po te ta
        vas prosimo bodo lahko
    """,
    "vi": """
        và của là có cho các được trong với một không này khi người đã những để theo từ tại về đến như sẽ vui lòng hoặc ngày tháng
    """,
    "et": """
        ja on ei et see oli ka kui aga või mis oma kuni nii tema kes siis võib olla peab palume meie teie järgi mitte ning selle
    """,
    "lv": """
        un ir ka ar no uz par kas lai bet vai arī pēc līdz to tika šo jūs mēs lūdzam nav būs pie kā tas viņš savu
    """,
    "lt": """
        ir yra kad su iš į apie kas bet ar taip pat po iki tai buvo šį jūs mes prašome nėra bus prie kaip savo arba už dėl
    """,
}  # fmt: skip
"""Languages that search has no dictionary of, so that `detect` does not name them."""


def _plain(text: str) -> str:
    """The text without marks on its letters: all that is left of them if it was recognised as another language."""
    return "".join(character for character in unicodedata.normalize("NFD", text) if not unicodedata.combining(character)).translate(
        _STROKES
    )


_STROKES = str.maketrans("łøđıæœħ", "lodiaoh")
_PLAIN_LISTS = {language: frozenset(_plain(words).split()) for language, words in (_WORDS | _MORE_WORDS).items()}
_SHARED_PLAIN = Counter(word for words in _PLAIN_LISTS.values() for word in words)

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af\u1100-\u11ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("hy", re.compile("[\u0530-\u058f]")),
    ("ka", re.compile("[\u10a0-\u10ff]")),
    ("ta", re.compile("[\u0b80-\u0bff]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
)
_ARABIC, _PERSIAN = re.compile("[\u0600-\u06ff]"), re.compile("[پچژگک]")
_CYRILLIC, _UKRAINIAN, _SERBIAN = re.compile("[\u0400-\u04ff]"), re.compile("[іїєґ]"), re.compile("[ђјљњћџ]")
_RUSSIAN, _BULGARIAN = re.compile("[ыэё]"), re.compile(r"\b(?:е|са|на|от|за|ще|се|че)\b")
_LETTER = re.compile(r"[^\W\d_]")
_BEYOND_LATIN = re.compile("[\u0370-\u1dff\u2e80-\ud7ff]")
_WORD = re.compile(r"[^\W\d_]+")

_SAMPLE = 20_000
_ENOUGH = 3.0
"""Weight of small words below which we say nothing: some three or four words that only this language has."""

_DIFFERENT_WORDS, _SMALL_SHARE = 5, 0.12
"""Different small words, and their share of all words, below which accents say nothing: the days in opening hours ("Do", "Sa", "So") are
four; prose has a third."""


def small_words(language: str) -> frozenset[str]:
    """The commonest words of a language (ISO 639-1), which say nothing by themselves; none for a language that has no list here."""
    return _LISTS.get(language, frozenset())


def detect(text: str) -> str | None:
    """The language of the text's first 20,000 characters as ISO 639-1 code; None if there is too little to go by."""
    sample = text[:_SAMPLE].lower()
    if not sample.isascii() and len(_BEYOND_LATIN.findall(sample)) > 5:
        spoken = _by_script(sample)
        if spoken is not None:
            return spoken
    counts = Counter(_WORD.findall(sample))
    scores = dict.fromkeys(_WEIGHTS, 0.0)
    for word, count in counts.items():
        for language, weight in _SPEAKERS.get(word, ()):
            scores[language] += weight * count
    best, score = max(scores.items(), key=lambda item: item[1])
    return best if score >= _ENOUGH else None


def guess_without_accents(text: str) -> str | None:
    """The language of text that was recognised as another one, so that its accents are missing or wrong: among more languages than
    `detect` knows, and only if it is clearer than any other. ISO 639-1; None if there is too little to go by."""
    words = _WORD.findall(_plain(text[:_SAMPLE].lower()))
    present = set(words)
    scores = sorted((sum(1 / _SHARED_PLAIN[word] for word in known & present), language) for language, known in _PLAIN_LISTS.items())
    (second, _), (score, best) = scores[-2:]
    sure = score >= max(_ENOUGH, 1.3 * second) and len(_PLAIN_LISTS[best] & present) >= _DIFFERENT_WORDS
    return best if sure and sum(word in _PLAIN_LISTS[best] for word in words) >= _SMALL_SHARE * len(words) else None


def _by_script(sample: str) -> str | None:
    letters = len(_LETTER.findall(sample))
    if (cyrillic := len(_CYRILLIC.findall(sample))) > letters * 0.4 and cyrillic > 10:
        return _cyrillic(sample)
    if (arabic := len(_ARABIC.findall(sample))) > letters * 0.4 and arabic > 10:
        return "fa" if len(_PERSIAN.findall(sample)) > arabic * 0.02 else "ar"
    for language, letter in _SCRIPTS:
        # kana among many Chinese characters is Japanese; every other script must be what most of the text is in
        share = 0.1 if language == "ja" else 0.4
        if (found := len(letter.findall(sample))) > letters * share and found > 5:
            return language
    return None


def _cyrillic(sample: str) -> str:
    if len(_SERBIAN.findall(sample)) > len(sample) * 0.002:
        return "sr"
    if len(_UKRAINIAN.findall(sample)) > len(sample) * 0.005:
        return "uk"
    if not _RUSSIAN.search(sample) and _BULGARIAN.search(sample):
        return "bg"
    return "ru"
