"""Cursors of lists."""

import base64
import secrets
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import cursors
from shared.errors import InvalidCursor

BINDING = {"list": "things", "owner": "a"}


@given(values=st.lists(st.none() | st.integers() | st.text(st.characters(codec="utf-8")) | st.booleans()))
def test_a_cursor_gives_back_what_it_was_given(values: list[object]) -> None:
    assert cursors.decode(cursors.encode(values, BINDING), BINDING) == values


@given(text=st.text(max_size=300))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        cursors.decode(text, BINDING)


@given(data=st.data())
def test_a_changed_cursor_is_refused(data: st.DataObject) -> None:
    cursor = cursors.encode(["2024-01-01", "x" * 100], BINDING)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidCursor):
        cursors.decode(base64.urlsafe_b64encode(raw).decode(), BINDING)


def test_a_cursor_is_good_for_its_own_list_alone() -> None:
    with pytest.raises(InvalidCursor):
        cursors.decode(cursors.encode([1], BINDING), BINDING | {"owner": "b"})


def test_a_cursor_survives_a_rotation_of_the_key(with_secret_key: Callable[[str], None]) -> None:
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    with_secret_key(old)
    cursor = cursors.encode([1], BINDING)
    with_secret_key(f"{new},{old}")
    assert cursors.decode(cursor, BINDING) == [1]
    with_secret_key(new)
    with pytest.raises(InvalidCursor):
        cursors.decode(cursor, BINDING)
