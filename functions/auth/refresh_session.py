"""POST /api/auth/refresh: spends the refresh cookie for a new one and a new access token."""

from shared.db import database
from shared.faas import Call, Response, endpoint
from shared.identity import sign_in, sign_in_responses
from shared.identity.client import Client
from shared.identity.cookies import REFRESH_COOKIE
from shared.identity.models import RefreshedAnswer


@endpoint(
    "POST",
    "/api/auth/refresh",
    auth="cookie",
    returns=RefreshedAnswer,
    errors=["unauthenticated", "session_revoked", "origin_not_allowed"],
    secret_answer=True,
)
async def refresh_session(call: Call) -> Response:
    return sign_in_responses.refreshed(await sign_in.refresh(database(), Client.of(call), call.cookies.get(REFRESH_COOKIE)))
