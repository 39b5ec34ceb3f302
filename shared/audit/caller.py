"""Who asked for something, as the log has it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from shared.faas.call import Call


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in caller; `api_token` is the id of the token if it is a program."""

    user_id: UUID
    address: str
    user_agent: str
    api_token: UUID | None = None

    @classmethod
    def of(cls, call: "Call[Any, Any]") -> "Caller":
        """From an HTTP call. Raises Unauthenticated if nobody is signed in."""
        principal = call.user
        return cls(principal.user_id, call.client_address, call.user_agent, None if principal.scopes is None else principal.token_id)
