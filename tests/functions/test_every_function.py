"""Every function boots and answers alone, under functions-framework's own command, and as it does behind the gateway.

With the environment that its manifest gives it, and nothing else (tests/functions/alone.py).
"""

import asyncio
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from infra.functions import EVENT_AREAS, FUNCTIONS, ROOT, event_functions, files, http_functions
from infra.gateway.app import Gateway
from shared.db import Database
from shared.faas.declarations import EndpointDeclaration
from shared.faas.routing import Router
from tests.attacks.operations import call, operations
from tests.attacks.test_every_operation import STREAM_SECONDS, Victim, new_victim
from tests.faas.asgi import ask
from tests.functions.alone import alone

HTTP = [path for path in files() if path.parent.name not in EVENT_AREAS]
EVENTS = [path for path in files() if path.parent.name in EVENT_AREAS]
SAMPLE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
SHORTEST_TOKEN = "x"

# How an answer is the same: what a client acts on. Times, ids and the server's own headers differ.
COMPARED = ("content-type", "www-authenticate", "cache-control", "x-content-type-options", "content-security-policy", "location")


def _named(path: Path) -> str:
    return path.stem


@pytest.fixture(scope="module")
async def reader(db: Database) -> Victim:
    """Somebody with one of everything, for what only reads."""
    return await new_victim(db)


@pytest.mark.parametrize("path", HTTP, ids=_named)
async def test_an_http_function_alone_answers_as_behind_the_gateway(db: Database, reader: Victim, path: Path, tmp_path: Path) -> None:
    declaration = next(declaration for declaration in http_functions() if declaration.name == path.stem)
    address = declaration.path.replace("{token}", SHORTEST_TOKEN)
    while "{" in address:
        address = address.partition("{")[0] + SAMPLE_ID + address.partition("}")[2]
    behind = await ask(Gateway(Router(http_functions())), declaration.method, address, headers={"content-type": "application/json"})
    async with alone(path, tmp_path) as client:
        answer = await client.request(declaration.method, address, headers={"content-type": "application/json"})
        other = await client.get("/no/such/path")
        if declaration.auth in ("user", "admin"):
            await _works_for_somebody(client, declaration, reader if declaration.method == "GET" else await new_victim(db), db)
    # A setting of another group than its manifest names.
    assert "was not given to this process" not in "".join(log.read_text() for log in tmp_path.glob("*.log"))
    assert answer.status_code == behind.status, answer.text
    assert {name: answer.headers.get(name) for name in COMPARED} == {name: behind.header(name) for name in COMPARED}
    assert "x-request-id" in answer.headers
    if answer.headers.get("content-type") == "application/problem+json":
        assert answer.json()["code"] == behind.code
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    assert other.status_code == 404
    assert other.json()["code"] == "not_found"


async def _works_for_somebody(client: httpx.AsyncClient, declaration: EndpointDeclaration, victim: Victim, db: Database) -> None:
    """Called by its own user with things that there are, it does not fail."""
    browser = victim.person.browser
    if declaration.auth == "admin":
        async with db.system() as tx:
            await tx.execute("UPDATE users SET role = 'admin' WHERE id = %s", (victim.person.id,))
        await browser.login(victim.person.email, victim.person.password)
    client.headers.update({name: browser.headers[name] for name in ("authorization", "user-agent", "accept-language")})
    operation = next(operation for operation in operations() if operation.name == declaration.name)
    try:
        async with asyncio.timeout(STREAM_SECONDS if operation.answers == "text/event-stream" else 30):
            answer = await call(operation, client, victim.ids)
    except TimeoutError:
        assert operation.answers == "text/event-stream"
        return
    finally:
        if declaration.auth == "admin":
            async with db.system() as tx:
                await tx.execute("UPDATE users SET role = 'user' WHERE id = %s", (victim.person.id,))
    assert answer.status_code < 500 or answer.json()["code"] == "not_configured", answer.text


@pytest.mark.parametrize("path", EVENTS, ids=_named)
async def test_an_event_function_alone_refuses_what_no_broker_of_ours_has_signed(path: Path, tmp_path: Path) -> None:
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": SAMPLE_ID,
        "ce-source": "/docuvault",
        "ce-type": "document.stored",
        "ce-time": "2026-01-01T00:00:00Z",
    }
    async with alone(path, tmp_path) as client:
        unsigned = await client.post("/", headers=headers, json={})
        no_event = await client.post("/", json={})
    assert unsigned.status_code == 401, unsigned.text
    assert no_event.status_code == 400, no_event.text


def test_a_first_request_does_not_wait_until_the_client_of_redis_is_loaded() -> None:
    answered_and_loaded = f"""
import asyncio, sys
from functions_framework import aio
from shared import redis_client
redis_client.FIRST_ANSWERS_SECONDS = 3600  # a busy machine may take longer for its first answer
app = aio.create_asgi_app("jwks", {str(FUNCTIONS / "auth" / "jwks.py")!r}, "http")
path = "/.well-known/jwks.json"
scope = {{"type": "http", "http_version": "1.1", "method": "GET", "path": path, "query_string": b"", "headers": [(b"host", b"localhost")]}}
answer = []
async def receive(): return {{"type": "http.request", "body": b""}}
async def send(message): answer.append(message)
asyncio.run(app(scope, receive, send))
print(answer[0]["status"], *({{"redis", "limits", "psycopg", "argon2", "boto3", "kreuzberg"}} & set(sys.modules)))
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-c", answered_and_loaded], env=environ, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "200"


def test_a_function_a_file_and_its_declaration_have_one_name() -> None:
    declared = [*(declaration.name for declaration in http_functions()), *(declaration.name for declaration in event_functions())]
    assert sorted(declared) == sorted(path.stem for path in files())
    assert len(declared) == len(set(declared))


def test_no_function_has_the_name_of_a_module_that_somebody_may_want_to_import() -> None:
    # The framework registers a function's file under its bare name, and puts its folder on the import path.
    taken = set(sys.stdlib_module_names) | set(importlib.metadata.packages_distributions())
    taken |= {path.name for path in ROOT.iterdir() if path.is_dir()}
    names = {path.stem for path in FUNCTIONS.rglob("*.py")} | {path.name for path in FUNCTIONS.glob("*/*") if path.is_dir()}
    assert names & taken == set()


def test_every_function_says_in_a_sentence_what_it_is_for() -> None:
    wordless = [path.stem for path in files() if not path.read_text().startswith('"""')]
    assert wordless == []
