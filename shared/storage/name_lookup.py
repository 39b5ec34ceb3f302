"""Looking up the store's name, for no longer than connecting to it may take.

A name server that does not answer is asked by the C library for twenty seconds, in a thread that nobody can end. So callers wait for a
bounded time, and all who ask for a name meanwhile wait for the one question: more would take the threads that files are read in.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

Question = tuple[str, int, int]
Ask = Callable[[str, int, Any], "Awaitable[list[ResolveResult]]"]


class NameLookup:
    """What aiohttp calls a resolver: `ask`, another one's `resolve`, bounded to `seconds` a caller and one question at a time a name."""

    def __init__(self, seconds: float, ask: Ask) -> None:
        self._seconds = seconds
        self._ask = ask
        self._asked: dict[Question, asyncio.Future[list[ResolveResult]]] = {}

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> "list[ResolveResult]":
        """Addresses of `host`. Raises OSError: TimeoutError if there is no answer in time."""
        question = (host, port, int(family))
        answer = self._asked.get(question)
        if answer is None:
            answer = self._asked[question] = asyncio.ensure_future(self._ask(host, port, family))
            answer.add_done_callback(lambda done: self._answered(question, done))
        async with asyncio.timeout(self._seconds):
            return await asyncio.shield(answer)

    def _answered(self, question: Question, done: "asyncio.Future[list[ResolveResult]]") -> None:
        del self._asked[question]
        if not done.cancelled():
            done.exception()  # looked at, though nobody may wait for it any more
