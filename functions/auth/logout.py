"""POST /api/auth/logout: ends the session of the access token or of the refresh cookie, at once, and clears the cookie."""

from shared.db import database
from shared.faas import Call, Response, endpoint
from shared.identity import sign_in
from shared.identity.client import Client
from shared.identity.cookies import REFRESH_COOKIE, cleared_refresh_cookie


@endpoint("POST", "/api/auth/logout", auth="cookie", errors=["origin_not_allowed"])
async def logout(call: Call) -> Response:
    await sign_in.sign_out(database(), Client.of(call), call.bearer, call.cookies.get(REFRESH_COOKIE))
    return Response.no_content([cleared_refresh_cookie()])
