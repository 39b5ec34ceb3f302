"""POST /api/auth/password/forgot: mails a link to choose a new password. The same response and the same work for every address."""

from typing import Literal

from shared.db import database
from shared.faas import Call, RequestModel, ResponseModel, endpoint
from shared.identity import resets
from shared.identity.client import Client
from shared.identity.email_addresses import Email


class Forgotten(RequestModel):
    email: Email


class Requested(ResponseModel):
    status: Literal["accepted"] = "accepted"


@endpoint("POST", "/api/auth/password/forgot", auth="none", body=Forgotten, returns=Requested, status=202, rate_limits=["forgot"])
async def request_password_reset(call: Call[Forgotten]) -> Requested:
    await resets.request(database(), Client.of(call), call.body.email)
    return Requested()
