"""A ZIP archive as it is sent: entries whose length is not known before, of any size and number, in constant memory.

By APPNOTE.TXT 6.3.10: each entry's hash and lengths follow it (data descriptor, section 4.3.9), names are UTF-8 (general purpose bit 11),
and ZIP64 (section 4.3.14 ff., 4.5.3) is used as far as it is needed. The central directory waits in a temporary file without a name.
"""

import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import IO, Any, Self

IN_MEMORY = 256 * 1024
"""Bytes of the directory that are held before there is a file."""
PIECE = 64 * 1024

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_DESCRIPTOR, _DESCRIPTOR64 = struct.Struct("<4sLLL"), struct.Struct("<4sLQQ")
_DIRECTORY_HEADER = struct.Struct("<4s6H3L5H2L")
_END64, _END64_LOCATOR, _END = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL"), struct.Struct("<4s4H2LH")
_STREAMED_UTF8 = 1 << 3 | 1 << 11
_STORED, _DEFLATED = 0, 8
_PLAIN_VERSION, _ZIP64_VERSION = 20, 45
_UNIX = 3 << 8
_A_FILE = 0o100644 << 16
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ZIP64_EXTRA = 1
_LEVEL = 5
_DEFLATED_AT_MOST = 1.01
"""What deflate makes of what it cannot make smaller, beside the original."""


@dataclass
class _OpenEntry:
    name: bytes
    modified: int
    zip64: bool
    deflate: Any
    offset: int
    crc: int = 0
    size: int = 0
    sent: int = 0

    @property
    def method(self) -> int:
        return _STORED if self.deflate is None else _DEFLATED

    @property
    def version(self) -> int:
        return _ZIP64_VERSION if self.zip64 else _PLAIN_VERSION


@dataclass
class ZipStream:
    """Gives the archive's bytes: `begin`, `add` and `end` for each entry, at last `finish`. To be used as a context manager."""

    entries: int = 0
    size: int = 0
    """Bytes given so far."""
    zip64_from: int = _FULL32
    """Bytes from which on the wide form is used, whatever the format allows; tests set it."""
    _entry: _OpenEntry | None = None
    _directory: IO[bytes] = field(default_factory=lambda: tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._directory.close()

    def begin(self, name: str, *, modified: datetime, most: int, deflate: bool) -> bytes:
        """An entry of at most `most` bytes; `name` is taken as it is."""
        assert self._entry is None
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS) if deflate else None
        wide = most * _DEFLATED_AT_MOST >= self.zip64_from
        entry = self._entry = _OpenEntry(name.encode(), _dos_time(modified), wide, compressor, self.size)
        extra = struct.pack("<HHQQ", _ZIP64_EXTRA, 16, 0, 0) if wide else b""
        length = _FULL32 if wide else 0
        date, time = divmod(entry.modified, 1 << 16)
        header = _LOCAL_HEADER.pack(
            b"PK\3\4", entry.version, _STREAMED_UTF8, entry.method, time, date, 0, length, length, len(entry.name), len(extra)
        )
        return self._given(header + entry.name + extra)

    def add(self, content: bytes) -> bytes:
        """More of the entry; may give nothing yet."""
        entry = self._entry
        assert entry is not None
        entry.crc = zlib.crc32(content, entry.crc)
        entry.size += len(content)
        written: bytes = content if entry.deflate is None else entry.deflate.compress(content)
        entry.sent += len(written)
        return self._given(written)

    def end(self) -> bytes:
        """The entry's end."""
        entry, self._entry = self._entry, None
        assert entry is not None
        rest: bytes = b"" if entry.deflate is None else entry.deflate.flush()
        entry.sent += len(rest)
        form = _DESCRIPTOR64 if entry.zip64 else _DESCRIPTOR
        given = self._given(rest + form.pack(b"PK\7\x08", entry.crc, entry.sent, entry.size))
        self._directory.write(self._directory_header(entry))
        self.entries += 1
        return given

    def finish(self) -> Iterator[bytes]:
        """The directory, after which the archive is whole."""
        start = self.size
        self._directory.seek(0)
        while piece := self._directory.read(PIECE):
            yield self._given(piece)
        length, end = self.size - start, self.size
        if self.entries >= _FULL16 or length >= _FULL32 or start >= self.zip64_from:
            version = _ZIP64_VERSION
            yield self._given(
                _END64.pack(b"PK\6\6", 44, _UNIX | version, version, 0, 0, self.entries, self.entries, length, start)
                + _END64_LOCATOR.pack(b"PK\6\7", 0, end, 1)
            )
        entries = min(self.entries, _FULL16)
        start = _FULL32 if start >= self.zip64_from else start
        yield self._given(_END.pack(b"PK\5\6", 0, 0, entries, entries, min(length, _FULL32), start, 0))

    def _directory_header(self, entry: _OpenEntry) -> bytes:
        far = entry.offset >= self.zip64_from
        wide = [*((entry.size, entry.sent) if entry.zip64 else ()), *((entry.offset,) if far else ())]
        extra = struct.pack(f"<HH{len(wide)}Q", _ZIP64_EXTRA, 8 * len(wide), *wide) if wide else b""
        sent, size = (_FULL32, _FULL32) if entry.zip64 else (entry.sent, entry.size)
        date, time = divmod(entry.modified, 1 << 16)
        version = _ZIP64_VERSION if wide else _PLAIN_VERSION
        header = _DIRECTORY_HEADER.pack(
            b"PK\1\2", _UNIX | version, version, _STREAMED_UTF8, entry.method, time, date, entry.crc, sent, size,
            len(entry.name), len(extra), 0, 0, 0, _A_FILE, _FULL32 if far else entry.offset,
        )  # fmt: skip
        return header + entry.name + extra

    def _given(self, content: bytes) -> bytes:
        self.size += len(content)
        return content


def _dos_time(moment: datetime) -> int:
    """Date and time in MS-DOS's form (section 4.4.6): from 1980 to 2107, every two seconds."""
    if moment.year < 1980:
        return 1 << 21 | 1 << 16
    year = min(moment.year, 2107) - 1980
    return year << 25 | moment.month << 21 | moment.day << 16 | moment.hour << 11 | moment.minute << 5 | moment.second // 2
