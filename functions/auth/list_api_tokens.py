"""GET /api/auth/tokens: the caller's API tokens, newest first, without their texts."""

from shared.db import database
from shared.faas import Call, Page, PageQuery, endpoint
from shared.identity import token_list
from shared.identity.models import TokenItem


@endpoint("GET", "/api/auth/tokens", auth="user", query=PageQuery, returns=Page[TokenItem], errors=["invalid_cursor"])
async def list_api_tokens(call: Call[None, PageQuery]) -> Page[TokenItem]:
    return await token_list.page(database(), call.user.user_id, limit=call.query.limit, cursor=call.query.cursor)
