"""POST /api/auth/register: makes an account. The same response whether or not the address is taken; its owner learns it by mail."""

from pydantic import Field

from shared.db import database
from shared.faas import Call, RequestModel, SingleLine, endpoint
from shared.identity import registration
from shared.identity.accounts import MAX_DISPLAY_NAME
from shared.identity.client import Client
from shared.identity.email_addresses import Email
from shared.identity.models import Accepted
from shared.identity.passwords import Password


class Registration(RequestModel):
    email: Email
    password: Password
    display_name: SingleLine | None = Field(default=None, max_length=MAX_DISPLAY_NAME)


@endpoint(
    "POST",
    "/api/auth/register",
    auth="none",
    body=Registration,
    returns=Accepted,
    status=202,
    errors=["password_too_weak", "password_breached", "registration_closed"],
    rate_limits=["register"],
)
async def register(call: Call[Registration]) -> Accepted:
    await registration.register(
        database(), Client.of(call), email=call.body.email, password=call.body.password, display_name=call.body.display_name
    )
    return Accepted()
