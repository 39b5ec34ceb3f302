"""What a call carries, explicitly: body, path, query, user, database."""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Generic
from uuid import UUID

from typing_extensions import TypeVar

from shared.errors import NotFound, Unauthenticated

if TYPE_CHECKING:
    from shared.db import TenantDatabase
    from shared.identity.access import Principal

BodyT = TypeVar("BodyT", default=None)
QueryT = TypeVar("QueryT", default=None)


class PathParameters:
    """`call.path.document_id` is a UUID (a path id that is none is 404); `call.path.text("token")` is the segment itself."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> UUID:
        return _uuid(self._values[name])

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def check_ids(self) -> None:
        """Raises NotFound if one of them is to be a UUID and is none."""
        for name, value in self._values.items():
            if name.endswith("_id"):
                _uuid(value)

    def text(self, name: str) -> str:
        """The segment, percent-decoded."""
        return self._values[name]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None


class Call(Generic[BodyT, QueryT]):
    """One HTTP call. Type it by its body and query: `Call[CreateTopic]`, `Call[None, ListQuery]`."""

    __slots__ = (
        "_principal",
        "accept_language",
        "body",
        "client_address",
        "headers",
        "path",
        "query",
        "request_id",
        "stream",
        "user_agent",
    )

    def __init__(
        self,
        *,
        request_id: str,
        headers: Mapping[str, str],
        path: PathParameters,
        client_address: str,
        principal: "Principal | None",
        body: BodyT,
        query: QueryT,
        stream: AsyncIterator[bytes],
    ) -> None:
        self.request_id = request_id
        self.headers = headers
        """Request headers, names in lower case; repeated ones joined by a comma."""
        self.path = path
        self.client_address = client_address
        """The client's IP address, as the connection or a trusted proxy tells it."""
        self.user_agent = headers.get("user-agent", "")
        self.accept_language = headers.get("accept-language", "")
        self.body = body
        self.query = query
        self.stream = stream
        """The body's chunks, for endpoints declared with `body="stream"`; reading past `max_body` raises BodyTooLarge."""
        self._principal = principal

    @property
    def user(self) -> "Principal":
        """Who calls. Raises Unauthenticated on an endpoint that lets everyone in."""
        if self._principal is None:
            raise Unauthenticated
        return self._principal

    @property
    def db(self) -> "TenantDatabase":
        """The caller's own rows."""
        from shared.db import TenantDatabase, database

        return TenantDatabase(database(), self.user.user_id)

    @property
    def bearer(self) -> str | None:
        """The token of the Authorization header."""
        return bearer_token(self.headers)

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies by name."""
        pairs = (pair.strip().partition("=") for pair in self.headers.get("cookie", "").split(";"))
        return {name: value for name, _, value in pairs if name}


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of `Authorization: Bearer …` (RFC 6750, section 2.1), or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


AnyCall = Call[Any, Any]
