"""What every event of the catalogue is: a frozen model that knows its type, its subject, its owner and its deduplication key."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Malformed(ValueError):
    """What arrived is not the event that its type promises; the message says which field is wrong."""


class Event(BaseModel):
    """A fact that may wake functions. Its fields are its data; `owner_id` travels beside them.

    Fields that are not known here are ignored: a newer version may have published the event.
    """

    model_config = ConfigDict(frozen=True)

    TYPE: ClassVar[str]
    """What functions subscribe to; ends with `*` if the type of each single event says more."""
    HANDLED: ClassVar[bool] = True
    """False for an event that no function is woken by yet."""

    owner_id: UUID | None = Field(exclude=True)

    @property
    def type(self) -> str:
        """The event's type, as the database and CloudEvents have it."""
        return self.TYPE

    @property
    def subject(self) -> str:
        """What the event is about."""
        raise NotImplementedError

    @property
    def dedup_key(self) -> str | None:
        """An event with the key of an earlier one is not published again; None if each is an event of its own."""
        return None

    def data(self) -> dict[str, Any]:
        """The event's data, as JSON."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def received(cls, *, owner_id: UUID | None, subject: str, data: Mapping[str, Any]) -> Self:
        """The event that was published with these parts: the inverse of `owner_id`, `subject` and `data`. Raises Malformed."""
        try:
            return cls.model_validate({**data, "owner_id": owner_id})
        except ValidationError as invalid:
            first = invalid.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise Malformed(f"the event is no {cls.__name__}: {field}: {first['msg']}") from None
