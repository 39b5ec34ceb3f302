"""Invitations and address cards (iCalendar, RFC 5545; vCard, RFC 6350), as lines of text that a person would read."""

import quopri
import re

_BEGINS = re.compile(r"\s*BEGIN:(?:VCALENDAR|VCARD)\s", re.I)
_FOLD = re.compile(r"\r?\n[ \t]")
_ESCAPED = re.compile(r"\\([nN,;\\])")
_LINE = re.compile(r"(?:[A-Za-z0-9-]+\.)?([A-Za-z0-9-]+)((?:;[^:;\"]*(?:\"[^\"]*\")?)*):(.*)")
_NAMED = re.compile(r";CN=(?:\"([^\"]*)\"|([^;:]*))", re.I)
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d)?Z?")
_FOR_PROGRAMS = {
    "BEGIN", "END", "VERSION", "PRODID", "METHOD", "UID", "SEQUENCE", "DTSTAMP", "TRANSP", "CLASS", "CALSCALE", "TZID", "TZOFFSETFROM",
    "TZOFFSETTO", "TZNAME", "RRULE", "PRIORITY", "ACTION", "TRIGGER", "REV", "PHOTO", "LOGO", "SOUND", "KEY", "LAST-MODIFIED", "CREATED",
}  # fmt: skip
_COMPOUND = {"N", "ORG", "ADR"}
"""Properties of several parts."""


def is_one(text: str) -> bool:
    """Whether the text is a calendar or a card."""
    return _BEGINS.match(text) is not None


def to_text(text: str) -> str:
    """What it says, a line a property, without what is for programs only."""
    return "\n".join(filter(None, map(_line, _FOLD.sub("", text).splitlines())))


def _line(line: str) -> str:
    match = _LINE.fullmatch(line)
    if match is None:
        return line
    name, parameters, value = match[1].upper(), match[2], match[3]
    if name in _FOR_PROGRAMS or name.startswith("X-"):
        return ""
    if "QUOTED-PRINTABLE" in parameters.upper():
        value = quopri.decodestring(value.encode()).decode("utf-8", "replace")
    value = _ESCAPED.sub(lambda escaped: "\n" if escaped[1] in "nN" else escaped[1], value)
    if moment := _MOMENT.fullmatch(value):
        value = "-".join(moment.groups()[:3]) + (f" {moment[4]}:{moment[5]}" if moment[4] else "")
    if name in _COMPOUND:
        value = " ".join(part for part in value.split(";") if part)
    person = _NAMED.search(parameters)
    return " ".join(filter(None, ((person[1] or person[2]) if person else "", value)))
