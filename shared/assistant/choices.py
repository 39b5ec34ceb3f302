"""Which provider reads an owner's documents: the owner's choice, else the admin's, else DEFAULT_AI_PROVIDER.

API keys are sealed at rest and never given back; `key_hint` shows their last characters. A key belongs to one provider at one address: if
either changes, the key that was there is dropped, so that nobody who may change settings can have it sent elsewhere. Who may send
documents elsewhere is told in `destination.py`.
"""

import time
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from shared.ai import registry
from shared.ai.provider import DETAILS, DetailName, ProviderName
from shared.ai.registry import PROVIDERS, Mode, ProviderChoice
from shared.assistant import destination
from shared.assistant.destination import Author, Destination
from shared.assistant.models import AISettings, NewAISettings
from shared.config import settings
from shared.db import TenantDatabase, Transaction, database
from shared.errors import DomainError
from shared.outbound import HostNotAllowed, UrlNotAllowed
from shared.outbound.guard import parts_of
from shared.sealing import SealBroken, seal, unseal

PURPOSE = "ai api key"
SYSTEM = "system"
"""Whose the admin's key is, for sealing."""
HINT_CHARACTERS = 4
KEY_CHARACTERS_FOR_A_HINT = 12
REMEMBERED_SECONDS = 5.0
"""For so long the admin's choice may be an older one in another process."""


class AddressNotAllowed(DomainError):
    """The base URL leads where requests of this server do not go."""

    status, code, title = 422, "url_not_allowed", "This address may not be used"


@dataclass(frozen=True)
class _ChoiceRow:
    provider: ProviderName
    model: str
    base_url: str | None
    api_key: bytes | None
    key_hint: str | None
    mode: Mode
    propose: list[DetailName]
    monthly_budget_usd: Decimal | None


_COLUMNS = "provider, model, base_url, api_key, key_hint, mode, propose, monthly_budget_usd"


async def get(db: TenantDatabase) -> AISettings:
    """What holds for the owner."""
    async with db.transaction() as tx:
        row = await _row(tx, db.owner_id)
    if row is not None:
        return _shown(row)
    choice = await system_choice()
    return AISettings(provider=choice.provider, model=choice.model, mode=choice.mode)


async def update(db: TenantDatabase, new: NewAISettings, author: Author | None = None) -> AISettings:
    """Makes it the owner's choice; documents that wait for a provider are tried at once.

    Raises AddressNotAllowed, and what `destination.confirm` raises if documents are to go elsewhere; that is told by mail. Without an
    author it is the system's own doing: nobody is asked or told.
    """
    await check_address(new.base_url)
    while True:
        async with db.transaction() as tx:
            seen = await _row(tx, db.owner_id)
        elsewhere = (await _destination(seen)).is_left_by(new.provider, new.base_url, new.api_key)
        if elsewhere and author is not None:
            await destination.confirm(database(), author)
        changed = await _change(db, new, seen)
        if changed is not None:
            break  # else somebody else changed it meanwhile, and this may be another question now
    if elsewhere and author is not None:
        await destination.tell(database(), author)
    return changed


async def _destination(row: "_ChoiceRow | None") -> Destination:
    """Where the owner's documents go; without an address of the owner's, to the system's."""
    if row is None:
        return Destination((await system_choice(fresh=True)).provider, None)
    return Destination(row.provider, row.base_url, row.api_key is not None)


async def _change(db: TenantDatabase, new: NewAISettings, seen: "_ChoiceRow | None") -> AISettings | None:
    """None if the owner's choice is not the one that was `seen` any more."""
    from shared.assistant import circuits, tasks

    model = new.model or PROVIDERS[new.provider].default_model
    propose = tuple(name for name in DETAILS if name in new.propose)
    async with db.transaction() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended(%(what)s, 0))", {"what": f"ai settings {db.owner_id}"})
        before = await _row(tx, db.owner_id)
        if before != seen:
            return None
        same = before is not None and (before.provider, before.base_url) == (new.provider, new.base_url)
        sealed, hint = (before.api_key, before.key_hint) if before is not None and same else (None, None)
        if new.api_key is not None:
            sealed, hint = sealed_key(new.api_key, db.owner_id)
        await tx.execute(
            """
            INSERT INTO ai_settings (owner_id, provider, model, base_url, api_key, key_hint, mode, propose, monthly_budget_usd)
            VALUES (%(owner)s, %(provider)s, %(model)s, %(base_url)s, %(key)s, %(hint)s, %(mode)s, %(propose)s, %(budget)s)
            ON CONFLICT (owner_id) DO UPDATE
            SET provider = excluded.provider, model = excluded.model, base_url = excluded.base_url, api_key = excluded.api_key,
                key_hint = excluded.key_hint, mode = excluded.mode, propose = excluded.propose,
                monthly_budget_usd = excluded.monthly_budget_usd, updated_at = now()
            """,
            {
                "owner": db.owner_id,
                "provider": new.provider,
                "model": model,
                "base_url": new.base_url,
                "key": sealed,
                "hint": hint,
                "mode": new.mode,
                "propose": list(propose),
                "budget": new.monthly_budget_usd,
            },
        )
        await tasks.hasten(tx, db.owner_id)
    await circuits.forget(db.owner_id)
    return AISettings(
        provider=new.provider,
        model=model,
        base_url=new.base_url,
        key_hint=hint,
        mode=new.mode,
        propose=propose,
        monthly_budget_usd=None if new.monthly_budget_usd is None else float(new.monthly_budget_usd),
    )


async def effective(tx: Transaction, owner_id: UUID, system: ProviderChoice) -> ProviderChoice:
    """The owner's choice with its key, else `system`. Who chose a provider and gave neither key nor address uses the system's."""
    row = await _row(tx, owner_id)
    if row is None:
        return system
    own_address = row.base_url is not None
    own = own_address or row.api_key is not None
    if row.provider == system.provider:
        key, base_url = system.api_key, system.base_url
    else:
        key, base_url = registry.system_access(settings(), row.provider)
    if own:
        key = _opened(row, owner_id)
        if own_address or not PROVIDERS[row.provider].local:
            base_url = row.base_url
    return ProviderChoice(row.provider, row.model, row.mode, base_url, key, own=own, own_address=own_address, propose=tuple(row.propose))


def system_can(provider: ProviderName, system: ProviderChoice) -> bool:
    """Whether the system's key and address would do for a provider."""
    if provider == system.provider:
        return system.configured
    key, _ = registry.system_access(settings(), provider)
    return bool(key) or not PROVIDERS[provider].needs_key


async def check_address(base_url: str | None) -> None:
    """Raises AddressNotAllowed if the URL guard would not let a request through."""
    check_form(base_url)
    if base_url is None:
        return
    try:
        await registry.url_guard().check_url(base_url)
    except (UrlNotAllowed, HostNotAllowed) as refused:
        raise AddressNotAllowed(str(refused)) from None


def check_form(base_url: str | None) -> None:
    """Raises AddressNotAllowed for what cannot be the address of an API, wherever it leads."""
    if base_url is None:
        return
    try:
        parts_of(base_url)
    except UrlNotAllowed as refused:
        raise AddressNotAllowed(str(refused)) from None
    if "?" in base_url or "#" in base_url:
        raise AddressNotAllowed("The address of an API has neither a query nor a fragment.")


def sealed_key(key: str, owner: UUID | str) -> tuple[bytes | None, str | None]:
    """An API key as it is kept, and its hint: the last characters, of a key that is long enough to keep the rest secret."""
    if not key:
        return None, None
    hint = f"…{key[-HINT_CHARACTERS:]}" if len(key) >= KEY_CHARACTERS_FOR_A_HINT else "…"
    return seal(key.encode(), user=owner, purpose=PURPOSE, row=owner), hint


# The admin's choice


@dataclass(frozen=True)
class SystemRow:
    """The admin's choice as it is kept."""

    provider: ProviderName | None
    model: str | None
    base_url: str | None
    api_key: bytes | None
    key_hint: str | None
    monthly_budget_usd: Decimal | None


_remembered: tuple[float, ProviderChoice] | None = None


async def system_choice(*, fresh: bool = False) -> ProviderChoice:
    """The admin's choice, else the environment's; `fresh`: not an older one."""
    global _remembered
    if not fresh and _remembered is not None and time.monotonic() < _remembered[0]:
        return _remembered[1]
    async with database().system() as tx:
        row = await system_row(tx)
    choice = registry.system_choice(settings())
    if row is not None and row.provider is not None:
        key, base_url = registry.system_access(settings(), row.provider)
        if row.base_url is not None and row.base_url != base_url:
            key, base_url = "", row.base_url  # the environment's key belongs to the environment's address
        if row.api_key is not None:
            key = _unsealed(row.api_key, SYSTEM)
        choice = ProviderChoice(row.provider, row.model or PROVIDERS[row.provider].default_model, "apply", base_url, key)
    _remembered = (time.monotonic() + REMEMBERED_SECONDS, choice)
    return choice


async def system_row(tx: Transaction) -> SystemRow | None:
    """For system transactions."""
    return await tx.fetch_one(
        "SELECT provider, model, base_url, api_key, key_hint, monthly_budget_usd FROM ai_system_settings", row=SystemRow
    )


def forget_system_choice() -> None:
    """It was changed in this process."""
    global _remembered
    _remembered = None


async def _row(tx: Transaction, owner_id: UUID) -> _ChoiceRow | None:
    return await tx.fetch_one(f"SELECT {_COLUMNS} FROM ai_settings WHERE owner_id = %(owner)s", {"owner": owner_id}, row=_ChoiceRow)


def _opened(row: _ChoiceRow, owner_id: UUID) -> str:
    return "" if row.api_key is None else _unsealed(row.api_key, owner_id)


def _unsealed(sealed: bytes, owner: UUID | str) -> str:
    """The key; empty if its master key is gone, which a provider then says in plain words."""
    try:
        return unseal(sealed, user=owner, purpose=PURPOSE, row=owner).decode()
    except SealBroken:
        return ""


def _shown(row: _ChoiceRow) -> AISettings:
    return AISettings(
        provider=row.provider,
        model=row.model,
        base_url=row.base_url,
        key_hint=row.key_hint,
        mode=row.mode,
        propose=tuple(row.propose),
        monthly_budget_usd=None if row.monthly_budget_usd is None else float(row.monthly_budget_usd),
    )
