"""Identifiers: UUID version 7 (RFC 9562, section 5.7), made by the application so that every PostgreSQL will do."""

import os
import time
import uuid


def new_id() -> uuid.UUID:
    """A new id; ids sort by the millisecond they were made in."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
