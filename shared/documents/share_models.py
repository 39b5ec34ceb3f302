"""Shares of a document, as their owner makes and sees them, and as somebody with the link opens one."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from shared.api.models import Moment, RequestModel, ResponseModel
from shared.identity.passwords import MAX_LENGTH, OptionalPassword, normalise


def _not_too_long(password: str | None) -> str | None:
    # What is hashed is the normalised form, and no more of it than this: a longer one would be right by its beginning.
    if password is not None and len(normalise(password)) > MAX_LENGTH:
        raise ValueError(f"has more than {MAX_LENGTH} characters")
    return password


SharePassword = Annotated[str | None, Field(min_length=1, max_length=MAX_LENGTH, repr=False), AfterValidator(_not_too_long)]
"""Any password, or none: the link is a secret of its own, and guessing is slowed down (shared/documents/share_opening.py)."""


class NewShare(RequestModel):
    """A share to make: good until `expires_at`, and for `max_downloads` openings if given."""

    expires_at: Moment
    password: SharePassword = None
    max_downloads: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Share(ResponseModel):
    """A share; `downloads` is how often it was opened."""

    id: UUID
    expires_at: datetime
    has_password: bool
    max_downloads: int | None
    downloads: int


class CreatedShare(Share):
    """A share with its link, which is told this once."""

    url: str


class ShareKey(RequestModel):
    """What opens a share besides its link."""

    password: OptionalPassword = None


class SharedDocument(ResponseModel):
    """A document that was shared: `size` in bytes, `url` gives the original for a few minutes."""

    filename: str
    size: int
    url: str
