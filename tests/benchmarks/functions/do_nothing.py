"""For the benchmark of deliveries: an empty event function."""

from shared.faas import on_event
from tests.benchmarks.events import Nothing


@on_event(Nothing)
async def do_nothing(event: Nothing) -> None:
    """Returns."""
