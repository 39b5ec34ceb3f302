"""Who asked for something, as the log has it."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


class Origin(Protocol):
    """Where a call came from: the client's address and its User-Agent."""

    @property
    def address(self) -> str: ...
    @property
    def user_agent(self) -> str: ...


class _AuditedPrincipal(Protocol):
    @property
    def user_id(self) -> UUID: ...
    @property
    def scopes(self) -> object | None: ...
    @property
    def token_id(self) -> UUID: ...


class _AuditedCall(Protocol):
    client_address: str
    user_agent: str

    @property
    def user(self) -> _AuditedPrincipal: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in caller; `api_token` is the id of the token if it is a program."""

    user_id: UUID
    address: str
    user_agent: str
    api_token: UUID | None = None

    @classmethod
    def of(cls, call: _AuditedCall) -> "Caller":
        """From an HTTP call. Raises Unauthenticated if nobody is signed in."""
        principal = call.user
        return cls(principal.user_id, call.client_address, call.user_agent, None if principal.scopes is None else principal.token_id)
