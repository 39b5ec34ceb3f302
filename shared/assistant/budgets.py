"""What may be spent in a month, in US dollars: reserved before a call, settled after it, exact however many calls run at once.

An owner's budget bounds all calls for that owner, whoever pays; the system's budget bounds the calls that the system's keys pay. A call
reserves the most it can cost; only what fits into what is neither spent nor reserved is let through. Months are UTC's. Every function runs
in a system transaction.
"""

from decimal import Decimal
from typing import Literal
from uuid import UUID

from shared.db import Transaction

MONTH = "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')"


class BudgetUsedUp(Exception):
    """The call does not fit. `whose` budget; `held` if it would fit once running calls have given back what they did not need."""

    def __init__(self, whose: Literal["owner", "system"], *, held: bool) -> None:
        super().__init__(whose)
        self.whose = whose
        self.held = held


async def reserve(tx: Transaction, owner_id: UUID, usd: Decimal, *, system: bool) -> None:
    """Holds `usd` of this month for a call. Raises BudgetUsedUp, after which the transaction must not be committed.

    The lock on the month's row makes the check exact. The owner's row is locked before the system's, always; `call_log.end` does it too.
    """
    values = {"owner": owner_id, "usd": usd}
    budget = "coalesce((SELECT monthly_budget_usd FROM ai_settings WHERE owner_id = %(owner)s), 'Infinity')"
    if not await tx.execute(
        f"""
        INSERT INTO ai_spending AS s (owner_id, month, reserved)
        SELECT %(owner)s, {MONTH}, %(usd)s WHERE %(usd)s = 0 OR %(usd)s <= {budget}
        ON CONFLICT (owner_id, month) DO UPDATE SET reserved = s.reserved + excluded.reserved
        WHERE excluded.reserved = 0 OR s.spent + s.reserved + excluded.reserved <= {budget}
        """,
        values,
    ):
        held = await tx.fetch_value(
            f"SELECT spent + %(usd)s <= {budget} FROM ai_spending WHERE owner_id = %(owner)s AND month = {MONTH}", values
        )
        raise BudgetUsedUp("owner", held=bool(held))
    if not system:
        return
    budget = "coalesce((SELECT monthly_budget_usd FROM ai_system_settings), 'Infinity')"
    if not await tx.execute(
        f"""
        INSERT INTO ai_system_spending AS s (month, reserved)
        SELECT {MONTH}, %(usd)s WHERE %(usd)s = 0 OR %(usd)s <= {budget}
        ON CONFLICT (month) DO UPDATE SET reserved = s.reserved + excluded.reserved
        WHERE excluded.reserved = 0 OR s.spent + s.reserved + excluded.reserved <= {budget}
        """,
        values,
    ):
        held = await tx.fetch_value(f"SELECT spent + %(usd)s <= {budget} FROM ai_system_spending WHERE month = {MONTH}", values)
        raise BudgetUsedUp("system", held=bool(held))
