"""`scripts/import` against a running stack: what paperless-ngx and our own archive hold arrives, and twice is as once."""

import asyncio
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

from tests.scripts import paperless_export
from tests.system.conftest import StartStack
from tests.system.stack import ROOT, Person, Stack

SCOPES = ["documents:read", "documents:write", "topics:read", "topics:write"]


def environ(stack: Stack, token: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DOCUVAULT_URL": stack.url, "DOCUVAULT_TOKEN": token}


async def bring_in(stack: Stack, token: str, *arguments: str) -> tuple[int, str]:
    """Exit status and output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.importing", *arguments, cwd=ROOT, env=environ(stack, token),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    assert token not in output
    assert process.returncode is not None
    return process.returncode, output


async def token_of(person: Person) -> str:
    answer = await person.http.post("/api/auth/tokens", json={"name": "import", "scopes": SCOPES})
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


async def documents(person: Person) -> dict[str, dict[str, Any]]:
    """By title."""
    return {item["title"]: item for item in (await person.http.get("/api/documents")).json()["items"]}


async def test_paperless_moves_in_and_out_and_in_again(start_stack: StartStack, tmp_path: Path) -> None:
    stack = await start_stack()
    ada, bob = await stack.person(), await stack.person()
    export = paperless_export.write(tmp_path / "export", split=True, prefix=True)
    token = await token_of(ada)
    status, output = await bring_in(stack, token, str(export), "--report", str(tmp_path / "report.jsonl"))
    assert status == 0, output
    assert "3 uploaded, 0 resumed, 0 there already, 0 skipped, 0 failed" in output
    there = await documents(ada)
    assert there.keys() == {"Invoice", "Party", "Drawing"}
    invoice = await ada.settled(there["Invoice"]["id"])
    assert (invoice["filename"], invoice["issued_on"], invoice["sender"]["name"]) == ("scan_0001.txt", "2024-03-05", "Waterworks Hamburg")
    assert {topic["name"] for topic in invoice["topics"]} >= {"Water", "Inbox", "Invoice"}
    assert invoice["notes"].startswith("Paid by hand.")
    assert there["Drawing"]["filename"] == "house.pdf", "the archived PDF, since nothing reads the original"
    assert (await ada.download(invoice["id"])).content == paperless_export.LETTER
    for _ in range(2):
        status, output = await bring_in(stack, token, str(export))
        assert (status, "0 uploaded, 0 resumed, 3 there already" in output) == (0, True), output
    assert len(await documents(ada)) == 3
    assert len([json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]) == 3

    for document in there.values():
        await ada.settled(document["id"])
    link = (await ada.http.post("/api/documents/archive", json={})).json()["url"]
    archive = tmp_path / "docuvault.zip"
    archive.write_bytes((await ada.http.get(link)).content)
    status, output = await bring_in(stack, await token_of(bob), str(archive))
    assert status == 0, output
    again = await documents(bob)
    kept = ("title", "filename", "issued_on", "notes", "sha256", "content_type")
    assert {title: [item[name] for name in kept] for title, item in again.items()} == {
        title: [item[name] for name in kept] for title, item in (await documents(ada)).items()
    }
    assert {topic["name"] for topic in again["Invoice"]["topics"]} >= {"Water", "Inbox", "Invoice"}
    await ada.close()
    await bob.close()


async def test_an_import_that_is_killed_goes_on_and_doubles_nothing(start_stack: StartStack, tmp_path: Path) -> None:
    stack = await start_stack()
    person = await stack.person()
    export, token = paperless_export.write(tmp_path / "export", split=True, prefix=True, more=40), await token_of(person)
    for lines in (3, 11):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scripts.importing", str(export), cwd=ROOT, env=environ(stack, token),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        for _ in range(lines):
            assert b" of at most " in await process.stdout.readline()
        process.kill()
        await process.wait()
    status, output = await bring_in(stack, token, str(export))
    assert status == 0, output
    assert "0 skipped, 0 failed" in output
    items = (await person.http.get("/api/documents", params={"limit": 200})).json()["items"]
    uploading = (await person.http.get("/api/documents", params={"status": "uploading"})).json()["items"]
    assert (len(items), len({item["sha256"] for item in items}), uploading) == (43, 43, [])
    reminders = [item for item in items if item["title"].startswith("Reminder")]
    assert len(reminders) == 40
    assert {(item["sender"]["name"], item["issued_on"]) for item in reminders} == {("Waterworks Hamburg", "2024-04-01")}
    assert all("Water" in {topic["name"] for topic in item["topics"]} for item in reminders)
    topics = [topic["name"] for topic in (await person.http.get("/api/topics")).json()["items"]]
    senders = [sender["name"] for sender in (await person.http.get("/api/senders")).json()["items"]]
    assert sorted(topics) == ["Inbox", "Invoice", "Water"]
    assert senders == ["Waterworks Hamburg"]
    await person.close()


async def test_plain_files_arrive_and_what_cannot_is_told(start_stack: StartStack, tmp_path: Path) -> None:
    stack = await start_stack()
    person = await stack.person()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Taxes/2024/a.txt", "Dear heron")
        archive.writestr("Taxes/b.exe", b"MZ\0\0")
        archive.writestr("empty.txt", b"")
        archive.writestr("../out.txt", b"out")
    path = tmp_path / "files.zip"
    path.write_bytes(packed.getvalue())
    token = await token_of(person)
    status, output = await bring_in(stack, token, str(path), "--topics-from-folders")
    assert status == 1
    assert "1 uploaded, 0 resumed, 0 there already, 1 skipped, 2 failed" in output, output
    assert "unsupported_type" in output
    assert "empty_document" in output
    [document] = (await person.http.get("/api/documents")).json()["items"]
    assert "Taxes / 2024" in {topic["name"] for topic in document["topics"]}
    status, output = await bring_in(stack, "dvt_" + "a" * 49, str(path))
    assert (status, "unauthenticated" in output) == (1, True)
    assert (await bring_in(stack, token, str(tmp_path / "nowhere.zip")))[0] == 2
    await person.close()
