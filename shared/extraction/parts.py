"""The parts of a document, announced one by one as they are read, so that a crash of the reader costs the part it was at, not the document.

    if parts.begin("attachment", number): ...   # False: it has made a reader crash before, so it is left out

A child announces them in memory that it shares with its fork server: a write to a socket for each would wake up the parent, eight times for
a PDF of two pages. If the child dies, the fork server reports what stands there, and the document is read again without that part
(`sandbox.run`). Without such memory (`start` was not called) nothing is announced and nothing left out. One process reads one document, so
the state is the module's.
"""

import contextlib
import struct
from collections.abc import Iterator, Sequence
from mmap import mmap

KINDS = ("document", "page", "picture", "thumbnail", "attachment")
"""What can be left out alone: a page; the text on the picture that a page is; the thumbnail; an attachment. "document": no part but the
whole."""

LAST = 2**31 - 1

Skipped = tuple[str, int, int]
"""A kind, and the first and the last number (from 1) of parts to leave out."""

_PLACE = struct.Struct("=BI")

_place: mmap | None = None
_skipped: list[Skipped] = []
_nested = 0


def shared_memory() -> mmap:
    """Memory for the announcements of one child, to be made before it is forked."""
    return mmap(-1, _PLACE.size)


def start(place: mmap, skipped: Sequence[Skipped]) -> None:
    """From here on announce parts in `place` and leave out `skipped`."""
    global _place
    _place = place
    _skipped[:] = skipped


def begin(kind: str, number: int = 0) -> bool:
    """Announce that this part is read next; False if it is to be left out."""
    if _nested or _place is None:
        return True
    if any(kind == skipped and first <= number <= last for skipped, first, last in _skipped):
        return False
    _PLACE.pack_into(_place, 0, KINDS.index(kind), number)
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


def announced(place: mmap) -> tuple[str, int] | None:
    """The last part that a child announced there, believing nothing; None for the document as a whole."""
    kind, number = _PLACE.unpack_from(place)
    return (KINDS[kind], number) if 0 < kind < len(KINDS) else None
