"""The declarations a function is made of, on top of functions-framework's ASGI side.

@endpoint("GET", "/api/documents/{document_id}", auth="user", scope="documents:read", returns=Document, errors=["not_found"])
async def get_document(call: Call) -> Document: ...

@on_event(DocumentStored, queue="documents")
async def extract_document(event: DocumentStored) -> None: ...
"""

from shared.api.models import Moment, Page, PageQuery, RequestModel, ResponseModel, SingleLine
from shared.api.response import Response
from shared.faas.call import Call
from shared.faas.declarations import AtOnce
from shared.faas.endpoints import endpoint
from shared.faas.event_functions import Rejected, on_bucket_event, on_event, on_schedule

__all__ = [
    "AtOnce",
    "Call",
    "Moment",
    "Page",
    "PageQuery",
    "Rejected",
    "RequestModel",
    "Response",
    "ResponseModel",
    "SingleLine",
    "endpoint",
    "on_bucket_event",
    "on_event",
    "on_schedule",
]
