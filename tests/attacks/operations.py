"""Every operation of openapi.yaml, ready to be called: new ones join by themselves."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import yaml

from infra.gateway.app import Gateway, create

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("get", "post", "put", "patch", "delete")
NIL = "01890000-0000-7000-8000-000000000000"
ANOTHER_NIL = "01890000-0000-7000-8000-000000000001"


@lru_cache(maxsize=1)
def description() -> dict[str, Any]:
    """openapi.yaml."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return loaded


@lru_cache(maxsize=1)
def gateway() -> Gateway:
    """Every function, in this process."""
    return create()


@dataclass(frozen=True)
class Operation:
    """One operation; `needs_sign_in` where nothing but a bearer token opens it."""

    name: str
    method: str
    path: str
    needs_sign_in: bool
    parameters: tuple[str, ...]
    query: tuple[str, ...]
    body: dict[str, Any] | None
    content_type: str | None
    answers: str

    def at(self, ids: dict[str, str]) -> str:
        """The path with these ids in it."""
        path = self.path
        for name in self.parameters:
            path = path.replace(f"{{{name}}}", ids.get(name, NIL))
        return path


def operations() -> Iterator[Operation]:
    """All of them."""
    for path, methods in description()["paths"].items():
        for method, told in methods.items():
            if method not in METHODS:
                continue
            parameters = [parameter for parameter in told.get("parameters", []) if "$ref" not in parameter]
            contents = told.get("requestBody", {}).get("content", {})
            content_type = next(iter(contents), None)
            answered = {kind for answer in told["responses"].values() for kind in answer.get("content", {})}
            yield Operation(
                name=told["operationId"],
                method=method.upper(),
                path=path,
                needs_sign_in=bool(told.get("security")) and {} not in told["security"],
                parameters=tuple(p["name"] for p in parameters if p["in"] == "path"),
                query=tuple(p["name"] for p in parameters if p["in"] == "query"),
                body=contents["application/json"]["schema"] if content_type == "application/json" else None,
                content_type=content_type,
                answers="text/event-stream" if "text/event-stream" in answered else "",
            )


def sample(schema: dict[str, Any], ids: dict[str, str], name: str = "") -> Any:
    """A value that fits a schema: what is required, and every id there is room for, from `ids`."""
    if "$ref" in schema:
        found = description()
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return sample(found, ids, name)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return sample(schema[choice][0], ids, name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            return {
                key: sample(value, ids, key)
                for key, value in schema.get("properties", {}).items()
                if key in required or key.endswith(("_id", "_ids"))
            }
        case "array":
            return [sample(schema.get("items", {}), ids, name.removesuffix("s"))] * max(1, schema.get("minItems", 1))
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case "string":
            return _text(schema, ids, name)
    return None


def _text(schema: dict[str, Any], ids: dict[str, str], name: str) -> str:
    match schema.get("format"):
        case "uuid":
            return ids.get(name, ids.get("id", NIL))
        case "date-time":
            return "2099-01-01T00:00:00Z"
    if "email" in name:
        return f"{secrets.token_hex(8)}@example.org"
    if "pattern" in schema and "0-9a-f" in schema["pattern"]:
        return secrets.token_hex(32)
    if name == "content_type":
        return "text/plain"
    if name == "filename":
        return "a.txt"
    return ("a long enough text for anything" * 5)[: min(30, schema.get("maxLength", 30))]


async def call(
    operation: Operation, browser: httpx.AsyncClient, ids: dict[str, str], *, body: Any = None, bare: bool = False, query: bool = True
) -> httpx.Response:
    """Calls an operation as `browser` with these ids in path, query and body."""
    parameters = {name: ids[name] for name in operation.query if name in ids} if query else {}
    arguments: dict[str, Any] = {"params": parameters}
    if not bare and operation.body is not None:
        arguments["json"] = body if body is not None else sample(operation.body, ids)
    elif not bare and operation.content_type == "multipart/form-data":
        arguments["files"] = {"file": ("a.txt", secrets.token_bytes(8), "text/plain")}
    return await browser.request(operation.method, operation.at(ids), **arguments)
