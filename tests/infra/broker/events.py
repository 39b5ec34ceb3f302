"""Events that only tests publish."""

from typing import ClassVar

from pydantic import ConfigDict

from shared.events.event import Event


class Happened(Event):
    """Whatever a test wants its function to get."""

    model_config = ConfigDict(frozen=True, extra="allow")

    TYPE: ClassVar[str] = "test.happened"

    @property
    def subject(self) -> str:
        return "subject"
