"""Events that only benchmarks publish."""

from typing import ClassVar

from shared.events.event import Event


class Nothing(Event):
    TYPE: ClassVar[str] = "bench.nothing"

    owner_id: None = None
    number: int = 1

    @property
    def subject(self) -> str:
        return "nothing"


class Latency(Event):
    TYPE: ClassVar[str] = "bench.latency"

    owner_id: None = None
    at: int
    """When it was published, by the monotonic clock in nanoseconds."""
    file: str
    """Where the function writes how long ago that was."""

    @property
    def subject(self) -> str:
        return "latency"
