"""The local provider: the contract, and what only it promises."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ai.local import CHARACTERS_READ, SALIENT_TERMS, LocalProvider, salient_terms
from shared.ai.provider import AIProvider, Classification, DocumentText, PageText, TopicOption
from shared.documents.classify_step import FILED_FROM, SUGGESTED_FROM
from tests.ai.contract import INVOICE, ProviderContract, check_matches


class TestLocalProvider(ProviderContract):
    @pytest.fixture
    def provider(self) -> AIProvider:
        return LocalProvider()


def _document(text: str, *, filename: str = "scan.pdf", language: str | None = None) -> DocumentText:
    return DocumentText("scan", filename, language, (PageText(1, text),))


def _options(*names: str) -> list[TopicOption]:
    return [TopicOption(UUID(int=number + 1), name) for number, name in enumerate(names)]


def _classify(document: DocumentText, topics: list[TopicOption]) -> Classification:
    return asyncio.run(LocalProvider().classify(document, topics))


def _confidences(document: DocumentText, *names: str) -> dict[str, float]:
    topics = _options(*names)
    found = {match.topic_id: match.confidence for match in _classify(document, topics).matches}
    return {topic.name: found.get(topic.id, 0.0) for topic in topics}


RENT = _document(
    "Mietvertrag über Wohnraum zwischen Vermieter und Mieter. Die Kaltmiete beträgt 720 EUR, die Kaution drei Monatsmieten. "
    "Die Betriebskosten werden jährlich abgerechnet. Die Wohnfläche beträgt 74 Quadratmeter.",
    language="de",
)
CAR_INSURANCE = _document(
    "Kfz-Versicherung: Versicherungsschein. Versicherungsnehmer: Jonas Albrecht. Fahrzeug: Opel Corsa, amtliches Kennzeichen EF-JA 12. "
    "Teilkasko mit 150 EUR Selbstbeteiligung, Schadenfreiheitsklasse 8. Der Jahresbeitrag ist am 1. Januar fällig."
)
HOUSEHOLD_INSURANCE = _document(
    "Hausratversicherung: Versicherungsschein. Versicherungsnehmer: Jonas Albrecht. Versicherungssumme 65.000 EUR, Selbstbeteiligung 150. "
    "Der Versicherungsbeitrag ist am 1. Januar fällig."
)


def test_a_topic_is_understood_in_either_language() -> None:
    found = _confidences(RENT, "Wohnen", "Housing", "Miete", "Rent", "House / Flat", "Wohnung & Miete")
    assert min(found.values()) >= 0.8


@pytest.mark.parametrize("name", ["Autoversicherung", "Car insurance", "Kfz-Versicherung", "Versicherung Auto"])
def test_a_name_of_several_parts_wants_them_all(name: str) -> None:
    assert _confidences(CAR_INSURANCE, name)[name] >= 0.8
    assert _confidences(HOUSEHOLD_INSURANCE, name)[name] < 0.35


def test_a_year_in_a_name_must_be_in_the_document() -> None:
    bescheid = (
        "Finanzamt Jena. Bescheid für 2022 über Einkommensteuer. Steuernummer 4711. Festsetzung: Die Einkommensteuer beträgt 6.214 EUR."
    )
    found = _confidences(_document(bescheid), "Steuern 2022", "Steuern 2021")
    assert found["Steuern 2022"] >= 0.35
    assert found["Steuern 2021"] == 0.0


def test_umlauts_may_be_spelled_out_in_a_name() -> None:
    text = "Müllabfuhr: Gebührenbescheid. Die Müllabfuhr leert die Tonne alle zwei Wochen. Fragen zur Müllabfuhr beantworten wir gern."
    found = [_confidences(_document(text), name)[name] for name in ("Müllabfuhr", "Muellabfuhr")]
    assert found[0] == found[1] >= SUGGESTED_FROM


def test_a_description_helps() -> None:
    text = "Liebe Mitglieder, am Samstag schneiden wir die Hecken an den Parzellen, danach wird am Vereinsheim gegrillt."
    plain, described = (
        TopicOption(UUID(int=1), "Sonnenhang"),
        TopicOption(UUID(int=2), "Sonnenhang!", "Parzellen, Hecken, Vereinsheim, Mitglieder"),
    )
    matches = {match.topic_id: match.confidence for match in _classify(_document(text), [plain, described]).matches}
    assert plain.id not in matches
    assert matches[described.id] >= 0.35


def test_a_description_tells_what_a_name_does_not() -> None:
    box = TopicOption(UUID(int=1), "Box 3", "Everything about the flat we rent")
    (match,) = _classify(RENT, [box]).matches
    assert match.confidence >= 0.35
    assert _classify(INVOICE, [box]).matches == ()


def test_a_passing_mention_is_not_a_topic() -> None:
    text = (
        "Employment agreement between Fernway Inc. (the Employer) and Dana Whitfield (the Employee). The Employee starts on 1 September. "
        "The first six months are a probationary period. The gross annual salary is 41,500. Annual leave: 25 days. After the probationary "
        "period the Employee joins the company's health insurance."
    )
    found = _confidences(_document(text), "Work", "Insurance", "Health")
    assert found["Work"] >= 0.8
    assert max(found["Insurance"], found["Health"]) < 0.35


NOTICES = "Notices must be in writing. They take effect when they reach the other side, whoever that is and wherever they were sent. "
OWN_LINES = "Invoice number 2231 of 14.02.2024\nNet 662.00, VAT 132.40\nAmount due 794.40"


def _long_confidences(*, around: str, beside: str) -> dict[str, float]:
    """Of an invoice's own lines late in ten pages of terms; `beside` is a passage of the first page, `around` one of each."""
    pages = [f"{NOTICES * 3}{number}\n\n{around}" for number in range(1, 11)]
    pages[0] += f"\n\n{beside}"
    pages[7] += f"\n\n{OWN_LINES}"
    document = DocumentText("scan", "scan.pdf", "en", tuple(PageText(number, text) for number, text in enumerate(pages, 1)))
    return _confidences(document, "Invoices", "Insurance")


def test_a_long_paper_is_about_its_figures_and_not_about_an_advertisement() -> None:
    advertisement = "Well insured? Ask our partner, an insurer of long standing, for a household insurance policy or liability cover."
    found = _long_confidences(around="Thank you.", beside=advertisement)
    assert found["Invoices"] >= SUGGESTED_FROM > found["Insurance"]


def test_a_name_mentioned_once_is_suggested_at_most() -> None:
    letter = _document("Dear Sir, the garden club meets on Friday. Please bring a chair.")
    assert SUGGESTED_FROM <= _confidences(letter, "Garden club")["Garden club"] < FILED_FROM
    assert SUGGESTED_FROM <= _confidences(_document("Dear Sir, Oakfield meets on Friday."), "Oakfield")["Oakfield"] < FILED_FROM


def test_the_title_tells_of_a_long_paper_too() -> None:
    pages = tuple(PageText(number, f"{NOTICES * 3}Chapter {number}.") for number in range(1, 11))
    titled = DocumentText("Household insurance, sum insured", "scan.pdf", "en", pages)
    assert _confidences(titled, "Invoices", "Insurance")["Insurance"] >= SUGGESTED_FROM


def test_what_comes_again_on_each_page_of_a_long_paper_is_not_what_it_is_about() -> None:
    footer = "Insurance policy, insurer: Northern Mutual, policy number 24/118830, sum insured 65,000, premium 214.80"
    found = _long_confidences(around=footer, beside="Thank you.")
    assert found["Invoices"] >= SUGGESTED_FROM > found["Insurance"]


def test_what_is_learned_of_a_long_paper_is_learned_from_its_figures() -> None:
    pages = tuple(PageText(number, f"{NOTICES * 3}Chapter {number}.\n\nThank you.") for number in range(1, 11))
    own = PageText(11, "Ferrets vaccinated 12.03.2024, 3 ferrets, 40.00")
    salient = salient_terms(DocumentText("", "", "en", (*pages, own)))
    assert "ferret" in salient
    assert "notic" not in salient
    assert "notice" not in salient


def test_the_same_document_always_gets_the_same_answer() -> None:
    topics = _options("Invoices", "Insurance", "Travel")
    assert _classify(INVOICE, topics) == _classify(INVOICE, topics)
    backwards = _classify(INVOICE, topics[::-1])
    assert backwards == _classify(INVOICE, topics)


def test_it_needs_no_network_and_answers_the_same_in_every_process() -> None:
    code = (
        "import asyncio, sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto', 'subprocess.Popen', 'os.exec', 'os.posix_spawn'):\n"
        "        raise SystemExit(f'{event} {arguments}')\n"
        "sys.addaudithook(watch)\n"
        "from shared.ai.local import LocalProvider, salient_terms\n"
        "from shared.ai.provider import DocumentText, PageText, TopicOption\n"
        "from uuid import UUID\n"
        "document = DocumentText('a', 'a.pdf', 'en', (PageText(1, sys.argv[1]),))\n"
        "names = ('Invoices', 'Garden', 'Rechnungen & Belege', 'Work')\n"
        "topics = [TopicOption(UUID(int=number), name) for number, name in enumerate(names, 1)]\n"
        "provider = LocalProvider()\n"
        "print(asyncio.run(provider.classify(document, topics)), asyncio.run(provider.suggest_topics(document, topics[1:2])))\n"
        "print(salient_terms(document))\n"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", code, INVOICE.pages[1].text],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert "Invoice number" in answers[0]
    assert answers[0] == answers[1] == answers[2]


def test_a_huge_document_is_read_only_so_far() -> None:
    filler = PageText(1, "lorem ipsum dolor sit amet " * (CHARACTERS_READ // 27 + 1))
    assert _classify(DocumentText("a", "a.txt", None, (filler, *INVOICE.pages)), _options("Invoices")).matches == ()


def test_hundreds_of_topics_that_all_fit_cost_little_more_than_the_few_that_are_kept() -> None:
    kinds = ["rechnung", "steuer", "versicherung", "miete", "vertrag", "garten", "urlaub", "auto", "konto", "bank", "arzt", "schule"]
    text = " ".join(kinds[(number * number) % 12] for number in range(9000))
    topics = [
        TopicOption(UUID(int=number + 1), f"{kinds[number % 12]} {number}", " ".join(kinds[number % 12 :] + kinds) * 2)
        for number in range(400)
    ]
    _classify(_document(text), topics)  # the lexicon is built, the document read

    def seconds(some: list[TopicOption]) -> float:
        started = time.process_time()
        assert len(_classify(_document(text), some).matches) == 20
        return time.process_time() - started

    assert seconds(topics) < 8 * seconds(topics[:20])  # 20 times as much where each has its quote looked for


def test_salient_terms_are_few_telling_and_in_order() -> None:
    terms = salient_terms(
        _document("Die Hausverwaltung und der Vermieter sind nicht die Hausmeister. " * 3 + " ".join(f"wort{c}" for c in "abc"))
    )
    assert {"hausverwalt", "hausverwaltung"} & set(terms)
    assert not {"und", "der", "sind", "nicht"} & set(terms)
    assert terms == sorted(terms)
    assert len(salient_terms(_document(" ".join(f"{a}{b}{c}x" for a in "abcde" for b in "fghij" for c in "klmno")))) <= SALIENT_TERMS


async def test_ideas_speak_the_document_s_language_and_leave_out_what_is_there() -> None:
    provider = LocalProvider()
    german = await provider.suggest_topics(RENT, _options("Bank"))
    assert german.ideas[0].name == "Wohnen"
    assert german.ideas[0].reason in RENT.pages[0].text
    assert "Wohnen" not in [idea.name for idea in (await provider.suggest_topics(RENT, _options("Miete"))).ideas]


_PARTS = st.sampled_from(
    ["Invoice number", "Rechnung", "\n", "\x00", ". ", "Steuer", "ß", "İ", "保険", "\ud800", "-", "Versicherungsschein"]
)
_TEXTS = st.text(max_size=60) | st.lists(_PARTS | st.text(max_size=8), max_size=40).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    pages=st.lists(_TEXTS, max_size=3),
    title=st.text(max_size=20),
    names=st.lists(st.text(min_size=1, max_size=30) | st.sampled_from(["Rechnungen", "Taxes 2024", "保険"]), max_size=4),
    description=st.text(max_size=40),
)
def test_no_text_upsets_it_and_every_answer_holds(pages: list[str], title: str, names: list[str], description: str) -> None:
    document = DocumentText(title, "f", None, tuple(PageText(number, text) for number, text in enumerate(pages, 1)))
    topics = [TopicOption(UUID(int=number + 1), name, description) for number, name in enumerate(names)]
    check_matches(_classify(document, topics).matches, document, topics)
    assert len(salient_terms(document)) <= SALIENT_TERMS
