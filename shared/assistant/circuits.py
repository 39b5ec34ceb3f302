"""The circuit breaker of each provider at each address: who is down, or does not want us, is left alone for a while.

After `FAILURES_ALLOWED` failures in a row no call goes out for half a minute, then a single one to try; each failure of that doubles the
time, up to a quarter of an hour. A `Retry-After` is honoured as it is said. A refused key or an unknown model would be refused again: a
quarter of an hour, or until the settings change. Calls that an owner's own key or server pays for have a circuit of their own, so nobody
closes the way for others. Every function runs in a system transaction.
"""

from dataclasses import dataclass
from uuid import UUID

from shared.ai.prices import PUBLIC_ADDRESSES
from shared.ai.provider import ProviderError
from shared.ai.registry import ProviderChoice
from shared.db import Transaction, database

FAILURES_ALLOWED = 3
FIRST_REST_SECONDS = 30.0
LONGEST_REST_SECONDS = 900.0
RATE_LIMITED_SECONDS = 20.0
PROBE_SECONDS = 30.0
"""While one call tries whether the provider is back, others wait."""

_HOPELESS = frozenset({"key_refused", "no_credit", "model_unknown", "address_refused"})


def endpoint(choice: ProviderChoice, owner_id: UUID) -> str:
    """The name of a choice's circuit."""
    address = choice.base_url or PUBLIC_ADDRESSES.get(choice.provider, "")
    return f"{owner_id if choice.own else 'system'} {choice.provider} {address}"


@dataclass(frozen=True)
class _Circuit:
    seconds: float
    reason: str | None
    failures: int


async def admit(tx: Transaction, name: str) -> tuple[float, str]:
    """Seconds until a call may go out (0: now) and why; of several that ask as the time is up, one goes."""
    circuit = await tx.fetch_one(
        """
        SELECT coalesce(extract(epoch FROM closed_until - now()), 0)::float8 AS seconds, reason, failures
        FROM ai_circuits WHERE endpoint = %(name)s AND closed_until IS NOT NULL FOR UPDATE
        """,
        {"name": name},
        row=_Circuit,
    )
    if circuit is None:
        return 0.0, ""
    if circuit.seconds > 0:
        return circuit.seconds, circuit.reason or ""
    await tx.execute(
        "UPDATE ai_circuits SET closed_until = now() + make_interval(secs => %(probe)s), updated_at = now() WHERE endpoint = %(name)s",
        {"name": name, "probe": PROBE_SECONDS},
    )
    return 0.0, ""


async def succeeded(tx: Transaction, name: str) -> None:
    """A call came back: the way is open."""
    await tx.execute("DELETE FROM ai_circuits WHERE endpoint = %(name)s", {"name": name})


async def failed(tx: Transaction, name: str, failure: ProviderError) -> None:
    """Counts a failure that says something about the provider; all others leave the circuit as it was, a probe's open."""
    if failure.outcome in _HOPELESS:
        seconds, counted = LONGEST_REST_SECONDS, FAILURES_ALLOWED
    elif failure.outcome == "rate_limited" or (failure.retry_after is not None):
        seconds, counted = failure.retry_after or RATE_LIMITED_SECONDS, 0
    elif failure.counts_against:
        seconds, counted = 0.0, 1
    else:
        await succeeded(tx, name)
        return
    await tx.execute(
        """
        INSERT INTO ai_circuits AS c (endpoint, failures, closed_until, reason)
        VALUES (%(name)s, %(counted)s, CASE WHEN %(seconds)s > 0 THEN now() + make_interval(secs => %(seconds)s) END, %(reason)s)
        ON CONFLICT (endpoint) DO UPDATE
        SET failures = c.failures + %(counted)s, reason = excluded.reason, updated_at = now(),
            closed_until = CASE
                WHEN %(seconds)s > 0 THEN greatest(c.closed_until, excluded.closed_until)
                WHEN c.failures + %(counted)s >= %(allowed)s THEN now() + make_interval(
                    secs => least(%(longest)s, %(first)s * power(2, least(c.failures + %(counted)s - %(allowed)s, 10)))
                )
                ELSE c.closed_until
            END
        """,
        {
            "name": name,
            "counted": counted,
            "seconds": seconds,
            "reason": str(failure),
            "allowed": FAILURES_ALLOWED,
            "first": FIRST_REST_SECONDS,
            "longest": LONGEST_REST_SECONDS,
        },
    )


async def forget(owner_id: UUID | None) -> None:
    """The settings changed: whatever was wrong may be right now. None: the system's own."""
    async with database().system() as tx:
        await forget_in(tx, owner_id)


async def forget_in(tx: Transaction, owner_id: UUID | None) -> None:
    """The same, in a transaction that is open already."""
    await tx.execute("DELETE FROM ai_circuits WHERE starts_with(endpoint, %(payer)s)", {"payer": f"{owner_id if owner_id else 'system'} "})
