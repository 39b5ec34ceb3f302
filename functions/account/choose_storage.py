"""PUT /api/account/storage: where the caller's new documents are kept once they are processed; null: here."""

from uuid import UUID

from shared import audit
from shared.audit import AuditAction, Caller
from shared.errors import NotFound, Unauthenticated
from shared.faas import Call, RequestModel, endpoint
from shared.identity import accounts
from shared.identity.accounts import User


class StorageChoice(RequestModel):
    connection_id: UUID | None


@endpoint("PUT", "/api/account/storage", auth="user", body=StorageChoice, returns=User, errors=["not_found"])
async def choose_storage(call: Call[StorageChoice]) -> User:
    if call.body.connection_id is not None:
        raise NotFound("You have no such connection.")  # nobody has any before there are clouds to connect
    async with call.db.transaction() as tx:
        user = await accounts.keep_here(tx, call.user.user_id)
        if user is None:
            raise Unauthenticated
        await audit.record_call(tx, Caller.of(call), AuditAction.STORAGE_CHOSEN)
    return user
