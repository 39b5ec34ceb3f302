"""Reading bucket notifications as MinIO and its likes write them on the Redis list.

MinIO's `access` format is a JSON array of `{"Event": [record], "EventTime": …}`; its `namespace` format and the webhooks of others wrap the
same records as `{"Records": [record]}`; both are understood, alone or in arrays. Object keys are URL-encoded in all of them.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from shared.events.catalogue import BucketNotification
from shared.storage.object_keys import OriginalKey

MAX_PAYLOAD_BYTES = 2**20
UNTOLD_SIZE = -1
"""What MinIO says of an object whose metadata claim an encryption that it cannot undo: the object is there all the same."""
MAX_KEY_BYTES = 1024
"""S3's own limit of a key."""


class Unintelligible(Exception):
    """The payload is not a bucket notification."""


def parse(payload: bytes) -> list[BucketNotification]:
    """The notifications of one list entry, at least one. Raises Unintelligible."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Unintelligible(f"larger than {MAX_PAYLOAD_BYTES} bytes")
    try:
        entry = json.loads(payload)
    except (ValueError, RecursionError) as broken:
        raise Unintelligible(f"not JSON: {type(broken).__name__}") from None
    notifications = [_notification(record) for record in _records(entry)]
    if not notifications:
        raise Unintelligible("no records")
    return notifications


def _records(entry: Any) -> Iterator[dict[str, Any]]:
    # Not by recursion: Python's ends before that of the JSON reader does (from 3.12 on).
    waiting = [entry]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += reversed(part)
        elif isinstance(part, dict) and "s3" in part:
            yield part
        elif isinstance(part, dict) and isinstance(records := part.get("Event", part.get("Records")), list | dict):
            waiting.append(records)
        else:
            raise Unintelligible("not a notification")


def _notification(record: dict[str, Any]) -> BucketNotification:
    try:
        s3 = record["s3"]
        event_name = _text(record["eventName"])
        bucket = _text(s3["bucket"]["name"])
        thing = s3["object"]
        key = unquote_plus(_text(thing["key"]), errors="strict")
        size = thing.get("size")
        if size == UNTOLD_SIZE:
            size = None
        optional = {name: _optional_text(thing.get(name)) for name in ("eTag", "contentType", "sequencer")}
        event_time = _optional_text(record.get("eventTime"))
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as missing:
        raise Unintelligible(f"a record does not fit: {type(missing).__name__} {missing}") from None
    if "\x00" in key or not key or len(key.encode()) > MAX_KEY_BYTES:
        raise Unintelligible("a key no object can have")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**53):
        raise Unintelligible("a size no object can have")
    original = OriginalKey.parse(key)
    return BucketNotification(
        owner_id=original and original.owner_id,
        event_name=event_name if event_name.startswith("s3:") else f"s3:{event_name}",
        bucket=bucket,
        key=key,
        size=size,
        etag=optional["eTag"],
        content_type=optional["contentType"],
        sequencer=optional["sequencer"],
        event_time=event_time,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("not a text")
    # PostgreSQL's JSON holds no NUL, and lone surrogates are no Unicode text.
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise TypeError("not a text that can be kept")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None or value == "" else _text(value)
