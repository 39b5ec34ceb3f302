"""For tests: does what the event's data says."""

import asyncio
import os
from pathlib import Path

from shared.errors import NotFound
from shared.faas import Event, Rejected, on_event


@on_event("test.*")
async def take_note(event: Event) -> None:
    """Does what the event says."""
    told = event.data
    if "write" in told:
        with Path(told["write"]).open("a") as file:
            file.write(f"{event.id} {event.owner_id} {event.subject} {os.getpid()}\n")
    if "until" in told:
        while not Path(told["until"]).exists():  # noqa: ASYNC240
            await asyncio.sleep(0.01)
    match told.get("raise"):
        case "rejected":
            raise Rejected("there is no such document")
        case "not found":
            raise NotFound("not here")
        case "error":
            raise ValueError("the store\nis away")
