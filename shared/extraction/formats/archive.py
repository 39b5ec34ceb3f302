"""Zip archives, which the office formats are: refused if they unpack to far more than a document may."""

import os
import zipfile
import zlib
from typing import BinaryIO

from shared.extraction.content_types import NAMES
from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted, DocumentTooComplex
from shared.extraction.limits import MAX_ARCHIVE_ENTRIES, MAX_INFLATED, MAX_INFLATED_PART, MAX_INFLATION_RATIO, MIB


def check_archive(file: BinaryIO, content_type: str) -> None:
    """Refuse a zip bomb: by what its directory declares, and, as that may lie, by inflating every part without keeping it.

    Raises DocumentTooComplex, DocumentEncrypted or DocumentCorrupt."""
    kind = NAMES[content_type]
    stored = file.seek(0, os.SEEK_END)
    bomb = DocumentTooComplex(f"The {kind} unpacks to far more than a document may.")
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_ARCHIVE_ENTRIES or sum(part.file_size for part in parts) > MAX_INFLATED:
                raise bomb
            if any(part.flag_bits & 1 for part in parts):
                raise DocumentEncrypted()
            total = 0
            for part in parts:
                with archive.open(part) as stream:
                    size = 0
                    while chunk := stream.read(MIB):
                        size += len(chunk)
                        total += len(chunk)
                        if size > MAX_INFLATED_PART or total > MAX_INFLATED or total > 10 * MIB + stored * MAX_INFLATION_RATIO:
                            raise bomb
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError, KeyError):
        raise DocumentCorrupt(f"The {kind} is damaged and cannot be unpacked.") from None
    except RuntimeError:  # what zipfile raises for a part that needs a password
        raise DocumentEncrypted() from None
