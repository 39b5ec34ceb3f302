"""How an event travels: a CloudEvent 1.0 in HTTP binary mode, signed by the broker, checked by `shared.faas` before the function sees it.

functions-framework hands a function the parsed event alone, so the signature rides in extension attributes: `dvtime` (when it was
signed), `dvkeyid` (which key) and `dvsignature`, HMAC-SHA256 over the canonical JSON (RFC 8785) of id, source, type, subject, time, dvtime
and data. The owner is part of `source`. A signature is good for five minutes; each attempt is signed anew.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

from shared.keys import hkdf

VALID = timedelta(minutes=5)
CLOCK_SKEW = timedelta(minutes=1)
"""How far in the future a signature may have been made: clocks differ between machines."""

REJECTED_HEADER = "X-DocuVault-Rejected"
"""On a 422: the function will never succeed with this event."""
NOT_BEGUN_HEADER = "X-DocuVault-Not-Begun"
"""On a 503: the function has not seen the event, because what hosts it is stopping."""

_SOURCE = "/docuvault"
_OWNED_SOURCE = "/docuvault/owners/"


class Untrusted(Exception):
    """The event is not signed by a broker of ours, or not any more: unsigned, tampered with, stale, or by a key that is gone."""


class Unsignable(Exception):
    """The event's data has no canonical JSON (NaN, integers beyond 2**53, lone surrogates): it can never be delivered."""


@dataclass(frozen=True)
class _Key:
    id: str
    secret: bytes


@lru_cache(maxsize=8)
def _keys(secrets: tuple[bytes, ...]) -> tuple[_Key, ...]:
    return tuple(
        _Key(id=hkdf(secret, b"docuvault delivery key id", 8).hex(), secret=hkdf(secret, b"docuvault delivery signature", 32))
        for secret in secrets
    )


def request_for(
    *,
    event_id: UUID,
    type: str,
    owner_id: UUID | None,
    subject: str,
    data: Mapping[str, Any],
    time: datetime,
    secrets: Sequence[bytes],
    now: datetime,
) -> tuple[dict[str, str], bytes]:
    """Headers and body of the POST that delivers an event, signed with the first of `secrets`. Raises Unsignable."""
    key = _keys(tuple(secrets))[0]
    source = _SOURCE if owner_id is None else f"{_OWNED_SOURCE}{owner_id}"
    happened_at = _rfc3339(time)
    signed_at = _rfc3339(now)
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": str(event_id),
        "ce-source": source,
        "ce-type": _encoded(type),
        "ce-time": happened_at,
        "ce-dvtime": signed_at,
        "ce-dvkeyid": key.id,
        "ce-dvsignature": _signature(key, str(event_id), source, type, subject, happened_at, signed_at, data),
    }
    if subject:
        headers["ce-subject"] = _encoded(subject)
    return headers, json.dumps(data, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Verified:
    """What the broker said of an event, beside its data."""

    id: UUID
    type: str
    owner_id: UUID | None
    subject: str
    time: datetime


def verify(attributes: Mapping[str, Any], data: Any, secrets: Sequence[bytes], now: datetime) -> Verified:
    """Checks a CloudEvent's signature against all of `secrets`. Raises Untrusted."""
    try:
        key_id, signature = str(attributes["dvkeyid"]), str(attributes["dvsignature"])
        signed_at, time, source = str(attributes["dvtime"]), str(attributes["time"]), str(attributes["source"])
        event_id, type_ = str(attributes["id"]), unquote(str(attributes["type"]))
    except KeyError as missing:
        raise Untrusted(f"the event has no {missing}") from None
    subject = unquote(str(attributes.get("subject") or ""))
    key = next((key for key in _keys(tuple(secrets)) if key.id == key_id), None)
    if key is None:
        raise Untrusted("the event is signed with a key that is not known here")
    try:
        expected = _signature(key, event_id, source, type_, subject, time, signed_at, data)
    except Unsignable as unsignable:
        raise Untrusted(str(unsignable)) from None
    if not isinstance(data, dict) or not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        raise Untrusted("the event's signature does not fit")
    # From here on all attributes are the broker's own words.
    if not now - VALID <= datetime.fromisoformat(signed_at) <= now + CLOCK_SKEW:
        raise Untrusted(f"the event's signature of {signed_at} is stale")
    owner_id = UUID(source.removeprefix(_OWNED_SOURCE)) if source.startswith(_OWNED_SOURCE) else None
    return Verified(id=UUID(event_id), type=type_, owner_id=owner_id, subject=subject, time=datetime.fromisoformat(time))


def _signature(key: _Key, event_id: str, source: str, type_: str, subject: str, time: str, signed_at: str, data: Any) -> str:
    import rfc8785

    try:
        message = rfc8785.dumps([event_id, source, type_, subject, time, signed_at, data])
    except (rfc8785.CanonicalizationError, RecursionError, TypeError, AttributeError) as broken:
        raise Unsignable(f"the event's data has no canonical JSON: {broken}") from None
    return hmac.digest(key.secret, message, hashlib.sha256).hex()


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _encoded(value: str) -> str:
    """Percent-encoded as CloudEvents' HTTP binding asks for header values (section 3.1.3.2); the SDK does not decode it."""
    return quote(value, safe="!#$&'()*+,/:;<=>?@[]^`{|}~")
