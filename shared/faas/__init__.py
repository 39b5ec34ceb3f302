"""The declarations a function is made of, on top of functions-framework's ASGI side.

@endpoint("GET", "/api/documents/{document_id}", auth="user", scope="documents:read", returns=Document, errors=["not_found"])
async def get_document(call: Call) -> Document: ...

@on_event("document.stored", queue="documents")
async def extract_document(event: Event) -> None: ...
"""

from shared.faas.answers import Answer
from shared.faas.call import Call
from shared.faas.declarations import AtOnce, Event
from shared.faas.endpoints import endpoint
from shared.faas.events import Rejected, on_bucket_event, on_event, on_schedule
from shared.faas.models import AnswerModel, Line, Moment, Page, PageQuery, RequestModel

__all__ = [
    "Answer",
    "AnswerModel",
    "AtOnce",
    "Call",
    "Event",
    "Line",
    "Moment",
    "Page",
    "PageQuery",
    "Rejected",
    "RequestModel",
    "endpoint",
    "on_bucket_event",
    "on_event",
    "on_schedule",
]
