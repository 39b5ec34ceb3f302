"""POST /api/auth/tokens: a new API token for a program; its text is shown this once."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from shared.db import database
from shared.faas import AnswerModel, Call, Line, Moment, RequestModel, endpoint
from shared.faas.declarations import Scope
from shared.identity import token_list
from shared.identity.client import Client


class NewToken(RequestModel):
    name: Line = Field(min_length=1, max_length=100)
    scopes: list[Scope] = Field(min_length=1, max_length=20)
    expires_at: Moment | None = None


class CreatedToken(AnswerModel):
    id: UUID
    name: str
    scopes: list[str]
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    token: str


@endpoint(
    "POST",
    "/api/auth/tokens",
    auth="user",
    body=NewToken,
    returns=CreatedToken,
    status=201,
    idempotent=True,
    secret_answer=True,
)
async def create_api_token(call: Call[NewToken]) -> CreatedToken:
    token, text = await token_list.create(
        database(),
        Client.of(call),
        call.user.user_id,
        name=call.body.name,
        scopes=call.body.scopes,
        expires_at=call.body.expires_at,
    )
    return CreatedToken(**token.model_dump(), token=text)
