"""POST /api/auth/totp/disable: switches the second factor off, with password and code."""

from shared.db import database
from shared.faas import Call, endpoint
from shared.identity import second_factor
from shared.identity.client import Client
from shared.identity.models import PasswordAndCode


@endpoint(
    "POST",
    "/api/auth/totp/disable",
    auth="user",
    body=PasswordAndCode,
    errors=["invalid_credentials", "invalid_code", "totp_not_enabled"],
)
async def disable_totp(call: Call[PasswordAndCode]) -> None:
    await second_factor.disable(database(), Client.of(call), call.user.user_id, call.body.password, call.body.code)
