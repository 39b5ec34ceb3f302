"""OpenAI's Chat Completions API, and the servers that speak it: which forms of answers they take differs (`forms`)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.ai.servers.anthropic_server import wrong_schema
from tests.ai.servers.http_server import Request, Response, json_response, serving
from tests.ai.servers.models import Model, careful

KEY = "sk-test"

ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid value for 'messages'."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-wrong. You can find your API key at ..."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Country, region, or territory not supported"),
    404: ("invalid_request_error", "model_not_found", "The model `gpt-nothing` does not exist or you do not have access to it."),
    408: ("timeout", None, "Request timed out."),
    409: ("conflict", None, "Conflict."),
    413: ("invalid_request_error", None, "Request too large."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for gpt-4o in organization org-x on requests per min (RPM)."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later"),
    529: ("overloaded_error", None, "Overloaded"),
}


def error(
    status: int, kind: str | None = None, code: str | None = None, message: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    """An error as the API sends it."""
    usual = ERRORS.get(status, ("server_error", None, "The server had an error."))
    told = {"message": message or usual[2], "type": kind or usual[0], "param": None, "code": code if code is not None else usual[1]}
    return json_response({"error": told}, status, {"x-request-id": "req_a1b2", **(headers or {})})


@dataclass
class OpenAIServer:
    """`forms`: the forms of answers this server takes, beside plain words. `released`: until it is set, no request gets its response."""

    model: Model = careful
    forms: tuple[str, ...] = ("json_schema", "tool", "json_object")
    finish_reason: str = "stop"
    refusal: str | None = None
    always: Response | None = None
    next: list[Response] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    seconds: float = 0.0
    released: asyncio.Event | None = None
    tokens_counted: int | None = None
    key: str = KEY
    usage: bool = True
    at_work: int = 0
    most_at_once: int = 0

    async def handle(self, request: Request) -> Response:
        self.at_work += 1
        self.most_at_once = max(self.most_at_once, self.at_work)
        try:
            response = self._response(request)
            await asyncio.sleep(response.delay)
            if self.released is not None:
                await self.released.wait()
            return replace(response, delay=0.0)
        finally:
            self.at_work -= 1

    def _response(self, request: Request) -> Response:
        self.requests.append(request)
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return error(401)
        if (request.method, request.path) != ("POST", "/v1/chat/completions"):
            return error(404, message=f"Invalid URL ({request.method} {request.path})")
        wrong = self._wrong(request.json)
        if wrong is not None:
            return wrong
        if self.next:
            return self.next.pop(0)
        return self.always or self.completion(request.json)

    def completion(self, body: dict[str, Any]) -> Response:
        said = {message["role"]: message["content"] for message in body["messages"]}
        text = self.model(said.get("system", ""), said.get("user", ""))
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": self.refusal, "annotations": []}
        finish = self.finish_reason
        if "tool_choice" in body and finish == "stop":
            call = {"id": "call_1", "type": "function", "function": {"name": body["tools"][0]["function"]["name"], "arguments": text}}
            message |= {"content": None, "tool_calls": [call]}
            finish = "tool_calls"
        if self.refusal or finish == "content_filter":
            message["content"] = None
        counted = self.tokens_counted if self.tokens_counted is not None else sum(map(len, said.values())) // 4
        allowed = int(body.get("max_tokens") or body["max_completion_tokens"])
        written = allowed if finish == "length" else len(text) // 4 + 1
        told: dict[str, Any] = {
            "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            "object": "chat.completion",
            "created": 1741569952,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        }
        if self.usage:
            told["usage"] = {"prompt_tokens": counted, "completion_tokens": written, "total_tokens": counted + written}
        response = json_response(told)
        return Response(response.status, response.body, response.headers, delay=self.seconds)

    def _wrong(self, body: dict[str, Any]) -> Response | None:
        if not isinstance(body.get("model"), str) or not body.get("messages"):
            return error(400, message="you must provide a model parameter")
        form = body.get("response_format", {}).get("type")
        if form == "json_object" and "json_object" not in self.forms:
            return error(400, message="'response_format.type' must be 'json_schema' or 'text'")
        if form == "json_schema":
            if "json_schema" not in self.forms:
                return error(400, message="Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.")
            schema = body["response_format"]["json_schema"]
            if wrong := wrong_schema(schema["schema"]):
                return error(400, message=f"Invalid schema for response_format '{schema['name']}': {wrong}")
        if "tools" in body and "tool" not in self.forms:
            return error(400, message=f"registry.ollama.ai/library/{body['model']} does not support tools")
        return None


@asynccontextmanager
async def openai_server(server: OpenAIServer | None = None) -> AsyncIterator[OpenAIServer]:
    """A running server; its base URL is `url` + `/v1`."""
    running = server or OpenAIServer()
    async with serving(running.handle) as url:
        running.url = url
        yield running
