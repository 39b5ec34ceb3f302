"""GET /openapi.json: the description of this API, in OpenAPI 3.1."""

from functools import lru_cache
from pathlib import Path

from shared.faas import Call, Response, endpoint

DESCRIPTION = Path(__file__).with_name("openapi.json")


@lru_cache(maxsize=1)
def _description() -> bytes:
    return DESCRIPTION.read_bytes()


@endpoint("GET", "/openapi.json", auth="none", returns="application/json")
async def openapi(call: Call) -> Response:
    return Response.content(_description(), "application/json", headers=[("cache-control", "no-cache")])
