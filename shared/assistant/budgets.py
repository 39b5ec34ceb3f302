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


_OWNER = (
    "ai_spending",
    "owner_id = %(owner)s AND",
    "(SELECT monthly_budget_usd FROM ai_settings WHERE owner_id = %(owner)s)",
)
_SYSTEM = ("ai_system_spending", "", "(SELECT monthly_budget_usd FROM ai_system_settings)")


async def reserve(tx: Transaction, owner_id: UUID, usd: Decimal, *, system: bool) -> None:
    """Holds `usd` of this month for a call. Raises BudgetUsedUp, after which the transaction must not be committed."""
    values = {"owner": owner_id, "usd": usd}
    await tx.execute(f"INSERT INTO ai_spending (owner_id, month) VALUES (%(owner)s, {MONTH}) ON CONFLICT DO NOTHING", values)
    if system:
        await tx.execute(f"INSERT INTO ai_system_spending (month) VALUES ({MONTH}) ON CONFLICT DO NOTHING")
    # The row lock makes the check exact. The owner's row is locked before the system's, always.
    for whose, (table, condition, budget) in (("owner", _OWNER), ("system", _SYSTEM)):
        if whose == "system" and not system:
            return
        if not await tx.execute(
            f"""
            UPDATE {table} SET reserved = reserved + %(usd)s
            WHERE {condition} month = {MONTH} AND (%(usd)s = 0 OR spent + reserved + %(usd)s <= coalesce({budget}, 'Infinity'))
            """,
            values,
        ):
            held = await tx.fetch_value(
                f"SELECT spent + %(usd)s <= coalesce({budget}, 'Infinity') FROM {table} WHERE {condition} month = {MONTH}", values
            )
            raise BudgetUsedUp("owner" if whose == "owner" else "system", held=bool(held))


async def settle(tx: Transaction, owner_id: UUID, month: str, reserved: Decimal, spent: Decimal, *, system: bool) -> None:
    """Gives back what was held and counts what it cost, in the month that it was held in."""
    values = {"owner": owner_id, "month": month, "reserved": reserved, "spent": spent}
    await tx.execute(
        """
        UPDATE ai_spending SET reserved = greatest(0, reserved - %(reserved)s), spent = spent + %(spent)s
        WHERE owner_id = %(owner)s AND month = %(month)s
        """,
        values,
    )
    if system:
        await tx.execute(
            """
            UPDATE ai_system_spending SET reserved = greatest(0, reserved - %(reserved)s), spent = spent + %(spent)s
            WHERE month = %(month)s
            """,
            values,
        )
