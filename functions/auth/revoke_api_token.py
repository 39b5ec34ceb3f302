"""DELETE /api/auth/tokens/{token_id}: ends an API token at once."""

from shared.db import database
from shared.errors import NotFound
from shared.faas import Call, endpoint
from shared.identity import token_list
from shared.identity.client import Client


@endpoint("DELETE", "/api/auth/tokens/{token_id}", auth="user", errors=["not_found"])
async def revoke_api_token(call: Call) -> None:
    if not await token_list.revoke(database(), Client.of(call), call.user.user_id, call.path.token_id):
        raise NotFound
