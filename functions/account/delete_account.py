"""POST /api/account/delete: closes the caller's account at once; all it held is gone soon after."""

from shared.db import database
from shared.faas import Call, Response, endpoint
from shared.identity import deletion
from shared.identity.client import Client
from shared.identity.cookies import cleared_refresh_cookie
from shared.identity.models import Accepted, PasswordAgain


@endpoint(
    "POST",
    "/api/account/delete",
    auth="user",
    body=PasswordAgain,
    returns=Accepted,
    status=202,
    errors=["invalid_credentials", "last_admin"],
)
async def delete_account(call: Call[PasswordAgain]) -> Response:
    await deletion.delete(database(), Client.of(call), call.user.user_id, call.body.password)
    return Response.json(Accepted(), status=202, headers=[cleared_refresh_cookie()])
