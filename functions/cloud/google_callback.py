"""GET /api/cloud/google/callback: the browser comes back from Google, and goes on to the settings."""

from shared.cloud import sign_ins
from shared.cloud.google_account import GoogleSignIn
from shared.cloud.models import Callback
from shared.faas import AtOnce, Call, Response, endpoint


@endpoint(
    "GET",
    "/api/cloud/google/callback",
    auth="none",
    query=Callback,
    status=303,
    at_once=AtOnce(account=4, address=32),
)
async def google_callback(call: Call[None, Callback]) -> Response:
    browser = call.cookies.get(sign_ins.COOKIE, "")
    return await sign_ins.finish(GoogleSignIn(), call.query, browser, address=call.client_address, user_agent=call.user_agent)
