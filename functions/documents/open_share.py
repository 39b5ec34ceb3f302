"""POST /api/shared/{token}: gives a shared document, for minutes, to whoever has the link, and the password if it has one."""

from shared.db import database
from shared.documents import share_opening
from shared.documents.share_models import SharedDocument, ShareKey
from shared.faas import AtOnce, Call, endpoint
from shared.identity.client import Client


@endpoint(
    "POST",
    "/api/shared/{token}",
    auth="none",
    body=ShareKey,
    returns=SharedDocument,
    errors=["not_found", "share_password_required", "share_password_wrong"],
    rate_limits=["share"],
    at_once=AtOnce(account=64, address=64),
    secret_answer=True,
)
async def open_share(call: Call[ShareKey]) -> SharedDocument:
    return await share_opening.open_share(database(), Client.of(call), call.path.text("token"), call.body.password)
