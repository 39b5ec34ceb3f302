"""GET /api/account/usage: what the caller's account holds, and may hold."""

from shared.documents import usage
from shared.documents.models import StorageUsage
from shared.faas import Call, endpoint


@endpoint("GET", "/api/account/usage", auth="user", scope="account:read", returns=StorageUsage)
async def get_usage(call: Call) -> StorageUsage:
    async with call.db.transaction() as tx:
        return await usage.of(tx, call.user.user_id)
