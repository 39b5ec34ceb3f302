"""OpenAI's Chat Completions API through the `openai` SDK, imported at the first call; also for servers that speak the same.

How a response's form is asked for differs between servers, so there are three ways, tried in this order until a server takes one: a strict
JSON schema, a forced tool call, and only the words of the prompt. A server refuses a way before it has read anything, so trying costs
nothing. What it took is remembered for its address and model.
"""

from typing import Any, ClassVar, Literal

from shared.ai.prompts import Prompt
from shared.ai.provider import ProviderAnswerInvalid, ProviderName, ProviderRequestRefused
from shared.ai.remote_provider import Completion, RemoteProvider, declined, json_body, too_long, truncated
from shared.outbound.clients import sdk_client

Way = Literal["json_schema", "tool", "prompt"]
WAYS: tuple[Way, ...] = ("json_schema", "tool", "prompt")

_TOOL = "answer"
_REMEMBERED_AT_MOST = 1000

_ways: dict[tuple[str, str], Way] = {}
"""The way that a server (base_url) took with a model; forgotten with the process."""


class OpenAIProvider(RemoteProvider):
    """`AIProvider` by OpenAI's models, or by any server that speaks OpenAI's protocol."""

    name: ClassVar[ProviderName] = "openai"
    title: ClassVar[str] = "OpenAI"
    sdk: ClassVar[str] = "openai"
    address: ClassVar[str] = "https://api.openai.com/v1"

    @property
    def _base_url(self) -> str:
        return self._access.base_url or self.address

    async def _send(self, prompt: Prompt) -> Completion:
        if prompt.schema is None:
            return await self._ask(prompt, "prompt")
        server = (self._base_url, self._access.model)
        for way in WAYS[WAYS.index(_ways.get(server, WAYS[0])) :]:
            try:
                done = await self._ask(prompt, way)
            except Exception as refused:
                # Only a request that was not understood is worth another form: all else would be refused again, or cost again.
                if way == WAYS[-1] or not isinstance(self._failure(refused), ProviderRequestRefused):
                    raise
                continue
            if len(_ways) >= _REMEMBERED_AT_MOST:
                _ways.clear()
            _ways[server] = way
            return done
        raise AssertionError("the last way either answers or raises")

    async def _ask(self, prompt: Prompt, way: Way) -> Completion:
        import openai

        access = self._access
        client = openai.AsyncOpenAI(
            api_key=access.api_key,
            base_url=self._base_url,
            timeout=access.seconds,
            max_retries=0,
            http_client=sdk_client(access.guard),
        )
        asked: dict[str, Any] = {"model": access.model, "messages": prompt.messages(), **self._limits(prompt)}
        if way == "json_schema":
            schema = {"name": _TOOL, "strict": True, "schema": prompt.schema}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif way == "tool":
            asked["tools"] = [{"type": "function", "function": {"name": _TOOL, "strict": True, "parameters": prompt.schema}}]
            asked["tool_choice"] = {"type": "function", "function": {"name": _TOOL}}
        response = await client.chat.completions.with_raw_response.create(**asked)
        return self._read(json_body(response.http_response.content, self.title), prompt, way)

    def _limits(self, prompt: Prompt) -> dict[str, Any]:
        """OpenAI's newer models know `max_completion_tokens` alone, other servers mostly `max_tokens` alone."""
        own = self._base_url.startswith(self.address) and self.name == "openai"
        return {"max_completion_tokens" if own else "max_tokens": prompt.max_tokens}

    def _read(self, body: Any, prompt: Prompt, way: Way) -> Completion:
        choices = body.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        told = body.get("usage")
        counts = told if isinstance(told, dict) else {}
        if not isinstance(choice, dict) or not isinstance(message, dict):
            raise ProviderAnswerInvalid(f"{self.title} sent something that is no answer.")
        text = _text(message, way)
        usage = self.usage(counts.get("prompt_tokens"), counts.get("completion_tokens"), prompt, text)
        if message.get("refusal") or choice.get("finish_reason") == "content_filter":
            raise declined(self.title, usage)
        if choice.get("finish_reason") == "length":
            if usage.output_tokens < prompt.max_tokens // 2:
                raise too_long(self.title, usage)  # it had hardly begun: the context was full of the question
            raise truncated(self.title, usage)
        return Completion(text, self.model_named(body), usage)


def _text(message: dict[str, Any], way: Way) -> str:
    """The response: a tool call's arguments, or the content; servers that do not know forced calls answer in words all the same."""
    calls = message.get("tool_calls")
    if way == "tool" and isinstance(calls, list) and calls and isinstance(calls[0], dict):
        function = calls[0].get("function")
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            return str(function["arguments"])
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""
