"""For the benchmark of deliveries: writes down how long after its publication it was called."""

import os
import time

from shared.faas import Event, on_event


@on_event("bench.latency")
async def tell_latency(event: Event) -> None:
    """Appends the nanoseconds to a file, in one write."""
    spent = time.monotonic_ns() - event.data["at"]
    descriptor = os.open(event.data["file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{spent}\n".encode())
    os.close(descriptor)
