"""E-mails (RFC 5322, MIME; Outlook's): the headers a person reads, the body, and the text of what is attached.

Mails in mails, winmail.dat and zip archives are taken apart like the mail itself, so that each file in them is an attachment.
"""

import binascii
import io
import quopri
import re
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from email import generator, policy
from email.message import Message
from email.parser import BytesParser
from itertools import islice
from typing import Any, BinaryIO

from shared.extraction import compound, content_types, parts
from shared.extraction.encodings import decode
from shared.extraction.failures import ExtractionFailed, ExtractionWarning, UnsupportedType
from shared.extraction.formats import Reading, Scan, calendars, outlook, rtf, tnef
from shared.extraction.formats.html import to_text
from shared.extraction.limits import MAX_EMAIL_ATTACHMENTS, MAX_PAGES, MAX_PAGES_IN_ALL, MAX_TEXT_FILE, MIB, QUICK_CPU_SECONDS

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_FOR_BROWSERS = {"text/css", "text/javascript", "application/javascript"}
"""Parts of a saved page that nobody reads."""
_FOR_SOME_PROGRAMS = {"text/x-amp-html", "text/watch-html"}
"""Versions of a text that others say as well."""
_CALENDAR = "text/calendar"
_MARKUP = {"text/html", "text/enriched", "text/richtext"}
_UUENCODED = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,255})\r?\n((?:[!-`][ -`]{1,84}\r?\n)+)(?:[` ]?\r?\n)?end[ \t]*\r?$", re.M)
_MESSAGE_BEGINS = re.compile(rb"^From \S[^\r\n]{0,300}\d\d:\d\d[^\r\n]{0,30}\r?\n", re.M)
"""The line that divides the messages of an mbox (RFC 4155)."""
_MAX_MESSAGES = 2_000
_REPORTS = {"message/delivery-status", "message/disposition-notification", "message/feedback-report", "message/global-delivery-status"}
_DEEPEST = 20
_MAX_NAMED = 1_000
"""Attachments whose names are read."""
_MAX_MEMBER, _MAX_MEMBERS = 32 * MIB, 64 * MIB
"""Bytes of one member of an archive, and of all of them, that are unpacked."""
_STUB = 3
"""Plain text with fewer words than a third of the page's is a stub, and left out."""
_WORD = re.compile(r"\w+")
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_ENCODED_WORDS = re.compile(r"(\?=)\s+(=\?)")


Attachments = list[tuple[str, bytes | None]]
"""Name and content of each; None if it cannot be unpacked."""


@dataclass
class _Mail:
    """A message taken apart: lines of its headers, its bodies, and what is attached."""

    title: str | None
    headers: list[str]
    bodies: list[str] = field(default_factory=list)
    attachments: Attachments = field(default_factory=list)


def read(file: BinaryIO, read_attachment: Callable[[BinaryIO, str], Reading] | None) -> Reading:
    """The message as the first page, then the pages of each attachment that can be read, headed by its name.

    `read_attachment(file, filename)` reads one; what it cannot read is only named, and all of them are without it."""
    file.seek(0)
    data = file.read(MAX_TEXT_FILE + 1) or b""
    mail = _opened(file, data)
    attachments = mail.attachments
    reading = Reading(title=mail.title, truncated=len(data) > MAX_TEXT_FILE and not data.startswith(compound.SIGNATURE))
    named = [f"Attachment: {name}" for name, _ in attachments[:_MAX_NAMED]]
    reading.pages.append("\n\n".join(("\n".join(mail.headers + named), *filter(None, mail.bodies))))
    if read_attachment is None:
        return reading
    until = time.process_time() + QUICK_CPU_SECONDS / 2
    for number, (name, content) in enumerate(attachments[:MAX_EMAIL_ATTACHMENTS], 1):
        if time.process_time() > until or len(reading.pages) > MAX_PAGES_IN_ALL - MAX_PAGES:
            reading.leave_out_attachments(number - 1, len(attachments))
            return reading
        lost = f"The attachment {name} could not be read."
        if not parts.begin("attachment", number):
            reading.warn("attachment_unreadable", lost)
            continue
        if content is None:
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
    reading.leave_out_attachments(min(len(attachments), MAX_EMAIL_ATTACHMENTS), len(attachments))
    return reading


def headed(name: str, page: str) -> str:
    """The first page of an attachment, as it stands among the pages of the message."""
    return f"{name}\n\n{page}"


def attachment(file: BinaryIO, number: int) -> tuple[BinaryIO, str]:
    """The `number`-th attachment (from 1) of the message, as a file, and its name. Raises IndexError if there are fewer."""
    file.seek(0)
    name, content = _opened(file, file.read(MAX_TEXT_FILE + 1) or b"").attachments[number - 1]
    return io.BytesIO(content or b""), name


def _opened(file: BinaryIO, data: bytes) -> _Mail:
    """The message in a file that begins with `data`."""
    if data.startswith(compound.SIGNATURE):
        message = outlook.open_message(file)
        mail = _Mail(message.headers.get("Subject"), _lines(message))
        _collect_outlook(message, mail.bodies, mail.attachments)
        mail.attachments = _with_members(mail.attachments)
        return mail
    data = data[:MAX_TEXT_FILE]
    try:
        return _taken_apart_by(policy.default, data)
    except Exception:
        # The header parser of the standard library raises anything; the one before it decodes fewer names and takes whatever comes.
        return _taken_apart_by(policy.compat32, data)


def _taken_apart_by(rules: Any, data: bytes) -> _Mail:
    first, *others = _messages(data)
    message: Message = BytesParser(policy=rules).parsebytes(first)
    mail = _Mail(_header(message, "Subject") or None, _shown(message).splitlines())
    _collect(message, mail.bodies, mail.attachments, depth=0)
    for other in others:
        _collect_nested(BytesParser(policy=rules).parsebytes(other), mail.bodies, mail.attachments, 1)
    mail.attachments = _with_members(mail.attachments)
    return mail


def _messages(data: bytes) -> list[bytes]:
    """The messages of an mbox; of any other file, it alone."""
    if not data.startswith(b"From "):
        return [data]
    starts = [match.start() for match in islice(_MESSAGE_BEGINS.finditer(data), _MAX_MESSAGES)]
    starts = [0, *(start for start in starts if data[max(0, start - 4) : start].endswith((b"\n\n", b"\r\n\r\n")))]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def _lines(message: outlook.OutlookMessage) -> list[str]:
    return [f"{name}: {value}" for name, value in message.headers.items()]


def _collect_outlook(message: outlook.OutlookMessage, bodies: list[str], attachments: Attachments) -> None:
    texts = [message.plain, to_text(message.html, message.html_encoding)[0] if message.html else ""]
    if message.rtf and not any(text.strip() for text in texts):
        texts.append(rtf.text(message.rtf))
    words = [set(_WORD.findall(text.casefold())) for text in texts]
    bodies.append(texts[0] if words[0] and _says_as_much(words[0], words[1]) else max(texts, key=len))
    for name, content in message.attachments:
        if isinstance(content, outlook.OutlookMessage):
            bodies += [f"Attachment: {name}", "\n".join(_lines(content))]
            _collect_outlook(content, bodies, attachments)
        elif _is_mail(content, name):
            bodies.append(f"Attachment: {name}")
            _collect_nested(BytesParser(policy=policy.default).parsebytes(content), bodies, attachments, 1)
        else:
            attachments.append((name, content))


def _header(message: Message, name: str) -> str:
    """A header as a person reads it. The standard library loses bytes beyond ASCII, and words whose encoding is wider than its label."""
    for key, value in message.raw_items():
        if key.lower() == name.lower():
            raw = str(value)
            if not raw.isascii():
                raw = decode(raw.encode("utf-8", "surrogateescape"))
            return " ".join(_decoded_words(raw).split())
    return ""


def _decoded_words(raw: str) -> str:
    """With the encoded words of RFC 2047 decoded; neighbours are joined first, as some programs cut characters in two."""
    if "=?" not in raw:
        return raw
    out: list[str] = []
    pending, label, end = b"", "", 0
    raw = _BETWEEN_ENCODED_WORDS.sub(r"\1\2", raw)
    for word in _ENCODED_WORD.finditer(raw):
        charset = word[1].partition("*")[0].lower()
        if pending and (raw[end : word.start()] or charset != label):
            out.append(decode(pending, label))
            pending = b""
        out.append(raw[end : word.start()])
        label, end = charset, word.end()
        text = word[3].encode("ascii", "ignore")
        pending += quopri.decodestring(text, header=True) if word[2] in "qQ" else _from_base64(text)
    if pending:
        out.append(decode(pending, label))
    return "".join(out) + raw[end:]


def _from_base64(text: bytes) -> bytes:
    text = re.sub(rb"[^A-Za-z0-9+/]", b"", text)
    try:
        return binascii.a2b_base64(text[: len(text) - (len(text) % 4 == 1)] + b"===")
    except binascii.Error:
        return b""


def _collect(part: Message, bodies: list[str], attachments: Attachments, depth: int) -> None:
    if depth > _DEEPEST:
        return
    kind = part.get_content_type()
    if kind in _REPORTS:
        bodies.append(_report(part))
    elif kind in ("message/rfc822", "message/global"):
        for child in _children(part):
            _collect_nested(_unwrapped(part, child), bodies, attachments, depth + 1)
    elif kind == "multipart/alternative" and part.is_multipart():
        _collect_fullest(_children(part), bodies, attachments, depth + 1)
    elif part.is_multipart():
        for child in _children(part):
            _collect(child, bodies, attachments, depth + 1)
    else:
        content = _content(part)
        if content is not None and kind not in _FOR_BROWSERS:
            _collect_leaf(part, kind, content, bodies, attachments, depth)


def _content(part: Message) -> bytes | None:
    encoding = str(part.get("Content-Transfer-Encoding", ""))
    if (bare := encoding.strip(" \t\r\n;\"'").lower()) != encoding:  # which the standard library takes to the letter
        del part["Content-Transfer-Encoding"]
        part["Content-Transfer-Encoding"] = bare
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else None


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _collect_leaf(part: Message, kind: str, content: bytes, bodies: list[str], attachments: Attachments, depth: int) -> None:
    name, charset = _filename(part), _charset(part)
    if content.startswith(tnef.SIGNATURE):
        _collect_wrapped(content, bodies, attachments, depth)
    elif content.startswith(compound.SIGNATURE) and content_types.detect(io.BytesIO(content), name) == content_types.MSG:
        message = outlook.open_message(io.BytesIO(content))
        bodies += [f"Attachment: {name}", "\n".join(_lines(message))]
        _collect_outlook(message, bodies, attachments)
    elif depth and kind != "text/plain" and _is_mail(content, name):
        bodies.append(f"Attachment: {name}" if name else "")
        _collect_nested(BytesParser(policy=part.policy).parsebytes(content), bodies, attachments, depth + 1)
    elif kind == "text/rfc822-headers":
        bodies.append(_shown(BytesParser(policy=part.policy).parsebytes(content)))
    elif name or part.get_content_disposition() == "attachment" or not kind.startswith("text/") or kind == "text/rtf":
        if charset and kind in ("text/plain", "text/csv", "text/markdown"):
            content = decode(content, charset).encode("utf-8", "replace")
        attachments.append((name or "unnamed", content))
    elif kind in _MARKUP:
        bodies.append(to_text(content, charset)[0])
    elif kind == _CALENDAR:
        bodies.append(calendars.to_text(decode(content, charset or "utf-8")))
    else:
        content = _UUENCODED.sub(lambda file: _moved(file, attachments), content)
        text = decode(content, charset)
        bodies.append(_without_soft_breaks(text) if str(part.get_param("delsp", "")).lower() == "yes" else text)


def _moved(file: re.Match[bytes], attachments: Attachments) -> bytes:
    """Puts a file that stands in the text line by line (uuencode) among the attachments; nothing of it stays."""
    data = bytearray()
    for line in file[2].splitlines():
        # the first character tells the number of bytes; some programs drop blanks at the end of a line
        length = ((line[0] - 32 & 63) + 2) // 3 * 4
        data += binascii.a2b_uu(line[:1] + line[1 : 1 + length].ljust(length))
    attachments.append((" ".join(decode(file[1]).split()), bytes(data)))
    return b""


def _without_soft_breaks(text: str) -> str:
    """The lines joined where the blank at their end is part of the break (RFC 3676, 4.1, DelSp)."""
    return re.sub(r" \r?\n(?!>|-- \r?\n)", "", text)


def _is_mail(content: bytes, name: str) -> bool:
    return content_types.detect(io.BytesIO(content[: content_types.HEAD]), name) == content_types.EML


def _collect_nested(message: Message, bodies: list[str], attachments: Attachments, depth: int) -> None:
    bodies.append(_shown(message))
    _collect(message, bodies, attachments, depth)


def _shown(message: Message) -> str:
    return "\n".join(f"{name}: {value}" for name in _SHOWN if (value := _header(message, name)))


def _unwrapped(part: Message, child: Message) -> Message:
    """The message in a message/rfc822, which may not be encoded (RFC 2046, 5.2.1) and is."""
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding == "base64" and not child.keys() and isinstance(text := child.get_payload(), str):
        child = BytesParser(policy=part.policy).parsebytes(_from_base64(text.encode("ascii", "ignore")))
    elif encoding == "quoted-printable":
        written = io.BytesIO()
        # not by as_bytes(), which imports when called
        generator.BytesGenerator(written, mangle_from_=False, policy=policy.compat32).flatten(child)
        child = BytesParser(policy=part.policy).parsebytes(quopri.decodestring(written.getvalue()))
    return child


def _report(part: Message) -> str:
    """What a mail server says of a mail it could not deliver (RFC 3464): blocks of fields."""
    blocks = ["\n".join(f"{key}: {_header(block, key)}" for key in dict.fromkeys(block.keys())) for block in _children(part)]
    content = part.get_payload(decode=True) if not blocks else None
    return "\n\n".join(blocks) or (decode(content) if isinstance(content, bytes) else "")


def _collect_fullest(alternatives: list[Message], bodies: list[str], attachments: Attachments, depth: int) -> None:
    """Of several versions of one text (RFC 2046, 5.1.4) the plain one if it has the words of the fullest, else the fullest; both if each
    says much that the other does not.

    Files count whichever version they hang on; a picture only if its version is read."""
    for part in [part for part in alternatives if part.get_content_type() == _CALENDAR]:
        _collect(part, bodies, attachments, depth)
    alternatives = [part for part in alternatives if part.get_content_type() != _CALENDAR]
    alternatives = [part for part in alternatives if part.get_content_type() not in _FOR_SOME_PROGRAMS] or alternatives
    versions: list[tuple[list[str], Attachments]] = []
    for part in alternatives:
        versions.append(([], []))
        _collect(part, *versions[-1], depth)
    words = [set(_WORD.findall(" ".join(texts).casefold())) for texts, _ in versions]
    fullest = max(range(len(versions)), key=lambda number: (len(words[number]), number), default=0)
    read = {fullest}
    for number, part in enumerate(alternatives):
        others = [words[fullest]] if number != fullest else [other for place, other in enumerate(words) if place != number]
        if part.get_content_type() == "text/plain" and words[number]:
            if all(_says_as_much(words[number], other) for other in others):
                read = {number}
                break
            if len(words[number]) * _STUB > len(words[fullest]):
                read |= {number, max(range(len(words)), key=lambda place: len(words[place] - words[number]))}
    for number, (texts, files) in enumerate(versions):
        if number in read:
            bodies += texts
        attachments += [file for file in files if number in read or not _is_picture(file[1])]


def _says_as_much(words: set[str], other: set[str]) -> bool:
    return len(other - words) <= len(other) * 0.3


def _is_picture(content: bytes | None) -> bool:
    return content_types.detect(io.BytesIO((content or b"")[: content_types.HEAD])).startswith("image/")


def _collect_wrapped(content: bytes, bodies: list[str], attachments: Attachments, depth: int) -> None:
    wrapped = tnef.unwrap(content)
    texts = [wrapped.plain, to_text(wrapped.html)[0] if wrapped.html else ""]
    if wrapped.rtf and not any(texts):
        attachments.append(("winmail.rtf", wrapped.rtf))
    bodies += [wrapped.subject, max(texts, key=len)]
    for name, file in wrapped.attachments:
        if _is_mail(file, name):
            bodies.append(f"Attachment: {name}")
            _collect_nested(BytesParser(policy=policy.default).parsebytes(file), bodies, attachments, depth + 1)
        else:
            attachments.append((name, file))


def _with_members(attachments: Attachments) -> Attachments:
    """The attachments, and after them the members of the zip archives among them; archives in archives are only named."""
    members: Attachments = []
    left = _MAX_MEMBERS
    for name, content in attachments:
        is_archive = content and content.startswith(b"PK\x03\x04") and content_types.detect(io.BytesIO(content)) == content_types.BINARY
        if not content or not is_archive:
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for entry in islice(archive.infolist(), _MAX_NAMED):
                    if not entry.is_dir():
                        data = _unpacked(archive, entry, left)
                        left -= len(data or b"")
                        members.append((f"{name}/{entry.filename}"[:255], data))
        except Exception:  # zipfile raises many kinds on hostile input
            members.append((name, None))
    return attachments + members


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes | None:
    """None if it needs a password, is damaged or larger than what is unpacked."""
    longest = min(_MAX_MEMBER, left)
    if entry.flag_bits & 1 or entry.file_size > longest:
        return None
    try:
        with archive.open(entry) as stream:
            data = stream.read(longest + 1)
    except Exception:
        return None
    return data if len(data) <= longest else None


def _charset(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except Exception:
        return None


def _filename(part: Message) -> str:
    try:
        return " ".join(_decoded_words(part.get_filename() or "").split())[:255]
    except Exception:
        return ""
