"""Which providers there are, and which one reads a document.

The owner's choice comes before the admin's, the admin's before DEFAULT_AI_PROVIDER; so far only the last exists. A document's `ai_policy`
can narrow it: `local_only` keeps it in this house, `never` keeps it from being read at all.
"""

from dataclasses import dataclass
from typing import Literal

from shared.ai.local import MODEL, LocalProvider, TermCounts, nothing_learned
from shared.ai.provider import AIProvider, ProviderName, ProviderNotBuilt
from shared.config import Settings

Mode = Literal["off", "suggest", "apply"]
Policy = Literal["inherit", "local_only", "never"]


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What is known of a provider without asking it; `local` means that documents stay in this house."""

    name: ProviderName
    needs_key: bool
    local: bool
    built: bool


PROVIDERS: dict[ProviderName, ProviderFacts] = {
    "local": ProviderFacts("local", needs_key=False, local=True, built=True),
    "anthropic": ProviderFacts("anthropic", needs_key=True, local=False, built=False),
    "openai": ProviderFacts("openai", needs_key=True, local=False, built=False),
    "ollama": ProviderFacts("ollama", needs_key=False, local=True, built=False),
    "lmstudio": ProviderFacts("lmstudio", needs_key=False, local=True, built=False),
}


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """A provider, its model, and what may be done with its answer."""

    provider: ProviderName
    model: str
    mode: Mode = "apply"


LOCAL = ProviderChoice("local", MODEL)


def system_choice(settings: Settings) -> ProviderChoice:
    """What holds where neither the owner nor the admin chose."""
    if settings.default_ai_provider == "local":
        return LOCAL
    return ProviderChoice(settings.default_ai_provider, settings.default_ai_model)


def under_policy(choice: ProviderChoice, policy: Policy) -> ProviderChoice | None:
    """The choice as a document's policy leaves it; None where nothing may read it."""
    if policy == "never" or choice.mode == "off":
        return None
    if policy == "local_only" and not PROVIDERS[choice.provider].local:
        return ProviderChoice("local", MODEL, choice.mode)
    return choice


def open_provider(choice: ProviderChoice, term_counts: TermCounts = nothing_learned) -> AIProvider:
    """The chosen provider, ready to ask; `term_counts` is what the local one has learned. Raises ProviderNotBuilt."""
    if choice.provider == "local":
        return LocalProvider(term_counts)
    raise ProviderNotBuilt(f"The AI provider “{choice.provider}” is not part of this version of DocuVault.")
