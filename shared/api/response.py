"""What an endpoint gives back: a status, headers, and bytes or a stream of them."""

from collections.abc import AsyncIterator, Iterable
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from shared.errors import DomainError

JSON = "application/json"
Header = tuple[str, str]


class Response:
    """A finished or streamed HTTP response."""

    __slots__ = ("body", "headers", "ready_made", "status", "subject")

    def __init__(self, status: int, body: bytes | AsyncIterator[bytes] = b"", headers: Iterable[Header] = ()) -> None:
        self.status = status
        self.body = body
        self.headers = list(headers)
        self.ready_made = False
        """Whether another service has made it, with all the headers that the client is to get."""
        self.subject: UUID | None = None
        """What it is about (see `endpoint`): once that is deleted, it is not replayed any more."""

    @classmethod
    def json(cls, value: BaseModel, *, status: int = 200, headers: Iterable[Header] = ()) -> "Response":
        """`value` as JSON."""
        return cls(status, value.__pydantic_serializer__.to_json(value), [("content-type", JSON), *headers])

    @classmethod
    def no_content(cls, headers: Iterable[Header] = ()) -> "Response":
        """204."""
        return cls(204, b"", headers)

    @classmethod
    def content(cls, body: bytes, content_type: str, *, status: int = 200, headers: Iterable[Header] = ()) -> "Response":
        """`body` as it is."""
        return cls(status, body, [("content-type", content_type), *headers])

    @classmethod
    def stream(cls, chunks: AsyncIterator[bytes], content_type: str, *, status: int = 200, headers: Iterable[Header] = ()) -> "Response":
        """Chunks as they come; the iterator is closed when the client goes away."""
        return cls(status, chunks, [("content-type", content_type), *headers])


def problem(error: DomainError, request_id: str) -> Response:
    """An RFC 9457 problem; `code` is for machines, `detail` for people."""
    import json

    members: dict[str, Any] = {
        **error.members,
        "type": f"urn:docuvault:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    body = json.dumps(members, ensure_ascii=False, default=str).encode("utf-8", "replace")
    headers = [(name.lower(), value) for name, value in error.headers.items()]
    return Response(error.status, body, [("content-type", "application/problem+json"), *headers])
