"""Who chose which provider, and what becomes of keys."""

from uuid import UUID

import pytest

from shared.ai.registry import LOCAL, ProviderChoice
from shared.assistant import choices
from shared.assistant.choices import AddressNotAllowed
from shared.assistant.models import NewAISettings
from shared.db import Database, TenantDatabase

KEY = "sk-proj-abcdefghijklmnop1234"
SYSTEM = ProviderChoice("anthropic", "claude-sonnet-4-6", api_key="sk-ant-the-system's", base_url="http://10.0.0.5")


async def _effective(db: Database, owner: UUID, system: ProviderChoice = SYSTEM) -> ProviderChoice:
    async with db.tenant(owner) as tx:
        return await choices.effective(tx, owner, system)


async def test_without_a_choice_of_ones_own_the_systems_holds(db: Database, owner: UUID) -> None:
    assert await _effective(db, owner) == SYSTEM
    assert (await choices.get(TenantDatabase(db, owner))).provider == LOCAL.provider  # DEFAULT_AI_PROVIDER of the tests


async def test_the_owners_choice_comes_first_with_its_key(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    said = await choices.update(vault, NewAISettings(provider="openai", model="gpt-4o-mini", api_key=KEY, mode="suggest"))
    assert said == await choices.get(vault)
    assert said.key_hint == "…1234"
    assert KEY not in said.model_dump_json()
    chosen = await _effective(db, owner)
    assert (chosen.provider, chosen.model, chosen.mode, chosen.api_key, chosen.own) == ("openai", "gpt-4o-mini", "suggest", KEY, True)
    assert KEY not in repr(chosen)


async def test_a_key_is_sealed_at_rest_for_its_owner_alone(db: Database, owner: UUID, other_owner: UUID) -> None:
    await choices.update(TenantDatabase(db, owner), NewAISettings(provider="openai", api_key=KEY))
    async with db.system() as tx:
        sealed = await tx.fetch_value("SELECT api_key FROM ai_settings WHERE owner_id = %s", (owner,))
        assert KEY.encode() not in sealed
        await tx.execute(
            "INSERT INTO ai_settings (owner_id, provider, model, api_key, mode) VALUES (%s, 'openai', 'gpt-4o', %s, 'apply')",
            (other_owner, sealed),
        )
    assert (await _effective(db, other_owner)).api_key == ""


async def test_a_model_is_not_needed(db: Database, owner: UUID) -> None:
    assert (await choices.update(TenantDatabase(db, owner), NewAISettings(provider="anthropic"))).model == "claude-sonnet-4-6"


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (NewAISettings(provider="openai", model="gpt-4o-mini"), True),
        (NewAISettings(provider="openai", api_key=""), False),
        (NewAISettings(provider="anthropic"), False),
        (NewAISettings(provider="openai", base_url="http://8.8.8.8/v1"), False),
    ],
    ids=["another model", "removed", "another provider", "another address"],
)
async def test_a_key_stays_with_its_provider_and_address(db: Database, owner: UUID, change: NewAISettings, kept: bool) -> None:
    vault = TenantDatabase(db, owner)
    await choices.update(vault, NewAISettings(provider="openai", api_key=KEY))
    assert ((await choices.update(vault, change)).key_hint is not None) == kept
    assert ((await _effective(db, owner)).api_key == KEY) == kept


async def test_the_systems_key_is_for_the_systems_address_alone(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    await choices.update(vault, NewAISettings(provider="anthropic", model="claude-haiku-4-5"))
    shared = await _effective(db, owner)
    assert (shared.api_key, shared.base_url, shared.own) == (SYSTEM.api_key, SYSTEM.base_url, False)
    await choices.update(vault, NewAISettings(provider="anthropic", base_url="http://8.8.8.8"))
    elsewhere = await _effective(db, owner)
    assert (elsewhere.api_key, elsewhere.base_url, elsewhere.own) == ("", "http://8.8.8.8", True)


async def test_a_key_for_a_server_of_the_house_goes_to_the_systems_address(db: Database, owner: UUID) -> None:
    system = ProviderChoice("ollama", "llama3.2", base_url="http://10.0.0.7:11434/v1")
    await choices.update(TenantDatabase(db, owner), NewAISettings(provider="ollama", api_key="a-key-of-my-own"))
    chosen = await _effective(db, owner, system)
    assert (chosen.base_url, chosen.api_key, chosen.own, chosen.own_address) == (system.base_url, "a-key-of-my-own", True, False)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://169.254.169.254/",
        "http://[::1]/",
        "http://10.1.2.3/v1",
        "file:///etc/passwd",
        "http://8.8.8.8/?a=b",
    ],
)
async def test_an_owners_address_must_be_public(db: Database, owner: UUID, url: str) -> None:
    with pytest.raises(AddressNotAllowed):
        await choices.update(TenantDatabase(db, owner), NewAISettings(provider="ollama", base_url=url))


async def test_a_local_address_of_the_owner_is_fine_where_the_admin_allows_it(
    db: Database, owner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.config import settings

    monkeypatch.setenv("ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    settings.cache_clear()
    try:
        await choices.update(TenantDatabase(db, owner), NewAISettings(provider="ollama", base_url="http://127.0.0.1:11434/v1"))
    finally:
        monkeypatch.undo()
        settings.cache_clear()
