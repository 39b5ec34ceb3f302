"""The main job, end to end: from a file to a search hit, on the embedded store and on the real MinIO."""

import httpx

from tests.system.stack import ROOT, Stack, until

SAMPLES = ROOT / "scripts" / "samples"


def sample(suffix: str) -> tuple[str, bytes]:
    """A sample document by its file name's ending."""
    path = next(path for path in sorted(SAMPLES.iterdir()) if path.name.endswith(suffix) and "corrupt" not in path.name)
    return path.name, path.read_bytes()


async def test_a_put_alone_makes_a_document_searchable(stack: Stack) -> None:
    person = await stack.person()
    text = b"The heron landed beside the quarterly invoice of the waterworks.\n"
    document_id = await person.upload("heron.txt", text, "text/plain")
    document = await person.settled(document_id)
    assert document["status"] == "ready"
    [hit] = await person.search("heron invoice")
    assert hit["id"] == document_id
    assert "<mark>heron</mark>" in hit["snippet"]
    async with stack.database() as database:

        async def woken() -> bool:
            async with database.system() as tx:
                state = await tx.fetch_value(
                    """
                    SELECT state FROM deliveries JOIN events ON events.id = event_id
                    WHERE function = 'object_created' AND type = 's3:ObjectCreated:Put' AND subject LIKE '%%/' || %(id)s || '/%%'
                    """,
                    {"id": document_id},
                )
            return bool(state == "done")

        await until(woken, "the broker writes that the store's own notification did it, not the reconciler")
    await person.close()


async def test_the_samples_become_searchable_and_the_corrupt_one_says_why(stack: Stack) -> None:
    person = await stack.person()
    types = {
        ".pdf": "application/pdf",
        ".png": "image/png",
        ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".ods": "application/vnd.oasis.opendocument.spreadsheet",
        ".html": "text/html",
        ".eml": "message/rfc822",
        ".txt": "text/plain",
    }
    paths = [path for path in sorted(SAMPLES.iterdir()) if path.suffix in types]
    assert len(paths) >= 8
    ids = {path: await person.upload(path.name, path.read_bytes(), types[path.suffix]) for path in paths}
    for path, document_id in ids.items():
        document = await person.settled(document_id)
        if "corrupt" in path.name:
            assert document["status"] == "failed"
            assert document["error"]["detail"]
            download = (await person.http.get(f"/api/documents/{document_id}/download")).json()
            async with httpx.AsyncClient(timeout=60) as browser:
                assert (await browser.get(download["url"])).content == path.read_bytes()
        else:
            assert document["status"] == "ready", (path.name, document["error"])
            pages = (await person.http.get(f"/api/documents/{document_id}/text")).json()["pages"]
            assert any(page["text"].strip() for page in pages), path.name
    await person.close()


async def test_the_stream_tells_each_step_as_it_happens(stack: Stack) -> None:
    person = await stack.person()
    seen: list[str] = []
    async with person.http.stream("GET", "/api/documents/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        document_id = await person.upload("note.txt", b"a note about herons", "text/plain")
        async for line in events.aiter_lines():
            if line.startswith("data:") and document_id in line:
                seen.append(next(status for status in ("uploading", "stored", "extracted", "ready") if f'"status":"{status}"' in line))
                if seen[-1] == "ready":
                    break
    assert seen[-1] == "ready"
    assert seen == sorted(seen, key=["uploading", "stored", "extracted", "ready"].index)
    await person.close()


async def test_nobody_finds_or_reads_what_is_another_persons(stack: Stack) -> None:
    ada, eve = await stack.person(), await stack.person()
    document_id = await ada.upload("secret.txt", b"the combination is heron heron stork", "text/plain")
    await ada.settled(document_id)
    assert await eve.search("heron") == []
    for path in ("", "/text", "/download", "/thumbnail", "/history"):
        assert (await eve.http.get(f"/api/documents/{document_id}{path}")).status_code == 404
    assert (await eve.http.delete(f"/api/documents/{document_id}")).status_code == 404
    await ada.close()
    await eve.close()


async def test_every_step_stands_in_the_history_once(stack: Stack) -> None:
    person = await stack.person()
    document_id = await person.upload("note.txt", b"a note about storks", "text/plain", complete=True)
    await person.settled(document_id)

    async def steps() -> list[str]:
        return [item["step"] for item in (await person.http.get(f"/api/documents/{document_id}/history")).json()["items"]]

    found = await steps()
    assert len(found) == len(set(found))
    assert {"extract", "classify"} <= set(found)
    await person.close()
