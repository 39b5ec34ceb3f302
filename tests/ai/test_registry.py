"""Which provider reads a document."""

import pytest

from shared.ai import registry
from shared.ai.provider import AIProvider, ProviderName, ProviderNotBuilt
from shared.ai.registry import LOCAL, PROVIDERS, Policy, ProviderChoice


def test_all_five_providers_are_known_and_the_local_one_is_built() -> None:
    assert set(PROVIDERS) == {"local", "anthropic", "openai", "ollama", "lmstudio"}
    assert PROVIDERS["local"].built


@pytest.mark.parametrize("name", [name for name, facts in PROVIDERS.items() if not facts.built])
def test_a_provider_that_is_not_built_says_so(name: ProviderName) -> None:
    with pytest.raises(ProviderNotBuilt, match=name):
        registry.open_provider(ProviderChoice(name, "some-model"))


def test_the_local_provider_always_opens() -> None:
    provider = registry.open_provider(LOCAL)
    assert isinstance(provider, AIProvider)
    assert provider.name == "local"


@pytest.mark.parametrize(
    ("choice", "policy", "left"),
    [
        (ProviderChoice("openai", "m"), "inherit", ProviderChoice("openai", "m")),
        (ProviderChoice("openai", "m"), "local_only", LOCAL),
        (ProviderChoice("openai", "m", "suggest"), "local_only", ProviderChoice("local", LOCAL.model, "suggest")),
        (ProviderChoice("ollama", "m"), "local_only", ProviderChoice("ollama", "m")),
        (LOCAL, "never", None),
        (ProviderChoice("local", "m", "off"), "inherit", None),
    ],
)
def test_a_document_s_policy_narrows_the_choice(choice: ProviderChoice, policy: Policy, left: ProviderChoice | None) -> None:
    assert registry.under_policy(choice, policy) == left
