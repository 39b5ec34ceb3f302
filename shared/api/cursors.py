"""Cursors of lists: where the next page begins, signed and bound to the list it belongs to.

A cursor is the JSON of a few values, compressed if that helps, behind an HMAC-SHA256 over it and over the binding: whatever must not
change between two pages (which list, its filters, its sort, its owner). One that was tampered with, or that is used with another list, is
InvalidCursor. The values can be read by the client, so no secret belongs in them.
"""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import InvalidCursor
from shared.keys import is_signed, sign

_PURPOSE = "cursor"
_TAG_BYTES = 16
"""128 bits of the HMAC: as much as RFC 2104, section 5, asks for."""

_VALUES_LIMIT = 16_384
"""Bytes the values of one cursor may have; what is longer was not made here."""


def encode(values: Sequence[Any], binding: Mapping[str, Any]) -> str:
    """A cursor that carries `values` (JSON) and is good if the binding (JSON, too) is the same."""
    plain = json.dumps(values, separators=(",", ":")).encode()
    packed = zlib.compress(plain, 9)
    body = b"\x01" + packed if len(packed) < len(plain) else b"\x00" + plain
    return base64.urlsafe_b64encode(sign(_PURPOSE, _bound(body, binding))[:_TAG_BYTES] + body).rstrip(b"=").decode()


def decode(cursor: str, binding: Mapping[str, Any]) -> list[Any]:
    """The values that `encode` was given. Raises InvalidCursor."""
    try:
        # The inner encode: base64 takes ASCII only, and a lone surrogate is no ValueError of its own.
        data = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    tag, body = data[:_TAG_BYTES], data[_TAG_BYTES:]
    if not body or not is_signed(_PURPOSE, _bound(body, binding), tag):
        raise InvalidCursor
    plain = body[1:] if body[:1] == b"\x00" else zlib.decompressobj().decompress(body[1:], _VALUES_LIMIT)
    values = json.loads(plain)
    if not isinstance(values, list):
        raise InvalidCursor
    return values


def _bound(body: bytes, binding: Mapping[str, Any]) -> bytes:
    bound = json.dumps(binding, sort_keys=True, separators=(",", ":"), default=str).encode()
    return hashlib.sha256(bound).digest() + body
