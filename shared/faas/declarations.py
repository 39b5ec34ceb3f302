"""What a function is, declared once: the decorators record it here, and all else (routes, OpenAPI, manifests) is derived."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from pydantic import BaseModel

if TYPE_CHECKING:
    from shared.events.event import Event

Auth = Literal["none", "user", "admin", "cookie"]
Queue = Literal["documents", "large", "recognition", "email", "system", "ai"]
"""`documents` is for what is quick, `large` and `recognition` for what need not be; see `shared.time_budgets`."""
Scope = Literal[
    "documents:read",
    "documents:write",
    "topics:read",
    "topics:write",
    "ai:read",
    "ai:write",
    "cloud:read",
    "cloud:write",
    "account:read",
]


@dataclass(frozen=True)
class AtOnce:
    """How many requests may be under way at once in one process."""

    account: int
    address: int


@dataclass(frozen=True)
class EndpointDeclaration:
    """An HTTP function."""

    name: str
    method: str
    path: str
    summary: str
    auth: Auth
    scope: Scope | None
    body: type[BaseModel] | Literal["stream"] | None
    query: type[BaseModel] | None
    headers: Mapping[str, str]
    returns: type[BaseModel] | str | None
    status: int
    or_returns: Mapping[int, type[BaseModel]]
    errors: tuple[str, ...]
    rate_limits: tuple[str, ...]
    at_once: AtOnce | None
    idempotent: bool
    max_body: int
    secret_answer: bool
    subject: Callable[[Any], UUID] | None
    of_process: bool
    handler: Callable[[Any], Awaitable[Any]]
    also: tuple[str, ...] = ()
    """Further paths of the same function, as a page has that shows different things at different addresses."""

    @property
    def service(self) -> str:
        """The name it is deployed under."""
        return self.name.replace("_", "-")


@dataclass(frozen=True)
class EventDeclaration:
    """A function woken by an event: one of the catalogue, a bucket notification, or the clock. `event_type` may be a pattern."""

    name: str
    event: "type[Event]"
    event_type: str
    queue: Queue
    schedule: str | None
    summary: str
    handler: Callable[[Any], Awaitable[None]]

    @property
    def service(self) -> str:
        """The name it is deployed under."""
        return self.name.replace("_", "-")


class DuplicateName(Exception):
    """Two functions have one name; names are unique across the project."""


ENDPOINTS: dict[str, EndpointDeclaration] = {}
EVENT_FUNCTIONS: dict[str, EventDeclaration] = {}


def declare(declaration: EndpointDeclaration | EventDeclaration) -> None:
    """Records a function. Raises DuplicateName if another handler has that name already."""
    earlier = ENDPOINTS.get(declaration.name) or EVENT_FUNCTIONS.get(declaration.name)
    if earlier is not None and earlier.handler.__code__.co_filename != declaration.handler.__code__.co_filename:
        raise DuplicateName(declaration.name)
    if isinstance(declaration, EndpointDeclaration):
        ENDPOINTS[declaration.name] = declaration
    else:
        EVENT_FUNCTIONS[declaration.name] = declaration
