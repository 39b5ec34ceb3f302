"""The running gateway keeps what openapi.yaml promises, operation by operation, whatever it is sent.

Schemathesis makes the requests from the description: fitting ones and unfitting ones, each declared limit at its edge, undeclared
methods. They go to a real gateway process, as a person who is signed in (with an account for each operation, since some end sessions or
accounts) and as nobody; the former through a second gateway, to which the first is where the functions' services live. Every run makes the
same requests.
"""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis.core.parameters import ParameterLocation

from infra.functions import ROOT
from infra.local.ports import free_port_block

PASSWORD = "correct horse battery staple"
BROWSER = {"user-agent": "schemathesis", "accept-language": "en"}
LIMITS = ("REGISTER", "LOGIN", "SECOND_FACTOR", "FORGOT", "SHARE", "ACCOUNT", "ADDRESS")

Case = schemathesis.Case[Any]

schema = schemathesis.openapi.from_path(
    ROOT / "openapi.yaml",
    config=schemathesis.Config.from_dict(
        {
            "seed": 1,
            "generation": {"deterministic": True, "max-examples": 6, "no-shrink": True, "database": "none"},
            "max-stream-events": 1,
            # A request that fits its schema may still be refused: the cursor is stale, the password weak, the expiry past.
            "checks": {"positive_data_acceptance": {"enabled": False}},
        }
    ),
)


@schema.parametrize()
def test_to_somebody_who_is_signed_in(case: Case, remote_gateway: str) -> None:
    somebody = person(remote_gateway, case.operation.label)
    headers = dict(somebody.headers)
    if "Last-Event-ID" in case.operation.headers:
        headers["Last-Event-ID"] = "none of ours"  # which an event answers at once, on a stream that may be silent for long
    if case.meta is None or not case.meta.is_negative_at(ParameterLocation.PATH):
        case.path_parameters.update({name: value for name, value in somebody.things.items() if name in case.path_parameters})
    check(case, remote_gateway, headers)


@schema.parametrize()
def test_to_nobody(case: Case, gateway: str) -> None:
    check(case, gateway, BROWSER)


def check(case: Case, gateway: str, headers: dict[str, str]) -> None:
    """Calls the operation and holds the answer against its description."""
    answer = case.call(base_url=gateway, headers=headers, timeout=60)
    if answer.status_code == 414:
        return  # Over 64 KiB of address: the HTTP library answers that, none of our code sees it.
    if answer.status_code == 503 and answer.json()["code"] == "not_configured":
        return  # What a provider needs (GOOGLE_CLIENT_ID, ONEDRIVE_CLIENT_ID) is not set here.
    case.validate_response(answer, headers=headers, transport_kwargs={"base_url": gateway, "headers": headers})


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, with one of each thing that a path can name."""

    headers: dict[str, str]
    things: dict[str, str]


@cache
def person(url: str, operation: str) -> Person:
    """The person who calls this operation."""
    credentials = {"email": f"{secrets.token_hex(16)}@example.org", "password": PASSWORD}
    with httpx.Client(base_url=url, headers=BROWSER, timeout=60) as client:
        client.post("/api/auth/register", json=credentials).raise_for_status()
        client.post("/api/auth/login", json=credentials).raise_for_status()
        session_id = ""
        signed_in = client.post("/api/auth/login", json=credentials).raise_for_status().json()
        headers = {**BROWSER, "Authorization": f"Bearer {signed_in['access_token']}"}
        client.headers = headers
        for session in client.get("/api/auth/sessions").raise_for_status().json()["items"]:
            session_id = session["id"] if not session["current"] else session_id
        token = client.post("/api/auth/tokens", json={"name": "a program", "scopes": ["documents:read"]}).raise_for_status().json()
        topic = client.post("/api/topics", json={"name": "Invoices"}).raise_for_status().json()
        document_id = _document(client, operation)
        job = client.post("/api/documents/bulk", json={"filter": {}, "action": "restore"}).raise_for_status().json()
        things = {"session_id": session_id, "token_id": token["id"], "topic_id": topic["id"], "document_id": document_id}
        things["job_id"] = job["id"]
        things["view_id"] = client.post("/api/views", json={"name": "All", "query": {}}).raise_for_status().json()["id"]
        named = client.patch(f"/api/documents/{document_id}", json={"sender": "City Works"}).raise_for_status().json()
        things["sender_id"] = named["sender"]["id"]
        if "share" in operation:
            wanted = {"expires_at": "2999-01-01T00:00:00Z", "password": PASSWORD}
            share = client.post(f"/api/documents/{document_id}/shares", json=wanted).raise_for_status().json()
            things["share_id"] = share["id"]
            if "/api/shared/" in operation:
                things["token"] = share["url"].rpartition("/")[2]
        return Person(headers, things)


def _document(client: httpx.Client, operation: str) -> str:
    """A document on its way for the operations on uploads (in parts where it is about them), one that is there for all others."""
    content = b"a note"
    wanted = {"filename": "a note.txt", "size": 64 * 2**20 if "/parts" in operation else len(content), "content_type": "text/plain"}
    created = client.post("/api/documents", json=wanted).raise_for_status().json()
    document_id: str = created["document"]["id"]
    if "/upload" not in operation and "/complete" not in operation:
        httpx.put(created["upload"]["url"], headers=created["upload"]["headers"], content=content, timeout=60).raise_for_status()
        client.post(f"/api/documents/{document_id}/complete").raise_for_status()
    return document_id


@pytest.fixture(scope="module")
def gateway(services: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway process with all the functions in it."""
    with _serving(tmp_path_factory.mktemp("gateway") / "gateway.log") as url:
        yield url


@pytest.fixture(scope="module")
def remote_gateway(gateway: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway process that hands everything on to the other one."""
    with _serving(tmp_path_factory.mktemp("gateway") / "gateway.log", FUNCTION_URL_TEMPLATE=gateway) as url:
        yield url


@contextmanager
def _serving(log: Path, **variables: str) -> Iterator[str]:
    """A gateway process that nobody asks too often."""
    port = free_port_block(1)
    url = f"http://127.0.0.1:{port}"
    limits = {f"RATE_LIMIT_{name}": "1000000/minute" for name in LIMITS}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.gateway"],
            cwd=ROOT,
            env={**os.environ, **limits, **variables, "HOST": "127.0.0.1", "PORT": str(port)},
            stdout=output,
            stderr=output,
        )
        try:
            _until_it_answers(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _until_it_answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(f"{url}/health")
        except httpx.TransportError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        else:
            return
