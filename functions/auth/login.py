"""POST /api/auth/login: signs in by address and password. Unknown addresses and wrong passwords take as long and get the same response."""

from pydantic import Field, RootModel

from shared.db import database
from shared.faas import Call, RequestModel, Response, SingleLine, endpoint
from shared.identity import sign_in, sign_in_responses
from shared.identity.client import Client
from shared.identity.models import ChallengeAnswer, SignedInAnswer
from shared.identity.passwords import Password


class Credentials(RequestModel):
    email: SingleLine = Field(max_length=320)
    password: Password


class LoginAnswer(RootModel[SignedInAnswer | ChallengeAnswer]):
    pass


@endpoint(
    "POST",
    "/api/auth/login",
    auth="none",
    body=Credentials,
    returns=LoginAnswer,
    errors=["invalid_credentials"],
    rate_limits=["login"],
    secret_answer=True,
)
async def login(call: Call[Credentials]) -> Response:
    outcome = await sign_in.with_password(database(), Client.of(call), call.body.email, call.body.password)
    if isinstance(outcome, sign_in.SecondFactorRequired):
        return sign_in_responses.challenged(outcome)
    return sign_in_responses.signed_in(outcome)
