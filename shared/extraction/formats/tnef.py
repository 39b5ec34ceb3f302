"""winmail.dat: what Outlook wraps text and attachments of a mail in (Microsoft's MS-OXTNEF, MS-OXRTFCP)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.extraction.encodings import decode
from shared.extraction.limits import MIB

SIGNATURE = b"\x78\x9f\x3e\x22"

_SUBJECT, _BODY, _ATTACHMENT_DATA, _ATTACHMENT_TITLE, _ATTACHMENT_BEGINS = 0x8004, 0x800C, 0x800F, 0x8010, 0x9002
_MESSAGE_PROPERTIES, _ATTACHMENT_PROPERTIES = 0x9003, 0x9005
_PLAIN, _COMPRESSED_RTF, _HTML, _TITLE, _DATA, _LONG_NAME = 0x1000, 0x1009, 0x1013, 0x0037, 0x3701, 0x3707
_MAX_ATTRIBUTES = 5_000
_MAX_RTF = 8 * MIB
"""Bytes that are unpacked of a compressed body."""
_FIXED_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_OBJECT, _STRING, _UNICODE, _BINARY = 13, 30, 31, 258
_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArial"
    b"Times New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
"""What the compression takes as written already (MS-OXRTFCP, 2.1.2.1)."""


@dataclass
class Wrapped:
    """What was in it; each text empty if it was not."""

    subject: str = ""
    plain: str = ""
    html: bytes = b""
    rtf: bytes = b""
    attachments: list[tuple[str, bytes]] = field(default_factory=list)


def unwrap(data: bytes) -> Wrapped:
    """As much as can be read of it; never raises."""
    wrapped = Wrapped()
    for attribute, value in _attributes(data):
        if attribute == _SUBJECT:
            wrapped.subject = wrapped.subject or decode(value.rstrip(b"\0"))
        elif attribute == _BODY:
            wrapped.plain = wrapped.plain or decode(value.rstrip(b"\0"))
        elif attribute == _MESSAGE_PROPERTIES:
            properties = dict(_properties(value))
            wrapped.subject = _text(properties.get(_TITLE)) or wrapped.subject
            wrapped.plain = _text(properties.get(_PLAIN)) or wrapped.plain
            wrapped.html = (properties.get(_HTML) or (0, b""))[1]
            wrapped.rtf = inflate_rtf((properties.get(_COMPRESSED_RTF) or (0, b""))[1])
        elif attribute == _ATTACHMENT_BEGINS:
            wrapped.attachments.append(("unnamed", b""))
        elif wrapped.attachments:
            name, content = wrapped.attachments[-1]
            if attribute == _ATTACHMENT_TITLE:
                name = decode(value.rstrip(b"\0")) or name
            elif attribute == _ATTACHMENT_DATA:
                content = value
            elif attribute == _ATTACHMENT_PROPERTIES:
                properties = dict(_properties(value))
                name = _text(properties.get(_LONG_NAME)) or name
                content = content or (properties.get(_DATA) or (0, b""))[1]
            wrapped.attachments[-1] = (" ".join(name.split())[:255], content)
    return wrapped


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 6  # after the signature and a key
    for _ in range(_MAX_ATTRIBUTES):
        if position + 9 > len(data):
            return
        _, attribute, _, length = struct.unpack_from("<BHHI", data, position)
        position += 9
        yield attribute, data[position : position + length]
        position += length + 2  # a checksum


def _properties(data: bytes) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """Number, and type and value, of each MAPI property, as far as they can be followed."""
    try:
        (count,) = struct.unpack_from("<I", data)
        position = 4
        for _ in range(min(count, _MAX_ATTRIBUTES)):
            kind, number = struct.unpack_from("<HH", data, position)
            position += 4
            if number >= 0x8000:  # named: its set, and a number or a name
                (by_name,) = struct.unpack_from("<I", data, position + 16)
                (length,) = struct.unpack_from("<I", data, position + 20)
                position += 24 + (length + (-length) % 4 if by_name else 0)
            several, kind = kind & 0x1000, kind & 0xEFFF
            values = 1
            if several or kind in (_OBJECT, _STRING, _UNICODE, _BINARY):
                (values,) = struct.unpack_from("<I", data, position)
                position += 4
            for _ in range(min(values, _MAX_ATTRIBUTES)):
                length = _FIXED_SIZES.get(kind, 0)
                if kind in (_OBJECT, _STRING, _UNICODE, _BINARY):
                    (length,) = struct.unpack_from("<I", data, position)
                    position += 4
                elif not length:
                    return
                value = data[position : position + length]
                position += length + (-length) % 4
                yield number, (kind, value[16:] if kind == _OBJECT else value)
    except struct.error:
        return


def _text(value: tuple[int, bytes] | None) -> str:
    if value is None:
        return ""
    kind, content = value
    if kind == _UNICODE:
        return content.decode("utf-16-le", "replace").rstrip("\0")
    return decode(content.rstrip(b"\0"))


def inflate_rtf(data: bytes) -> bytes:
    """RTF as Outlook compresses it (LZFu); what cannot be followed is left out."""
    if len(data) < 16:
        return b""
    size, kind = struct.unpack_from("<4xI4s", data)
    if kind == b"MELA":
        return data[16 : 16 + size]
    if kind != b"LZFu":
        return b""
    size = min(size, _MAX_RTF)
    out = bytearray(_DICTIONARY)
    position, end = 16, len(data)
    while position < end and len(out) - len(_DICTIONARY) < size:
        flags = data[position]
        position += 1
        for bit in range(8):
            if flags >> bit & 1:
                if position + 2 > end:
                    return bytes(out[len(_DICTIONARY) :])
                reference = data[position] << 8 | data[position + 1]
                position += 2
                # places count in a ring of 4,096 bytes
                back = (len(out) - (reference >> 4)) % 4096
                if not back:
                    return bytes(out[len(_DICTIONARY) :])
                for _ in range((reference & 15) + 2):
                    out.append(out[-back] if back <= len(out) else 0x20)
            elif position < end:
                out.append(data[position])
                position += 1
    return bytes(out[len(_DICTIONARY) :])
