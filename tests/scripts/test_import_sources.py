"""What an import finds in a source, and that a hostile one neither leads out of it nor costs more than it should."""

import io
import json
import os
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts import import_sources, importing
from scripts.import_sources import ImportItem, SkippedItem, Unusable
from scripts.vault_client import VaultClient
from tests.scripts import paperless_export

LINE: dict[str, Any] = {
    "filename": "Brief_.txt", "original_filename": "Brief?.txt", "title": "Brief", "notes": None, "issued_on": "2024-03-05",
    "sender": {"id": "1", "name": "Waterworks"}, "topics": [{"id": "2", "name": "Water"}],
    "ai_policy": "never", "content_type": "text/plain",
    "trashed_at": None, "archive_error": None, "earlier_versions": [],
}  # fmt: skip


def found(path: Path, **more: bool) -> tuple[list[ImportItem], dict[str, str]]:
    """The documents, and what is left out with its reason."""
    with import_sources.opened(path) as source:
        every = list(import_sources.items(source, **more))
        items = [item for item in every if isinstance(item, ImportItem)]
        for item in items:
            with source.file(item.entry) as content:
                assert content.read() is not None
    return items, {item.entry: item.reason for item in every if isinstance(item, SkippedItem)}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_an_export_of_paperless_keeps_what_was_known(tmp_path: Path, split: bool, prefix: bool, packed: bool) -> None:
    export = paperless_export.write(tmp_path / "export", split=split, prefix=prefix)
    if packed:
        export = Path(shutil.make_archive(str(tmp_path / "export-2025-02-01"), "zip", export))
    items, skipped = found(export)
    assert skipped == {}
    invoice, party, drawing = sorted(items, key=lambda item: str(item.details["issued_on"]), reverse=True)
    assert invoice.filename == "scan_0001.txt"
    assert invoice.details == {
        "title": "Invoice",
        "issued_on": "2024-03-05",
        "sender": "Waterworks Hamburg",
        "notes": "Paid by hand.\n\nSecond reminder.\n\n"
        "Archive serial number: 42\nStorage path: By year\nAmount: EUR12.50\nState: Paid\nKind: Business",
    }
    assert [(topic.name, topic.color) for topic in invoice.topics] == [("Water", "#a6cee3"), ("Inbox", "#ff0000"), ("Invoice", None)]
    assert party.details == {"title": "Party", "issued_on": "2023-12-31"}, "the day as paperless had it, whatever the time zone"
    assert (drawing.content_type, drawing.filename) == ("image/vnd.dwg", "house.dwg")
    assert drawing.instead is not None
    assert drawing.instead.endswith("-archive.pdf")


def test_an_archive_of_ours_keeps_what_was_known(tmp_path: Path) -> None:
    lines = [
        LINE,
        LINE | {"original_filename": "lost.txt", "filename": None, "archive_error": "It is gone."},
        LINE | {"original_filename": "trash.txt", "trashed_at": "2024-01-01T00:00:00Z"},
        LINE | {"original_filename": "out.txt", "filename": "../../etc/passwd"},
        LINE | {"earlier_versions": [{}, {}]},
    ]
    manifest = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n{nothing\n[]\n"
    path = zipped(tmp_path / "vault.zip", {"Brief_.txt": b"Dear heron", "text/Brief_.txt.txt": b"x", "manifest.jsonl": manifest})
    [first, last], skipped = found(path)
    assert (first.entry, first.filename, first.content_type) == ("Brief_.txt", "Brief?.txt", "text/plain")
    assert first.details == {"title": "Brief", "issued_on": "2024-03-05", "ai_policy": "never", "sender": "Waterworks"}
    assert [topic.name for topic in first.topics] == ["Water"]
    assert last.remarks == ("its 2 earlier versions stay in the archive",)
    assert skipped.keys() == {"lost.txt", "trash.txt", "out.txt", "manifest.jsonl"}


def test_folders_are_topics_if_that_is_wanted(tmp_path: Path) -> None:
    for name in ("a.txt", "Taxes/b.txt", "Taxes/2024/c.txt", "Taxes/2024/deep/d.txt", "Taxes/.hidden", "Thumbs.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    items, _ = found(tmp_path, topics_from_folders=True)
    topics = {item.entry: [(topic.name, topic.parent) for topic in item.topics] for item in items}
    assert topics == {
        "a.txt": [],
        "Taxes/b.txt": [("Taxes", None)],
        "Taxes/2024/c.txt": [("Taxes / 2024", "Taxes")],
        "Taxes/2024/deep/d.txt": [("Taxes / 2024", "Taxes")],
    }
    assert all(item.topics == () for item in found(tmp_path)[0])


def test_no_link_and_no_pipe_of_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "letter.txt").write_text("letter")
    (folder / "link.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "linked").symlink_to(tmp_path / "outside")
    os.mkfifo(folder / "pipe.txt")
    items, skipped = found(folder)
    assert [item.entry for item in items] == ["letter.txt"]
    assert skipped == {"link.txt": "a link", "linked": "a link", "pipe.txt": "no file"}
    with import_sources.opened(folder) as source, pytest.raises(Unusable), source.file("link.txt"):
        pass


def with_an_unreadable_folder(folder: Path) -> Path:
    """A letter, and a folder that is deeper than a path may be long, which stops root, too."""
    (folder / "letter.txt").write_text("letter")
    name, here = "f" * 250, os.open(folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir(name, dir_fd=here)
        here, parent = os.open(name, os.O_RDONLY, dir_fd=here), here
        os.close(parent)
    os.close(here)
    return folder


def test_a_dry_run_says_which_folder_cannot_be_read_and_fails_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert importing.main([str(with_an_unreadable_folder(tmp_path)), "--dry-run"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("not brought in: fff")
    assert lines[0].endswith("/: The folder cannot be read: File name too long")
    assert lines[1:] == ["letter.txt as letter.txt"]
    shutil.rmtree(tmp_path / ("f" * 250))
    assert importing.main([str(tmp_path), "--dry-run"]) == 0


def test_a_folder_that_cannot_be_read_is_told_and_fails_the_import(tmp_path: Path) -> None:
    with_an_unreadable_folder(tmp_path)

    def server(request: httpx.Request) -> httpx.Response:
        upload = {"method": "single", "url": "http://store/o", "headers": {}}
        return httpx.Response(200, json={"document": {"id": "d"}, "upload": upload})

    transport = httpx.MockTransport(server)
    report = importing.ImportReport()
    with import_sources.opened(tmp_path) as source, VaultClient("http://v", "t", transport=transport, store_transport=transport) as vault:
        assert importing.bring_in(source, vault, report) == 1
    assert report.counts == {"uploaded": 1, "failed": 1}
    assert [problem.partition("/: ")[2] for problem in report.problems] == ["The folder cannot be read: File name too long"]


def test_a_source_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    source = import_sources.opened(tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    with pytest.raises(Unusable, match="cannot be read"), source:
        pass


def test_a_hostile_zip_gives_only_what_lies_in_it(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "hostile.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("letter.txt", "letter")
        archive.writestr(link, "/etc/passwd")
        for name in ("../escape.txt", "/etc/absolute.txt", "a/../../b.txt", "..\\windows.txt", "C:\\autoexec.txt"):
            archive.writestr(name, "out")
        archive.writestr("bomb.txt", b"\0" * (import_sources.PLAIN_BYTES + 1))
    items, skipped = found(tmp_path / "hostile.zip")
    assert [item.entry for item in items] == ["letter.txt"]
    assert len(skipped) == 7
    assert skipped["link.txt"] == "a link"
    assert "far more" in skipped["bomb.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile.zip"], "nothing is written anywhere"


@pytest.mark.parametrize("declared", [3, 2000])
def test_an_entry_that_lies_about_its_size_is_damaged(tmp_path: Path, declared: int) -> None:
    data = bytearray(zipped(tmp_path / "lies.zip", {"letter.txt": b"letter " * 100}).read_bytes())
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, declared)
    (tmp_path / "lies.zip").write_bytes(data)
    with import_sources.opened(tmp_path / "lies.zip") as source, pytest.raises(Unusable), source.file("letter.txt"):
        pass


def test_bytes_that_are_damaged_cost_their_file_alone(tmp_path: Path) -> None:
    path = zipped(tmp_path / "damaged.zip", {"a.txt": os.urandom(2000), "b.txt": b"whole"})
    data = bytearray(path.read_bytes())
    data[100:140] = b"\xff" * 40
    path.write_bytes(data)
    with import_sources.opened(path) as source:
        with pytest.raises(Unusable), source.file("a.txt"):
            pass
        with source.file("b.txt") as content:
            assert content.read() == b"whole"


def test_what_is_no_zip_or_not_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(Unusable, match="no whole ZIP"), import_sources.opened(tmp_path / "no.zip"):
        pass
    with pytest.raises(Unusable, match="no such"):
        import_sources.opened(tmp_path / "nowhere")


@pytest.mark.parametrize("manifest", ["{}", "[1]", "nothing", '[{"model": "documents.document"}]', "[" * 100_000])
def test_a_manifest_that_is_no_export_says_so(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    if manifest == "{}":
        assert found(tmp_path) == ([], {})
    else:
        with pytest.raises(Unusable, match="document_exporter"):
            found(tmp_path)


def test_records_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    outside = "../" * 5 + "etc/passwd"
    records = [
        {"model": "documents.document", "pk": 1, "fields": {"title": "one", "tags": 7}, "__exported_file_name__": "a.txt"},
        {"model": "documents.document", "pk": 2, "fields": {"title": "two", "tags": [[1], {}]}, "__exported_file_name__": "a.txt"},
        {"model": "documents.document", "pk": 3, "fields": {"title": "three"}, "__exported_file_name__": outside},
        {"model": "documents.document", "pk": [4], "fields": {"title": {}, "created": []}, "__exported_file_name__": "a.txt"},
        {"model": "documents.note", "pk": 1, "fields": {"document": [2], "note": {}}},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(records))
    items, skipped = found(tmp_path)
    assert len(items) == 2
    assert skipped == {"document 1": "its record makes no sense", "three": "its file is not in the export"}


def test_a_line_without_an_end_is_not_held(tmp_path: Path) -> None:
    content = io.BytesIO(b"x" * (import_sources.MAX_LINE_BYTES + 5))
    (tmp_path / "manifest.jsonl").write_bytes(content.getvalue())
    assert found(tmp_path)[1].keys() == {"manifest.jsonl"}
