"""PUT /api/account/storage: where the caller's new documents are kept once they are processed; null: here."""

from uuid import UUID

from pydantic import Field

from shared import audit
from shared.audit import AuditAction, Caller
from shared.cloud import connections
from shared.db import database
from shared.errors import Unauthenticated
from shared.faas import Call, RequestModel, endpoint
from shared.identity import accounts, confirmation
from shared.identity.client import Client
from shared.identity.models import StorageFolders, UserWithHome
from shared.identity.passwords import OptionalPassword


class StorageChoice(RequestModel):
    connection_id: UUID | None
    folders: StorageFolders | None = None
    password: OptionalPassword = None
    code: str | None = Field(default=None, max_length=64, repr=False)


@endpoint(
    "PUT",
    "/api/account/storage",
    auth="user",
    body=StorageChoice,
    returns=UserWithHome,
    errors=["not_found", "reauthentication_required", "invalid_credentials", "invalid_code"],
)
async def choose_storage(call: Call[StorageChoice]) -> UserWithHome:
    if call.body.connection_id is not None:
        # Later documents go there: a stolen access token alone must not send them to an account of its thief's.
        await confirmation.require(
            database(), Client.of(call), call.user.user_id, call.user.session_id, password=call.body.password, code=call.body.code
        )
    async with call.db.transaction() as tx:
        if call.body.connection_id is not None:
            await connections.get(tx, call.user.user_id, call.body.connection_id)
        user = await accounts.choose_storage(tx, call.user.user_id, call.body.connection_id, call.body.folders)
        if user is None:
            raise Unauthenticated
        await audit.record_call(tx, Caller.of(call), AuditAction.STORAGE_CHOSEN)
    return user
