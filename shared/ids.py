"""Identifiers: UUID version 7 (RFC 9562, section 5.7), made by the application so that every PostgreSQL will do."""

import os
import time
import uuid
from datetime import datetime

_RANDOM = (1 << 76) - 1 & ~(0x3 << 62)
_VERSION_AND_VARIANT = 0x7 << 76 | 0x2 << 62


def new_id() -> uuid.UUID:
    """A new id; ids sort by the millisecond they were made in."""
    return uuid.UUID(int=_new())


def new_id_text() -> str:
    """A new id as text: several times faster than `str(new_id())`, for what is made at every request."""
    digits = f"{_new():032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def first_id_at(moment: datetime) -> uuid.UUID:
    """What no id made at `moment` or later is below. Raises OverflowError for a moment before 1970."""
    milliseconds = int(moment.timestamp() * 1000)
    return uuid.UUID(bytes=milliseconds.to_bytes(6, "big") + bytes(10))


def _new() -> int:
    milliseconds = time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF
    return milliseconds << 80 | int.from_bytes(os.urandom(10), "big") & _RANDOM | _VERSION_AND_VARIANT
