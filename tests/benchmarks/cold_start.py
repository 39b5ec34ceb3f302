"""Cold start: from a new process to the first answer of a function that needs no SDK, against importing the framework alone.

Each figure is of fresh processes, in turns; the function is loaded by functions-framework's own `create_asgi_app` and asked once, with
PostgreSQL and Valkey running. What is left beside the import is the function's own: its modules, settings, token, pool, query.
"""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

# No imports of ours up here: the processes that are measured run this module.

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
ROUNDS = 15
AIM_MILLISECONDS = 100
ASKED = {
    "jwks": ("auth", "/.well-known/jwks.json", "no sign-in, no database"),
    "get_account": ("account", "/api/account", "signed in, one row"),
    "list_documents": ("documents", "/api/documents", "signed in, a page"),
    "list_documents?q=": ("documents", "/api/documents?q=invoice", "signed in, a search"),
}
FRAMEWORK = "framework"


def run() -> None:
    """Prints medians."""
    from tests import services

    holder = services.prepare()
    try:
        services.wait_until_started()
        token = asyncio.run(_signed_in())
        spent: dict[str, list[float]] = {name: [] for name in (FRAMEWORK, *ASKED)}
        for number in range(ROUNDS + 1):
            for name, figures in spent.items():
                milliseconds = _fresh(name, token)
                if number:  # the first round fills the disk's cache
                    figures.append(milliseconds)
    finally:
        services.finish(holder)
    baseline = median(spent[FRAMEWORK])
    print(f"{'importing the framework alone':46} {baseline:6.0f} ms")
    for name, (_, _, what) in ASKED.items():
        whole = median(spent[name])
        print(
            f"{f'first answer of {name} ({what})':46} {whole:6.0f} ms   "
            f"{whole / baseline:4.2f} times that, {whole - baseline:4.0f} ms more (aim: within {AIM_MILLISECONDS} ms)"
        )


def _fresh(name: str, token: str) -> float:
    """Milliseconds from before a process was made until what was asked of it is there."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.benchmarks.cold_start", name, token]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return (float(said.split()[-1]) - began) * 1000  # the monotonic clock is one for all processes


async def _signed_in() -> str:
    from shared.db import database
    from shared.identity import tokens
    from shared.identity.client import Client
    from shared.ids import new_id

    user_id = new_id()
    async with database().system() as tx:
        await tx.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, %s, '!')", [user_id, f"{user_id.hex}@example.org"])
    await database().close()
    token, _ = tokens.issue(user_id, "user", new_id(), Client("127.0.0.1", "benchmark", "en"))
    return token


def _measured(name: str, token: str) -> None:
    """In a fresh process: imports the framework or gets one answer, and prints the monotonic clock's seconds at the end of it."""
    from functions_framework import aio

    if name != FRAMEWORK:
        area, address, _ = ASKED[name]
        function = name.partition("?")[0]
        app = aio.create_asgi_app(  # type: ignore[no-untyped-call]
            function, str(FUNCTIONS / area / f"{function}.py"), "http"
        )
        asyncio.run(_ask(app, address, token))
    print(time.monotonic())


async def _ask(app: Any, address: str, token: str) -> None:
    path, _, query = address.partition("?")
    headers = [
        (b"host", b"127.0.0.1"),
        (b"authorization", f"Bearer {token}".encode()),
        (b"user-agent", b"benchmark"),
        (b"accept-language", b"en"),
    ]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": headers}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http", "http_version": "1.1", "root_path": ""}
    answer: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        answer.append(message)

    await app(scope, receive, send)
    assert answer[0]["status"] == 200, answer


if __name__ == "__main__":
    _measured(sys.argv[1], sys.argv[2])
