"""The manifests' environments are enough: a vault of processes that have nothing else does its work, one process a function."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.functions import event_functions, http_functions
from infra.knative.manifests import BROKER_GROUPS, GATEWAY_GROUPS, service
from shared.clock import now
from shared.config import GROUPS, read_settings
from shared.events.catalogue import Tick
from shared.events.signing import request_for
from shared.faas.declarations import EndpointDeclaration, EventDeclaration
from shared.ids import new_id
from tests.infra.knative.cluster import Cluster
from tests.services import Services, random_keys

PATIENCE_SECONDS = 90
REFUSED = "was not given to this process"
"""What a process says that reads a setting of a group it has not (shared/config.py)."""
TEXT = b"Invoice of the Heliotrope Power Company for the reading room, due in March."


@pytest.fixture
async def cluster(start_services: Callable[..., Awaitable[Services]], tmp_path: Path) -> AsyncIterator[Cluster]:
    own = await start_services(notify=True)
    (tmp_path / "cluster").mkdir()
    admin = {"ADMIN_EMAIL": "admin@example.org", "ADMIN_PASSWORD": secrets.token_hex(12)}
    keys = random_keys() | {"HIBP_URL": "", "DEFAULT_AI_PROVIDER": "local", "DATABASE_POOL_SIZE": "2"}
    started = Cluster(tmp_path / "cluster", own.environ() | keys | admin)
    yield started
    await started.stop()


async def _until(what: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (result := await what()):
            await asyncio.sleep(0.1)
        return result


async def test_a_document_is_read_filed_and_found_by_functions_that_have_only_what_they_need(cluster: Cluster) -> None:
    url = await cluster.start()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client, httpx.AsyncClient() as store:
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert (await client.get(path)).status_code == 200
        account = {"email": "reader@example.org", "password": "a long enough password"}
        assert (await client.post("/api/auth/register", json=account)).status_code == 202
        signed_in = await client.post("/api/auth/login", json=account)
        client.headers["authorization"] = f"Bearer {signed_in.json()['access_token']}"
        reserved = await client.post("/api/documents", json={"filename": "power.txt", "size": len(TEXT), "content_type": "text/plain"})
        assert reserved.status_code == 201, reserved.text
        document, upload = reserved.json()["document"], reserved.json()["upload"]
        assert (await store.put(upload["url"], headers=upload["headers"], content=TEXT)).status_code == 200

        async def is_ready() -> bool:
            return bool((await client.get(f"/api/documents/{document['id']}")).json()["status"] == "ready")

        await _until(is_ready)
        hits = (await client.get("/api/documents", params={"q": "heliotrope"})).json()["items"]
        assert [hit["id"] for hit in hits] == [document["id"]]
        download = (await client.get(f"/api/documents/{document['id']}/download")).json()["url"]
        assert (await store.get(download)).content == TEXT

        assert (await client.post("/api/auth/password/forgot", json={"email": account["email"]})).status_code == 202
        link = await _until(lambda: _reset_link(cluster))
        changed = await client.post("/api/auth/password/reset", json={"token": link, "new_password": "another long password"})
        assert changed.status_code == 204, changed.text
        # The first admin, whom the broker made.
        admin = {"email": cluster.settings["ADMIN_EMAIL"], "password": cluster.settings["ADMIN_PASSWORD"]}
        assert (await client.post("/api/auth/login", json=admin)).status_code == 200
    assert (cluster.folder / "heartbeat").exists(), "or the brokers' pods would never be ready"
    woken = {"object-created", "extract-document", "classify-document", "ask-ai-provider", "send-email"}
    assert woken - {"ask-ai-provider"} <= cluster.started.keys()
    for name in (*cluster.started, "gateway", "broker"):
        assert REFUSED not in cluster.log(name), name
        for log in re.findall(r".*Traceback.*", cluster.log(name)):
            pytest.fail(f"{name}: {log}")


async def _reset_link(cluster: Cluster) -> str | None:
    found = re.search(r"reset-password\?token=([\w-]+)", cluster.log("send-email"))
    return found[1] if found else None


async def test_every_schedule_runs_with_its_environment_alone(cluster: Cluster) -> None:
    await cluster.start()
    key = read_settings(cluster.settings).secret_key
    async with httpx.AsyncClient(timeout=120) as client:

        async def tick(name: str, service_name: str) -> tuple[str, int, str]:
            event = Tick(name=name, tick=now())
            headers, body = request_for(
                event_id=new_id(),
                type=event.type,
                owner_id=None,
                subject=event.subject,
                data=event.data(),
                time=now(),
                secrets=key,
                now=now(),
            )
            response = await client.post(cluster.template.replace("{service}", service_name), headers=headers, content=body)
            return name, response.status_code, response.text

        scheduled = [declaration for declaration in event_functions() if declaration.schedule]
        results = [await tick(declaration.name, declaration.service) for declaration in scheduled]
    assert [result for result in results if result[1] != 200] == []


def _given(name: str) -> set[str]:
    declared: list[EndpointDeclaration | EventDeclaration] = [*http_functions(), *event_functions()]
    declaration = next(each for each in declared if each.name == name)
    return _groups(service(declaration))


def _groups(manifest: dict[str, Any]) -> set[str]:
    (variable,) = (each for each in manifest["spec"]["template"]["spec"]["containers"][0]["env"] if each["name"] == "SETTINGS_GROUPS")
    return set(variable["value"].split(","))


def test_the_callers_of_functions_hold_no_key_of_the_store_nor_of_the_mails() -> None:
    assert {"keys", "metrics"} == GATEWAY_GROUPS
    assert not {"store", "mail", "sealing", "google", "onedrive", "ai", "migrations"} & BROKER_GROUPS


def test_who_sends_mails_has_no_key_of_the_store_and_who_reads_documents_none_of_the_mails() -> None:
    assert _given("send_email") == {"database", "keys", "mail", "sealing"}
    assert "mail" not in _given("extract_document")
    assert _given("object_created") == {"bucket", "database", "keys", "store"}


def test_the_public_pages_know_where_the_store_is_and_have_no_key_to_it() -> None:
    assert _given("console") == {"bucket", "keys", "redis"}


def test_a_manifest_refers_to_the_secrets_of_its_groups_and_no_others() -> None:
    for declaration in event_functions():
        manifest = service(declaration)
        sources = manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"]
        secret_names = {source["secretRef"]["name"] for source in sources if "secretRef" in source}
        assert secret_names == {f"docuvault-{group}" for group in _groups(manifest)}
        assert _groups(manifest) <= GROUPS.keys()
