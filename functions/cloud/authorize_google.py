"""GET /api/cloud/google/authorize: where the caller lets DocuVault use Google Drive."""

from shared.cloud import sign_ins
from shared.cloud.google_account import GoogleSignIn
from shared.cloud.models import SignInPage
from shared.faas import AtOnce, Call, Response, endpoint


@endpoint(
    "GET",
    "/api/cloud/google/authorize",
    auth="user",
    scope="cloud:write",
    returns=SignInPage,
    errors=["not_configured"],
    at_once=AtOnce(account=4, address=32),
)
async def authorize_google(call: Call) -> Response:
    return await sign_ins.begin(call.db, GoogleSignIn())
