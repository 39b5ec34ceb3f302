"""A person's own cloud, through a running stack and real WebDAV servers: from the connection to its end."""

import asyncio
import json
import secrets
from datetime import datetime
from typing import Any

import pytest

from shared.outbound import UrlGuard
from shared.storage.webdav import WebDAVBackend
from tests.storage.servers.dav_server import PASSWORD, USER
from tests.storage.test_webdav import rclone as rclone
from tests.storage.test_webdav import sabredav as sabredav
from tests.storage.test_webdav import wsgidav as wsgidav
from tests.system.conftest import StartStack
from tests.system.stack import Person, until


@pytest.fixture(params=["wsgidav", "rclone", "sabredav"])
def url(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(request.param)
    return address


async def told(person: Person, wanted: asyncio.Event, jobs: list[dict[str, Any]]) -> None:
    """Collects the jobs that the stream of events tells of, until one is done."""
    async with person.http.stream("GET", "/api/documents/events", timeout=None) as stream:
        wanted.set()
        kind = ""
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == "job":
                jobs.append(json.loads(line.removeprefix("data: ")))
                if jobs[-1]["state"] != "running":
                    return


async def test_a_cloud_is_connected_looked_into_imported_from_lived_in_and_left(start_stack: StartStack, url: str) -> None:
    stack = await start_stack(settings={"ALLOWED_PRIVATE_HOSTS": "127.0.0.1"})
    person = await stack.person()
    box = f"Ablage {secrets.token_hex(4)}"
    cloud = WebDAVBackend(server_url=url, username=USER, password=PASSWORD, guard=UrlGuard(["127.0.0.1"]))
    texts = {f"{box}/Brief {number}.txt": f"Dear heron, this is letter {secrets.token_hex(8)}.\n".encode() for number in range(5)}
    for path, text in texts.items():
        await cloud.put(path, text, content_type="text/plain")

    # connect: a wrong password is said, a right one works; the same account again is the same connection
    account = {"provider": "webdav", "server_url": url, "username": USER, "password": PASSWORD}
    refused = await person.http.post("/api/cloud/connections", json=account | {"password": "wrong"})
    assert (refused.status_code, refused.json()["code"]) == (422, "connection_failed")
    connected = await person.http.post("/api/cloud/connections", json=account | {"name": "Office"})
    assert connected.status_code == 201, connected.text
    connection = connected.json()["id"]
    here = f"/api/cloud/connections/{connection}"
    assert (await person.http.patch(here, json={"name": "At home"})).json()["name"] == "At home"
    again = await person.http.post("/api/cloud/connections", json=account)
    assert (again.json()["id"], again.json()["name"]) == (connection, "At home")
    assert PASSWORD not in connected.text + again.text
    assert (await person.http.post(f"{here}/check")).json()["state"] == "ok"

    # look around, page by page
    names: list[str] = []
    wanted: dict[str, str | int] = {"path": box, "limit": 2}
    while True:
        page = (await person.http.get(f"{here}/files", params=wanted)).json()
        names += [item["path"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        wanted["cursor"] = page["next_cursor"]
    assert names == sorted(texts)
    assert (await person.http.get(f"{here}/files", params={"path": "not there"})).status_code == 404

    # import the folder: told as it goes, searchable afterwards; once more brings nothing new
    listening, jobs = asyncio.Event(), list[dict[str, Any]]()
    listener = asyncio.create_task(told(person, listening, jobs))
    await asyncio.wait_for(listening.wait(), 60)
    assert (await person.http.post(f"{here}/import", json={"paths": [box]})).status_code == 202
    await asyncio.wait_for(listener, 120)
    assert (jobs[-1]["kind"], jobs[-1]["state"], jobs[-1]["done"], jobs[-1]["failed"]) == ("import", "done", len(texts), [])
    word = next(iter(texts.values())).decode().split()[-1].rstrip(".")
    [hit] = await until(lambda: person.search(word), "what was imported is found")
    assert (await person.http.post(f"{here}/import", json={"paths": [box]})).status_code == 202

    async def ended() -> bool:
        return bool((await person.http.get("/api/jobs")).json()["items"][0]["state"] == "done")

    await until(ended, "the second import has ended")
    assert len((await person.http.get("/api/documents")).json()["items"]) == len(texts)

    # new documents live there: uploaded as always, then moved under their human name, fetched with ranges
    chosen = await person.http.put("/api/account/storage", json={"connection_id": connection, "password": person.password})
    assert chosen.json()["storage_connection_id"] == connection, chosen.text
    text = f"Dear heron, this one lives elsewhere: {secrets.token_hex(8)}.\n".encode() * 1000
    document_id = await person.upload("Rechnung März.txt", text, "text/plain")
    document = await person.settled(document_id)

    async def moved() -> bool:
        return bool((await person.document(document_id))["storage"]["connection_id"] == connection)

    await until(moved, "the document is at its home")
    year = datetime.fromisoformat(document["created_at"]).year
    assert await cloud.read(f"DocuVault/{year}/Rechnung März.txt", limit=len(text)) == text
    link = (await person.http.get(f"/api/documents/{document_id}/download")).json()["url"]
    whole = await person.http.get(link)
    assert (whole.status_code, whole.content) == (200, text)
    part = await person.http.get(link, headers={"range": "bytes=7-16"})
    assert (part.status_code, part.content) == (206, text[7:17])

    # what lives there is said before the connection goes; moved back, it may
    in_use = await person.http.delete(here)
    assert (in_use.status_code, in_use.json()["code"]) == (409, "connection_in_use")
    assert (await person.http.post(f"/api/documents/{document_id}/move", json={"connection_id": None})).status_code == 202

    async def back() -> bool:
        return (await person.document(document_id))["storage"]["connection_id"] is None

    await until(back, "the document is back")
    fetched = await person.store.get((await person.http.get(f"/api/documents/{document_id}/download")).json()["url"])
    assert fetched.content == text

    # a folder is watched, and no longer
    watched = await person.http.post(f"{here}/watched-folders", json={"path": box})
    assert watched.status_code == 201, watched.text
    assert (await person.http.get(f"{here}/watched-folders")).json()["items"][0]["path"] == box
    assert (await person.http.delete(f"{here}/watched-folders/{watched.json()['id']}")).status_code == 204

    assert (await person.http.delete(here)).status_code == 204
    assert (await person.http.get("/api/account")).json()["storage_connection_id"] is None
    assert await cloud.read(next(iter(texts)), limit=1000) == next(iter(texts.values())), "what is there stays there"
    assert (await person.document(hit["id"]))["status"] in ("stored", "extracted", "ready")
    await cloud.close()
    await person.close()
