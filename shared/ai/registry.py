"""Which providers there are, what is known of each, and how a chosen one is opened.

The owner's choice comes before the admin's, the admin's before DEFAULT_AI_PROVIDER (shared/assistant/choices.py). A document's policy can
narrow it: `local_only` keeps it in this house, `never` keeps it from being read at all.
"""

import importlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, cast

from shared.ai.local import MODEL, LocalProvider, TermCounts, nothing_learned
from shared.ai.provider import AIProvider, DetailName, ProviderKeyRefused, ProviderName
from shared.ai.remote_provider import Access, Gate, RemoteProvider
from shared.config import Settings, settings
from shared.outbound import UrlGuard

Mode = Literal["off", "suggest", "apply"]
Policy = Literal["inherit", "local_only", "never"]


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What is known of a provider without asking it.

    `local`: made to run at home, so that documents stay in this house. `seconds` is how long one call may take, `at_once` how many run at
    a time for one owner.
    """

    name: ProviderName
    default_model: str
    needs_key: bool
    local: bool
    seconds: float = 60.0
    at_once: int = 4
    key: str = ""
    """What servers that need no key are sent in its place: the protocol wants one."""


PROVIDERS: dict[ProviderName, ProviderFacts] = {
    "local": ProviderFacts("local", MODEL, needs_key=False, local=True),
    "anthropic": ProviderFacts("anthropic", "claude-sonnet-4-6", needs_key=True, local=False),
    "openai": ProviderFacts("openai", "gpt-4o", needs_key=True, local=False),
    # A model at home reads one document after the other, and slowly where there is no graphics card.
    "ollama": ProviderFacts("ollama", "llama3.2", needs_key=False, local=True, seconds=180.0, at_once=2, key="ollama"),
    "lmstudio": ProviderFacts("lmstudio", "gemma-4-e4b-it", needs_key=False, local=True, seconds=180.0, at_once=2, key="lm-studio"),
}

_CLASSES: dict[ProviderName, tuple[str, str]] = {
    "anthropic": ("shared.ai.anthropic", "AnthropicProvider"),
    "openai": ("shared.ai.openai", "OpenAIProvider"),
    "ollama": ("shared.ai.ollama", "OllamaProvider"),
    "lmstudio": ("shared.ai.lmstudio", "LMStudioProvider"),
}


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """A provider, its model, and what may be done with its response.

    `own` says that key or address are the owner's, so that the owner pays; `own_address` that the address is, so that the URL guard holds.
    `at_home`: what is sent must not leave this house.
    """

    provider: ProviderName
    model: str
    mode: Mode = "apply"
    base_url: str | None = None
    api_key: str = field(default="", repr=False)
    own: bool = False
    own_address: bool = False
    at_home: bool = False
    propose: tuple[DetailName, ...] = ()
    """The details to read with the topics."""

    @property
    def facts(self) -> ProviderFacts:
        return PROVIDERS[self.provider]

    @property
    def remote(self) -> bool:
        """Whether asking it means a call out."""
        return self.provider != "local"

    @property
    def configured(self) -> bool:
        """Whether it could be asked: it has the key it needs."""
        return bool(self.api_key) or not self.facts.needs_key


LOCAL = ProviderChoice("local", MODEL)


def system_access(settings: Settings, provider: ProviderName) -> tuple[str, str | None]:
    """The environment's key and address for a provider."""
    keys = {"anthropic": settings.anthropic_api_key, "openai": settings.openai_api_key}
    addresses = {
        "anthropic": settings.anthropic_base_url,
        "openai": settings.openai_base_url,
        "ollama": settings.ollama_base_url,
        "lmstudio": settings.lmstudio_base_url,
    }
    return keys.get(provider, ""), addresses.get(provider) or None


def system_choice(settings: Settings) -> ProviderChoice:
    """What holds where neither the owner nor the admin chose."""
    if settings.default_ai_provider == "local":
        return LOCAL
    key, address = system_access(settings, settings.default_ai_provider)
    return ProviderChoice(settings.default_ai_provider, settings.default_ai_model, base_url=address, api_key=key)


def under_policy(choice: ProviderChoice, policy: Policy) -> ProviderChoice | None:
    """The choice as a document's policy leaves it; None if nothing may read it.

    `local_only` allows servers at home, and the connection itself then refuses every public address. A model in Ollama's cloud is asked
    through a server at home, but read elsewhere.
    """
    if policy == "never" or choice.mode == "off":
        return None
    if policy == "local_only" and choice.remote:
        if not choice.facts.local or "cloud" in choice.model.lower():
            return ProviderChoice("local", MODEL, choice.mode, propose=choice.propose)
        return replace(choice, at_home=True)
    return choice


def open_provider(
    choice: ProviderChoice, gate: Gate, term_counts: TermCounts = nothing_learned, *, seconds: float | None = None
) -> AIProvider:
    """The chosen provider, ready to ask. `gate` admits its calls; `term_counts` is what the local one has learned. Raises ProviderError."""
    if not choice.remote:
        return LocalProvider(term_counts)
    if not choice.configured:
        raise ProviderKeyRefused(f"There is no API key for “{choice.provider}”.")
    module, name = _CLASSES[choice.provider]
    provider = cast(type[RemoteProvider], getattr(importlib.import_module(module), name))
    access = Access(
        model=choice.model,
        api_key=choice.api_key or choice.facts.key or "none",
        base_url=choice.base_url,
        guard=_guard(settings().allowed_private_hosts, own=choice.own_address, at_home=choice.at_home),
        at_home=choice.facts.local,
        seconds=seconds if seconds is not None else choice.facts.seconds,
    )
    return provider(access, gate)


def url_guard() -> UrlGuard:
    """The guard of addresses that owners give."""
    return _guard(settings().allowed_private_hosts, own=True, at_home=False)


@lru_cache(maxsize=8)
def _guard(private_hosts: tuple[str, ...], *, own: bool, at_home: bool) -> UrlGuard:
    """One guard for each kind, because connections are kept by guard."""
    return UrlGuard(private_hosts, trusted=not own, at_home=at_home)
