"""What `scripts/import` brings in: our own archive, an export of paperless-ngx, or plain files; each in a folder or in a ZIP.

Nothing of a source is trusted. Names lead nowhere but into it (no `..`, no absolute path, no link is followed), nothing is written under a
name of its own, and a ZIP's entry gives no more bytes than it says, nor more than MAX_BYTES, nor much out of nothing.
"""

import json
import os
import re
import shutil
import stat
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Self

MAX_BYTES = 64 * 2**30
"""Of one file."""
MAX_MANIFEST_BYTES = 2 * 2**30
MAX_LINE_BYTES = 16 * 2**20
MOST_OUT_OF_ONE = 200
"""How many times its packed size an entry may have if it is larger than PLAIN_BYTES: papers do not compress like that, bombs do."""
PLAIN_BYTES = 64 * 2**20
NOTES_CHARACTERS = 10_000
TITLE_CHARACTERS = 200

OWN_MANIFEST, PAPERLESS_MANIFEST = "manifest.jsonl", "manifest.json"
Records = dict[str, dict[str, dict[str, Any]]]
"""Of a paperless-ngx export: by model and primary key, as text."""

_JUNK = re.compile(r"(^|/)(\.|__MACOSX/|thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class Unusable(Exception):
    """A file, or the whole source, that cannot be read; says why."""


@dataclass(frozen=True)
class ImportedTopic:
    """A topic by name; `parent` is the name of the topic that it is within."""

    name: str
    color: str | None = None
    parent: str | None = None


@dataclass(frozen=True)
class ImportItem:
    """A document to bring in. `entry` is the name of its file in the source, `instead` of one that is taken if the vault cannot read that.

    `details` are those of update_document, without topics; `remarks` what of it has no place in a vault.
    """

    entry: str
    filename: str
    content_type: str | None = None
    instead: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    topics: tuple[ImportedTopic, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class SkippedItem:
    """What is not brought in, and why."""

    entry: str
    reason: str


class Source(ABC):
    """Files by their names, with `/` between folders."""

    @abstractmethod
    def names(self) -> list[str]:
        """Every file that may be read, sorted."""

    @abstractmethod
    def skipped(self) -> list[SkippedItem]:
        """What lies there and is no file that may be read."""

    def unreadable(self) -> dict[str, str]:
        """Folders that nobody lets us look into, with a `/` at the end, and why; `file` raises for them."""
        return {}

    @abstractmethod
    def file(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The content of one of the names, as a file that can be read again and again. Raises Unusable, also if it is not whole."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    def read(self, name: str, most: int) -> bytes:
        """A small file as a whole. Raises Unusable."""
        with self.file(name) as content:
            data = content.read(most + 1)
        if len(data) > most:
            raise Unusable(f"{name} is too large.")
        return data


class FolderSource(Source):
    """A folder; links and what is no file are left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._names: list[str] = []
        self._skipped: list[SkippedItem] = []
        self._unreadable: dict[str, str] = {}

    def __enter__(self) -> Self:
        for parent, folders, files in os.walk(self._folder, onerror=self._leave_out):
            folders.sort()
            for name in folders:
                if os.path.islink(os.path.join(parent, name)):
                    self._skipped.append(SkippedItem(self._relative(parent, name), "a link"))
            for name in sorted(files):
                path = os.path.join(parent, name)
                relative = self._relative(parent, name)
                if not _JUNK.search(relative):
                    mode = os.lstat(path).st_mode
                    if stat.S_ISREG(mode):
                        self._names.append(relative)
                    else:
                        self._skipped.append(SkippedItem(relative, "a link" if stat.S_ISLNK(mode) else "no file"))
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _leave_out(self, failed: OSError) -> None:
        """Raises Unusable for the top folder."""
        if Path(failed.filename) == self._folder:
            raise Unusable(f"{self._folder} cannot be read: {failed.strerror}")
        self._unreadable[f"{self._relative(failed.filename, '')}/"] = f"The folder cannot be read: {failed.strerror}"

    def _relative(self, parent: str, name: str) -> str:
        return Path(parent, name).relative_to(self._folder).as_posix()

    def names(self) -> list[str]:
        return self._names

    def skipped(self) -> list[SkippedItem]:
        return self._skipped

    def unreadable(self) -> dict[str, str]:
        return dict(sorted(self._unreadable.items()))

    @contextmanager
    def file(self, name: str) -> Iterator[BinaryIO]:
        if name in self._unreadable:
            raise Unusable(self._unreadable[name])
        try:
            # Not a link that has come there since, nor a pipe that would never end.
            descriptor = os.open(self._folder / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except OSError as failed:
            raise Unusable(f"It cannot be read: {failed.strerror}") from None
        with os.fdopen(descriptor, "rb") as content:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unusable("It is no file any more.")
            yield content


class ZipSource(Source):
    """A ZIP; of several entries of one name the last one counts, as it does for whoever unpacks it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._skipped: list[SkippedItem] = []

    def __enter__(self) -> Self:
        try:
            self._zip = zipfile.ZipFile(self._path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as broken:
            raise Unusable(f"{self._path.name} is no whole ZIP: {broken}") from None
        for entry in self._zip.infolist():
            if entry.is_dir() or (_is_inside(entry.filename) and _JUNK.search(entry.filename)):
                continue
            reason = _why_not(entry)
            if reason is None:
                self._entries[entry.filename] = entry
            else:
                self._skipped.append(SkippedItem(entry.filename, reason))
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def names(self) -> list[str]:
        return sorted(self._entries)

    def skipped(self) -> list[SkippedItem]:
        return self._skipped

    @contextmanager
    def file(self, name: str) -> Iterator[BinaryIO]:
        entry = self._entries.get(name)
        if entry is None:
            raise Unusable("There is no such file in the ZIP.")
        with tempfile.TemporaryFile() as copy:
            try:
                with self._zip.open(entry) as packed:
                    shutil.copyfileobj(packed, copy, 1024 * 1024)
            except Exception as broken:  # BadZipFile, zlib.error, lzma.LZMAError, OSError, …: each packing has its own
                raise Unusable(f"It cannot be unpacked: {broken}") from None
            if copy.tell() != entry.file_size:
                raise Unusable(f"It is damaged: {entry.file_size} bytes are promised, {copy.tell()} are there.")
            copy.seek(0)
            yield copy


def _why_not(entry: zipfile.ZipInfo) -> str | None:
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a link"
    if not _is_inside(entry.filename):
        return "its name leads out of the archive"
    if entry.flag_bits & 0x1:
        return "it is encrypted"
    if entry.file_size > MAX_BYTES:
        return "it is too large"
    if entry.file_size > PLAIN_BYTES and entry.file_size > MOST_OUT_OF_ONE * max(1, entry.compress_size):
        return "it unpacks to far more than a paper does"
    return None


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and not re.match(r"[A-Za-z]:", name) and "\0" not in name


def opened(path: Path) -> Source:
    """The folder or ZIP at `path`, to be entered. Raises Unusable."""
    if path.is_dir():
        return FolderSource(path)
    if path.is_file():
        return ZipSource(path)
    raise Unusable(f"{path}: there is no such folder or file.")


def kind_of(source: Source) -> str:
    """`archive` (ours), `paperless` or `files`."""
    names = set(source.names())
    return "archive" if OWN_MANIFEST in names else "paperless" if PAPERLESS_MANIFEST in names else "files"


def items(source: Source, *, topics_from_folders: bool = False) -> Iterator[ImportItem | SkippedItem]:
    """What there is to bring in. Raises Unusable if the manifest cannot be read.

    A folder that cannot be read is an item, which fails when it is opened: nobody knows what it holds.
    """
    yield from source.skipped()
    yield from (ImportItem(folder, folder) for folder in source.unreadable())
    match kind_of(source):
        case "archive":
            yield from _of_archive(source)
        case "paperless":
            yield from _of_paperless(source)
        case _:
            for name in source.names():
                yield ImportItem(name, PurePosixPath(name).name, topics=_of_folders(name) if topics_from_folders else ())


def _of_folders(name: str) -> tuple[ImportedTopic, ...]:
    """The first folder is a topic, the second one within it: as deep as topics nest."""
    first, second = (*PurePosixPath(name).parts[:-1], "", "")[:2]
    if not first:
        return ()
    return (ImportedTopic(first),) if not second else (ImportedTopic(f"{first} / {second}", parent=first),)


def _of_archive(source: Source) -> Iterator[ImportItem | SkippedItem]:
    """`manifest.jsonl` (docs/library.md): a line for each document."""
    names = set(source.names())
    with source.file(OWN_MANIFEST) as manifest:
        while line := manifest.readline(MAX_LINE_BYTES):
            try:
                document = json.loads(line)
                name, entry = str(document["original_filename"]), document["filename"]
                wanted = {key: document.get(key) for key in ("title", "notes", "issued_on", "ai_policy")}
                wanted["sender"] = document["sender"] and document["sender"]["name"]
                topics = tuple(ImportedTopic(str(topic["name"])) for topic in document["topics"])
                earlier, trashed, error = document.get("earlier_versions", []), document["trashed_at"], document["archive_error"]
            except (ValueError, KeyError, TypeError):
                yield SkippedItem(OWN_MANIFEST, f"a line that says nothing: {line[:60]!r}")
                continue
            if trashed is not None:
                yield SkippedItem(name, "it was in the trash")
            elif error is not None or not isinstance(entry, str) or entry not in names:
                yield SkippedItem(name, str(error or "its original is not in the archive"))
            else:
                details = {key: value for key, value in wanted.items() if value is not None}
                remarks = (f"its {len(earlier)} earlier versions stay in the archive",) if earlier else ()
                yield ImportItem(entry, name, document.get("content_type"), details=details, topics=topics, remarks=remarks)


def _of_paperless(source: Source) -> Iterator[ImportItem | SkippedItem]:
    """What `document_exporter` of paperless-ngx writes: `manifest.json` as Django serializes its models, whole or split (`-sm`).

    Tags and document types become topics, the correspondent the sender, `created` the date on the paper; notes, custom fields, the
    archive serial number and the storage path's name become notes. The original is taken, or its archived PDF if a vault cannot read it.
    """
    names = set(source.names())
    records: Records = defaultdict(dict)
    for name in [PAPERLESS_MANIFEST, *sorted(each for each in names if each.endswith("-manifest.json"))]:
        _collect(records, source.read(name, MAX_MANIFEST_BYTES), name)
    belonging: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for model in ("documents.note", "documents.customfieldinstance"):
        for record in records[model].values():
            belonging[model, str(record["fields"].get("document"))].append(record["fields"])
    for key, record in records["documents.document"].items():
        notes, custom = (belonging[model, key] for model in ("documents.note", "documents.customfieldinstance"))
        try:
            yield _paperless_item(key, record, names, notes, custom, records)
        except (TypeError, ValueError, AttributeError, KeyError):
            yield SkippedItem(f"document {key}", "its record makes no sense")


def _paperless_item(
    key: str, record: dict[str, Any], names: set[str], notes: list[dict[str, Any]], custom: list[dict[str, Any]], records: Records
) -> ImportItem | SkippedItem:
    fields = record["fields"]
    title = str(fields.get("title") or "").strip()
    original, archived = record.get("__exported_file_name__"), record.get("__exported_archive_name__")
    entries = [entry for entry in (original, archived) if isinstance(entry, str) and entry in names]
    if not entries:
        return SkippedItem(title or f"document {key}", "its file is not in the export")
    paragraphs = [str(note.get("note") or "").strip() for note in notes]
    text = "\n\n".join(filter(None, [*paragraphs, "\n".join(_written(fields, custom, records))]))
    created = str(fields.get("created") or "")[:10]
    details = {
        "title": title[:TITLE_CHARACTERS],
        "notes": text[:NOTES_CHARACTERS],
        "issued_on": created if re.fullmatch(r"\d{4}-\d{2}-\d{2}", created) else "",
        "sender": _name_of(records, "documents.correspondent", fields.get("correspondent")),
    }
    filename = str(fields.get("original_filename") or "") or PurePosixPath(str(original)).name
    return ImportItem(
        entries[0],
        filename if entries[0] == original else f"{PurePosixPath(filename).stem}.pdf",
        content_type=str(fields.get("mime_type") or "") or None if entries[0] == original else "application/pdf",
        instead=entries[1] if len(entries) > 1 else None,
        details={name: value for name, value in details.items() if value},
        topics=_topics(fields, records),
        remarks=("its notes were cut to what a vault keeps",) if len(text) > NOTES_CHARACTERS else (),
    )


def _collect(records: Records, content: bytes, name: str) -> None:
    try:
        for record in json.loads(content):
            if isinstance(record["fields"], dict):
                records[str(record["model"])][str(record["pk"])] = record
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unusable(f"{name} is not what document_exporter of paperless-ngx writes.") from None


def _name_of(records: Records, model: str, key: Any) -> str:
    record = records[model].get(str(key)) if key is not None else None
    return "" if record is None else str(record["fields"].get("name") or "").strip()


def _topics(fields: dict[str, Any], records: Records) -> tuple[ImportedTopic, ...]:
    topics: dict[str, ImportedTopic] = {}
    for key in fields.get("tags") or []:
        name = _name_of(records, "documents.tag", key)
        if name:
            color = str(records["documents.tag"][str(key)]["fields"].get("color") or "")
            topics[name] = ImportedTopic(name, color if _COLOR.fullmatch(color) else None)
    kind = _name_of(records, "documents.documenttype", fields.get("document_type"))
    if kind:
        topics.setdefault(kind, ImportedTopic(kind))
    return tuple(topics.values())


def _written(fields: dict[str, Any], instances: list[dict[str, Any]], records: Records) -> Iterator[str]:
    """What a vault has no field for, a line each."""
    if fields.get("archive_serial_number") is not None:
        yield f"Archive serial number: {fields['archive_serial_number']}"
    if path := _name_of(records, "documents.storagepath", fields.get("storage_path")):
        yield f"Storage path: {path}"
    for instance in instances:
        values = [value for name, value in instance.items() if name.startswith("value_") and value not in (None, "", [])]
        name = _name_of(records, "documents.customfield", instance.get("field"))
        if instance.get("value_select") is not None:
            values = [_option(records["documents.customfield"].get(str(instance.get("field"))), instance["value_select"])]
        if name and values:
            yield f"{name}: {', '.join(str(value) for value in values)}"


def _option(field: dict[str, Any] | None, chosen: Any) -> Any:
    """What a chosen option says: `chosen` is its id or, up to paperless-ngx 2.13, its place; it itself if the field does not have it."""
    options = ((field or {"fields": {}})["fields"].get("extra_data") or {}).get("select_options") or []
    for place, option in enumerate(options):
        if isinstance(option, dict) and option.get("id") == chosen:
            return option.get("label") or chosen
        if isinstance(option, str) and place == chosen:
            return option
    return chosen
