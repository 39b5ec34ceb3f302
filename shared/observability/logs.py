"""Structured logs on stderr: one JSON object a line (LOG_FORMAT=json), or a line for people (console).

Pass facts as `extra={"fields": {...}}`. Secrets, tokens, document text and addresses of mail never go in.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from functools import lru_cache

from pydantic_core import to_json

_encode_anything = json.JSONEncoder(ensure_ascii=False, default=str).encode


@lru_cache(maxsize=2)
def _second(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": f"{_second(int(record.created))}.{int(record.msecs):03d}+00:00",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in record.__dict__.get("fields", {}).items():
            line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return to_json(line, fallback=str).decode()
        except ValueError:  # what is no Unicode text, or contains itself
            return _encode_anything(line)


class ConsoleFormatter(logging.Formatter):
    """`12:00:00 INFO docuvault.http request method=GET status=200`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in getattr(record, "fields", {}).items() if value is not None)
        line = f"{moment} {record.levelname:7} {record.name} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(level: str, form: str) -> None:
    """Sets up logging for this process; third-party libraries speak from `warning` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter())
    # What no line of ours shows need not be found out for each (the standard library's advice on optimisation).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("docuvault").setLevel(level.upper())
    # The pool repeats each failed attempt to connect; what failed for it is said by whoever asked.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
