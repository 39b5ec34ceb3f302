"""POST /api/auth/totp/disable: switches the second factor off, with password and code."""

from pydantic import Field

from shared.db import database
from shared.faas import Call, RequestModel, endpoint
from shared.identity import second_factor
from shared.identity.client import Client
from shared.identity.passwords import Password


class PasswordAndCode(RequestModel):
    password: Password
    code: str = Field(max_length=64, repr=False)


@endpoint(
    "POST",
    "/api/auth/totp/disable",
    auth="user",
    body=PasswordAndCode,
    errors=["invalid_credentials", "invalid_code", "totp_not_enabled"],
)
async def disable_totp(call: Call[PasswordAndCode]) -> None:
    await second_factor.disable(database(), Client.of(call), call.user.user_id, call.body.password, call.body.code)
