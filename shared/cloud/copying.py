"""One copy of an original from one place to another, hashed on the way."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from shared.storage import NameTaken, StorageBackend, WrongContent
from shared.storage.digesting import digesting

CHANGED_MEANWHILE = "changed_meanwhile"
"""The code of what was not what it had been said to be when it came to be fetched, in jobs."""


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

    async def hashed() -> AsyncIterator[bytes]:
        async with aclosing(source.stream(original.key)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                await digest.take(chunk)
                if digest.size > original.size:
                    break
                yield chunk
        if digest.size != original.size or original.sha256 not in (None, await digest.sha256()):
            raise SourceChanged("The original is not what it was when it was stored, so it is not copied.")

    there = await target.look(key) if earlier else None
    if there is not None:
        if there.size != original.size:
            return None
        expected = original.sha256 or await source.sha256(original.key)
        return expected if await target.sha256(key) == expected else None
    async with digesting() as digest:
        try:
            await target.put_stream(key, hashed(), content_type=original.content_type, size=original.size, replace=False, attempt=attempt)
        except NameTaken:
            return None
        return await digest.sha256()
