"""The OpenAPI 3.1 description, derived from the declarations."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from shared.api.response import JSON
from shared.errors import DomainError
from shared.faas.declarations import EndpointDeclaration

REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)\}")

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details. `code` is stable and for machines, `detail` for people.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["loc", "msg"],
                "properties": {
                    "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
                    "msg": {"type": "string"},
                },
            },
        },
    },
}

_HEADERS = {
    "X-Request-Id": {
        "required": True,
        "schema": {"type": "string"},
        "description": "The client's own where that has 8 to 128 characters out of `A-Za-z0-9._:+/=-`; in our logs, too.",
    },
    "Retry-After": {
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "description": "Seconds after which it is worth trying again (RFC 9110, section 10.2.3).",
    },
    "WWW-Authenticate": {
        "required": True,
        "schema": {"type": "string"},
        "description": "How to authenticate (RFC 6750, section 3).",
    },
}


_ANYWHERE = ("malformed_request", "uri_too_long", "headers_too_large")
"""What is refused before a function is looked for: described once, under `components/responses`."""

_DESCRIPTION = """\
A self-hosted document vault. Errors are RFC 9457 problems; lists are pages of `items` with a `next_cursor`.

A request with a valid token counts against its account's limits, every other one against its address's: without a valid token the \
response is 401 until the address has sent too many requests, then 429. HTTP/1.1, with exactly one Host header; an address has at most \
8 KiB, all headers together at most 32 KiB. A request that is no HTTP at all, or goes far beyond these limits (an address over 64 KiB, \
more than 100 headers), never reaches the functions: 400, 414 or 431 then come without a problem as a body, and \
the connection is closed. So it is, without a response, when a request's header is not whole within 30 seconds.\
"""


class UnknownProblem(Exception):
    """An endpoint declares a problem code that no imported DomainError has."""


def describe(declarations: Iterable[EndpointDeclaration], *, version: str) -> dict[str, Any]:
    """The description of these endpoints, stable in its order; the errors they declare must be imported. Raises UnknownProblem."""
    operations = sorted(declarations, key=lambda declaration: (declaration.path, declaration.method))
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    for operation in operations:
        answers = (operation.returns, *operation.or_returns.values())
        for model, mode in ((operation.body, "validation"), *((answer, "serialization") for answer in answers)):
            if isinstance(model, type) and (model, mode) not in models:
                models.append((model, mode))  # type: ignore[arg-type]
    references, definitions = models_json_schema(models, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DocuVault",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**definitions.get("$defs", {}), "Problem": _PROBLEM}.items())),
            "headers": _HEADERS,
            "responses": {
                code: _problem([code]) | {"headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}} for code in _ANYWHERE
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API token with the scope."},
                "refresh_cookie": {"type": "apiKey", "in": "cookie", "name": "docuvault_refresh"},
            },
        },
    }


def _operation(operation: EndpointDeclaration, references: dict[Any, Any]) -> dict[str, Any]:
    summary, _, description = operation.summary.partition("\n\n")
    summary = summary.replace("\n", " ").removeprefix(f"{operation.method} {operation.path}: ")
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": summary[:1].upper() + summary[1:],
        "tags": [_tag(operation)],
    }
    if description:
        described["description"] = description.strip()
    parameters = [*_path_parameters(operation), *_query_parameters(operation), *_header_parameters(operation)]
    if operation.idempotent:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
                "description": "Repeating a request with the same key within 24 hours gives the first response again, unless what "
                "it made was deleted meanwhile: then it is carried out anew. Another request with that key is refused; "
                "in a form, the boundary may differ.",
            }
        )
    if parameters:
        described["parameters"] = parameters
    body = _request_body(operation, references)
    if body:
        described["requestBody"] = body
    described["responses"] = _responses(operation, references)
    if operation.auth in ("user", "admin"):
        described["security"] = [{"bearer": []}]
        if operation.scope:
            described["x-required-scope"] = operation.scope
    elif operation.auth == "cookie":
        described["security"] = [{"refresh_cookie": []}, {"bearer": []}, {}]
    else:
        described["security"] = []
    return described


def _tag(operation: EndpointDeclaration) -> str:
    parts = operation.path.strip("/").split("/")
    area = parts[1] if parts[0] == "api" else "system"
    return {"content": "documents", "shared": "documents"}.get(area, area)


def _path_parameters(operation: EndpointDeclaration) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"} if name.endswith("_id") else {"type": "string"},
        }
        for name in _PARAMETER.findall(operation.path)
    ]


def _query_parameters(operation: EndpointDeclaration) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template=REF)
    definitions = schema.get("$defs", {})
    required = schema.get("required", [])
    parameters = []
    for name, field in schema.get("properties", {}).items():
        field = _inlined(field, definitions)
        description = field.pop("description", None)
        field.pop("title", None)
        parameter = {"name": name, "in": "query", "required": name in required, "schema": field}
        if description:
            parameter["description"] = description
        parameters.append(parameter)
    return parameters


def _header_parameters(operation: EndpointDeclaration) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": description}
        for name, description in operation.headers.items()
    ]


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        inlined = {key: _inlined(value, definitions) for key, value in schema.items()}
        options = inlined.get("anyOf")
        if isinstance(options, list) and {"type": "null"} in options:
            # A query parameter is absent rather than null.
            rest = [option for option in options if option != {"type": "null"}]
            inlined.pop("anyOf")
            inlined.update(rest[0] if len(rest) == 1 else {"anyOf": rest})
            if inlined.get("default", ...) is None:
                inlined.pop("default")
        return inlined
    if isinstance(schema, list):
        return [_inlined(value, definitions) for value in schema]
    return schema


def _request_body(operation: EndpointDeclaration, references: dict[Any, Any]) -> dict[str, Any] | None:
    if isinstance(operation.body, type):
        required = any(field.is_required() for field in operation.body.model_fields.values())
        return {"required": required, "content": {"application/json": {"schema": references[(operation.body, "validation")]}}}
    if operation.body == "stream":
        form = {
            "type": "object",
            "required": ["file"],
            "properties": {
                # Both: OpenAPI 3.1 describes bytes by their media type, and the generators in use take `format` alone for it.
                "file": {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"},
                "allow_duplicate": {"type": "string", "enum": ["true", "false"]},
                "replaces": {"type": "string", "format": "uuid"},
            },
        }
        return {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    return None


def _responses(operation: EndpointDeclaration, references: dict[Any, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done" if operation.status == 204 else "The answer"}
    if isinstance(operation.returns, type):
        success["content"] = {"application/json": {"schema": references[(operation.returns, "serialization")]}}
    elif isinstance(operation.returns, str):
        # What is not JSON has no schema (OpenAPI 3.1, section 4.8.14.3).
        success["content"] = {kind: {"schema": {"type": "object"}} if kind == JSON else {} for kind in operation.returns.split(", ")}
    responses: dict[str, Any] = {str(operation.status): success}
    for other, model in operation.or_returns.items():
        content = {"application/json": {"schema": references[(model, "serialization")]}}
        responses[str(other)] = {"description": "The answer", "content": content}
    if "If-None-Match" in operation.headers:
        responses["304"] = {"description": "What the client has is still what there is."}
    by_status: dict[int, list[str]] = {}
    statuses = _statuses(DomainError)
    for code in sorted({*operation.errors, *_common_errors(operation)}):
        if code not in statuses:
            raise UnknownProblem(f"{operation.name}: no error has the code {code!r}")
        by_status.setdefault(statuses[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        alone = len(codes) == 1 and codes[0] in _ANYWHERE
        responses[str(status)] = {"$ref": f"#/components/responses/{codes[0]}"} if alone else _problem(codes)
    for described, response in responses.items():
        if "$ref" in response:
            continue
        names = ["X-Request-Id"]
        if described == "401":
            names.append("WWW-Authenticate")
        # Waiting does not help where a setting is missing.
        if described == "429" or (described == "503" and "not_configured" not in operation.errors):
            names.append("Retry-After")
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return responses


def _problem(codes: list[str]) -> dict[str, Any]:
    return {
        "description": ", ".join(f"`{code}`" for code in codes),
        "content": {"application/problem+json": {"schema": {"$ref": REF.format(model="Problem")}}},
    }


def _statuses(error: type[DomainError]) -> dict[str, int]:
    """Each problem's status by its code, of `error` and all that derive from it."""
    statuses = {error.code: error.status}
    for derived in error.__subclasses__():
        statuses.update(_statuses(derived))
    return statuses


def _common_errors(operation: EndpointDeclaration) -> list[str]:
    codes = [*_ANYWHERE, "rate_limited", "unavailable"]
    if operation.auth in ("user", "admin"):
        codes += ["unauthenticated", "forbidden"]
        if operation.scope:
            codes.append("insufficient_scope")
    if operation.auth == "cookie":
        codes.append("origin_not_allowed")
    if "{" in operation.path:
        codes.append("not_found")
    if operation.query:
        codes.append("validation_failed")
    if isinstance(operation.body, type):
        codes += ["malformed_body", "validation_failed", "body_timeout", "body_too_large", "unsupported_media_type"]
    if operation.idempotent:
        codes += ["idempotency_conflict", "idempotency_key_reused", "validation_failed"]
        if operation.secret_answer:
            codes.append("already_done")
    return codes
