"""What a streamed request is known by: everything that was sent, hashed as it goes by.

A form's parts are hashed one by one, without the boundary between them: clients choose another one each time. So the same file sent again
has the same fingerprint, and another one of the same length has not.
"""

import hashlib
from collections.abc import AsyncIterator


class StreamFingerprint:
    """The fingerprint of `chunks`, a body of `content_type`, together with `address` (whatever else tells requests apart)."""

    def __init__(self, address: bytes, chunks: AsyncIterator[bytes], content_type: str) -> None:
        self._chunks = chunks
        self._delimiter = _delimiter(content_type)
        self._whole = hashlib.sha256(hashlib.sha256(address).digest())
        self._part = hashlib.sha256()
        # A delimiter begins with a line break, which the first one lacks.
        self._end = b"\r\n" if self._delimiter else b""
        self.size = 0
        """Bytes so far, delimiters not counted."""

    async def passed_on(self) -> AsyncIterator[bytes]:
        """The chunks, for whoever handles the request."""
        async for chunk in self._chunks:
            self._take(chunk)
            yield chunk

    async def digest(self, *, at_most: int | None = None) -> bytes | None:
        """Reads what is left of the body; the fingerprint, or None as soon as the body has more than `at_most` bytes.

        Raises what the body's stream raises.
        """
        async for chunk in self._chunks:
            self._take(chunk)
            if at_most is not None and self.size > at_most:
                return None
        self._count(self._end)
        self._end = b""
        self._whole.update(self._part.digest())
        return self._whole.digest()

    def _take(self, chunk: bytes) -> None:
        if not self._delimiter:
            self._count(chunk)
            return
        *complete, last = (self._end + chunk).split(self._delimiter)
        for part in complete:
            self._count(part)
            self._whole.update(self._part.digest())
            self._part = hashlib.sha256()
        # A delimiter may begin in this chunk and end in the next.
        begins = max(0, len(last) - len(self._delimiter) + 1)
        self._count(last[:begins])
        self._end = last[begins:]

    def _count(self, data: bytes) -> None:
        self.size += len(data)
        self._part.update(data)


def _delimiter(content_type: str) -> bytes:
    """What stands between a form's parts (RFC 2046, section 5.1.1); nothing for another content type."""
    from python_multipart.multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    return b"\r\n--" + boundary if kind.startswith(b"multipart/") and boundary else b""
