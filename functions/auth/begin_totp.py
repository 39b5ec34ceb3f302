"""POST /api/auth/totp/begin: a new secret for the authenticator; in force once it is confirmed."""

from shared.db import database
from shared.faas import Call, ResponseModel, endpoint
from shared.identity import second_factor
from shared.identity.client import Client
from shared.identity.models import PasswordAgain


class TotpSecret(ResponseModel):
    secret: str
    otpauth_uri: str


@endpoint(
    "POST",
    "/api/auth/totp/begin",
    auth="user",
    body=PasswordAgain,
    returns=TotpSecret,
    errors=["invalid_credentials", "totp_enabled"],
    secret_answer=True,
)
async def begin_totp(call: Call[PasswordAgain]) -> TotpSecret:
    begun = await second_factor.begin(database(), Client.of(call), call.user.user_id, call.body.password)
    return TotpSecret(secret=begun.secret, otpauth_uri=begun.otpauth_uri)
