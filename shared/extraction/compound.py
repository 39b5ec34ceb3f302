"""Compound files ("OLE", MS-CFB): the file system inside Office files from before 2007 and Outlook's messages.

Sectors are read from the open file when they are needed, chains never further than the file is long, so that cycles end.
"""

import os
import struct
from typing import BinaryIO

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_STORAGE, _STREAM, _ROOT = 1, 2, 5
_LAST_REGULAR = 0xFFFFFFFA
_ENTRY = 128
_MAX_ENTRIES = 50_000
_MAX_DEPTH = 16


class CompoundDamaged(ValueError):
    """This is no compound file, or one whose tables lead nowhere."""


class Compound:
    """The streams of a compound file by their paths: names joined by "/", in lower case (2.6.4 compares them so)."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises CompoundDamaged."""
        self._file = file
        self._length = file.seek(0, os.SEEK_END)
        header = self._at(0, 512)
        if len(header) < 512 or not header.startswith(SIGNATURE):
            raise CompoundDamaged("no header")
        shift, mini_shift = struct.unpack_from("<HH", header, 30)
        if shift not in (9, 12) or mini_shift != 6:
            raise CompoundDamaged("no size of sectors")
        self._size: int = 1 << shift
        (directory, self._cutoff, mini, _, difat) = struct.unpack_from("<I4xIIII", header, 48)
        tables = list(struct.unpack_from("<109I", header, 76))
        for _ in range(self._sectors() // 100 + 1):  # further tables of tables, a chain of their own
            if difat > _LAST_REGULAR:
                break
            more = self._numbers(self._sector(difat))
            tables += more[:-1]
            difat = more[-1] if more else _LAST_REGULAR + 1
        self._next: list[int] = []
        for table in tables:
            if table <= _LAST_REGULAR:
                self._next += self._numbers(self._sector(table))
        self._mini_next = self._numbers(self._chain(mini))
        self._mini: bytes | None = None
        self._entries = self._chain(directory, _MAX_ENTRIES * _ENTRY)
        self._root = (0, 0)
        self.streams: dict[str, tuple[int, int]] = {}
        """First sector and length of each."""
        self.storages: dict[str, str] = {}
        """The identifier of the program that wrote each storage (CLSID, hexadecimal), "" the path of the root."""
        self._list()

    def read(self, path: str, longest: int | None = None) -> bytes:
        """The content of a stream, or as much of it as there is; empty if there is none of that name."""
        start, length = self.streams.get(path.lower(), (0, 0))
        length = length if longest is None else min(length, longest)
        if length >= self._cutoff or self.streams.get(path.lower(), (0, 0))[1] >= self._cutoff:
            return self._chain(start, length)[:length]
        return self._from_mini(start, length)

    def within(self, folder: str) -> list[str]:
        """The names of the storages that stand directly in a storage ("" is the root), in the order of their names."""
        prefix = f"{folder.lower()}/" if folder else ""
        return sorted(path for path in self.storages if path.startswith(prefix) and path != folder and "/" not in path[len(prefix) :])

    def _list(self) -> None:
        count = len(self._entries) // _ENTRY
        if not count:
            raise CompoundDamaged("no directory")
        seen = {0}
        _, child, start, length = self._entry(0)
        self._root = start, length
        self.storages[""] = self._entries[80:96].hex()
        waiting = [(child, "", 0)]
        while waiting:
            number, folder, depth = waiting.pop()
            if number >= count or number in seen or depth > _MAX_DEPTH:
                continue
            seen.add(number)
            left, right = struct.unpack_from("<II", self._entries, number * _ENTRY + 68)
            waiting += [(left, folder, depth), (right, folder, depth)]
            name, child, start, length = self._entry(number)
            path = (folder + "/" if folder else "") + name
            kind = self._entries[number * _ENTRY + 66]
            if kind == _STREAM:
                self.streams.setdefault(path, (start, length))
            elif kind == _STORAGE:
                self.storages.setdefault(path, self._entries[number * _ENTRY + 80 : number * _ENTRY + 96].hex())
                waiting.append((child, path, depth + 1))

    def _entry(self, number: int) -> tuple[str, int, int, int]:
        """Name, first child, first sector and length."""
        entry = self._entries[number * _ENTRY : (number + 1) * _ENTRY]
        name = entry[: min(64, struct.unpack_from("<H", entry, 64)[0])].decode("utf-16-le", "replace").rstrip("\0").replace("/", "_")
        child, start, length = (int(number) for number in struct.unpack_from("<I36xIQ", entry, 76))
        # in version 3 the upper half of the length may be anything (2.6.1)
        return name.lower(), child, start, length & 0xFFFFFFFF if self._size == 512 else length

    def _from_mini(self, start: int, length: int) -> bytes:
        if self._mini is None:
            self._mini = self._chain(*self._root)[: self._root[1]]
        pieces, number = [], start
        for _ in range(min(len(self._mini_next), length // 64 + 1)):
            if number >= len(self._mini_next):
                break
            pieces.append(self._mini[number * 64 : (number + 1) * 64])
            number = self._mini_next[number]
        return b"".join(pieces)[:length]

    def _chain(self, start: int, longest: int | None = None) -> bytes:
        """The sectors that follow one another from `start`, as far as `longest` bytes; those in a row in one go."""
        left = self._sectors() if longest is None else min(self._sectors(), longest // self._size + 1)
        pieces, number = [], start
        while left > 0 and number < len(self._next):
            first, count = number, 1
            while count < left and self._next[number] == number + 1 and number + 1 < len(self._next):
                number += 1
                count += 1
            pieces.append(self._at((first + 1) * self._size, count * self._size))
            left -= count
            number = self._next[number]
        return b"".join(pieces)

    def _sectors(self) -> int:
        return int(self._length // self._size + 1)

    def _sector(self, number: int) -> bytes:
        return self._at((number + 1) * self._size, self._size)

    def _at(self, position: int, length: int) -> bytes:
        if position >= self._length:
            return b""
        self._file.seek(position)
        out = bytearray()
        while len(out) < length and (chunk := self._file.read(length - len(out))):
            out += chunk
        return bytes(out)

    @staticmethod
    def _numbers(data: bytes) -> list[int]:
        return list(struct.unpack_from(f"<{len(data) // 4}I", data))


def title(compound: Compound) -> str | None:
    """The title among the properties of the document (MS-OLEPS 2.18, 2.21)."""
    data = compound.read("\x05summaryinformation", 64 * 1024)
    try:
        (offset,) = struct.unpack_from("<I", data, 44)
        (count,) = struct.unpack_from("<I", data, offset + 4)
        places = dict(struct.unpack_from("<II", data, offset + 8 + 8 * number) for number in range(min(count, 100)))
        if 2 not in places:
            return None
        kind, length = struct.unpack_from("<II", data, offset + places[2])
        value = data[offset + places[2] + 8 : offset + places[2] + 8 + min(length, 2_000) * (2 if kind == 31 else 1)]
        page = struct.unpack_from("<H", data, offset + places[1] + 4)[0] if 1 in places else 1252
    except struct.error:
        return None
    if kind == 31 or page == 1200:
        return value.decode("utf-16-le", "replace").partition("\0")[0] or None
    return value.partition(b"\0")[0].decode(code_page(page), "replace") or None


def code_page(number: int) -> str:
    """Python's name of a Windows code page, that of Western Europe for one it does not know."""
    name = {10000: "mac_roman", 936: "gb18030", 950: "big5hkscs", 1361: "johab", 65001: "utf-8"}.get(number, f"cp{number}")
    try:
        "".encode(name)
    except LookupError:
        return "cp1252"
    return name
