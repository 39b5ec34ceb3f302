"""PATCH /api/account: changes the display name, and nothing else."""

from pydantic import Field

from shared import audit
from shared.audit import AuditAction, Caller
from shared.errors import Unauthenticated
from shared.faas import Call, RequestModel, SingleLine, endpoint
from shared.identity import accounts
from shared.identity.accounts import MAX_DISPLAY_NAME
from shared.identity.models import User


class AccountChange(RequestModel):
    display_name: SingleLine | None = Field(max_length=MAX_DISPLAY_NAME)


@endpoint("PATCH", "/api/account", auth="user", body=AccountChange, returns=User)
async def update_account(call: Call[AccountChange]) -> User:
    async with call.db.transaction() as tx:
        user = await accounts.rename(tx, call.user.user_id, call.body.display_name)
        if user is None:
            raise Unauthenticated
        await audit.record_call(tx, Caller.of(call), AuditAction.ACCOUNT_UPDATED)
    return user
