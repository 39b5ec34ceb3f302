"""GET /api/cloud/onedrive/authorize: where the caller lets DocuVault use OneDrive."""

from shared.cloud import sign_ins
from shared.cloud.models import SignInPage
from shared.cloud.onedrive_account import OneDriveSignIn
from shared.faas import AtOnce, Call, Response, endpoint


@endpoint(
    "GET",
    "/api/cloud/onedrive/authorize",
    auth="user",
    scope="cloud:write",
    returns=SignInPage,
    errors=["not_configured"],
    at_once=AtOnce(account=4, address=32),
)
async def authorize_onedrive(call: Call) -> Response:
    return await sign_ins.begin(call.db, OneDriveSignIn())
