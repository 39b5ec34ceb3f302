"""GET /api/documents/suggest: what a person may be about to search for."""

from pydantic import Field

from shared.documents.models import SearchSuggestion
from shared.documents.search_suggestions import suggest
from shared.faas import Call, RequestModel, ResponseModel, endpoint


class SuggestQuery(RequestModel):
    """What has been typed so far."""

    q: str = Field(max_length=200)


class Suggestions(ResponseModel):
    """Words, titles and topics, a few of each."""

    items: list[SearchSuggestion]


@endpoint("GET", "/api/documents/suggest", auth="user", scope="documents:read", query=SuggestQuery, returns=Suggestions)
async def suggest_search(call: Call[None, SuggestQuery]) -> Suggestions:
    return Suggestions(items=await suggest(call.db, call.query.q))
