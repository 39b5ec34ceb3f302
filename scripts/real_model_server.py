"""A server that speaks OpenAI's Chat Completions in front of a real small model, by the bindings of `cyllama`; for scripts/real-model.

`python real_model_server.py WEIGHTS PORT [FORM …]`: FORM is `json_schema`, which the sampler then enforces by a grammar; without it a
request for a schema is refused with 400, as servers do that know none. One request at a time, the likeliest token each time, so that a run
can be repeated.

The weights are of a model that was never taught to follow instructions and has no chat template; with the one of its sister model, which
was, it repeats the question. All it can do is go on with a text. So the messages are put before it after two solved cases of the same form
(`SOLVED`), and the lengths that a schema leaves open are bounded, because it would fill a string for ever.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from cyllama.llama import llama_cpp  # type: ignore[import-not-found]

CONTEXT = 8192
STRING_CHARACTERS = 120
ARRAY_ITEMS = 3

SOLVED = (
    (
        "Topics:\nt1: Cooking\nt2: Music\nt3: Weather\n\nTitle: letter\n--- page 1 ---\n"
        "The orchestra rehearses the symphony on Monday. Violins are asked to come early.",
        {"topics": [{"topic": "t2", "confidence": 0.9, "quote": "The orchestra rehearses the symphony on Monday.", "page": 1}]},
    ),
    (
        "Topics:\nt1: Astronomy\nt2: Weather\nt3: Cooking\n\nTitle: note\n--- page 1 ---\n"
        "Peel the apples, add sugar and bake the cake for an hour.",
        {"topics": [{"topic": "t3", "confidence": 0.8, "quote": "Peel the apples, add sugar and bake the cake", "page": 1}]},
    ),
)
"""Cases and their answers, of topics that no paper of the tests has."""


def framed(messages: list[dict[str, str]]) -> str:
    """The messages as a text to be gone on with: the instructions, the solved cases, the case."""
    *before, case = [message["content"] for message in messages]
    solved = [f"{text}\n\nAnswer: {json.dumps(answer)}" for text, answer in SOLVED]
    return "\n\n".join([*before, *solved, f"{case}\n\nAnswer:"])


def bounded(schema: Any) -> Any:
    """The schema with a greatest length for every string and array that has none."""
    if isinstance(schema, list):
        return [bounded(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: bounded(part) for name, part in schema.items()}
    if found.get("type") == "string" and "enum" not in found:
        found.setdefault("maxLength", STRING_CHARACTERS)
    if found.get("type") == "array":
        found.setdefault("maxItems", ARRAY_ITEMS)
    return found


class Model:
    """The weights, and one context that is emptied before each request."""

    def __init__(self, weights: str) -> None:
        llama_cpp.ggml_backend_load_all()
        params = llama_cpp.LlamaModelParams()
        params.n_gpu_layers = 0
        self._model = llama_cpp.LlamaModel(weights, params)
        self._vocab = self._model.get_vocab()
        settings = llama_cpp.LlamaContextParams()
        settings.n_ctx = settings.n_batch = CONTEXT
        self._context = llama_cpp.LlamaContext(self._model, settings)

    def complete(self, text: str, max_tokens: int, schema: Any) -> tuple[str, str, int, int]:
        """What follows on `text`; why it ended there (`stop`, `length`), tokens read and written."""
        self._context.kv_cache_clear()
        read = self._vocab.tokenize(text, add_special=True, parse_special=False)
        if len(read) + max_tokens >= CONTEXT:
            return "", "length", len(read), 0
        sampler = llama_cpp.LlamaSampler(llama_cpp.LlamaSamplerChainParams())
        if schema is not None:
            sampler.add_grammar(self._vocab, llama_cpp.json_schema_to_grammar(json.dumps(bounded(schema))), "root")
        sampler.add_greedy()
        self._context.decode(llama_cpp.llama_batch_get_one(read, 0))
        said, written = b"", 0
        while written < max_tokens:
            token = sampler.sample(self._context, -1)
            if self._vocab.is_eog(token):
                return said.decode("utf-8", "replace"), "stop", len(read), written
            piece = self._vocab.token_to_piece(token, 0, True)
            said += piece if isinstance(piece, bytes) else piece.encode()
            self._context.decode(llama_cpp.llama_batch_get_one([token], len(read) + written))
            written += 1
        return said.decode("utf-8", "replace"), "length", len(read), written


class Handler(BaseHTTPRequestHandler):
    """POST /v1/chat/completions."""

    protocol_version = "HTTP/1.1"
    model: Model
    forms: tuple[str, ...]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        form = asked.get("response_format", {}).get("type")
        if (form == "json_schema" and form not in self.forms) or "tools" in asked:
            told = {"message": f"{form or 'tools'} is not supported", "type": "invalid_request_error", "param": None, "code": None}
            return self._answer(400, {"error": told})
        schema = asked["response_format"]["json_schema"]["schema"] if form == "json_schema" else None
        said, ended, read, written = self.model.complete(framed(asked["messages"]), asked.get("max_tokens") or 256, schema)
        return self._answer(
            200,
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 0,
                "model": asked["model"],
                "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": ended}],
                "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
            },
        )

    def _answer(self, status: int, body: object) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


if __name__ == "__main__":
    Handler.model, Handler.forms = Model(sys.argv[1]), tuple(sys.argv[3:])
    HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
