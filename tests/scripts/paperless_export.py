"""An export as paperless-ngx's `document_exporter` writes it (src/documents/management/commands/document_exporter.py there).

`manifest.json` is a list of Django-serialized models, correspondents and tags first, documents last, each document with the names of its
files. `split` puts a document, its notes and custom fields into `<name>-manifest.json` (-sm), `prefix` files into folders by kind (-p).
"""

import json
from pathlib import Path
from typing import Any

PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj
4 0 obj<</Length 60>>stream
BT /F1 24 Tf 20 200 Td (The heron was archived here) Tj ET  
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R>>
"""
LETTER = b"Dear heron,\nthe waterworks send their invoice.\n"


def _record(model: str, pk: int, **fields: Any) -> dict[str, Any]:
    return {"model": f"documents.{model}", "pk": pk, "fields": fields}


def _document(pk: int, title: str, created: str, mime_type: str, original_filename: str, **more: Any) -> dict[str, Any]:
    fields = {
        "correspondent": None,
        "storage_path": None,
        "title": title,
        "document_type": None,
        "content": "What was read.",
        "mime_type": mime_type,
        "checksum": "9c9691e51741c1f4f41a20896af31770",
        "archive_checksum": None,
        "page_count": 1,
        "created": created,
        "modified": "2025-02-01T10:00:00Z",
        "storage_type": "unencrypted",
        "added": "2025-02-01T10:00:00Z",
        "filename": f"{pk:07}.txt",
        "archive_filename": None,
        "original_filename": original_filename,
        "archive_serial_number": None,
        "owner": 2,
        "tags": [],
    } | more
    return _record("document", pk, **fields)


def write(folder: Path, *, split: bool = False, prefix: bool = False, more: int = 0) -> Path:
    """The export: two letters, a document of a type that a vault cannot read, with an archived PDF, and `more` reminders."""
    folder.mkdir(parents=True, exist_ok=True)
    documents: dict[str, tuple[dict[str, Any], bytes]] = {
        "2024-03-05 Waterworks Invoice.txt": (
            _document(
                1, "Invoice", "2024-03-05", "text/plain", "scan_0001.txt",
                correspondent=1, document_type=1, storage_path=1, archive_serial_number=42, tags=[1, 2],
            ),
            LETTER,
        ),
        "2023-12-31 Party.txt": (
            _document(2, "Party", "2023-12-31T23:30:00+01:00", "text/plain", "party.txt", tags=[2]),
            b"Come to our party, stork.\n",
        ),
        "2022-01-01 Drawing.dwg": (
            _document(3, "Drawing", "2022-01-01", "image/vnd.dwg", "house.dwg", tags=[1], archive_filename="0000003.pdf"),
            b"AC1032 a drawing",
        ),
    }  # fmt: skip
    for number in range(more):
        record = _document(
            100 + number, f"Reminder {number}", "2024-04-01", "text/plain", "reminder.txt", correspondent=1, tags=[1]
        )  # fmt: skip
        documents[f"2024-04-01 Waterworks Reminder_{number:02}.txt"] = (record, f"Dear heron, this is reminder {number}.\n".encode())
    shared = [
        _record("correspondent", 1, name="Waterworks Hamburg", match="", matching_algorithm=1, is_insensitive=True, owner=2),
        _record("tag", 1, name="Water", color="#a6cee3", match="", matching_algorithm=1, is_inbox_tag=False, owner=2),
        _record("tag", 2, name="Inbox", color="#ff0000", match="", matching_algorithm=1, is_inbox_tag=True, owner=2),
        _record("documenttype", 1, name="Invoice", match="", matching_algorithm=1, owner=2),
        _record("storagepath", 1, name="By year", path="{created_year}/{title}", owner=2),
        {"model": "auth.user", "pk": 2, "fields": {"username": "ada", "password": "pbkdf2_sha256$x", "groups": []}},
        _record("customfield", 1, name="Amount", data_type="monetary", created="2024-01-01T00:00:00Z", extra_data=None),
        _record("customfield", 2, name="State", data_type="select", extra_data={"select_options": [{"id": "r4yu", "label": "Paid"}]}),
        _record("customfield", 3, name="Kind", data_type="select", extra_data={"select_options": ["Private", "Business"]}),
    ]
    belonging = [
        _record("customfieldinstance", 1, field=1, document=1, value_text=None, value_monetary="EUR12.50", value_document_ids=None),
        _record("customfieldinstance", 2, field=2, document=1, value_text=None, value_select="r4yu"),
        _record("customfieldinstance", 3, field=3, document=1, value_text=None, value_select=1),
        _record("note", 1, note="Paid by hand.", created="2024-03-06T08:00:00Z", document=1, user=2),
        _record("note", 2, note="Second reminder.", created="2024-03-07T08:00:00Z", document=1, user=2),
    ]
    for base, (record, content) in documents.items():
        original = f"originals/{base}" if prefix else base
        record["__exported_file_name__"] = original
        record["__exported_thumbnail_name__"] = f"thumbnails/{base}-thumbnail.webp" if prefix else f"{base}-thumbnail.webp"
        files = {original: content, record["__exported_thumbnail_name__"]: b"RIFF"}
        if record["fields"]["archive_filename"]:
            record["__exported_archive_name__"] = f"archive/{base}-archive.pdf" if prefix else f"{base}-archive.pdf"
            files[record["__exported_archive_name__"]] = PDF
        if split:
            own = [one for one in belonging if one["fields"]["document"] == record["pk"]]
            name = f"json/{base}-manifest.json" if prefix else f"{base}-manifest.json"
            files[name] = json.dumps([record, *own], indent=2, ensure_ascii=False).encode()
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    whole = shared if split else [*shared, *belonging, *(record for record, _ in documents.values())]
    (folder / "manifest.json").write_text(json.dumps(whole, indent=2, ensure_ascii=False))
    (folder / "metadata.json").write_text(json.dumps({"version": "2.14.7"}))
    return folder
