"""POST /api/auth/second-factor: meets a challenge with a code of the authenticator or a backup code."""

from pydantic import Field, model_validator

from shared.db import database
from shared.faas import Call, RequestModel, Response, endpoint
from shared.identity import second_factor, sign_in_responses
from shared.identity.client import Client
from shared.identity.models import SignedInAnswer


class SecondFactor(RequestModel):
    challenge_token: str = Field(max_length=200, repr=False)
    code: str | None = Field(default=None, max_length=32, repr=False)
    backup_code: str | None = Field(default=None, max_length=64, repr=False)

    @model_validator(mode="after")
    def _one_of_them(self) -> "SecondFactor":
        if (self.code is None) == (self.backup_code is None):
            raise ValueError("give either code or backup_code")
        return self


@endpoint(
    "POST",
    "/api/auth/second-factor",
    auth="none",
    body=SecondFactor,
    returns=SignedInAnswer,
    errors=["invalid_code"],
    secret_answer=True,
)
async def verify_second_factor(call: Call[SecondFactor]) -> Response:
    session = await second_factor.verify(
        database(), Client.of(call), call.body.challenge_token, code=call.body.code, backup_code=call.body.backup_code
    )
    return sign_in_responses.signed_in(session)
