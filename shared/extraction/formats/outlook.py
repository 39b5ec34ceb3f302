"""Outlook's messages (MSG, MS-OXMSG): the properties a person reads, the bodies, and what is attached."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import BinaryIO

from shared.extraction.compound import Compound, code_page
from shared.extraction.encodings import decode
from shared.extraction.formats.tnef import inflate_rtf

_PROPERTIES = "__properties_version1.0"
_SUBJECT, _SENT, _DELIVERED, _SENDER, _SENDER_ADDRESS, _SENDER_SMTP = 0x0037, 0x0039, 0x0E06, 0x0C1A, 0x0C1F, 0x5D01
_REPRESENTED, _TO, _CC, _PLAIN, _RTF, _HTML = 0x0042, 0x0E04, 0x0E03, 0x1000, 0x1009, 0x1013
_NAME, _ADDRESS, _SMTP, _RECIPIENT_TYPE = 0x3001, 0x3003, 0x39FE, 0x0C15
_DATA, _SHORT_NAME, _LONG_NAME = 0x3701, 0x3704, 0x3707
_INTERNET_CODE_PAGE, _CODE_PAGE = 0x3FDE, 0x3FFD
_COMPANY, _TITLE, _PHONES = 0x3A16, 0x3A17, (0x3A08, 0x3A09, 0x3A1C)
_STRINGS = ("001f", "001e")
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_MAX_ATTACHMENTS, _MAX_RECIPIENTS = 200, 500


@dataclass
class OutlookMessage:
    """What a message says: `headers` in the order in which they are shown, texts empty if there are none."""

    headers: dict[str, str] = field(default_factory=dict)
    plain: str = ""
    html: bytes = b""
    html_encoding: str | None = None
    rtf: bytes = b""
    attachments: "list[tuple[str, bytes | OutlookMessage]]" = field(default_factory=list)


def open_message(file: BinaryIO, *, deepest: int = 5) -> OutlookMessage:
    """The message in a file; messages attached to it to a depth of `deepest`, further ones are left out.

    Raises CompoundDamaged."""
    return _message(Compound(file), "", deepest)


def _message(compound: Compound, folder: str, deepest: int) -> OutlookMessage:
    read = _Properties(compound, folder, 32 if not folder else 24)
    message = OutlookMessage(plain=read.text(_PLAIN), rtf=inflate_rtf(read.binary(_RTF)))
    message.html = read.binary(_HTML)
    if message.html:
        message.html_encoding = read.encoding(_INTERNET_CODE_PAGE)
    else:
        message.html = read.text(_HTML).encode("utf-8", "replace")
        message.html_encoding = "utf-8"
    recipients = list(_recipients(compound, folder))
    sender = _person(read.text(_SENDER) or read.text(_REPRESENTED), read.text(_SENDER_SMTP) or read.text(_SENDER_ADDRESS))
    sent = read.moment(_SENT) or read.moment(_DELIVERED)
    headers = {
        "From": sender,
        "To": "; ".join(person for kind, person in recipients if kind not in (2, 3)) or read.text(_TO),
        "Cc": "; ".join(person for kind, person in recipients if kind == 2) or read.text(_CC),
        "Date": format_datetime(sent) if sent else "",
        "Subject": read.text(_SUBJECT),
        "Name": read.text(_NAME) if read.text(_NAME) != read.text(_SUBJECT) else "",
        "Company": ", ".join(filter(None, (read.text(_COMPANY), read.text(_TITLE)))),
        "Phone": ", ".join(filter(None, map(read.text, _PHONES))),
    }
    message.headers = {name: " ".join(value.split()) for name, value in headers.items() if value.strip()}
    for storage in _numbered(compound, folder, "__attach_version1.0_#", _MAX_ATTACHMENTS):
        attached = _Properties(compound, storage, 8)
        name = " ".join((attached.text(_LONG_NAME) or attached.text(_SHORT_NAME) or attached.text(_NAME) or "unnamed").split())[:255]
        inner = f"{storage}/__substg1.0_3701000d"
        if f"{inner}/{_PROPERTIES}" in compound.streams:
            if deepest > 0:
                nested = _message(compound, inner, deepest - 1)
                message.attachments.append((name if name != "unnamed" else nested.headers.get("Subject", name), nested))
        else:
            message.attachments.append((name, attached.binary(_DATA)))
    return message


def _numbered(compound: Compound, folder: str, name: str, most: int) -> list[str]:
    start = f"{folder}/{name}" if folder else name
    return [path for path in compound.within(folder) if path.startswith(start)][:most]


def _recipients(compound: Compound, folder: str) -> Iterator[tuple[int, str]]:
    """Kind (1: to, 2: cc, 3: bcc) and name of each."""
    for storage in _numbered(compound, folder, "__recip_version1.0_#", _MAX_RECIPIENTS):
        recipient = _Properties(compound, storage, 8)
        yield recipient.number(_RECIPIENT_TYPE), _person(recipient.text(_NAME), recipient.text(_SMTP) or recipient.text(_ADDRESS))


def _person(name: str, address: str) -> str:
    if "@" not in address or address == name:
        return name
    return f"{name} <{address}>" if name else address


class _Properties:
    """The properties of a message, a recipient or an attachment; what is longer than eight bytes lies in streams of its own (2.4)."""

    def __init__(self, compound: Compound, folder: str, header: int) -> None:
        self._compound = compound
        self._folder = f"{folder}/" if folder else ""
        data = compound.read(f"{self._folder}{_PROPERTIES}", 1_000_000)
        self._fixed: dict[int, bytes] = {}
        for place in range(header, len(data) - 15, 16):
            (number,) = struct.unpack_from("<2xH", data, place)
            self._fixed.setdefault(number, data[place + 8 : place + 16])

    def text(self, number: int) -> str:
        for kind in _STRINGS:
            if value := self._stream(number, kind):
                text = value.decode("utf-16-le", "replace") if kind == "001f" else decode(value, self.encoding(_CODE_PAGE))
                return text.rstrip("\0")
        return ""

    def binary(self, number: int) -> bytes:
        return self._stream(number, "0102")

    def number(self, number: int) -> int:
        value = self._fixed.get(number, b"")
        return int(struct.unpack_from("<I", value)[0]) if value else 0

    def moment(self, number: int) -> datetime | None:
        """A FILETIME: 100 nanoseconds since 1601."""
        value = self._fixed.get(number, b"")
        try:
            return _EPOCH + timedelta(microseconds=struct.unpack("<Q", value)[0] // 10) if value.strip(b"\0") else None
        except (OverflowError, struct.error):
            return None

    def encoding(self, number: int) -> str | None:
        page = self.number(number)
        return code_page(page) if page else None

    def _stream(self, number: int, kind: str) -> bytes:
        return self._compound.read(f"{self._folder}__substg1.0_{number:04x}{kind}")
