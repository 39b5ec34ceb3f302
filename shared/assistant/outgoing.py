"""The gate that every call out passes: nothing leaves this house that has not been admitted here, and nothing is admitted unrecorded.

In one transaction before the call: the policies of all documents that have text in it, the circuit of the provider, the number of calls
that this document has had, the budgets, the record. In another one after it: what it cost, how it ended, what that says of the provider. If
the process dies in between, the record is there, and what was reserved counts as spent (`end_lost`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from shared.ai.prices import FREE, Price
from shared.ai.prompts import Prompt
from shared.ai.provider import ProviderError, Usage
from shared.ai.registry import ProviderChoice
from shared.ai.remote_provider import Access, CallReport, Gate
from shared.assistant import budgets, call_log, circuits, tasks
from shared.assistant.budgets import BudgetUsedUp
from shared.assistant.policies import POLICY
from shared.db import Transaction, database

BUDGET_WAIT_SECONDS = 3600.0
HELD_WAIT_SECONDS = 60.0


class NotAdmitted(ProviderError):
    """The call did not go out; `retry_after` says when it may. It counts as no attempt."""


class PolicyForbids(NotAdmitted):
    """A document's policy, or that of a topic it is filed under or of the one that this is within, forbids it."""

    retried = False


class BudgetExceeded(NotAdmitted):
    """The month's budget does not allow the call."""


class ProviderResting(NotAdmitted):
    """The provider was in trouble, or did not want more calls, and is left alone for a while."""


class AttemptsUsedUp(NotAdmitted):
    """This document has had all the calls that it gets."""

    retried = False


@dataclass(frozen=True, slots=True)
class CallSubject:
    """For whom a call goes out, about which document; `counted` if it is one of those that a document gets by itself."""

    owner_id: UUID
    document_id: UUID | None = None
    counted: bool = False


def gate_for(caller: CallSubject, choice: ProviderChoice) -> Gate:
    """The gate for calls of `choice` on behalf of `caller`."""

    @asynccontextmanager
    async def gate(prompt: Prompt, access: Access, price: Price) -> AsyncIterator[CallReport]:
        reserved = price.cost(prompt.input_tokens, prompt.max_tokens)
        circuit = circuits.endpoint(choice, caller.owner_id)
        async with database().system() as tx:
            # In the order in which rows are locked everywhere: task, budgets, circuit.
            await _check_policies(tx, caller, choice, prompt)
            if caller.counted and caller.document_id is not None and not await tasks.count_attempt(tx, caller.document_id):
                raise AttemptsUsedUp("This document has been tried as often as it is worth.")
            await _reserve(tx, caller.owner_id, reserved, system=not choice.own)
            wait, reason = await circuits.admit(tx, circuit)
            if wait > 0 and prompt.kind != "health":  # somebody wants to know whether it is back
                raise ProviderResting(f"{reason} It is left alone for a while.".strip(), retry_after=wait)
            call_id = await call_log.begin(
                tx, caller.owner_id, choice, prompt, document_id=caller.document_id, reserved=reserved, seconds=access.seconds
            )
        report = CallReport()
        failure: ProviderError | None = None
        ended = False
        try:
            yield report
            ended = True
        except ProviderError as failed:
            failure, ended = failed, True
            raise
        finally:
            if ended:
                # Whoever gives up waiting for the answer, the call was made and its cost is known.
                await asyncio.shield(_end(call_id, circuit, report, failure, reserved, price))

    return gate


async def _end(call_id: UUID, circuit: str, report: CallReport, failure: ProviderError | None, reserved: Decimal, price: Price) -> None:
    usage = report.usage
    if usage is not None:
        cost = price.cost(usage.input_tokens, usage.output_tokens)
    else:
        usage = Usage()
        cost = reserved if failure is not None and failure.may_cost and price is not FREE else Decimal(0)
    async with database().system() as tx:
        # Lost with the database's last moments, the call counts as `lost` and its reserve as spent: no budget is passed for it.
        await tx.execute("SELECT set_config('synchronous_commit', 'off', true)")
        await call_log.end(tx, call_id, failure.outcome if failure is not None else "done", usage, cost)
        if failure is None:
            await circuits.succeeded(tx, circuit)
        else:
            await circuits.failed(tx, circuit, failure)


async def _check_policies(tx: Transaction, caller: CallSubject, choice: ProviderChoice, prompt: Prompt) -> None:
    documents = [*([caller.document_id] if caller.document_id is not None else []), *prompt.sources]
    if not documents:
        return
    found: list[str] = (
        await tx.fetch_value(
            f"SELECT array_agg(DISTINCT {POLICY}) FROM documents AS d WHERE d.owner_id = %(owner)s AND d.id = ANY (%(ids)s)",
            {"owner": caller.owner_id, "ids": documents},
        )
        or []
    )
    if "never" in found or not found:
        raise PolicyForbids("This document is not to be read by any AI.")
    if "local_only" in found and not choice.at_home:
        raise PolicyForbids("This document is not to leave this house.")


async def _reserve(tx: Transaction, owner_id: UUID, usd: Decimal, *, system: bool) -> None:
    try:
        await budgets.reserve(tx, owner_id, usd, system=system)
    except BudgetUsedUp as full:
        whose = "Your" if full.whose == "owner" else "The system's"
        wait = HELD_WAIT_SECONDS if full.held else BUDGET_WAIT_SECONDS
        raise BudgetExceeded(f"{whose} budget for AI is used up for this month.", retry_after=wait) from None
