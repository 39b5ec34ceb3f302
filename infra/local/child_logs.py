"""The logs of the local stack's children: kept small, and their warnings brought to the console."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

LIMIT_BYTES = 10 * 2**20
_SHOWN_BYTES = 64 * 1024
_LINES_AT_ONCE = 5
_NOT_SHOWN = {"time", "level", "logger", "message", "exception", "event", "delivery", "request_id"}
"""What tells one occurrence from another: it stands in the log."""
_REASON = re.compile(r"[\w.]+(: |$)")
"""The line of a traceback that names the exception."""
_WORTH_SHOWING = {"warning", "error", "critical"}


def keep_small(log: Path) -> None:
    """Moves what is in a log that has grown beyond 10 MiB to `<name>.log.1` and goes on with an empty one.

    The child keeps the file open for appending, so it is copied and emptied, not renamed; a line written in that moment may be lost.
    """
    try:
        if log.stat().st_size < LIMIT_BYTES:
            return
        with log.open("rb") as full:
            full.seek(-LIMIT_BYTES, os.SEEK_END)
            log.with_name(f"{log.name}.1").write_bytes(full.read())
        os.truncate(log, 0)
    except FileNotFoundError:
        return


class Warnings:
    """Reads a log of JSON lines as it grows."""

    def __init__(self, name: str, log: Path) -> None:
        self._name = name
        self._log = log
        self._position = log.stat().st_size if log.exists() else 0

    def new(self) -> Iterator[str]:
        """A readable line for each warning or error since the last call; what repeats itself is said once, and a flood is cut short."""
        try:
            size = self._log.stat().st_size
            if size < self._position:
                self._position = 0
            if size == self._position:
                return
            with self._log.open("rb") as text:
                text.seek(max(self._position, size - _SHOWN_BYTES))
                fresh = text.read(_SHOWN_BYTES)
        except FileNotFoundError:
            return
        self._position = size
        found = Counter(filter(None, (_readable(line, self._log) for line in fresh.decode(errors="replace").splitlines())))
        for line, times in found.most_common(_LINES_AT_ONCE):
            yield f"{self._name}: {line}" + (f" ({times} times)" if times > 1 else "")
        if len(found) > _LINES_AT_ONCE:
            yield f"{self._name}: and {len(found) - _LINES_AT_ONCE} more in {self._log}"


def _readable(line: str, log: Path) -> str:
    try:
        record = json.loads(line)
        if record["level"] not in _WORTH_SHOWING:
            return ""
    except (ValueError, KeyError, TypeError):
        return ""
    facts = [f"{name}={' '.join(str(value).split())}" for name, value in record.items() if name not in _NOT_SHOWN]
    reasons = [line for line in str(record.get("exception", "")).splitlines() if _REASON.match(line)]
    message = str(record.get("message", "")).split("\n", 1)
    return " ".join((record["level"], message[0] + (f" (the rest is in {log})" if len(message) > 1 else ""), *facts, *reasons[-1:]))
