"""Documents that look alike, as clients see them."""

from pydantic import Field

from shared.api.models import ResponseModel
from shared.documents.models import Document


class LookalikePair(ResponseModel):
    """Two documents, the older one first; `likeness` from 0.5 to 1."""

    documents: list[Document] = Field(min_length=2, max_length=2)
    likeness: float
