"""One copy of an original from one place to another, hashed on the way."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from shared.storage import NameTaken, StorageBackend, WrongContent


class SourceChanged(WrongContent):
    """The original is not what it was when it was stored: no further attempt would find it otherwise."""


@dataclass(frozen=True)
class CopiedOriginal:
    """What a document's row says of its original; `size` in bytes."""

    key: str
    size: int
    sha256: str | None
    content_type: str


async def copy(
    original: CopiedOriginal, source: StorageBackend, target: StorageBackend, key: str, *, earlier: bool, attempt: str
) -> str | None:
    """Copies the original to `key`, where nothing was; the hash of what was sent. None if something else lies there by now.

    `earlier`: an attempt before this one may have made the copy. Raises SourceChanged if the source is not what its row says, and what
    the backends raise.
    """
    digest = hashlib.sha256()

    async def hashed() -> AsyncIterator[bytes]:
        size = 0
        async with aclosing(source.stream(original.key)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                if size > original.size:
                    break
                yield chunk
        if size != original.size or (original.sha256 is not None and digest.hexdigest() != original.sha256):
            raise SourceChanged("The original is not what it was when it was stored, so it is not copied.")

    there = await target.look(key) if earlier else None
    if there is not None:
        if there.size != original.size:
            return None
        expected = original.sha256 or await source.sha256(original.key)
        return expected if await target.sha256(key) == expected else None
    try:
        await target.put_stream(key, hashed(), content_type=original.content_type, size=original.size, replace=False, attempt=attempt)
    except NameTaken:
        return None
    return digest.hexdigest()
