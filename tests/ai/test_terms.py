"""Words of one family meet in one term."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ai.terms import folded, spans, term, terms


@pytest.mark.parametrize(
    "family",
    [
        "invoice invoices INVOICE Invoices",
        "tax taxes",
        "policy policies",
        "bank banks banken banking",
        "Rechnung Rechnungen RECHNUNGEN",
        "Steuer Steuern",
        "Vertrag Verträge Vertrages Vertrags",
        "Arzt Ärzte Arztes",
        "Zeugnis Zeugnisse Zeugnissen",
        "Straße STRASSE Straßen",
        "Gehalt Gehälter",
        "Auto Autos",
        "café Cafés cafe",
    ],
)
def test_a_family_of_words_is_one_term(family: str) -> None:
    assert len({term(word) for word in family.split()}) == 1


@pytest.mark.parametrize("pair", ["Rechnung Rechner", "tax taxi", "Miete Mitte", "Bank Bande", "policy police"])
def test_strangers_stay_apart(pair: str) -> None:
    first, second = pair.split()
    assert term(first) != term(second)


def test_words_know_where_they_stand() -> None:
    text = "Die Rechnungen, 2024:\n„Größe“"
    assert [(word, text[start:end]) for word, (start, end) in zip(terms(text), spans(text), strict=True)] == [
        ("die", "Die"),
        ("rechnung", "Rechnungen"),
        ("2024", "2024"),
        ("gross", "Größe"),
    ]


def test_scripts_without_spaces_are_read_by_character() -> None:
    assert terms("保険証券 2024") == ["保", "険", "証", "券", "2024"]


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    for word, (start, end) in zip(terms(text), spans(text), strict=True):
        assert word == term(text[start:end])
        assert 0 <= start < end <= len(text)


@given(st.text(st.sampled_from("aZe 19206-\n.,_'")))
def test_ascii_alone_is_read_like_ascii_beside_other_letters(text: str) -> None:
    assert terms(text) == terms(f"{text} ä")


@given(st.text(max_size=40))
def test_folding_is_idempotent(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def test_a_word_broken_at_a_lines_end_is_one_word_where_it_stands() -> None:
    text = "The Haftpflicht-\nversicherung, a well-known in­\nvoice - \nend"
    assert terms("Haftpflichtversicherung invoice") == [term for term in terms(text) if term not in terms("the a well-known end")]
    assert [text[start:end] for start, end in spans(text)][1] == "Haftpflicht-\nversicherung"
