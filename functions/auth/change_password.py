"""POST /api/auth/password/change: sets a new password; the caller's other sessions end."""

from shared.db import database
from shared.faas import Call, RequestModel, endpoint
from shared.identity import password_change
from shared.identity.client import Client
from shared.identity.passwords import Password


class Change(RequestModel):
    current_password: Password
    new_password: Password


@endpoint(
    "POST",
    "/api/auth/password/change",
    auth="user",
    body=Change,
    errors=["invalid_credentials", "password_too_weak", "password_breached"],
)
async def change_password(call: Call[Change]) -> None:
    await password_change.change(
        database(),
        Client.of(call),
        call.user.user_id,
        call.user.session_id,
        call.body.current_password,
        call.body.new_password,
    )
