"""POST /api/auth/password/reset: sets a new password by the link that was mailed; all sessions and API tokens end."""

from pydantic import Field

from shared.db import database
from shared.faas import Call, RequestModel, endpoint
from shared.identity import resets
from shared.identity.client import Client
from shared.identity.passwords import Password


class Reset(RequestModel):
    token: str = Field(max_length=200, repr=False)
    new_password: Password


@endpoint(
    "POST",
    "/api/auth/password/reset",
    auth="none",
    body=Reset,
    errors=["invalid_token", "password_too_weak", "password_breached"],
)
async def reset_password(call: Call[Reset]) -> None:
    await resets.reset(database(), Client.of(call), call.body.token, call.body.new_password)
