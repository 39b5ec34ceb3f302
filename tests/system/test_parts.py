"""Uploads in parts, on the embedded store and on the real MinIO, boto3 looking on: in any order, incomplete, and back after a day."""

import hashlib
from typing import Any

import httpx

from tests.system.stack import Person, Stack

MIB = 2**20
PART = 16 * MIB
CONTENT = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() * (MIB // 32) for number in range(65)) + b"the end"
COUNT = 5


async def put_part(person: Person, document_id: str, number: int, content: bytes) -> httpx.Response:
    """As a browser does, with a URL that is freshly signed."""
    signed = await person.http.post(f"/api/documents/{document_id}/upload/parts", json={"numbers": [number]})
    assert signed.status_code == 200, signed.text
    [part] = signed.json()["items"]
    return await person.store.put(part["url"], content=content, headers=part["headers"])


def piece(number: int) -> bytes:
    return CONTENT[(number - 1) * PART : number * PART]


async def test_parts_out_of_order_twice_missing_and_too_small(stack: Stack) -> None:
    person, bucket = await stack.person(), stack.bucket()
    reserved = await person.reserve("large.txt", CONTENT, "text/plain")
    document_id, upload = reserved["document"]["id"], reserved["upload"]
    assert (upload["method"], upload["part_size"], upload["part_count"]) == ("multipart", PART, COUNT)
    async with stack.database() as database, database.system() as tx:
        key: str = await tx.fetch_value("SELECT object_key FROM documents WHERE id = %s", (document_id,))
        upload_id: str = await tx.fetch_value("SELECT upload_id FROM documents WHERE id = %s", (document_id,))
    names: dict[str, Any] = {"Bucket": stack.services.store.bucket, "Key": key, "UploadId": upload_id}

    async def complete(**body: Any) -> httpx.Response:
        return await person.http.post(f"/api/documents/{document_id}/complete", json=body)

    for number in (5, 3, 1):
        assert (await put_part(person, document_id, number, piece(number))).status_code == 200
    missing = await complete()
    assert (missing.status_code, missing.json()["code"]) == (409, "upload_incomplete")
    assert "Part 2 of 5" in missing.json()["detail"]

    short = await put_part(person, document_id, 2, piece(2)[:MIB])
    assert short.status_code in (400, 403), "the URL takes a part of exactly its size"
    bucket.upload_part(**names, PartNumber=2, Body=piece(2)[:MIB])  # by whoever has a key of the store's
    assert (await put_part(person, document_id, 4, piece(4))).status_code == 200
    small = await complete()
    assert (small.status_code, small.json()["code"]) == (409, "upload_incomplete")
    assert f"Part 2 has {MIB} bytes instead of {PART}" in small.json()["detail"]

    other = await put_part(person, document_id, 2, bytes(PART))
    again = await put_part(person, document_id, 2, piece(2))
    assert (other.status_code, again.status_code) == (200, 200)
    etags = {part["PartNumber"]: part["ETag"] for part in bucket.list_parts(**names)["Parts"]} | {2: again.headers["etag"]}
    assert etags.keys() == set(range(1, COUNT + 1))
    parts = [{"number": number, "etag": etag} for number, etag in etags.items()]
    stale = await complete(parts=[*parts[:-1], {"number": COUNT, "etag": '"0123456789abcdef0123456789abcdef"'}])
    assert (stale.status_code, stale.json()["code"]) == (409, "upload_incomplete")
    done = await complete(parts=parts[::-1])
    assert (done.status_code, done.json()["size"]) == (202, len(CONTENT)), done.text
    assert (await complete()).status_code == 202, "again changes nothing"
    digest = hashlib.sha256()
    for chunk in bucket.get_object(Bucket=names["Bucket"], Key=key)["Body"].iter_chunks(MIB):
        digest.update(chunk)
    assert digest.digest() == hashlib.sha256(CONTENT).digest()
    assert bucket.list_multipart_uploads(Bucket=names["Bucket"]).get("Uploads", []) == []
    await person.close()


async def test_a_client_that_was_away_for_a_day_goes_on_with_what_is_missing(stack: Stack) -> None:
    person = await stack.person()
    document_id = (await person.reserve("large.txt", CONTENT, "text/plain"))["document"]["id"]
    for number in (1, 4):
        assert (await put_part(person, document_id, number, piece(number))).status_code == 200
    async with stack.database() as database, database.system() as tx:
        await tx.execute("UPDATE documents SET upload_expires_at = now() + interval '1 second' WHERE id = %s", (document_id,))
    resumed = (await person.http.get(f"/api/documents/{document_id}/upload")).json()
    assert [(part["number"], part["size"]) for part in resumed["parts"]] == [(1, PART), (4, PART)]
    async with stack.database() as database, database.system() as tx:
        assert await tx.fetch_value("SELECT upload_expires_at > now() + interval '23 hours' FROM documents WHERE id = %s", (document_id,))
    for number in (2, 3, 5):
        assert (await put_part(person, document_id, number, piece(number))).status_code == 200
    done = await person.http.post(f"/api/documents/{document_id}/complete", json={})
    assert (done.status_code, done.json()["size"]) == (202, len(CONTENT)), done.text
    await person.close()
