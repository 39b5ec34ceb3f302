"""Anthropic's Messages API through the `anthropic` SDK, which is imported at the first call (it takes a second)."""

from typing import Any, ClassVar

from shared.ai.prompts import Prompt
from shared.ai.provider import ProviderAnswerInvalid, ProviderName
from shared.ai.remote_provider import Completion, RemoteProvider, declined, json_body, too_long, truncated
from shared.outbound.clients import sdk_client


class AnthropicProvider(RemoteProvider):
    """`AIProvider` by Claude models."""

    name: ClassVar[ProviderName] = "anthropic"
    title: ClassVar[str] = "Anthropic"
    sdk: ClassVar[str] = "anthropic"

    async def _send(self, prompt: Prompt) -> Completion:
        import anthropic

        access = self._access
        client = anthropic.AsyncAnthropic(
            api_key=access.api_key,
            base_url=access.base_url or "https://api.anthropic.com",
            timeout=access.seconds,
            max_retries=0,
            open_telemetry=False,  # what is said to a model belongs in no trace
            http_client=sdk_client(access.guard),
        )
        asked: dict[str, Any] = {
            "model": access.model,
            "max_tokens": prompt.max_tokens,
            "messages": [{"role": "user", "content": prompt.user}],
        }
        if prompt.system:
            asked["system"] = prompt.system
        if prompt.schema is not None:
            asked["output_config"] = {"format": {"type": "json_schema", "schema": prompt.schema}}
        response = await client.messages.with_raw_response.create(**asked)
        return self._read(json_body(response.http_response.content, self.title), prompt)

    def _read(self, body: Any, prompt: Prompt) -> Completion:
        blocks = body.get("content")
        if not isinstance(blocks, list):
            raise ProviderAnswerInvalid(f"{self.title} sent something that is no answer.")
        text = "".join(
            block["text"]
            for block in blocks
            if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)
        )
        told = body.get("usage")
        counts = told if isinstance(told, dict) else {}
        parts = [counts.get(name) or 0 for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")]
        read = sum(parts) if "input_tokens" in counts and all(isinstance(part, int) for part in parts) else None
        usage = self.usage(read, counts.get("output_tokens"), prompt, text)
        match body.get("stop_reason"):
            case "refusal":
                raise declined(self.title, usage)
            case "max_tokens":
                raise truncated(self.title, usage)
            case "model_context_window_exceeded":
                raise too_long(self.title, usage)
        return Completion(text, self.model_named(body), usage)
