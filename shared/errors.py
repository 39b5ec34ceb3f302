"""What can go wrong, as named exceptions; `shared.api.response` turns them into RFC 9457 responses in one place.

A domain names its own failures by subclassing `DomainError` beside its code:

    class DuplicateDocument(DomainError):
        status, code, title = 409, "duplicate_document", "You already have this document"
"""

from typing import Any, ClassVar


class DomainError(Exception):
    """A failure a caller can understand.

    `detail` is a sentence for people, `members` join the problem's JSON (e.g. `document_id`), `headers` the response's.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"
    title: ClassVar[str] = "The request cannot be carried out"

    def __init__(self, detail: str = "", *, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.headers = headers or {}
        self.members = members


class MalformedRequest(DomainError):
    status, code, title = 400, "malformed_request", "This is not a proper HTTP request"


class MalformedBody(DomainError):
    status, code, title = 400, "malformed_body", "The body is not valid JSON"


class Unauthenticated(DomainError):
    status, code, title = 401, "unauthenticated", "Sign in first"

    def __init__(self, detail: str = "", *, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"} | (headers or {}), **members)


class Forbidden(DomainError):
    status, code, title = 403, "forbidden", "You may not do this"


class InsufficientScope(DomainError):
    status, code, title = 403, "insufficient_scope", "This API token lacks the scope"


class OriginNotAllowed(DomainError):
    status, code, title = 403, "origin_not_allowed", "This origin may not use the refresh cookie"


class NotFound(DomainError):
    status, code, title = 404, "not_found", "There is no such thing here"


class MethodNotAllowed(DomainError):
    status, code, title = 405, "method_not_allowed", "This address does not answer to that method"


class BodyTimeout(DomainError):
    status, code, title = 408, "body_timeout", "The body took too long to arrive"


class Conflict(DomainError):
    status, code, title = 409, "conflict", "This conflicts with the present state"


class AlreadyDone(DomainError):
    status, code, title = 409, "already_done", "This request was already carried out; its answer held a secret and is not kept"


class BodyTooLarge(DomainError):
    status, code, title = 413, "body_too_large", "The body is too large"


class UriTooLong(DomainError):
    status, code, title = 414, "uri_too_long", "The address is too long"


class UnsupportedMediaType(DomainError):
    status, code, title = 415, "unsupported_media_type", "The body is of a type that is not taken here"


class ValidationFailed(DomainError):
    """`errors` is a list of `{"loc": [...], "msg": str}`."""

    status, code, title = 422, "validation_failed", "The request does not fit"


class InvalidCursor(DomainError):
    status, code, title = 422, "invalid_cursor", "The cursor is not valid here; start again without one"


class HeadersTooLarge(DomainError):
    status, code, title = 431, "headers_too_large", "The request's headers are too large"


class LimitReached(DomainError):
    """An account has as many of something as it may: bytes are counted by quotas, but rows take room, too."""

    status, code, title = 409, "limit_reached", "There are as many of these as an account may have"


class RateLimited(DomainError):
    """Always carries `Retry-After`, in whole seconds."""

    status, code, title = 429, "rate_limited", "Too many requests"

    def __init__(self, retry_after: int, detail: str = "") -> None:
        super().__init__(
            detail or f"Too many requests; try again in {retry_after} seconds.",
            headers={"Retry-After": str(max(1, retry_after))},
        )


class Unavailable(DomainError):
    """A dependency is down; `retry_after` in seconds."""

    status, code, title = 503, "unavailable", "Something this needs is not available just now"

    def __init__(self, detail: str = "", *, retry_after: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class NotConfigured(DomainError):
    status, code, title = 503, "not_configured", "This feature has no settings here"
