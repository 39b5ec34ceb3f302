"""The settings that an admin changes while the system runs: who may register, limits, AI. Until then the environment's hold."""

from dataclasses import dataclass
from decimal import Decimal

from psycopg.types.json import Jsonb

from shared import audit
from shared.admin.models import NewSystemAI, NewSystemSettings, SystemAI, SystemSettings
from shared.assistant import choices, circuits, destination, tasks
from shared.assistant.choices import SystemRow
from shared.assistant.destination import Author, Destination
from shared.audit import AuditAction
from shared.config import settings
from shared.db import Database, Transaction
from shared.identity import registration

_PLAIN = ("registration", "default_quota", "max_document_size")
"""Kept in `system_settings` under these names."""


@dataclass(frozen=True)
class _SystemLimits:
    default_quota: int
    max_document_size: int


async def get(db: Database) -> SystemSettings:
    """What holds now."""
    choice = await choices.system_choice(fresh=True)
    async with db.system() as tx:
        row = await choices.system_row(tx)
        closed = not await registration.is_open(tx)
        limits = await tx.fetch_one(
            """
            SELECT coalesce(system_limit('default_quota'), %(default_quota)s) AS default_quota,
                coalesce(system_limit('max_document_size'), %(max_document_size)s) AS max_document_size
            """,
            {"default_quota": settings().default_quota, "max_document_size": settings().max_document_size},
            row=_SystemLimits,
        )
    assert limits is not None
    own = row is not None and row.provider is not None
    return SystemSettings(
        registration="closed" if closed else "open",
        default_quota=limits.default_quota,
        max_document_size=limits.max_document_size,
        ai=SystemAI(
            provider=choice.provider,
            model=choice.model,
            base_url=row.base_url if row is not None and own else None,
            key_hint=row.key_hint if row is not None and own else None,
            monthly_budget_usd=float(row.monthly_budget_usd) if row is not None and row.monthly_budget_usd is not None else None,
        ),
    )


async def update(db: Database, new: NewSystemSettings, author: Author) -> SystemSettings:
    """Changes what `new` names, on the record; whatever waits for the system's provider is tried again if that is changed.

    Raises AddressNotAllowed for what is no address at all, and what `destination.confirm` raises if documents are to go elsewhere; that is
    told by mail.
    """
    if new.ai is not None:
        choices.check_form(new.ai.base_url)
    plain = {name: value for name in _PLAIN if (value := getattr(new, name)) is not None}
    changed = elsewhere = False
    while not changed:
        seen = None
        if new.ai is not None:
            async with db.system() as tx:
                seen = await choices.system_row(tx)
            elsewhere = (await _destination(seen)).is_left_by(new.ai.provider, new.ai.base_url, new.ai.api_key)
        if elsewhere:
            await destination.confirm(db, author)
        async with db.system() as tx:
            changed = new.ai is None or await _change(tx, new.ai, seen)
            if changed:
                for name, value in plain.items():
                    await _store(tx, name, value)
                ai = {} if new.ai is None else {"ai": {"provider": new.ai.provider, "model": new.ai.model or ""}}
                await audit.record(
                    tx,
                    AuditAction.ADMIN_SETTINGS_UPDATED,
                    actor=author.user_id,
                    owner=author.user_id,
                    origin=author.client,
                    detail={**plain, **ai},
                )
    if elsewhere:
        await destination.tell(db, author, everybody=True)
    return await get(db)


async def _store(tx: Transaction, name: str, value: str | int) -> None:
    await tx.execute(
        """
        INSERT INTO system_settings (name, value) VALUES (%(name)s, %(value)s)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()
        """,
        {"name": name, "value": Jsonb(value)},
    )


async def _destination(row: SystemRow | None) -> Destination:
    """Where the documents of those go who chose nothing; without an address of the admin's, to the environment's."""
    if row is None or row.provider is None:
        return Destination((await choices.system_choice(fresh=True)).provider, None)
    return Destination(row.provider, row.base_url, row.api_key is not None)


async def _change(tx: Transaction, new: NewSystemAI, seen: SystemRow | None) -> bool:
    """False if they are not those that were `seen` any more."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('ai system settings', 0))")
    before = await choices.system_row(tx)
    if before != seen:
        return False
    same = before is not None and (before.provider, before.base_url) == (new.provider, new.base_url)
    sealed, hint = (before.api_key, before.key_hint) if before is not None and same else (None, None)
    if new.api_key is not None:
        sealed, hint = choices.sealed_key(new.api_key, choices.SYSTEM)
    budget: Decimal | None = new.monthly_budget_usd
    await tx.execute(
        """
        INSERT INTO ai_system_settings (id, provider, model, base_url, api_key, key_hint, monthly_budget_usd)
        VALUES (1, %(provider)s, %(model)s, %(base_url)s, %(key)s, %(hint)s, %(budget)s)
        ON CONFLICT (id) DO UPDATE
        SET provider = excluded.provider, model = excluded.model, base_url = excluded.base_url, api_key = excluded.api_key,
            key_hint = excluded.key_hint, monthly_budget_usd = excluded.monthly_budget_usd, updated_at = now()
        """,
        {
            "provider": new.provider,
            "model": new.model,
            "base_url": new.base_url,
            "key": sealed,
            "hint": hint,
            "budget": budget,
        },
    )
    await tasks.hasten_all(tx)
    await circuits.forget_in(tx, None)
    tx.after_commit(choices.forget_system_choice)
    return True
