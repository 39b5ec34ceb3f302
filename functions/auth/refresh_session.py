"""POST /api/auth/refresh: spends the refresh cookie for a new one and a new access token."""

from shared.db import database
from shared.faas import Answer, Call, endpoint
from shared.identity import answers, sign_in
from shared.identity.answers import RefreshedAnswer
from shared.identity.client import Client
from shared.identity.cookies import REFRESH_COOKIE


@endpoint(
    "POST",
    "/api/auth/refresh",
    auth="cookie",
    returns=RefreshedAnswer,
    errors=["unauthenticated", "session_revoked", "origin_not_allowed"],
    secret_answer=True,
)
async def refresh_session(call: Call) -> Answer:
    return answers.refreshed(await sign_in.refresh(database(), Client.of(call), call.cookies.get(REFRESH_COOKIE)))
