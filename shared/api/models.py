"""Shapes every endpoint shares: requests refuse what they do not know, lists have one form."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

Item = TypeVar("Item")


class RequestModel(BaseModel):
    """A request's body or query: unknown members are refused, so that nothing can be assigned by surprise.

    A body is validated strictly (`true` is no number, `"5"` neither); a query's values are text, in the forms that `query_forms` says.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ResponseModel(BaseModel):
    """A response's body: built by us, so it is not validated for unknown members. All of them are always there, possibly null."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Page(ResponseModel, Generic[Item]):
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


SingleLine = Annotated[str, AfterValidator(_without_control_characters), Field(json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f]*$"})]
"""One line of text: no control characters (PostgreSQL's text cannot hold NUL)."""

_QUERY_FORMS = {
    bool: (re.compile("true|false"), "must be true or false"),
    int: (re.compile("-?(0|[1-9][0-9]*)"), "must be a whole number"),
}


@lru_cache(maxsize=256)
def query_forms(model: type[BaseModel]) -> Mapping[str, tuple[re.Pattern[str], str]]:
    """How the numbers and truth values of a query are written: as in JSON, while pydantic takes `1_0`, ` 5` or `yes`, too."""
    forms = {}
    for name, field in model.model_fields.items():
        types = set(_types(field.annotation))
        kind = next((kind for kind in _QUERY_FORMS if kind in types), None)
        if kind is not None:
            forms[field.alias or name] = _QUERY_FORMS[kind]
    return forms


def _types(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of: those in lists and unions."""
    inner = get_args(annotation)
    if not inner:
        yield annotation
    for each in inner:
        yield from _types(each)


_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def _written_by_rfc_3339(value: Any) -> Any:
    # Not by pydantic, which takes a number for seconds, or milliseconds, since 1970, or (strictly) no text that was looked at here.
    try:
        if isinstance(value, str) and _RFC_3339.fullmatch(value):
            return datetime.fromisoformat(value.upper())
    except ValueError:
        pass
    raise ValueError("is not a time by RFC 3339, e.g. 2026-01-31T12:00:00Z")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is before the year 1 or after the year 9999") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_written_by_rfc_3339), AfterValidator(_in_utc)]
"""A point in time, given with its offset from UTC (RFC 3339, section 5.6), held in UTC."""

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _written_as_full_date(value: Any) -> Any:
    # Not by pydantic, which takes a number for seconds since 1970, or a time at midnight.
    try:
        if isinstance(value, str) and _ISO_DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("is not a date, e.g. 2026-01-31")


Day = Annotated[date, BeforeValidator(_written_as_full_date)]
"""A day of the calendar, as RFC 3339's full-date."""
