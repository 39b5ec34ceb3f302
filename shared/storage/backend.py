"""What a place that keeps documents must be able to do.

`StorageBackend` is what every backend does (the object store here, WebDAV servers, cloud drives): whole objects by key. `DirectUploads`
is what a store with presigned URLs does on top: clients send their bytes to it without passing through us.

A key is a path with `/` between its segments and none in front. It is what `put` returned: backends that name objects themselves return
another key than the one proposed.

Whatever goes wrong is one of six things, each an exception with that `reason`: `credentials_rejected`, `not_found`, `quota_full`,
`rate_limited`, `unreachable`, `name_refused`. All but `not_found` and `name_refused` are StorageUnavailable.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from shared.errors import DomainError, NotFound, Unavailable

Disposition = Literal["attachment", "inline"]
Reason = Literal["credentials_rejected", "not_found", "quota_full", "rate_limited", "unreachable", "name_refused"]


class ObjectMissing(NotFound):
    """There is no object under that key."""

    reason: ClassVar[Reason] = "not_found"


class ObjectTooLarge(Exception):
    """There is more under the key than the caller will take."""


class PartsRefused(Exception):
    """The store does not make an object of these parts: one is missing, too small, or not what was sent."""


class StorageUnavailable(Unavailable):
    """The store cannot be reached, or does not do what it is asked just now; `retry_after` in seconds."""

    title = "The place where documents are kept is not available just now"
    reason: ClassVar[Reason] = "unreachable"

    def __init__(self, detail: str = "", *, retry_after: int = 5) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.retry_after = retry_after


class CredentialsRejected(StorageUnavailable):
    """The store does not accept the credentials (any more): only its owner can change that."""

    status, code, title = 409, "credentials_rejected", "The cloud does not accept the credentials"
    reason = "credentials_rejected"


class QuotaFull(StorageUnavailable):
    """The store has no room left; trying again does not help until somebody makes room."""

    status, code, title = 409, "quota_full", "There is no room left in the cloud"
    reason = "quota_full"


class StorageRateLimited(StorageUnavailable):
    """The store wants fewer requests; again after `retry_after` seconds."""

    title = "The cloud wants fewer requests; try again later"
    reason = "rate_limited"


class NameRefused(DomainError):
    """The store cannot hold an object of that name."""

    status, code, title = 422, "name_refused", "This name is not possible there"
    reason: ClassVar[Reason] = "name_refused"


class NameTaken(Exception):
    """There is something under that name already, and it was not to be replaced."""


class WrongContent(StorageUnavailable):
    """What the store has after an upload, or what came before its end, is not what was announced: nothing of it stays."""

    title = "What arrived is not what was sent"


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
class FolderEntry:
    """What a folder holds: `key` is its path, `size` in bytes (None for folders, or if the store does not say).

    `sha256` is what the store says of the content, in lower-case hex, if it says so. `exported` is the content type in which the bytes come
    of a file that has none of its own: they have no size before they are there, no hash and no ranges.
    """

    key: str
    name: str
    is_folder: bool
    size: int | None = None
    modified_at: datetime | None = None
    etag: str = ""
    content_type: str = ""
    sha256: str | None = None
    exported: str | None = None


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

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        size: int | None = None,
        replace: bool = True,
        attempt: str | None = None,
    ) -> StoredObject:
        """Stores what comes, holding a bounded part of it in memory; the whole object appears under its name at once, or nothing does.

        If the chunks fail or the caller is cancelled, none of it stays. `size` in bytes if it is known: WrongContent if another number
        comes. Unless `replace`, raises NameTaken if there is something. `attempt` names the unfinished copy: after a crash, the same
        attempt again replaces what the first has left behind.
        """

    async def stat(self, key: str) -> StoredObject | None:
        """The object's facts, or None if there is none."""

    async def look(self, key: str) -> FolderEntry | None:
        """The file or folder of that name, or None if there is none."""

    async def read(self, key: str, *, limit: int) -> bytes:
        """A small object. Raises ObjectMissing, and ObjectTooLarge beyond `limit` bytes."""

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """`length` bytes from `start` on, or all the rest. Raises ObjectMissing at the first chunk."""

    async def download(self, key: str, into: Path, *, limit: int) -> Download:
        """Fetches the object into a file, hashing on the way. Raises ObjectMissing, and ObjectTooLarge beyond `limit` bytes."""

    async def delete(self, key: str) -> None:
        """Removes the object; one that is not there is fine."""

    def entries(self, folder: str) -> AsyncIterator[FolderEntry]:
        """What is in a folder (`""`: at the top), in no order, as it comes in. Raises ObjectMissing at the first entry."""

    async def changes(self, folder: str, since: str) -> tuple[bool, str]:
        """Whether anything may have changed in a folder, or in those within, since that position; and the position of now.

        `since` is what an earlier call returned; `""` is before everything. A store that keeps no such account says that it may have.
        """

    async def sha256(self, key: str) -> str:
        """The hash, in lower-case hex, of what the store has now: computed by the store, or here by reading it back.

        Raises ObjectMissing.
        """

    async def presign_get(self, key: str, *, content_type: str, content_disposition: str, seconds: int) -> str | None:
        """A URL that gives the object to whoever holds it, with these two headers; None if the backend has no such thing."""

    async def ping(self) -> None:
        """Returns if the backend responds and lets us in. Raises StorageUnavailable with a sentence for people."""

    async def close(self) -> None:
        """Closes this event loop's connections."""


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
