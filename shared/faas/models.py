"""Shapes every endpoint shares: requests refuse what they do not know, lists have one form."""

from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Item = TypeVar("Item")


class RequestModel(BaseModel):
    """A request's body or query: unknown members are refused, so that nothing can be assigned by surprise."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class AnswerModel(BaseModel):
    """An answer's body: built by us, so it is not validated for unknown members."""

    model_config = ConfigDict(frozen=True)


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


Line = Annotated[str, AfterValidator(_without_control_characters)]
"""One line of text: no control characters (PostgreSQL's text cannot hold NUL)."""
