"""The settings that an admin changes while the system runs: so far those of AI."""

from decimal import Decimal

from shared import audit
from shared.admin.models import NewSystemSettings, SystemAI, SystemSettings
from shared.assistant import choices, circuits, destination, tasks
from shared.assistant.choices import SystemRow
from shared.assistant.destination import Author, Destination
from shared.audit import AuditAction
from shared.db import Database, Transaction


async def get(db: Database) -> SystemSettings:
    """What holds now."""
    choice = await choices.system_choice(fresh=True)
    async with db.system() as tx:
        row = await choices.system_row(tx)
    own = row is not None and row.provider is not None
    return SystemSettings(
        ai=SystemAI(
            provider=choice.provider,
            model=choice.model,
            base_url=row.base_url if row is not None and own else None,
            key_hint=row.key_hint if row is not None and own else None,
            monthly_budget_usd=float(row.monthly_budget_usd) if row is not None and row.monthly_budget_usd is not None else None,
        )
    )


async def update(db: Database, new: NewSystemSettings, author: Author) -> SystemSettings:
    """Changes it, on the record; whatever waits for the system's provider is tried again.

    Raises AddressNotAllowed for what is no address at all, and what `destination.confirm` raises if documents are to go elsewhere; that is
    told by mail.
    """
    choices.check_form(new.ai.base_url)
    changed = False
    while not changed:
        async with db.system() as tx:
            seen = await choices.system_row(tx)
        elsewhere = (await _destination(seen)).is_left_by(new.ai.provider, new.ai.base_url, new.ai.api_key)
        if elsewhere:
            await destination.confirm(db, author)
        async with db.system() as tx:
            changed = await _change(tx, new, seen)
            if changed:
                await audit.record(
                    tx,
                    AuditAction.ADMIN_SETTINGS_UPDATED,
                    actor=author.user_id,
                    owner=author.user_id,
                    origin=author.client,
                    detail={"ai": {"provider": new.ai.provider, "model": new.ai.model or ""}},
                )
    if elsewhere:
        await destination.tell(db, author, everybody=True)
    return await get(db)


async def _destination(row: SystemRow | None) -> Destination:
    """Where the documents of those go who chose nothing; without an address of the admin's, to the environment's."""
    if row is None or row.provider is None:
        return Destination((await choices.system_choice(fresh=True)).provider, None)
    return Destination(row.provider, row.base_url, row.api_key is not None)


async def _change(tx: Transaction, new: NewSystemSettings, seen: SystemRow | None) -> bool:
    """False if they are not those that were `seen` any more."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('ai system settings', 0))")
    before = await choices.system_row(tx)
    if before != seen:
        return False
    same = before is not None and (before.provider, before.base_url) == (new.ai.provider, new.ai.base_url)
    sealed, hint = (before.api_key, before.key_hint) if before is not None and same else (None, None)
    if new.ai.api_key is not None:
        sealed, hint = choices.sealed_key(new.ai.api_key, choices.SYSTEM)
    budget: Decimal | None = new.ai.monthly_budget_usd
    await tx.execute(
        """
        INSERT INTO ai_system_settings (id, provider, model, base_url, api_key, key_hint, monthly_budget_usd)
        VALUES (1, %(provider)s, %(model)s, %(base_url)s, %(key)s, %(hint)s, %(budget)s)
        ON CONFLICT (id) DO UPDATE
        SET provider = excluded.provider, model = excluded.model, base_url = excluded.base_url, api_key = excluded.api_key,
            key_hint = excluded.key_hint, monthly_budget_usd = excluded.monthly_budget_usd, updated_at = now()
        """,
        {
            "provider": new.ai.provider,
            "model": new.ai.model,
            "base_url": new.ai.base_url,
            "key": sealed,
            "hint": hint,
            "budget": budget,
        },
    )
    await tasks.hasten_all(tx)
    await circuits.forget_in(tx, None)
    tx.after_commit(choices.forget_system_choice)
    return True
