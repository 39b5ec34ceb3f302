"""The one seam for wall-clock time in Python; SQL uses `now()`."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)
