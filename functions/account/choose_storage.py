"""PUT /api/account/storage: where the caller's new documents are kept once they are processed; null: here."""

from uuid import UUID

from shared import audit
from shared.audit import AuditAction, Caller
from shared.cloud import connections
from shared.errors import Unauthenticated
from shared.faas import Call, RequestModel, endpoint
from shared.identity import accounts
from shared.identity.accounts import User


class StorageChoice(RequestModel):
    connection_id: UUID | None


@endpoint("PUT", "/api/account/storage", auth="user", body=StorageChoice, returns=User, errors=["not_found"])
async def choose_storage(call: Call[StorageChoice]) -> User:
    async with call.db.transaction() as tx:
        if call.body.connection_id is not None:
            await connections.get(tx, call.user.user_id, call.body.connection_id)
        user = await accounts.choose_storage(tx, call.user.user_id, call.body.connection_id)
        if user is None:
            raise Unauthenticated
        await audit.record_call(tx, Caller.of(call), AuditAction.STORAGE_CHOSEN)
    return user
