"""POST /api/auth/password/change: sets a new password; the caller's other sessions end, and its API tokens unless `keep_tokens` is true."""

from shared.db import database
from shared.faas import Call, RequestModel, Response, endpoint
from shared.identity import password_change
from shared.identity.client import Client
from shared.identity.cookies import device_cookie
from shared.identity.passwords import Password


class Change(RequestModel):
    current_password: Password
    new_password: Password
    keep_tokens: bool = False


@endpoint(
    "POST",
    "/api/auth/password/change",
    auth="user",
    body=Change,
    errors=["invalid_credentials", "password_too_weak", "password_breached"],
)
async def change_password(call: Call[Change]) -> Response:
    device = await password_change.change(
        database(),
        Client.of(call),
        call.user.user_id,
        call.user.session_id,
        call.body.current_password,
        call.body.new_password,
        keep_tokens=call.body.keep_tokens,
    )
    return Response.no_content([device_cookie(device)])
