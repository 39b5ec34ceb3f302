"""POST /api/auth/totp/confirm: switches the second factor on by a code of the new secret; gives the backup codes, this once."""

from pydantic import Field

from shared.db import database
from shared.faas import Call, RequestModel, endpoint
from shared.identity import second_factor
from shared.identity.client import Client
from shared.identity.models import BackupCodes


class Code(RequestModel):
    code: str = Field(max_length=32, repr=False)


@endpoint(
    "POST",
    "/api/auth/totp/confirm",
    auth="user",
    body=Code,
    returns=BackupCodes,
    errors=["invalid_code", "totp_enabled", "totp_not_enabled"],
    secret_answer=True,
)
async def confirm_totp(call: Call[Code]) -> BackupCodes:
    codes = await second_factor.confirm(database(), Client.of(call), call.user.user_id, call.body.code)
    return BackupCodes(backup_codes=codes)
