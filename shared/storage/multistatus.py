"""Reading what a WebDAV server says of its files: the body of a 207 response (RFC 4918, section 13), as it comes in.

Memory is bounded however long a listing is: resources are handed on as soon as their element ends. A document type declaration is refused,
so nothing can expand or be fetched; so are text and nesting beyond what a listing needs. Properties count only with a status of 2xx.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

MOST_TEXT = 64 * 1024
"""Characters that one property may have."""
MOST_DEPTH = 64
MOST_RESOURCES = 1_000_000

_DAV = "DAV: "
_CHECKSUM = "http://owncloud.org/ns checksum"


class NotMultistatus(Exception):
    """The body is not one that a WebDAV server may send; the message is for people."""


@dataclass(frozen=True)
class Resource:
    """A file or folder; `href` as sent, `size` in bytes, `etag` without quotes and weakness."""

    href: str
    is_folder: bool
    size: int | None
    modified_at: datetime | None
    etag: str
    content_type: str
    checksums: str


@dataclass
class _MemberResponse:
    href: str = ""
    status: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)
    """Of the propstat that is open: taken over when its status says so."""
    pending_status: str = ""


class MultistatusReader:
    """`feed` what comes, take the resources it returns; `close` at the end."""

    def __init__(self) -> None:
        from xml.parsers import expat

        self._error = expat.ExpatError
        self._parser: Any = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = _refuse_declaration
        self._parser.EntityDeclHandler = _refuse_declaration
        self._path: list[str] = []
        self._text: list[str] = []
        self._characters_held = 0
        self._response: _MemberResponse | None = None
        self._ready: list[Resource] = []
        self._resources = 0

    def feed(self, chunk: bytes) -> list[Resource]:
        """The resources that end in this chunk. Raises NotMultistatus."""
        return self._parse(chunk, last=False)

    def close(self) -> list[Resource]:
        """The rest. Raises NotMultistatus, also if the document is not whole."""
        return self._parse(b"", last=True)

    def _parse(self, chunk: bytes, *, last: bool) -> list[Resource]:
        try:
            self._parser.Parse(chunk, last)
        except self._error as malformed:
            raise NotMultistatus(f"The server's listing is no proper XML ({malformed}).") from None
        ready, self._ready = self._ready, []
        return ready

    def _start(self, name: str, _: object) -> None:
        if not self._path and name != f"{_DAV}multistatus":
            raise NotMultistatus("The server's response is no WebDAV listing.")
        self._path.append(name)
        if len(self._path) > MOST_DEPTH:
            raise NotMultistatus("The server's listing is nested too deeply.")
        self._text, self._characters_held = [], 0
        response = self._response
        if name == f"{_DAV}response":
            self._response = _MemberResponse()
        elif response is not None and name == f"{_DAV}propstat":
            response.pending, response.pending_status = {}, ""
        elif response is not None and name == f"{_DAV}collection":
            response.pending["folder"] = "1"

    def _characters(self, text: str) -> None:
        self._characters_held += len(text)
        if self._characters_held > MOST_TEXT:
            raise NotMultistatus("A property in the server's listing is too long.")
        self._text.append(text)

    def _end(self, name: str) -> None:
        self._path.pop()
        response, text = self._response, "".join(self._text).strip()
        self._text, self._characters_held = [], 0
        if response is None:
            return
        parent = self._path[-1] if self._path else ""
        if name == f"{_DAV}response":
            self._response = None
            self._finish(response)
        elif name == f"{_DAV}href" and parent == f"{_DAV}response":
            response.href = text
        elif name == f"{_DAV}status" and parent == f"{_DAV}response":
            response.status = text
        elif name == f"{_DAV}status" and parent == f"{_DAV}propstat":
            response.pending_status = text
        elif name == f"{_DAV}propstat":
            if _is_success(response.pending_status):
                response.properties |= response.pending
        elif parent == f"{_DAV}prop":
            response.pending[name.removeprefix(_DAV)] = text
        elif name == _CHECKSUM:
            response.pending["checksums"] = text

    def _finish(self, response: _MemberResponse) -> None:
        if not response.href or (response.status and not _is_success(response.status)):
            return
        self._resources += 1
        if self._resources > MOST_RESOURCES:
            raise NotMultistatus(f"The server lists more than {MOST_RESOURCES} files in one folder.")
        said = response.properties
        length = said.get("getcontentlength", "")
        self._ready.append(
            Resource(
                href=response.href,
                is_folder="folder" in said,
                size=int(length) if length.isascii() and length.isdecimal() and len(length) < 19 else None,
                modified_at=moment(said.get("getlastmodified", "")),
                etag=plain_etag(said.get("getetag", "")),
                content_type=said.get("getcontenttype", ""),
                checksums=said.get("checksums", ""),
            )
        )


def plain_etag(etag: str) -> str:
    """An entity tag without its quotes, its weakness, and the mark that Apache adds to what it compressed."""
    return etag.strip().removeprefix("W/").strip('"').removesuffix("-gzip")


def moment(text: str) -> datetime | None:
    """The time that a server wrote, in UTC; None if it cannot be told.

    Servers write it as RFC 1123 (with a zone's name or its offset), RFC 850, asctime (with or without a zone) or RFC 3339.
    """
    text = text.strip()
    for read in (parsedate_to_datetime, datetime.fromisoformat, _unix_date):
        try:
            read_at = read(text)
            return (read_at if read_at.tzinfo else read_at.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _unix_date(text: str) -> datetime:
    """As `date` prints it: `Mon Jan _2 15:04:05 MST 2006`; the zone is taken for UTC, as RFC 9110 wants it to be."""
    weekday, month, day, time, _, year = text.split()
    return datetime.strptime(f"{weekday} {month} {day} {time} {year}", "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)


def _is_success(status_line: str) -> bool:
    """`HTTP/1.1 200 OK`; some servers leave the status out where everything is well."""
    parts = status_line.split()
    return not parts or (len(parts) > 1 and parts[1].startswith("2"))


def _refuse_declaration(*_: object) -> None:
    raise NotMultistatus("The server's listing declares a document type, which is not allowed.")
