"""What people and attackers send, through the whole of HTTP, store, worker and back: taken as it should be, or refused with a reason."""

import hashlib
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx

from shared.documents import filenames
from tests.extraction.made_documents import docx, line, paragraph, pdf, pdf_of_pages, png_header
from tests.system.conftest import StartStack
from tests.system.stack import ROOT, Stack

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ENCRYPTED = ROOT / "tests" / "extraction" / "documents" / "encrypted.pdf"
MIB = 2**20

NAMES = {
    "folders": ("../../../etc/pass heron.txt", "pass heron.txt"),
    "folders of Windows": ("..\\..\\boot heron.txt", "boot heron.txt"),
    "NUL": ("nul\0 heron.txt", "nul heron.txt"),
    "300 characters": ("long heron " + "x" * 285 + ".txt", "long heron " + "x" * 240 + ".txt"),
    "right to left": ("\u202egnp.heron \u2067x\u200f.txt", "gnp.heron x.txt"),
    "emoji": ("\U0001f469\u200d\U0001f467 heron \U0001f4c4.txt", "\U0001f469\u200d\U0001f467 heron \U0001f4c4.txt"),
    "header": ('a"; heron\r\nX-Evil: 1%0d%0a.txt', 'a"; heron X-Evil: 1%0d%0a.txt'),
}
"""What is sent, and what becomes of it."""

FORM = {"content-type": "multipart/form-data; boundary=b"}


def form(content: bytes, filename: str = "a.txt") -> bytes:
    """A form with one file, as browsers write it (HTML standard, multipart/form-data encoding: three characters escaped, no more)."""
    written = filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{written}"\r\nContent-Type: text/plain\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n"


async def test_any_filename_arrives_clean_and_comes_back_with_the_download(stack: Stack) -> None:
    person = await stack.person()
    ids: dict[str, str] = {}
    for what, (sent, _) in NAMES.items():
        ids[what] = await person.upload(sent, f"a text about {what}".encode(), "text/plain")
    for what, (_, kept) in NAMES.items():
        document = await person.settled(ids[what])
        assert (document["status"], document["filename"]) == ("ready", kept), what
        downloaded = await person.download(ids[what])
        assert downloaded.content == f"a text about {what}".encode()
        assert downloaded.headers["content-disposition"] == filenames.content_disposition("attachment", kept)
        assert "x-evil" not in downloaded.headers
    found = await person.http.get("/api/documents", params={"q": "heron", "limit": 50})
    assert {item["id"]: item["filename"] for item in found.json()["items"]} == {ids[what]: kept for what, (_, kept) in NAMES.items()}
    async with stack.database() as database, database.system() as tx:
        keys = await tx.fetch_value("SELECT array_agg(object_key) FROM documents")
    assert all(key.count("/") == 2 and key.isascii() and key.endswith(".txt") for key in keys)
    await person.close()


async def test_a_form_s_filename_is_cleaned_the_same_way(stack: Stack) -> None:
    person = await stack.person()
    for what, (sent, kept) in NAMES.items():
        answer = await person.http.post("/api/documents/upload", content=form(f"a form about {what}".encode(), sent), headers=FORM)
        assert answer.status_code == 201, (what, answer.text)
        assert answer.json()["filename"] == kept
        assert (await person.settled(answer.json()["id"]))["status"] == "ready"
    await person.close()


async def test_no_document_is_larger_than_may_be_however_it_is_sent(start_stack: StartStack, store: str) -> None:
    stack = await start_stack(store=store, settings={"MAX_DOCUMENT_SIZE": "4 MiB"})
    person = await stack.person()

    async def told(content: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(content), 2**16):
            yield content[start : start + 2**16]

    declared = {"filename": "a.txt", "size": 4 * MIB + 1, "content_type": "text/plain"}
    refused = await person.http.post("/api/documents", json=declared)
    assert (refused.status_code, refused.json()["code"]) == (413, "document_too_large")
    empty = await person.http.post("/api/documents", json=declared | {"size": 0})
    assert (empty.status_code, empty.json()["code"]) == (422, "empty_document")

    for content, status in ((bytes(4 * MIB + 1), 413), (b"", 422)):
        for sent in (form(content), told(form(content))):  # with its Content-Length, and in chunks that tell nothing beforehand
            answer = await person.http.post("/api/documents/upload", content=sent, headers=FORM)
            assert answer.status_code == status, answer.text
    for sent in (form(bytes(7 * MIB)), told(form(bytes(7 * MIB)))):
        with suppress(httpx.TransportError):  # so much more than is wanted is not waited for: the connection may be closed on it
            answer = await person.http.post("/api/documents/upload", content=sent, headers=FORM)
            assert answer.status_code == 413
    usage = await person.usage()
    assert (usage["bytes_used"], usage["bytes_reserved"], usage["documents"]) == (0, 0, 0)

    whole = form((b"egret " * MIB)[: 4 * MIB])
    as_large_as_may_be = await person.http.post("/api/documents/upload", content=whole, headers=FORM)
    assert (as_large_as_may_be.status_code, as_large_as_may_be.json()["size"]) == (201, 4 * MIB)
    largest = await person.http.post("/api/documents/upload", content=told(form((b"heron " * MIB)[: 4 * MIB])), headers=FORM)
    assert (largest.status_code, largest.json()["size"]) == (201, 4 * MIB)
    assert (await person.settled(largest.json()["id"]))["status"] == "ready"
    await person.close()


async def test_hostile_documents_end_with_a_reason_and_take_nobody_along(stack: Stack) -> None:
    person = await stack.person()
    worker = stack.process_id("worker")
    inflated = zlib.compress(bytes(50 * MIB), 9)
    picture = (
        b"<</Type/XObject/Subtype/Image/Width 50000/Height 50000/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/FlateDecode/Length %d>>"
    )
    hostile = {
        "bomb.docx": (docx(paragraph("A" * 300_000_000)), DOCX, "document_too_complex"),
        "huge.png": (png_header(50_000, 50_000), "image/png", "document_too_complex"),
        "encrypted.pdf": (ENCRYPTED.read_bytes(), "application/pdf", "document_encrypted"),
        "program.pdf": (b"\x7fELF" + bytes(range(256)) * 4, "application/pdf", "unsupported_type"),
        "pages.pdf": (pdf_of_pages(100_000, line("The same on every page.")), "application/pdf", None),
        "nul.txt": (b"An ordinary letter with many words " * 20 + b"\0 and a NUL\0.", "text/plain", None),
        "scan.pdf": (
            pdf(
                [b"q 500 0 0 500 40 40 cm /I Do Q"],
                more_objects=(picture % len(inflated) + b"stream\n" + inflated + b"\nendstream",),
                resources=b"/XObject<</I 4 0 R>>",
            ),
            "application/pdf",
            None,
        ),
    }
    ids = {name: await person.upload(name, content, kind) for name, (content, kind, _) in hostile.items()}
    harmless = await person.upload("letter.txt", b"a harmless letter about a heron", "text/plain")
    assert (await person.settled(harmless))["status"] == "ready"
    for name, (content, _, code) in hostile.items():
        document = await person.settled(ids[name])
        if code is None:
            assert (document["status"], document["error"]) == ("ready", None), name
        else:
            assert (document["status"], document["error"]["step"], document["error"]["code"]) == ("failed", "extract", code), name
            assert document["error"]["detail"].endswith(".")
            assert [hit["id"] for hit in await person.search(Path(name).stem)] == [ids[name]], "it is found by its name"
        assert (await person.download(ids[name])).content == content, "the original is safe"
    assert (await person.document(ids["pages.pdf"]))["page_count"] == 100_000
    [page] = (await person.http.get(f"/api/documents/{ids['nul.txt']}/text")).json()["pages"]
    assert page["text"].endswith("and a NUL.")
    assert stack.process_id("worker") == worker, "it goes on"
    await person.close()


async def test_a_signed_upload_takes_only_the_bytes_of_its_hash(stack: Stack) -> None:
    person = await stack.person()
    content = b"these very bytes, and no others\n"
    reserved = await person.reserve("exact.txt", content, "text/plain", sha256=hashlib.sha256(content).hexdigest())
    assert (await person.put(reserved["upload"], content[::-1])).status_code in (400, 403)
    without = {name: value for name, value in reserved["upload"]["headers"].items() if "checksum" not in name}
    assert (await person.put(reserved["upload"] | {"headers": without}, content)).status_code in (400, 403)
    assert (await person.document(reserved["document"]["id"]))["status"] == "uploading"
    assert (await person.put(reserved["upload"], content)).status_code == 200
    assert (await person.settled(reserved["document"]["id"]))["status"] == "ready"
    await person.close()
