"""What stands between a provider's answer and the owner's documents."""

import math
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ai.provider import DocumentText, PageText, TopicOption
from shared.ai.verification import (
    QUOTE_CHARACTERS,
    UNPROVEN_CONFIDENCE,
    ClaimedIdea,
    ClaimedMatch,
    checked_ideas,
    checked_matches,
)
from shared.ids import new_id
from tests.ai.contract import check_matches

UNKNOWN = UUID("01a20c3e-175f-73c3-bafe-a715a5ce9073")  # one id whichever process collects the tests
TOPIC, OTHER = TopicOption(new_id(), "Invoices"), TopicOption(new_id(), "Travel")
DOCUMENT = DocumentText(
    "March bill",
    "bill.pdf",
    "en",
    (PageText(1, "Dear customer,\nthank you."), PageText(2, "Invoice  number:\n“NW–4471”. The Straße is long. Amount due 324.00 GBP")),
)


def _checked(*claims: ClaimedMatch) -> "tuple[object, ...]":
    return checked_matches(claims, DOCUMENT, [TOPIC, OTHER])


def test_a_quote_that_stands_nowhere_drops_the_match() -> None:
    assert _checked(ClaimedMatch(TOPIC.id, 0.9, "Please pay one million dollars", 1)) == ()


def test_a_quote_is_found_whatever_its_case_and_white_space_and_given_as_it_stands() -> None:
    (match,) = checked_matches([ClaimedMatch(str(TOPIC.id), 0.9, 'INVOICE number: "nw-4471"', 1)], DOCUMENT, [TOPIC])
    assert match.quote == "Invoice  number:\n“NW–4471”"
    assert match.page == 2


def test_a_quote_from_the_title_has_no_page() -> None:
    (match,) = checked_matches([ClaimedMatch(TOPIC.id, 0.9, "march bill", 7)], DOCUMENT, [TOPIC])
    assert (match.quote, match.page) == ("March bill", None)


def test_a_letter_that_folds_to_two_is_still_quoted_whole() -> None:
    (match,) = checked_matches([ClaimedMatch(TOPIC.id, 0.9, "STRASSE", 2)], DOCUMENT, [TOPIC])
    assert match.quote == "Straße"


@pytest.mark.parametrize("quote", [None, "", "   "])
def test_what_no_quote_proves_is_at_most_suggested(quote: str | None) -> None:
    (match,) = checked_matches([ClaimedMatch(TOPIC.id, 0.99, quote)], DOCUMENT, [TOPIC])
    assert match.confidence == UNPROVEN_CONFIDENCE


def test_confidences_are_clamped() -> None:
    (match,) = checked_matches([ClaimedMatch(TOPIC.id, 1000000000000000, "Amount due")], DOCUMENT, [TOPIC])
    assert match.confidence == 1.0


@pytest.mark.parametrize("confidence", [0, -1, math.nan, -math.inf, "0.9", None, True, [0.9]])
def test_what_is_no_confidence_drops_the_match(confidence: object) -> None:
    assert _checked(ClaimedMatch(TOPIC.id, confidence, "Amount due")) == ()


@pytest.mark.parametrize("topic_id", [UNKNOWN, str(UNKNOWN), "Invoices", "", None, 7, ["x"]])
def test_unknown_topics_are_dropped(topic_id: object) -> None:
    assert _checked(ClaimedMatch(topic_id, 0.9, "Amount due")) == ()


def test_a_topic_named_twice_counts_once_with_its_best() -> None:
    claims = [
        ClaimedMatch(TOPIC.id, 0.4, "Amount due"),
        ClaimedMatch(TOPIC.id, 0.7, "Amount due"),
        ClaimedMatch(OTHER.id, 0.5, "thank you"),
    ]
    assert [(m.topic_id, m.confidence) for m in checked_matches(claims, DOCUMENT, [TOPIC, OTHER])] == [(TOPIC.id, 0.7), (OTHER.id, 0.5)]


def test_a_long_quote_is_cut_at_a_word() -> None:
    text = "amount due " * 100
    (match,) = checked_matches([ClaimedMatch(TOPIC.id, 0.9, text)], DocumentText("", "", None, (PageText(1, text),)), [TOPIC])
    assert match.quote is not None
    assert len(match.quote) <= QUOTE_CHARACTERS
    assert match.quote.endswith(("amount", "due"))


_ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.just(TOPIC.id)
    | st.sampled_from(["Amount due", "invoice NUMBER"])
)


@given(st.lists(st.builds(ClaimedMatch, _ANYTHING, _ANYTHING, _ANYTHING, _ANYTHING), max_size=8))
def test_whatever_a_provider_answers_what_is_left_can_be_relied_on(claims: list[ClaimedMatch]) -> None:
    check_matches(checked_matches(claims, DOCUMENT, [TOPIC, OTHER]), DOCUMENT, [TOPIC, OTHER])


@given(st.text(min_size=1, max_size=200), st.data())
def test_every_true_quote_is_found(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    quote = text[start : data.draw(st.integers(start + 1, len(text)))]
    document = DocumentText("", "", None, (PageText(1, text),))
    matches = checked_matches([ClaimedMatch(TOPIC.id, 0.9, quote)], document, [TOPIC])
    assert len(quote.strip()) < 3 or len(matches) == 1


def test_ideas_are_new_short_single_lines() -> None:
    claims = [
        ClaimedIdea("  Utility\n bills ", "kWh\x00 and meters"),
        ClaimedIdea("INVOICES"),
        ClaimedIdea(None),
        ClaimedIdea("x" * 500, 7),
        ClaimedIdea("utility bills"),
    ]
    ideas = checked_ideas(claims, [TOPIC])
    assert [idea.name for idea in ideas] == ["Utility bills", "x" * 100]
    assert ideas[0].reason == "kWh and meters"
