"""What a place that keeps documents must be able to do.

`StorageBackend` is what every backend does (the object store here, later a cloud drive or a WebDAV server): whole objects by key, never
listing. `DirectUploads` is what a store with presigned URLs does on top: clients send their bytes to it without passing through us.

A key is what `put` answered with: backends that name objects themselves (Google Drive) answer another key than the one proposed.
Every method raises StorageUnavailable where the backend cannot be reached or refuses us: the caller may try again.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from shared.errors import NotFound, Unavailable

Disposition = Literal["attachment", "inline"]


class ObjectMissing(NotFound):
    """There is no object under that key."""


class ObjectTooLarge(Exception):
    """There is more under the key than the caller will take."""


class PartsRefused(Exception):
    """The store does not make an object of these parts: one is missing, too small, or not what was sent."""


class StorageUnavailable(Unavailable):
    """The store cannot be reached, or does not do what it is asked just now."""

    title = "The object store is not available just now"


@dataclass(frozen=True)
class StoredObject:
    """An object as the store knows it; `size` in bytes, `etag` without quotes.

    One that is not `readable` is there, but the store does not give it out (it is encrypted, or so it was told): its facts are empty.
    """

    key: str
    size: int
    content_type: str
    etag: str
    readable: bool = True


@dataclass(frozen=True)
class Download:
    """What was fetched: `size` in bytes, `sha256` in lower-case hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Part:
    """One part of an upload in parts; numbers begin with 1."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True)
class SignedUpload:
    """A URL that takes one PUT of exactly the object it was signed for, and the headers that must come with it."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class PartUrl:
    """As SignedUpload, for one part."""

    number: int
    url: str
    headers: Mapping[str, str]


class StorageBackend(Protocol):
    """Keeps whole objects."""

    provider: str

    async def put(self, key: str, content: bytes, *, content_type: str) -> StoredObject:
        """Stores a small object in one go, over whatever was there."""

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> StoredObject:
        """Stores what comes, holding a bounded part of it in memory. Where the chunks fail or the caller is cancelled, none of it stays."""

    async def stat(self, key: str) -> StoredObject | None:
        """The object's facts, or None if there is none."""

    async def read(self, key: str, *, limit: int) -> bytes:
        """A small object. Raises ObjectMissing, and ObjectTooLarge beyond `limit` bytes."""

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """`length` bytes from `start` on, or all the rest. Raises ObjectMissing at the first chunk."""

    async def download(self, key: str, into: Path, *, limit: int) -> Download:
        """Fetches the object into a file, hashing on the way. Raises ObjectMissing, and ObjectTooLarge beyond `limit` bytes."""

    async def delete(self, key: str) -> None:
        """Removes the object; one that is not there is fine."""

    async def presign_get(self, key: str, *, content_type: str, content_disposition: str, seconds: int) -> str | None:
        """A URL that gives the object to whoever holds it, with these two headers; None if the backend has no such thing."""

    async def ping(self) -> None:
        """Returns if the backend responds and lets us in. Raises StorageUnavailable with a sentence for people."""


class DirectUploads(Protocol):
    """Takes objects straight from clients."""

    async def presign_put(self, key: str, *, size: int, content_type: str, sha256: str | None, seconds: int) -> SignedUpload:
        """A PUT of exactly `size` bytes of `content_type` (and of the hash, where given) under a key that holds nothing yet."""

    async def begin_parts(self, key: str, *, content_type: str) -> str:
        """Begins an upload in parts; its id."""

    async def presign_parts(self, key: str, upload_id: str, sizes: Mapping[int, int], *, seconds: int) -> list[PartUrl]:
        """URLs for the parts whose numbers and exact sizes are given."""

    async def list_parts(self, key: str, upload_id: str) -> list[Part]:
        """The parts that are there, in order. Raises ObjectMissing if the upload is unknown (completed, aborted)."""

    async def complete_parts(self, key: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        """Makes the object of parts (number, etag). Raises PartsRefused if they do not fit, ObjectMissing if the upload is unknown."""

    async def abort_parts(self, key: str, upload_id: str | None = None) -> None:
        """Drops the upload and its parts, or with None every upload in parts under `key`; one that is not there is fine."""
