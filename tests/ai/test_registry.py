"""Which provider reads a document, and how it is opened."""

import subprocess
import sys

import pytest

from shared.ai import registry
from shared.ai.provider import AIProvider, ProviderKeyRefused, ProviderName
from shared.ai.registry import LOCAL, PROVIDERS, Policy, ProviderChoice
from shared.ai.remote_provider import open_gate


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_all_five_open_and_are_what_the_interface_says(name: ProviderName) -> None:
    provider = registry.open_provider(ProviderChoice(name, PROVIDERS[name].default_model, api_key="k"), open_gate)
    assert isinstance(provider, AIProvider)
    assert provider.name == name
    assert provider.in_process == (name == "local")


def test_the_default_models_are_the_documented_ones() -> None:
    assert {name: facts.default_model for name, facts in PROVIDERS.items()} == {
        "local": LOCAL.model,
        "anthropic": "claude-sonnet-4-6",
        "openai": "gpt-4o",
        "ollama": "llama3.2",
        "lmstudio": "gemma-4-e4b-it",
    }


@pytest.mark.parametrize("name", [name for name, facts in PROVIDERS.items() if facts.needs_key])
def test_a_provider_that_needs_a_key_says_so(name: ProviderName) -> None:
    with pytest.raises(ProviderKeyRefused, match=name):
        registry.open_provider(ProviderChoice(name, "some-model"), open_gate)


def test_opening_a_provider_loads_no_sdk() -> None:
    code = "import sys, shared.ai.anthropic, shared.ai.openai, shared.ai.ollama, shared.ai.lmstudio, shared.documents.ai_requests;"
    code += "sys.exit(str([name for name in ('anthropic', 'openai', 'httpx2', 'genai_prices') if name in sys.modules]))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("choice", "policy", "left"),
    [
        (ProviderChoice("openai", "m"), "inherit", ProviderChoice("openai", "m")),
        (ProviderChoice("openai", "m"), "local_only", LOCAL),
        (ProviderChoice("openai", "m", "suggest"), "local_only", ProviderChoice("local", LOCAL.model, "suggest")),
        (ProviderChoice("ollama", "m"), "local_only", ProviderChoice("ollama", "m", at_home=True)),
        (ProviderChoice("ollama", "gpt-oss:120b-cloud"), "local_only", LOCAL),
        (LOCAL, "never", None),
        (ProviderChoice("local", "m", "off"), "inherit", None),
    ],
)
def test_a_document_s_policy_narrows_the_choice(choice: ProviderChoice, policy: Policy, left: ProviderChoice | None) -> None:
    assert registry.under_policy(choice, policy) == left
