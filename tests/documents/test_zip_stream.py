"""What is streamed is a ZIP as others read it: Python's own module, Info-ZIP's unzip."""

import io
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.documents.archive_names import ArchiveNames, text_name
from shared.documents.zip_stream import ZipStream

THEN = datetime(2025, 3, 1, 12, 30, 42, tzinfo=UTC)
CONTENTS = {"Brief an März.txt": b"Dear heron\n" * 1000, "empty": b"", "text/日本語.pdf.txt": bytes(range(256)) * 99}


def _made(contents: dict[str, bytes], *, deflate: bool = True, zip64_from: int = 0xFFFFFFFF, most: int = 0) -> bytes:
    with ZipStream(zip64_from=zip64_from) as archive:
        made = bytearray()
        for name, content in contents.items():
            made += archive.begin(name, modified=THEN, most=most or len(content), deflate=deflate)
            for start in range(0, len(content), 1000):
                made += archive.add(content[start : start + 1000])
            made += archive.end()
        for piece in archive.finish():
            made += piece
        assert archive.size == len(made)
        return bytes(made)


def _is_good(made: bytes, path: Path) -> None:
    """To every program that is here."""
    path.write_bytes(made)
    for program in (["unzip", "-tqq"], ["7z", "t"], ["bsdtar", "-tf"]):
        if shutil.which(program[0]):
            said = subprocess.run([*program, str(path)], capture_output=True, text=True, check=False)
            assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("deflate", [True, False])
@pytest.mark.parametrize(("zip64_from", "most"), [(0xFFFFFFFF, 0), (100, 0), (0xFFFFFFFF, 2**33)])
def test_what_was_put_in_comes_out(tmp_path: Path, deflate: bool, zip64_from: int, most: int) -> None:
    made = _made(CONTENTS, deflate=deflate, zip64_from=zip64_from, most=most)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == CONTENTS
        assert {info.date_time for info in archive.infolist()} == {(2025, 3, 1, 12, 30, 42)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
    assert (b"PK\6\6" in made) == (zip64_from == 100)
    _is_good(made, tmp_path / "made.zip")


def test_seventy_thousand_entries_are_all_there(tmp_path: Path) -> None:
    made = _made({f"{number}.txt": b"" for number in range(70_000)})
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert len(archive.namelist()) == 70_000
    _is_good(made, tmp_path / "made.zip")


def test_an_archive_without_entries_is_one() -> None:
    assert zipfile.ZipFile(io.BytesIO(_made({}))).namelist() == []


def test_an_entry_and_a_directory_beyond_four_gib_are_told_in_the_wide_form() -> None:
    """The bytes between are not held: the file has a hole instead."""
    block = bytes(2**26)
    with ZipStream() as archive:
        pieces = [(0, archive.begin("huge.bin", modified=THEN, most=65 * len(block), deflate=False))]
        for _ in range(65):
            archive.add(block)
        for name in ("", "after.txt"):
            start = archive.size
            if name:
                pieces.append((start, archive.begin(name, modified=THEN, most=5, deflate=False) + archive.add(b"heron")))
                start = archive.size
            pieces.append((start, archive.end()))
        start = archive.size
        pieces.append((start, b"".join(archive.finish())))
    with zipfile.ZipFile(_Sparse(pieces)) as read:
        assert [info.file_size for info in read.infolist()] == [65 * len(block), 5]
        assert read.getinfo("after.txt").header_offset > 2**32
        assert read.read("after.txt") == b"heron"


class _Sparse(io.RawIOBase):
    """A file of zeros but for some pieces."""

    def __init__(self, pieces: list[tuple[int, bytes]]) -> None:
        self._pieces, self._at = pieces, 0
        self._size = max(start + len(piece) for start, piece in pieces)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        found = bytearray(max(0, end - self._at))
        for start, piece in self._pieces:
            for offset in range(max(start, self._at), min(start + len(piece), end)):
                found[offset - self._at] = piece[offset - start]
        self._at += len(found)
        return bytes(found)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("letter.txt", "letter.txt"),
        ("../../etc/passwd", "passwd"),
        ("/absolute", "absolute"),
        ("C:\\Windows\\win.ini", "win.ini"),
        ("..", "document"),
        ('a<b>c:d|e?f*g".txt', "a_b_c_d_e_f_g_.txt"),
        ("CON.txt", "_CON.txt"),
        ("com¹", "_com¹"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("a\x00b\nc\x7f.txt", "ab c.txt"),
        ("dot. ", "dot"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("manifest.jsonl", "manifest (2).jsonl"),
        ("Errors.TXT", "Errors (2).TXT"),
        ("text", "text (2)"),
        ("", "document"),
    ],
)
def test_a_name_is_one_that_every_system_takes(given: str, expected: str) -> None:
    assert ArchiveNames().take(given) == expected


def test_names_that_some_system_takes_for_one_are_numbered() -> None:
    names = ArchiveNames()
    taken = [names.take(name) for name in ("a.txt", "A.TXT", "a (2).txt", "a.txt", "u\u0308.txt", "ü.txt", "STRASSE", "straße")]
    assert taken == ["a.txt", "A (2).TXT", "a (2) (2).txt", "a (3).txt", "ü.txt", "ü (2).txt", "STRASSE", "straße (2)"]


@pytest.mark.parametrize("character", ["a", "ä", "日", "👩‍👩‍👧"])
def test_names_are_never_longer_than_a_file_system_takes(character: str) -> None:
    names = ArchiveNames()
    taken = {names.take(character * 400 + ".pdf") for _ in range(120)}
    assert len(taken) == 120
    assert all(name.endswith(".pdf") and len(text_name(name).rpartition("/")[2].encode()) <= 255 for name in taken)
