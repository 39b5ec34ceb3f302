"""For tests: does what the event's data says."""

import os
from pathlib import Path

import psycopg

from shared.errors import NotFound
from shared.faas import Rejected, on_event
from tests.infra.broker.events import Happened
from tests.infra.broker.waiting import until


@on_event(Happened)
async def take_note(event: Happened) -> None:
    """Does what the event says."""
    told = event.data()
    if "write" in told:
        _write(Path(told["write"]), f"{event.owner_id} {event.subject} {os.getpid()}\n")
    if "until" in told:
        await until(Path(told["until"]).exists, seconds=60)
    match told.get("raise"):
        case "rejected":
            raise Rejected("there is no such document")
        case "not found":
            raise NotFound("not here")
        case "error":
            raise ValueError("the store\nis away")
        case "wrong data":
            raise psycopg.DataError("no such text")


def _write(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line)
