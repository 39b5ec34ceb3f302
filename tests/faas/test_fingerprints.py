"""What a streamed request is known by."""

from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from shared.faas.fingerprints import StreamFingerprint

FORM = "multipart/form-data; boundary={}"


async def _pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def _form(parts: Sequence[bytes], boundary: str) -> bytes:
    delimiter = b"\r\n--" + boundary.encode()
    return b"".join(delimiter + b"\r\n\r\n" + part for part in parts)[2:] + delimiter + b"--\r\n"


async def _digest(body: bytes, content_type: str = "text/plain", *, size: int = 1000, address: bytes = b"/", read: int = 0) -> bytes | None:
    """The fingerprint, after whoever handles the request has read so many of the pieces."""
    fingerprint = StreamFingerprint(address, _pieces(body, size), content_type)
    stream = fingerprint.passed_on()
    for _ in range(read):
        await anext(stream, b"")
    return await fingerprint.digest()


parts = st.lists(st.binary(max_size=60), max_size=4)


@given(parts=parts, size=st.integers(1, 50), read=st.integers(0, 5))
async def test_neither_the_boundary_nor_the_pieces_matter(parts: list[bytes], size: int, read: int) -> None:
    one, other = "one-boundary-of-30-characters!", "quite-another"
    first = await _digest(_form(parts, one), FORM.format(one))
    again = await _digest(_form(parts, other), FORM.format(other), size=size, read=read)
    assert first == again


@given(parts=parts, others=parts)
async def test_forms_with_other_parts_are_told_apart(parts: list[bytes], others: list[bytes]) -> None:
    digests = [await _digest(_form(each, "boundary-30"), FORM.format("boundary-30")) for each in (parts, others)]
    assert (digests[0] == digests[1]) == (parts == others)


async def test_bodies_of_equal_length_and_other_addresses_are_told_apart() -> None:
    assert await _digest(b"abc") == await _digest(b"abc", size=1)
    assert len({await _digest(b"abc"), await _digest(b"abd"), await _digest(b"abc", address=b"/x")}) == 3


async def test_a_longer_body_is_known_before_its_end() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1000

    assert await StreamFingerprint(b"/", endless(), "text/plain").digest(at_most=5000) is None
    assert taken == 6
