"""LM Studio, by the OpenAI protocol that it speaks: a JSON schema or plain words; `json_object`, which it refuses, is never asked for."""

from typing import ClassVar

from shared.ai.openai import OpenAIProvider
from shared.ai.provider import ProviderName


class LMStudioProvider(OpenAIProvider):
    """`AIProvider` by the models of an LM Studio server."""

    name: ClassVar[ProviderName] = "lmstudio"
    title: ClassVar[str] = "LM Studio"
    address: ClassVar[str] = "http://host.docker.internal:1234/v1"
