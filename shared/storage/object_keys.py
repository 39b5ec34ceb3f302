"""Every key that an object of ours has is made and read here.

    {owner}/{document}/{uuid4}{extension}           an original (OriginalKey)
    .derived/{owner}/{document}/{revision}.webp     a thumbnail that an earlier version of DocuVault kept (ThumbnailKey)
    .audit/{date}.jsonl                             a day's audit lines (AuditExportKey)
    .health/read, .health/write                     what health checks read and write

Keys that begin with a dot are internal: functions are not woken by them, and no client may write them.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Self
from uuid import UUID, uuid4

INTERNAL_PREFIX = "."
HEALTH_READ, HEALTH_WRITE = ".health/read", ".health/write"

EXTENSION = r"\.[a-z0-9]{1,10}"
"""What may end an original's key, as a regular expression: no more of a file's name stands in it."""

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ORIGINAL = re.compile(rf"({_UUID})/({_UUID})/({_UUID})({EXTENSION})?", re.ASCII)
_AUDIT_EXPORT = re.compile(r"\.audit/([0-9]{4}-[0-9]{2}-[0-9]{2})\.jsonl", re.ASCII)
_THUMBNAIL = re.compile(rf"\.derived/({_UUID})/({_UUID})/([1-9][0-9]{{0,9}})\.webp", re.ASCII)


def is_internal(key: str) -> bool:
    """Whether the object is one of our own making."""
    return key.startswith(INTERNAL_PREFIX)


@dataclass(frozen=True, slots=True)
class OriginalKey:
    """Where the file lies that an owner gave us. `extension` fits EXTENSION, or is empty."""

    owner_id: UUID
    document_id: UUID
    name: UUID
    extension: str

    @classmethod
    def new(cls, owner_id: UUID, document_id: UUID, extension: str) -> Self:
        """A key that nobody can guess and that no object had before."""
        return cls(owner_id, document_id, uuid4(), extension)

    def __str__(self) -> str:
        return f"{self.owner_id}/{self.document_id}/{self.name}{self.extension}"

    @classmethod
    def parse(cls, key: str) -> Self | None:
        """The inverse of `str`; None if the key is not an original's."""
        match = _ORIGINAL.fullmatch(key)
        return match and cls(UUID(match[1]), UUID(match[2]), UUID(match[3]), match[4] or "")


@dataclass(frozen=True, slots=True)
class ThumbnailKey:
    """Where the picture of a document's first page lies, if the document was read before migration 0095; each revision has its own."""

    owner_id: UUID
    document_id: UUID
    revision: int

    def __str__(self) -> str:
        return f".derived/{self.owner_id}/{self.document_id}/{self.revision}.webp"

    @classmethod
    def parse(cls, key: str) -> Self | None:
        """The inverse of `str`; None if the key is not a thumbnail's."""
        match = _THUMBNAIL.fullmatch(key)
        return match and cls(UUID(match[1]), UUID(match[2]), int(match[3]))


@dataclass(frozen=True, slots=True)
class AuditExportKey:
    """Where the audit lines of a UTC day lie."""

    day: date

    def __str__(self) -> str:
        return f".audit/{self.day.isoformat()}.jsonl"

    @classmethod
    def parse(cls, key: str) -> Self | None:
        """The inverse of `str`; None if the key is not an export's."""
        match = _AUDIT_EXPORT.fullmatch(key)
        try:
            return match and cls(date.fromisoformat(match[1]))
        except ValueError:
            return None
