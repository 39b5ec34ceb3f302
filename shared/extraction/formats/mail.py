"""E-mails (RFC 5322, MIME): the headers a person reads, the body, and the text of what is attached."""

import io
from collections.abc import Callable
from email import policy
from email.message import Message
from email.parser import BytesParser
from typing import Any, BinaryIO

from shared.extraction import parts
from shared.extraction.failures import ExtractionFailed, ExtractionWarning, UnsupportedType
from shared.extraction.formats import Reading, Scan
from shared.extraction.formats.html import to_text
from shared.extraction.formats.plain import decode
from shared.extraction.limits import MAX_EMAIL_ATTACHMENTS, MAX_TEXT_FILE

_SHOWN = ("From", "To", "Cc", "Date", "Subject")


def read(file: BinaryIO, read_attachment: Callable[[BinaryIO, str], Reading]) -> Reading:
    """The message as the first page, then the pages of each attachment that can be read, headed by its name.

    `read_attachment(file, filename)` reads one; what it cannot read is only named."""
    file.seek(0)
    data = file.read(MAX_TEXT_FILE + 1) or b""
    message, bodies, attachments = _taken_apart(data[:MAX_TEXT_FILE])
    reading = Reading(title=_header(message, "Subject") or None, truncated=len(data) > MAX_TEXT_FILE)
    headers = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    named = [f"Attachment: {name}" for name, _ in attachments]
    reading.pages.append("\n\n".join(("\n".join(headers + named), *bodies)))
    reading.truncated |= len(attachments) > MAX_EMAIL_ATTACHMENTS
    for number, (name, content) in enumerate(attachments[:MAX_EMAIL_ATTACHMENTS], 1):
        lost = f"The attachment {name} could not be read."
        if not parts.begin("attachment", number):
            reading.warn("attachment_unreadable", lost)
            continue
        try:
            with parts.inside():
                attached = read_attachment(io.BytesIO(content), name)
        except UnsupportedType:
            continue
        except (ExtractionFailed, MemoryError):
            reading.warn("attachment_unreadable", lost)
            continue
        if attached.scans or any(page.strip() for page in attached.pages):
            reading.scans += [Scan(len(reading.pages) + scan.page, scan.frame, number) for scan in attached.scans]
            reading.pages += [headed(name, attached.pages[0]), *attached.pages[1:]]
        reading.truncated |= attached.truncated
        reading.warnings += [ExtractionWarning(warning.code, f"{name}: {warning.detail}") for warning in attached.warnings]
    return reading


def headed(name: str, page: str) -> str:
    """The first page of an attachment, as it stands among the pages of the message."""
    return f"{name}\n\n{page}"


def attachment(file: BinaryIO, number: int) -> tuple[BinaryIO, str]:
    """The `number`-th attachment (from 1) of the message, as a file, and its name. Raises IndexError if there are fewer."""
    file.seek(0)
    _, _, attachments = _taken_apart((file.read(MAX_TEXT_FILE + 1) or b"")[:MAX_TEXT_FILE])
    name, content = attachments[number - 1]
    return io.BytesIO(content), name


def _taken_apart(data: bytes) -> tuple[Message, list[str], list[tuple[str, bytes]]]:
    """The message, its bodies, and its attachments by name."""
    try:
        return _taken_apart_by(policy.default, data)
    except Exception:
        # The header parser of the standard library raises anything; the one before it decodes fewer names and takes whatever comes.
        return _taken_apart_by(policy.compat32, data)


def _taken_apart_by(rules: Any, data: bytes) -> tuple[Message, list[str], list[tuple[str, bytes]]]:
    message: Message = BytesParser(policy=rules).parsebytes(data)
    bodies: list[str] = []
    attachments: list[tuple[str, bytes]] = []
    _collect(message, bodies, attachments, depth=0)
    return message, bodies, attachments


def _header(message: Message, name: str) -> str:
    try:
        return str(message.get(name, "")).strip()
    except Exception:
        for key, value in message.raw_items():
            if key.lower() == name.lower():
                return str(value).strip()
        return ""


def _collect(part: Message, bodies: list[str], attachments: list[tuple[str, bytes]], depth: int) -> None:
    if depth > 20:
        return
    kind = part.get_content_type()
    if part.is_multipart():
        children = [child for child in part.get_payload() if isinstance(child, Message)]
        if kind == "multipart/alternative":
            children = [_preferred(children)] if children else []
        if kind == "message/rfc822":
            for child in children:
                bodies.append("\n".join(f"{name}: {value}" for name in _SHOWN if (value := _header(child, name))))
        for child in children:
            _collect(child, bodies, attachments, depth + 1)
        return
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return
    name = _filename(part)
    if name or part.get_content_disposition() == "attachment" or not kind.startswith("text/"):
        attachments.append((name or "unnamed", content))
    elif kind == "text/html":
        bodies.append(to_text(content, part.get_content_charset())[0])
    else:
        bodies.append(decode(content, part.get_content_charset()))


def _preferred(alternatives: list[Message]) -> Message:
    """The plain text where it says something, otherwise the richest version, which stands last (RFC 2046, 5.1.4)."""
    for part in alternatives:
        if part.get_content_type() == "text/plain":
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and len(content.strip()) > 20:
                return part
    return alternatives[-1]


def _filename(part: Message) -> str:
    try:
        return " ".join((part.get_filename() or "").split())[:255]
    except Exception:
        return ""
