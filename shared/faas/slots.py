"""How many of one function's requests may be under way at once: per account and per client address.

Counted in this process alone. What such a request takes (a connection, memory, a task) is the process's own, so each process bounds what
it can be made to hold, and nothing is left behind by one that dies; with several processes an account gets as many slots in each.
"""

from collections import Counter
from collections.abc import Hashable
from uuid import UUID

from shared.errors import RateLimited
from shared.faas.declarations import EndpointDeclaration
from shared.networks import network

RETRY_AFTER_SECONDS = 10

_taken: Counter[tuple[str, Hashable]] = Counter()


class Slots:
    """What one request holds, until it is released."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: tuple[tuple[str, Hashable], ...] = ()

    def take(self, declaration: EndpointDeclaration, address: str, account: UUID | None) -> None:
        """A slot of the account's and one of the address's. Raises RateLimited if either has no more."""
        assert declaration.at_once is not None
        name, at_once = declaration.name, declaration.at_once
        wanted: list[tuple[Hashable, int]] = [(network(address), at_once.address)]
        if account is not None:
            wanted.append((account, at_once.account))
        for subject, limit in wanted:
            if _taken[name, subject] >= limit:
                raise RateLimited(RETRY_AFTER_SECONDS, f"No more than {limit} of these may be under way at once; try again later.")
        for subject, _ in wanted:
            _taken[name, subject] += 1
            self._held += ((name, subject),)

    def release(self) -> None:
        """Gives back what was taken."""
        for key in self._held:
            _taken[key] -= 1
            if not _taken[key]:
                del _taken[key]
        self._held = ()
