"""So many requests of one account are answered at a time; its further ones wait for their turn, and nobody else does.

Limits of frequency are generous, and some requests take a tenth of a second of everybody's event loop and database: two hundred searches
of one account at once would keep another's request waiting for twenty seconds. What lasts by its nature (`at_once`: event streams, uploads)
has slots instead, and the time that a body takes to arrive is nobody's turn. Counted in this process alone, as slots are.
"""

import asyncio
from collections import deque
from uuid import UUID

from shared.errors import RateLimited

AT_ONCE = 8
"""As many as a process has connections to the database by default; browsers send six at once to a host."""
WAITING_AT_MOST = 512

_running: dict[UUID, int] = {}
_waiting: dict[UUID, deque["asyncio.Future[None]"]] = {}


def begin(account: UUID) -> "asyncio.Future[None] | None":
    """Takes a turn of the account's, to be given back by `end`; or what `wait` has to wait for. Raises RateLimited if too many wait."""
    running = _running.get(account, 0)
    if running < AT_ONCE:
        _running[account] = running + 1
        return None
    line = _waiting.setdefault(account, deque())
    if len(line) >= WAITING_AT_MOST:
        raise RateLimited(1, f"No more than {WAITING_AT_MOST} requests of an account may wait at once; try again later.")
    turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    line.append(turn)
    return turn


async def wait(account: UUID, turn: "asyncio.Future[None]") -> None:
    """Returns when the turn has come; it is given back if the waiting is cancelled."""
    try:
        await turn
    except BaseException:
        if turn.done() and not turn.cancelled():
            end(account)  # it came at the same moment
        raise


def end(account: UUID) -> None:
    """Gives the turn back, to who has waited longest."""
    line = _waiting.get(account)
    while line:
        turn = line.popleft()
        if not turn.done():
            turn.set_result(None)
            if not line:
                del _waiting[account]
            return
    _waiting.pop(account, None)
    if _running[account] == 1:
        del _running[account]
    else:
        _running[account] -= 1
