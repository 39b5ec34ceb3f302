"""POST /api/auth/backup-codes: ten new backup codes, shown this once; the old ones are void."""

from shared.db import database
from shared.faas import Call, endpoint
from shared.identity import second_factor
from shared.identity.client import Client
from shared.identity.models import BackupCodes, PasswordAndCode


@endpoint(
    "POST",
    "/api/auth/backup-codes",
    auth="user",
    body=PasswordAndCode,
    returns=BackupCodes,
    errors=["invalid_credentials", "invalid_code", "totp_not_enabled"],
    secret_answer=True,
)
async def regenerate_backup_codes(call: Call[PasswordAndCode]) -> BackupCodes:
    codes = await second_factor.regenerate_backup_codes(database(), Client.of(call), call.user.user_id, call.body.password, call.body.code)
    return BackupCodes(backup_codes=codes)
