"""Only what a broker of ours signed within five minutes reaches a function."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from cloudevents.http import from_http
from hypothesis import given
from hypothesis import strategies as st

from shared.events.signing import Unsignable, Untrusted, Verified, request_for, verify
from shared.ids import new_id
from shared.keys import hkdf

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
OLD, NEW = os.urandom(32), os.urandom(48)
OWNER = new_id()

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)


def sent(
    data: dict[str, Any], *, secrets: tuple[bytes, ...] = (NEW,), at: datetime = NOW, owner: UUID | None = OWNER, subject: str = "s"
) -> tuple[dict[str, Any], Any]:
    """Attributes and data as a function receives them, over HTTP and through the CloudEvents SDK."""
    headers, body = request_for(
        event_id=new_id(), type="test.happened", owner_id=owner, subject=subject, data=data, time=NOW, secrets=secrets, now=at
    )
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    event = from_http(headers, body)
    return dict(event.get_attributes()), event.get_data()


def check(attributes: dict[str, Any], data: Any, *, secrets: tuple[bytes, ...] = (NEW,), at: datetime = NOW) -> Verified:
    return verify(attributes, data, secrets, at)


@given(
    data=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values, max_size=5),
    subject=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
def test_what_is_signed_verifies_after_its_way_over_http(data: dict[str, Any], subject: str) -> None:
    attributes, received = sent(data, subject=subject)
    said = check(attributes, received)
    assert (said.type, said.owner_id, said.subject, said.time) == ("test.happened", OWNER, subject, NOW)
    assert received == data


def test_an_event_without_an_owner_has_none() -> None:
    assert check(*sent({}, owner=None)).owner_id is None


@pytest.mark.parametrize("attribute", ["id", "source", "type", "subject", "time", "dvtime", "dvkeyid", "dvsignature"])
def test_no_attribute_can_be_changed_or_left_out(attribute: str) -> None:
    attributes, data = sent({"n": 1})
    other, _ = sent({"n": 2}, at=NOW - timedelta(seconds=1), subject="t", owner=new_id(), secrets=(OLD,))
    for changed in (
        {**attributes, attribute: other[attribute] + "x"},
        {name: value for name, value in attributes.items() if name != attribute},
    ):
        with pytest.raises(Untrusted):
            check(changed, data)


@pytest.mark.parametrize("data", [{"n": 2}, {"n": "1"}, {"n": 1, "m": None}, {}, None, [], "n", {"n": float("nan")}, {"n": {"m": 2**70}}])
def test_the_data_cannot_be_changed(data: Any) -> None:
    attributes, _ = sent({"n": 1})
    with pytest.raises(Untrusted):
        check(attributes, data)


def test_an_unsigned_event_is_untrusted() -> None:
    with pytest.raises(Untrusted, match="no 'dvkeyid'"):
        check({"specversion": "1.0", "id": "x", "type": "t", "source": "/docuvault"}, {})


def test_a_signature_is_good_for_five_minutes() -> None:
    attributes, data = sent({})
    assert check(attributes, data, at=NOW + timedelta(minutes=5))
    assert check(attributes, data, at=NOW - timedelta(minutes=1))
    for moment in (NOW + timedelta(minutes=5, seconds=1), NOW - timedelta(minutes=1, seconds=1)):
        with pytest.raises(Untrusted, match="stale"):
            check(attributes, data, at=moment)


def test_the_first_key_signs_and_all_verify() -> None:
    by_old, by_new = sent({}, secrets=(OLD,)), sent({}, secrets=(NEW, OLD))
    assert by_old[0]["dvkeyid"] != by_new[0]["dvkeyid"]
    assert check(*by_old, secrets=(NEW, OLD))
    assert check(*by_new, secrets=(NEW,))
    with pytest.raises(Untrusted, match="not known here"):
        check(*by_old, secrets=(NEW,))


def test_a_signature_under_another_key_s_id_does_not_fit() -> None:
    attributes, data = sent({}, secrets=(OLD,))
    attributes["dvkeyid"] = sent({})[0]["dvkeyid"]
    with pytest.raises(Untrusted, match="does not fit"):
        check(attributes, data, secrets=(NEW, OLD))


@pytest.mark.parametrize("data", [{"n": float("nan")}, {"n": float("inf")}, {"n": 2**53}, {"s": "\ud800"}])
def test_data_without_a_canonical_form_cannot_be_signed(data: dict[str, Any]) -> None:
    with pytest.raises(Unsignable):
        sent(data)


def test_keys_are_derived_as_rfc_5869_says() -> None:
    # Appendix A.3: no salt, no info; the first 32 bytes of its output.
    assert hkdf(b"\x0b" * 22, b"", 32).hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
