"""A value of another type than the description says is refused, never taken for one: in every body and query of openapi.yaml."""

from collections.abc import Iterator
from typing import Any

import pytest

from shared.db import Database
from tests.attacks.operations import Operation, description, gateway, operations, sample
from tests.identity.browser import Browser, new_person

IMPOSTORS: dict[str, tuple[Any, ...]] = {
    "integer": (True, "5", 1.5, 1.0, [1], {}),
    "number": (True, "5", [1], {}),
    "boolean": (1, 0, "true", "false", "yes", [True], {}),
    "string": (5, True, 1.5, ["x"], {}),
    "array": ("x", 5, {}),
    "object": ("x", 5, []),
}
IN_QUERIES: dict[str, tuple[str, ...]] = {
    "integer": ("1_0", " 5", "5 ", "+5", "1.0", "1e1", "0x5", "05", "true", "", "\u0665"),
    "boolean": ("1", "0", "yes", "on", "True", "t", ""),
}


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        found = description()
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _types(schema: dict[str, Any]) -> set[str]:
    schema = _resolved(schema)
    choices = schema.get("anyOf") or schema.get("oneOf")
    return set().union(*(_types(choice) for choice in choices)) if choices else {schema.get("type", "")}


def _wrong(schema: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Bodies in which one value has another type, with that value; also inside of what is nested."""
    schema = _resolved(schema)
    whole = sample(schema, {})
    for name, inner in schema.get("properties", {}).items():
        types = _types(inner)
        for value in {repr(value): value for kind in types & set(IMPOSTORS) for value in IMPOSTORS[kind]}.values():
            if not any(_fits(value, kind) for kind in types):
                yield {**whole, name: value}, value
        for choice in _resolved(inner).get("anyOf", [inner]):
            if _resolved(choice).get("type") == "array":
                items = choice["items"]
                for value in IMPOSTORS.get(_resolved(items).get("type", ""), ()):
                    yield {**whole, name: [value]}, value
                for nested, value in _wrong(items):
                    yield {**whole, name: [nested]}, value


def _fits(value: Any, kind: str) -> bool:
    """Whether a value is of a type, as this project has it: 1.0 is no integer."""
    python: Any = {"integer": int, "number": (int, float), "boolean": bool, "string": str, "array": list, "object": dict}.get(kind, ())
    return isinstance(value, python) and (kind == "boolean" or not isinstance(value, bool))


@pytest.mark.parametrize("operation", list(operations()), ids=lambda operation: operation.name)
async def test_no_value_is_taken_for_one_of_another_type(operation: Operation, db: Database) -> None:
    person = await new_person()
    if operation.path.startswith("/api/admin"):
        async with db.system() as tx:
            await tx.execute("UPDATE users SET role = 'admin' WHERE id = %s", (person.id,))
        await person.browser.login(person.email, person.password)
    browser = Browser(app=gateway())
    browser.headers["authorization"] = f"Bearer {person.browser.access_token}"
    for body, value in _wrong(operation.body) if operation.body else ():
        answer = await browser.request(operation.method, operation.at({}), json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), (body, value)
    told = description()["paths"][operation.path][operation.method.lower()]
    for parameter in told.get("parameters", []):
        if "$ref" in parameter or parameter["in"] != "query":
            continue
        for kind in _types(parameter["schema"]) & set(IN_QUERIES):
            for text in IN_QUERIES[kind]:
                answer = await browser.request(operation.method, operation.at({}), params={parameter["name"]: text})
                assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), (parameter["name"], text)


def test_the_descriptions_types_are_looked_at() -> None:
    by_name = {operation.name: operation for operation in operations()}
    create, change = by_name["create_upload"].body, by_name["change_password"].body
    assert create is not None
    assert change is not None
    sizes = [body["size"] for body, _ in _wrong(create)]
    assert {repr(size) for size in sizes if not _fits(size, "integer")} == {"True", "'5'", "1.5", "1.0", "[1]", "{}"}
    assert any(body["keep_tokens"] == 1 for body, _ in _wrong(change) if "keep_tokens" in body)
