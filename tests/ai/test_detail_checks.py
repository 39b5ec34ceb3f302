"""What a provider says a document says of itself, and what of it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ai.detail_checks import ClaimedDetail, checked_details
from shared.ai.provider import DetailName, DocumentText, PageText

LETTER = DocumentText(
    "scan 4",
    "scan4.pdf",
    "de",
    (
        PageText(
            1, "Stadtwerke  Musterstadt GmbH\nKundennummer 12\nMusterstadt, den 3. März 2024\nStromrechnung 2023\nfällig am 28.03.2024"
        ),
        PageText(2, "Le 1er août 2021, Paris. Sent on 2021/12/24 and signed 05-11-98. Lundi 7 de enero de 2019. 2 0 1 5"),
    ),
)


def _held(name: DetailName, value: object, quote: object = None, page: object = 1) -> tuple[str, str, int | None] | None:
    found = checked_details([ClaimedDetail(name, value, quote, page)], LETTER)
    return (found[0].value, found[0].quote, found[0].page) if found else None


@pytest.mark.parametrize(
    ("value", "quote"),
    [
        ("2024-03-03", "Musterstadt, den 3. März 2024"),
        ("2024-03-28", "fällig am 28.03.2024"),
        ("2021-08-01", "Le 1er août 2021"),
        ("2021-12-24", "2021/12/24"),
        ("1998-11-05", "05-11-98"),
        ("1998-05-11", "05-11-98"),
        ("2019-01-07", "7 de enero de 2019"),
    ],
)
def test_a_date_holds_if_its_quote_says_it(value: str, quote: str) -> None:
    held = _held("issued_on", value, quote)
    assert held is not None
    assert held[0] == value


@pytest.mark.parametrize(
    ("value", "quote"),
    [
        ("2024-03-04", "Musterstadt, den 3. März 2024"),
        ("2024-04-03", "Musterstadt, den 3. März 2024"),
        ("2023-03-03", "Musterstadt, den 3. März 2024"),
        ("2024-03-03", "den 3. April 2024"),
        ("2024-03-03", None),
        ("2024-03-03", ""),
        ("2024-13-03", "Musterstadt, den 3. März 2024"),
        ("2024-02-30", "Musterstadt, den 3. März 2024"),
        ("3 March 2024", "Musterstadt, den 3. März 2024"),
        ("9999-12-31", "Musterstadt, den 3. März 2024"),
        ("2015-02-01", "2 0 1 5"),
        ("", "Musterstadt, den 3. März 2024"),
        (None, "Musterstadt, den 3. März 2024"),
        (20240303, "Musterstadt, den 3. März 2024"),
    ],
)
def test_a_date_that_its_quote_does_not_say_is_dropped(value: object, quote: object) -> None:
    assert _held("issued_on", value, quote) is None


def test_a_date_that_lies_ahead_is_when_something_is_due() -> None:
    ahead = DocumentText("x", "x", None, (PageText(1, "Pay by 1 May 2199. Written long ago, on 4 June 1604."),))
    claims = [ClaimedDetail("issued_on", "2199-05-01", "Pay by 1 May 2199"), ClaimedDetail("issued_on", "1604-06-04", "4 June 1604")]
    assert checked_details(claims, ahead) == ()


def test_a_sender_stands_in_the_document_as_it_is_given() -> None:
    assert _held("sender", "stadtwerke musterstadt GmbH", "Stadtwerke Musterstadt", 2) == (
        "stadtwerke musterstadt GmbH",
        "Stadtwerke  Musterstadt",
        1,
    )
    assert _held("sender", "Finanzamt Musterstadt", "Stadtwerke Musterstadt") is None
    assert _held("sender", "\n \t", "Stadtwerke Musterstadt") is None


def test_a_title_is_mostly_in_the_documents_own_words() -> None:
    assert _held("title", "Stromrechnung  2023\nStadtwerke", "Stromrechnung 2023") == (
        "Stromrechnung 2023 Stadtwerke",
        "Stromrechnung 2023",
        1,
    )
    assert _held("title", "Buy cheap watches now", "Stromrechnung 2023") is None
    assert _held("title", "the of and", "Stromrechnung 2023") is None
    assert _held("title", "Stromrechnung", "a quote of nothing") is None


def test_the_first_of_two_that_hold_counts() -> None:
    claims = [
        ClaimedDetail("issued_on", "2024-03-03", "nowhere"),
        ClaimedDetail("issued_on", "2024-03-03", "3. März 2024"),
        ClaimedDetail("issued_on", "2024-03-28", "28.03.2024"),
    ]
    assert [detail.value for detail in checked_details(claims, LETTER)] == ["2024-03-03"]


_anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=400), st.lists(st.text(max_size=3)))


@given(name=st.sampled_from(["title", "sender", "issued_on"]), value=_anything, quote=_anything, page=_anything)
def test_whatever_is_claimed_what_holds_has_its_quote(name: DetailName, value: object, quote: object, page: object) -> None:
    for detail in checked_details([ClaimedDetail(name, value, quote, page)], LETTER):
        places = [page.text for page in LETTER.pages if page.number == detail.page] or [LETTER.title, LETTER.filename]
        assert any(detail.quote in place for place in places)
        assert 0 < len(detail.value) <= 200
        assert "\n" not in detail.value
