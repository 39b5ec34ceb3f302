"""Ollama, by the OpenAI protocol that it speaks.

It cuts a prompt that does not fit its context, and says nothing: what it counted is compared with what was sent, and the document's history
tells. Its cloud models take a schema and ignore it; the prompt itself asks for the form, too.
"""

from typing import ClassVar

from shared.ai.openai import OpenAIProvider
from shared.ai.prompts import Prompt
from shared.ai.provider import ProviderName
from shared.ai.remote_provider import Completion

FEWEST_TOKENS_A_CHARACTER = 1 / 6
"""No tokenizer makes fewer of ordinary text."""


class OllamaProvider(OpenAIProvider):
    """`AIProvider` by the models of an Ollama server."""

    name: ClassVar[ProviderName] = "ollama"
    title: ClassVar[str] = "Ollama"
    address: ClassVar[str] = "http://host.docker.internal:11434/v1"

    def _note(self, prompt: Prompt, done: Completion) -> str:
        expected = (len(prompt.system) + len(prompt.user)) * FEWEST_TOKENS_A_CHARACTER
        if done.usage.input_tokens >= expected:
            return ""
        return (
            f"{self.title} seems to have read only a part of the document ({done.usage.input_tokens} tokens of at least {int(expected)}): "
            "its context is too small (OLLAMA_CONTEXT_LENGTH)."
        )
