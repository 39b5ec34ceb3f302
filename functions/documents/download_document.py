"""GET /api/documents/{document_id}/download: a link to the original under its human name, good for five minutes."""

from typing import Literal
from uuid import UUID

from shared.audit import Caller
from shared.documents import library
from shared.documents.models import DownloadLink
from shared.faas import Call, RequestModel, endpoint


class DownloadQuery(RequestModel):
    """`inline` is honoured for PDF, raster images and plain text; with `version_id` that version is given."""

    disposition: Literal["attachment", "inline"] = "attachment"
    version_id: UUID | None = None


@endpoint(
    "GET",
    "/api/documents/{document_id}/download",
    auth="user",
    scope="documents:read",
    query=DownloadQuery,
    returns=DownloadLink,
    errors=["not_found", "upload_incomplete", "object_mismatch"],
)
async def download_document(call: Call[None, DownloadQuery]) -> DownloadLink:
    return await library.download(
        call.db, call.path.document_id, call.query.disposition, version_id=call.query.version_id, caller=Caller.of(call)
    )
