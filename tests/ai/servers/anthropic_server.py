"""Anthropic's Messages API: `POST /v1/messages`, its checks, its usage, its stop reasons and its errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.ai.servers.http_server import Request, Response, json_response, serving
from tests.ai.servers.models import Model, careful

KEY = "sk-ant-api03-test"

ERRORS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "messages: at least one message is required"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your billing details need attention."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: claude-nothing"),
    408: ("timeout_error", "Request timed out"),
    409: ("conflict_error", "Conflict"),
    413: ("request_too_large", "Request exceeds the maximum allowed number of bytes."),
    429: ("rate_limit_error", "This request would exceed your account's rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Gateway timeout"),
    529: ("overloaded_error", "Overloaded"),
}


def error(status: int, kind: str | None = None, message: str | None = None, headers: dict[str, str] | None = None) -> Response:
    """An error as the API sends it."""
    usual = ERRORS.get(status, ("api_error", "Internal server error"))
    body = {
        "type": "error",
        "error": {"type": kind or usual[0], "message": message or usual[1]},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    }
    return json_response(body, status, {"request-id": "req_011CSHoEeqs5C35K2UUqR7Fy", **(headers or {})})


@dataclass
class AnthropicServer:
    """`next` responses come first, one a request; then `model` speaks."""

    model: Model = careful
    stop_reason: str = "end_turn"
    always: Response | None = None
    next: list[Response] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    seconds: float = 0.0
    key: str = KEY

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        # The API takes a key in either header; which one the SDK uses has changed.
        if self.key not in (request.headers.get("x-api-key"), request.headers.get("authorization", "").removeprefix("Bearer ")):
            return error(401)
        if "anthropic-version" not in request.headers:
            return error(400, message="anthropic-version: header is required")
        if (request.method, request.path.partition("?")[0]) != ("POST", "/v1/messages"):
            return error(404, message="Not found")
        wrong = _wrong(request.json)
        if wrong:
            return error(400, message=wrong)
        if self.next:
            return self.next.pop(0)
        return self.always or self.message(request.json)

    def message(self, body: dict[str, Any]) -> Response:
        system, user = body.get("system", ""), body["messages"][0]["content"]
        text = self.model(system, user)
        response = json_response(
            {
                "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": [] if self.stop_reason == "refusal" else [{"type": "text", "text": text}],
                "stop_reason": self.stop_reason,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": (len(system) + len(user)) // 4,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                    "output_tokens": len(text) // 4 + 1,
                    "service_tier": "standard",
                },
            }
        )
        return Response(response.status, response.body, response.headers, delay=self.seconds)


def _wrong(body: dict[str, Any]) -> str:
    """What the API would find wrong with a request."""
    if not isinstance(body.get("model"), str):
        return "model: Field required"
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        return "max_tokens: Field required"
    messages = body.get("messages")
    if not messages or any(message.get("role") not in ("user", "assistant") or not message.get("content") for message in messages):
        return "messages: at least one message is required"
    unknown = set(body) - {"model", "max_tokens", "messages", "system", "output_config", "stream", "temperature", "metadata"}
    if unknown:
        return f"{unknown.pop()}: Extra inputs are not permitted"
    output = body.get("output_config")
    if output is not None:
        form = output.get("format", {})
        if form.get("type") != "json_schema":
            return "output_config.format.type: Input should be 'json_schema'"
        return wrong_schema(form["schema"])
    return ""


def wrong_schema(schema: Any) -> str:
    """What strict schemas refuse: objects that are open, and words that cannot be enforced."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and (
            schema.get("additionalProperties") is not False or set(schema["required"]) != set(schema["properties"])
        ):
            return "For 'object' type, 'additionalProperties' must be explicitly set to false and every property be required"
        refused = {"minimum", "maximum", "maxItems", "minLength", "maxLength", "pattern", "multipleOf"} & set(schema)
        if refused:
            return f"For '{schema.get('type')}' type, property '{refused.pop()}' is not supported"
        return next((wrong for value in schema.values() if (wrong := wrong_schema(value))), "")
    if isinstance(schema, list):
        return next((wrong for value in schema if (wrong := wrong_schema(value))), "")
    return ""


@asynccontextmanager
async def anthropic_server(server: AnthropicServer | None = None) -> AsyncIterator[AnthropicServer]:
    """A running server."""
    running = server or AnthropicServer()
    async with serving(running.handle) as url:
        running.url = url
        yield running
