"""Who documents come from, as clients send and see it."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from shared.api.models import RequestModel, ResponseModel, SingleLine
from shared.documents.name_keys import one_line

NAME_CHARACTERS = 200

SenderName = Annotated[
    SingleLine, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARACTERS), AfterValidator(one_line)
]


class SenderChange(RequestModel):
    """A sender's new name."""

    name: SenderName


class SenderMerge(RequestModel):
    """The sender that another one is."""

    into: UUID


class Sender(ResponseModel):
    """Who documents come from; `documents` counts those, the trash left out."""

    id: UUID
    name: str
    documents: int
