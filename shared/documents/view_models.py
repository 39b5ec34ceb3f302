"""Saved views, as clients send and see them."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, StrictBool, StringConstraints, model_validator

from shared.api.models import PageQuery, RequestModel, ResponseModel, SingleLine
from shared.documents.models import DocumentFilter, Sort
from shared.documents.name_keys import one_line

ViewName = Annotated[SingleLine, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(one_line)]


class ViewQuery(DocumentFilter):
    """What a view lists, and in which order."""

    sort: Sort | None = None


class NewView(RequestModel):
    """A view to keep."""

    name: ViewName
    query: ViewQuery
    pinned: StrictBool = False


class ViewChange(RequestModel):
    """What to change of a view; what is absent stays. `query` is replaced as a whole."""

    name: ViewName | None = None
    query: ViewQuery | None = None
    pinned: StrictBool | None = None

    @model_validator(mode="after")
    def _nothing_may_be_null(self) -> "ViewChange":
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self


class View(ResponseModel):
    """A view; `query` has the parameters that were given. `documents` if they were counted, at most 1,000 of them."""

    id: UUID
    name: str
    query: dict[str, Any]
    pinned: bool
    documents: int | None = None


class ViewsQuery(PageQuery):
    """A page of views; with `counts`, the documents of the first of them are counted."""

    counts: bool = False
