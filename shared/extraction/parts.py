"""The parts of a document, announced one by one as they are read, so that a crash of the reader costs the part it was at, not the document.

    if parts.begin("attachment", number): ...   # False: it has made a reader crash before, so it is left out

A child announces them to its parent, which has the document read again without the part at which a child died (`sandbox.run`). Without a
parent (`start` was not called) nothing is announced and nothing left out. One process reads one document, so the state is the module's.
"""

import contextlib
import struct
from collections.abc import Callable, Iterator, Sequence

KINDS = ("document", "page", "picture", "thumbnail", "attachment")
"""What can be left out alone: a page; the text on the picture that a page is; the thumbnail; an attachment. "document": no part but the
whole."""

LAST = 2**31 - 1

Skipped = tuple[str, int, int]
"""A kind, and the first and the last number (from 1) of parts to leave out."""

_FRAME = struct.Struct(">4xBI")  # no message begins with four zeros, which would be its length

_send: Callable[[bytes], None] | None = None
_skipped: list[Skipped] = []
_nested = 0


def start(send: Callable[[bytes], None], skipped: Sequence[Skipped]) -> None:
    """From here on announce parts through `send` and leave out `skipped`."""
    global _send
    _send = send
    _skipped[:] = skipped


def begin(kind: str, number: int = 0) -> bool:
    """Announce that this part is read next; False if it is to be left out."""
    if _nested or _send is None:
        return True
    if any(kind == skipped and first <= number <= last for skipped, first, last in _skipped):
        return False
    _send(_FRAME.pack(KINDS.index(kind), number))
    return True


@contextlib.contextmanager
def inside() -> Iterator[None]:
    """Within, parts of parts (the pages of an attachment) are none of their own."""
    global _nested
    _nested += 1
    try:
        yield
    finally:
        _nested -= 1


def split(data: bytes) -> tuple[tuple[str, int] | None, bytes]:
    """What a child sent: the last part it announced, and the rest."""
    part, position = None, 0
    while len(data) - position >= _FRAME.size and data[position : position + 4] == bytes(4):
        kind, number = _FRAME.unpack_from(data, position)
        part = (KINDS[kind], number) if 0 < kind < len(KINDS) else None
        position += _FRAME.size
    return part, data[position:]
