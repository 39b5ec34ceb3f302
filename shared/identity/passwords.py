"""Passwords: Argon2id off the event loop, a bounded number at once, and the rules of NIST SP 800-63B.

At least 12 and at most 128 characters, any character, no composition rules; Unicode is normalised with NFKC (SP 800-63B, section 5.1.1.2).
Parameters are settings (default OWASP's: 19 MiB, 2 passes, 1 lane) and a hash made with others is replaced at the next sign-in.
"""

import asyncio
import os
import secrets
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import Field

from shared.config import settings
from shared.errors import Unavailable
from shared.identity.errors import PasswordTooWeak

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_LENGTH = 12
MAX_LENGTH = 128
MIN_DISTINCT = 5
"""Different characters a password needs: `aaaaaaaaaaaa` is none (SP 800-63B, section 5.1.1.2, names repetition among what to refuse)."""
MAX_WAITING = 256
"""Hashes that may wait in one process (about three seconds' work); beyond that callers are told to come back."""
NICENESS = 10
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
"""Argon2id's, unless ARGON2_MEMORY_KIB, ARGON2_TIME and ARGON2_PARALLELISM say otherwise (OWASP's password storage cheat sheet)."""

Password = Annotated[str, Field(max_length=1024, repr=False)]
"""A password in a request: the rules are checked where one is chosen; this only bounds the work."""
OptionalPassword = Annotated[str | None, Field(max_length=1024, repr=False)]

Result = TypeVar("Result")

_threads: ThreadPoolExecutor | None = None
_waiting = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password is right; `upgraded` is a new hash to store if the old one's parameters are not today's."""

    right: bool
    upgraded: str | None = None


def normalise(password: str) -> str:
    """The form that is hashed."""
    return unicodedata.normalize("NFKC", password)


def check_rules(password: str, *, email: str = "") -> None:
    """Raises PasswordTooWeak if the rules are not met. The breach check is another one's (`breach`)."""
    text = normalise(password)
    if len(text) < MIN_LENGTH:
        raise PasswordTooWeak(f"A password has at least {MIN_LENGTH} characters.")
    if len(text) > MAX_LENGTH:
        raise PasswordTooWeak(f"A password has at most {MAX_LENGTH} characters.")
    if len(set(text)) < MIN_DISTINCT:
        raise PasswordTooWeak(f"A password has at least {MIN_DISTINCT} different characters.")
    if email and text.casefold() == normalise(email).casefold():
        raise PasswordTooWeak("The password is your address; choose another one.")


async def hash_password(password: str) -> str:
    """The Argon2id hash to store. Raises Unavailable if too many wait."""
    encoded = _encode(password)
    return await _off_loop(lambda: _hasher().hash(encoded))


async def verify_password(password: str, stored: str | None) -> Verdict:
    """Whether `password` belongs to `stored`; without one (an unknown account) the same work is done, and the result is no.

    Raises Unavailable if too many wait.
    """
    encoded = _encode(password)
    return await _off_loop(lambda: _verify(encoded, stored))


def _verify(password: bytes, stored: str | None) -> Verdict:
    from argon2.exceptions import InvalidHashError, VerificationError

    hasher = _hasher()
    try:
        hasher.verify(stored or _no_ones_hash(), password)
    except InvalidHashError:
        # Not a hash (an account made without a password): the same work, the same answer.
        with suppress(VerificationError):
            hasher.verify(_no_ones_hash(), password)
        return Verdict(False)
    except VerificationError:
        return Verdict(False)
    if stored is None:
        return Verdict(False)
    return Verdict(True, hasher.hash(password) if hasher.check_needs_rehash(stored) else None)


def _encode(password: str) -> bytes:
    # One character more than is allowed: an overlong password must not become right by being cut.
    return normalise(password)[: MAX_LENGTH + 1].encode("utf-8", "surrogatepass")


@lru_cache(maxsize=4)
def _hasher_with(memory_kib: int, time_cost: int, parallelism: int) -> "PasswordHasher":
    from argon2 import PasswordHasher
    from argon2.low_level import Type

    return PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism, hash_len=32, salt_len=16, type=Type.ID)


def _parameters() -> tuple[int, int, int]:
    chosen = settings()
    return chosen.argon2_memory_kib or MEMORY_KIB, chosen.argon2_time or PASSES, chosen.argon2_parallelism or LANES


def _hasher() -> "PasswordHasher":
    return _hasher_with(*_parameters())


@lru_cache(maxsize=4)
def _no_ones_hash_with(memory_kib: int, time_cost: int, parallelism: int) -> str:
    import base64

    def random(length: int) -> str:
        return base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")

    return f"$argon2id$v=19$m={memory_kib},t={time_cost},p={parallelism}${random(16)}${random(32)}"


def _no_ones_hash() -> str:
    """A hash that no password has, with today's parameters: made without hashing, so that the first use costs no more."""
    return _no_ones_hash_with(*_parameters())


async def _off_loop(work: Callable[[], Result]) -> Result:
    global _threads, _waiting
    if _waiting >= MAX_WAITING:
        raise Unavailable("Too many people are signing in just now; try again in a moment.", retry_after=3)
    if _threads is None:
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        _threads = ThreadPoolExecutor(processors, thread_name_prefix="argon2", initializer=_be_nice)
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _waiting -= 1


def _be_nice() -> None:
    """Hashing yields to the event loop: on Linux, niceness is a thread's own, and Argon2 runs without the interpreter's lock."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
