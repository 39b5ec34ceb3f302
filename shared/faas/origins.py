"""Which other origins may call (CORS), and which may use the refresh cookie (the Origin rule of the API)."""

from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

from shared.config import settings
from shared.faas.client_addresses import called_origin
from shared.web_origin import origin_of

EXPOSED = b"x-request-id, retry-after, content-disposition, location"


@lru_cache(maxsize=1)
def _cors_origins() -> frozenset[str]:
    return frozenset(origin_of(url) for url in (*settings().cors_origins, settings().frontend_url))


@lru_cache(maxsize=1)
def _cookie_origins() -> frozenset[str]:
    return _cors_origins() | {origin_of(settings().backend_url)}


def is_cors_origin(origin: str) -> bool:
    """Whether pages of `origin` may read our responses."""
    return origin in _cors_origins()


def cors_headers(origin: str) -> list[tuple[bytes, bytes]]:
    """The headers a response to a request from `origin` carries."""
    if not is_cors_origin(origin):
        return []
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", EXPOSED),
    ]


def may_use_cookie(scope: MutableMapping[str, Any], headers: Mapping[str, str]) -> bool:
    """The Origin rule: absent and no cross-site fetch metadata, or the request's own origin, ours, or one of CORS_ORIGINS."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "same-origin") == "same-origin"
    return origin in _cookie_origins() or origin == called_origin(scope, headers)
