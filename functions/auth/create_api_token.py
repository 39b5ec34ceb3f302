"""POST /api/auth/tokens: a new API token for a program; its text is shown this once, and a mail tells of it.

Needs a sign-in of the last ten minutes, or the password and, with a second factor, its code.
"""

from pydantic import Field

from shared.db import database
from shared.faas import Call, Moment, RequestModel, SingleLine, endpoint
from shared.faas.declarations import Scope
from shared.identity import token_list
from shared.identity.client import Client
from shared.identity.models import TokenItem
from shared.identity.passwords import OptionalPassword


class NewToken(RequestModel):
    name: SingleLine = Field(min_length=1, max_length=100)
    scopes: list[Scope] = Field(min_length=1, max_length=20)
    expires_at: Moment | None = None
    password: OptionalPassword = None
    code: str | None = Field(default=None, max_length=64, repr=False)


class CreatedToken(TokenItem):
    token: str


@endpoint(
    "POST",
    "/api/auth/tokens",
    auth="user",
    body=NewToken,
    returns=CreatedToken,
    status=201,
    errors=["reauthentication_required", "invalid_credentials", "invalid_code", "limit_reached"],
    idempotent=True,
    secret_answer=True,
)
async def create_api_token(call: Call[NewToken]) -> CreatedToken:
    token, text = await token_list.create(
        database(),
        Client.of(call),
        call.user.user_id,
        call.user.session_id,
        name=call.body.name,
        scopes=call.body.scopes,
        expires_at=call.body.expires_at,
        password=call.body.password,
        code=call.body.code,
    )
    return CreatedToken(**token.model_dump(), token=text)
