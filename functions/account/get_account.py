"""GET /api/account: the caller's account."""

from shared.errors import Unauthenticated
from shared.faas import Call, endpoint
from shared.identity import accounts
from shared.identity.models import User


@endpoint("GET", "/api/account", auth="user", scope="account:read", returns=User)
async def get_account(call: Call) -> User:
    async with call.db.transaction() as tx:
        user = await accounts.get(tx, call.user.user_id)
    if user is None:
        raise Unauthenticated
    return user
