"""Shapes every endpoint shares: requests refuse what they do not know, lists have one form."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

Item = TypeVar("Item")


class RequestModel(BaseModel):
    """A request's body or query: unknown members are refused, so that nothing can be assigned by surprise."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class AnswerModel(BaseModel):
    """An answer's body: built by us, so it is not validated for unknown members. All of them are always there, possibly null."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Page(AnswerModel, Generic[Item]):
    """One page of a list; `next_cursor` is None on the last."""

    items: list[Item]
    next_cursor: str | None = None


class PageQuery(RequestModel):
    """What every list takes."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=1024)


def _without_control_characters(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("holds control characters")
    return text


Line = Annotated[str, AfterValidator(_without_control_characters), Field(json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f]*$"})]
"""One line of text: no control characters (PostgreSQL's text cannot hold NUL)."""

_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def _written_by_rfc_3339(value: Any) -> Any:
    # Without this, pydantic takes a number for seconds, or milliseconds, since 1970.
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("is not a time by RFC 3339, e.g. 2026-01-31T12:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is before the year 1 or after the year 9999") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_written_by_rfc_3339), AfterValidator(_in_utc)]
"""A point in time, given with its offset from UTC (RFC 3339, section 5.6), held in UTC."""
