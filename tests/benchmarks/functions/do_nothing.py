"""For the benchmark of deliveries: an empty event function."""

from shared.faas import Event, on_event


@on_event("bench.nothing")
async def do_nothing(event: Event) -> None:
    """Returns."""
