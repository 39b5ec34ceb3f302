"""Secrets at rest open only where they belong, and through a rotation of the master key."""

import base64
import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import settings
from shared.ids import new_id
from shared.sealing import SealBroken, is_stale, seal, unseal


@pytest.fixture
def with_master_key() -> Iterator[Callable[[str], None]]:
    before = os.environ["CLOUD_CREDS_KEY"]

    def change(value: str) -> None:
        os.environ["CLOUD_CREDS_KEY"] = value
        settings.cache_clear()

    yield change
    change(before)


@given(st.binary(max_size=200))
def test_what_was_sealed_opens(plain: bytes) -> None:
    user, row = new_id(), new_id()
    sealed = seal(plain, user=user, purpose="test", row=row)
    assert unseal(sealed, user=user, purpose="test", row=row) == plain
    assert not plain or plain not in sealed or len(plain) < 4


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    assert len({seal(b"x", user="u", purpose="p", row="r") for _ in range(50)}) == 50


@pytest.mark.parametrize("elsewhere", [{"user": "other"}, {"purpose": "other"}, {"row": "other"}])
def test_it_does_not_open_in_another_place(elsewhere: dict[str, str]) -> None:
    place = {"user": "u", "purpose": "p", "row": "r"}
    with pytest.raises(SealBroken):
        unseal(seal(b"secret", **place), **(place | elsewhere))


def test_every_changed_byte_is_noticed() -> None:
    place = {"user": "u", "purpose": "p", "row": "r"}
    sealed = seal(b"secret", **place)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(SealBroken):
            unseal(bytes(changed), **place)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            unseal(sealed[:length], **place)


def test_the_master_key_rotates(with_master_key: Callable[[str], None]) -> None:
    place = {"user": "u", "purpose": "p", "row": "r"}
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    with_master_key(old)
    sealed = seal(b"secret", **place)
    assert not is_stale(sealed)
    with_master_key(f"{new},{old}")
    assert unseal(sealed, **place) == b"secret"
    assert is_stale(sealed)
    again = seal(b"secret", **place)
    with_master_key(new)
    assert unseal(again, **place) == b"secret"
    with pytest.raises(SealBroken):
        unseal(sealed, **place)
