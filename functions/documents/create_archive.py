"""POST /api/documents/archive: a link that streams a ZIP of documents: those with some ids, those of a filter, or all but the trash."""

from shared.audit import Caller
from shared.documents import archives
from shared.documents.archive_models import ArchiveLink, ArchiveRequest
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/documents/archive",
    auth="user",
    scope="documents:read",
    body=ArchiveRequest,
    returns=ArchiveLink,
    max_body=128 * 1024,
)
async def create_archive(call: Call[ArchiveRequest]) -> ArchiveLink:
    return await archives.create(call.db, call.body, caller=Caller.of(call))
