"""Who is at the other end of a call, as far as it shows."""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from shared.keys import base64url
from shared.networks import network

MAX_USER_AGENT = 512
"""Characters of a User-Agent that are kept."""
REMEMBERED_CHARACTERS = 512
"""Of a User-Agent and an Accept-Language whose hash is remembered; browsers send 100 to 200."""


class _ClientCall(Protocol):
    client_address: str
    user_agent: str
    accept_language: str

    @property
    def cookies(self) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Client:
    """Address and browser of a caller; `device` is the cookie that says an account has signed in from it before."""

    address: str
    user_agent: str
    accept_language: str
    device: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, call: _ClientCall) -> "Client":
        """From an HTTP call."""
        from shared.identity.cookies import DEVICE_COOKIE

        return cls(call.client_address, call.user_agent, call.accept_language, call.cookies.get(DEVICE_COOKIE))

    @property
    def fingerprint(self) -> str:
        """The `fgp` claim of tokens issued to this client."""
        return fingerprint(self.user_agent, self.accept_language)

    @property
    def network(self) -> str:
        """What limits count by: an IPv4 address, or the /64 of an IPv6 one."""
        return network(self.address)

    @property
    def shown_user_agent(self) -> str:
        """The User-Agent as it is stored: one line, of bounded length."""
        return "".join(character for character in self.user_agent if character.isprintable())[:MAX_USER_AGENT]


def fingerprint(user_agent: str, accept_language: str) -> str:
    """A hash of User-Agent and Accept-Language: a token taken to another browser is refused."""
    # What is remembered is what browsers send: thousands of headers of 32 KB would stay for good.
    remembered = len(user_agent) + len(accept_language) <= REMEMBERED_CHARACTERS
    return _remembered(user_agent, accept_language) if remembered else _fingerprint(user_agent, accept_language)


@lru_cache(maxsize=4096)
def _remembered(user_agent: str, accept_language: str) -> str:
    return _fingerprint(user_agent, accept_language)


def _fingerprint(user_agent: str, accept_language: str) -> str:
    text = f"{user_agent}\0{accept_language}".encode("utf-8", "surrogatepass")
    return base64url(hashlib.sha256(b"docuvault fgp\0" + text).digest()[:16])
