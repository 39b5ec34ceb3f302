"""Files in OneDrive and OneDrive for Business, through Microsoft Graph (learn.microsoft.com/graph/api/resources/onedrive).

Uploads go in sessions: fragments of 10 MiB, which need no token, and a file that appears when the last one is there. A session cannot carry
no bytes at all, so empty files go by a plain PUT. Downloads are redirected to an address that is signed itself: the token stays here.

OneDrive for Business and SharePoint write properties into Office files that arrive, so their size and hash change. Nothing here hides
that: `sha256` is that of what is there now, and whoever moves documents decides what to do (`shared.cloud.moves`).
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from shared.outbound import HostNotAllowed, UrlGuard, UrlNotAllowed
from shared.storage.backend import (
    CredentialsRejected,
    FolderEntry,
    NameRefused,
    NameTaken,
    ObjectMissing,
    QuotaFull,
    StorageRateLimited,
    StorageUnavailable,
    StoredObject,
    WrongContent,
)
from shared.storage.cloud_addresses import segments
from shared.storage.spooling import exactly, pieces
from shared.storage.whole_objects import IDLE_SECONDS, WholeObjects

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("docuvault.storage")

GRAPH_URL = "https://graph.microsoft.com/v1.0"
FRAGMENT_SIZE = 10 * 2**20
"""A multiple of 320 KiB, as Graph wants it."""
FRAGMENT_ATTEMPTS = 4
SILENCE_SECONDS = 60.0
PAUSES_SECONDS = (0.5, 2.0)
LONGEST_PAUSE_SECONDS = 10
REFRESHED_BEFORE_SECONDS = 300
LISTED_AT_ONCE = 200
CHANGES_PAGES = 100
"""How many pages of changes are read; whoever was away for longer lists anew."""
ANSWER_BYTES = 4 * 2**20
PASSING = frozenset({423, 429, 500, 502, 503, 504})


@dataclass
class Tokens:
    """`expires_at` is seconds since 1970. `refresh` returns newer tokens (and keeps them), or raises CredentialsRejected."""

    access_token: str
    expires_at: float
    refresh: "Callable[[], Awaitable[Tokens]]"


class OneDriveBackend(WholeObjects):
    """One drive; keys are paths below its root."""

    provider = "onedrive"

    def __init__(self, tokens: Tokens, guard: UrlGuard, *, graph_url: str = GRAPH_URL) -> None:
        self._tokens = tokens
        self._guard = guard
        self._graph_url = graph_url.rstrip("/")
        self._http: httpx.AsyncClient | None = None

    async def _store(
        self, key: str, chunks: AsyncIterator[bytes], size: int, content_type: str, *, replace: bool, attempt: str | None
    ) -> StoredObject:
        there = await self._item(key)
        if there is not None and "folder" in there:
            raise NameRefused("There is a folder of that name.")
        if there is not None and not replace:
            raise NameTaken
        chunks = exactly(chunks, size)
        item = await (self._put_nothing(key, chunks, replace) if size == 0 else self._put_session(key, chunks, size, replace))
        return _stored(key, item)

    async def stat(self, key: str) -> StoredObject | None:
        item = await self._item(key)
        return None if item is None or "folder" in item else _stored(key, item)

    async def look(self, key: str) -> FolderEntry | None:
        item = await self._item(key)
        return None if item is None else _entry(key, item)

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        item = await self._item(key)
        if item is None or "folder" in item:
            raise ObjectMissing
        end = int(item["size"]) if length is None else min(start + length, int(item["size"]))
        if start >= end:
            return  # also because an empty file has no range, and no content to be redirected to
        async with self._request("GET", self._url(key, "/content"), accept=(302,)) as response:
            address = response.headers.get("location", "")
            if response.status_code != 302 or not address:
                raise StorageUnavailable("OneDrive does not say where the file is.")
        ranged = {"Range": f"bytes={start}-{end - 1}"}
        # The address is signed: no token goes there, and it is used as it is.
        async with self._request("GET", address, headers=ranged, signed=True) as response:
            skip = start if response.status_code == 200 else 0
            left = end - start
            async for chunk in response.aiter_raw():
                if skip:
                    skipped = min(skip, len(chunk))
                    skip -= skipped
                    chunk = chunk[skipped:]
                chunk = chunk[:left]
                left -= len(chunk)
                if chunk:
                    yield chunk
                if not left:
                    return
            raise StorageUnavailable("The download ended early; try again.")

    async def delete(self, key: str) -> None:
        item = await self._item(key)
        if item is None:
            return
        if "folder" in item:
            raise NameRefused("There is a folder of that name.")
        async with self._request("DELETE", self._url(key), accept=(404,)):
            pass

    async def entries(self, folder: str) -> AsyncIterator[FolderEntry]:
        item = await self._item(folder)
        if item is None or "folder" not in item:
            raise ObjectMissing
        url = f"{self._url(folder, '/children')}?$top={LISTED_AT_ONCE}"
        while url:
            page = await self._json("GET", url)
            for child in page.get("value", []):
                yield _entry(f"{folder}/{child['name']}" if folder else child["name"], child)
            url = page.get("@odata.nextLink", "")
            if url and not url.startswith(self._graph_url):
                raise StorageUnavailable("OneDrive's listing goes on at another address.")  # the token must not follow it there

    async def sha256(self, key: str) -> str:
        stored = await self.stat(key)
        if stored is None:
            raise ObjectMissing
        return await self._hash(key, stored.size)

    async def changes(self, folder: str, since: str) -> tuple[bool, str]:
        """By Graph's `delta` of the whole drive: that of a folder exists for personal accounts only."""
        latest = f"{self._graph_url}/me/drive/root/delta?token=latest"
        try:
            changed, position = await self._delta(since or latest)
        except (ObjectMissing, NameRefused):
            changed, position = True, ""  # 410: Graph does not know that position any more
        return changed or not since, position or (await self._delta(latest))[1]

    async def ping(self) -> None:
        await self._json("GET", f"{self._graph_url}/me/drive")

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    # How it is done

    async def _put_nothing(self, key: str, chunks: AsyncIterator[bytes], replace: bool) -> dict[str, Any]:
        async for _ in chunks:
            pass
        url = f"{self._url(key, '/content')}?@microsoft.graph.conflictBehavior={'replace' if replace else 'fail'}"
        return await self._json("PUT", url, headers={"Content-Type": "application/octet-stream"}, content=b"")

    async def _put_session(self, key: str, chunks: AsyncIterator[bytes], size: int, replace: bool) -> dict[str, Any]:
        wanted = {"item": {"@microsoft.graph.conflictBehavior": "replace" if replace else "fail"}}
        session = await self._json("POST", self._url(key, "/createUploadSession"), content=json.dumps(wanted).encode())
        address = str(session["uploadUrl"])
        try:
            sent, item = 0, None
            async with aclosing(pieces(chunks, FRAGMENT_SIZE)) as fragments:
                async for fragment in fragments:
                    async with fragment.content() as content:
                        item = await self._send_fragment(address, content, sent, size)
                        sent += len(content)
            if item is None:
                raise StorageUnavailable("OneDrive does not say that the upload is complete.")
            if int(item.get("size", -1)) != size:
                raise WrongContent(f"{size} bytes were sent to OneDrive, and it kept {item.get('size')}.")
            return item
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(self._cancel(address)))
            raise

    async def _delta(self, url: str) -> tuple[bool, str]:
        """Whether a file or folder but the root has changed, and the address of the changes after these; `""` if there are too many."""
        changed = False
        for _ in range(CHANGES_PAGES):
            if not url.startswith(f"{self._graph_url}/"):
                raise StorageUnavailable("OneDrive's changes are at another address.")
            page = await self._json("GET", url)
            changed = changed or any("root" not in item for item in page.get("value", []))
            if "@odata.deltaLink" in page:
                return changed, str(page["@odata.deltaLink"])
            url = str(page.get("@odata.nextLink", ""))
        return True, ""

    async def _send_fragment(self, address: str, content: bytes, start: int, size: int) -> dict[str, Any] | None:
        """Sends what the session does not have yet of a fragment; the item, if it was the last one."""
        first, end = start, start + len(content)
        for attempt in range(FRAGMENT_ATTEMPTS):
            headers = {"Content-Range": f"bytes {first}-{end - 1}/{size}", "Content-Length": str(end - first)}
            try:
                async with self._request(
                    "PUT", address, headers=headers, content=content[first - start :], signed=True, accept=(416,)
                ) as response:
                    if response.status_code in (200, 201):
                        return _object(await _read(response))
                    if response.status_code == 202:
                        return None
            except (CredentialsRejected, ObjectMissing, NameTaken, QuotaFull, NameRefused):
                raise
            except StorageUnavailable:
                if attempt == FRAGMENT_ATTEMPTS - 1:
                    raise
                await asyncio.sleep(PAUSES_SECONDS[min(attempt, 1)])
            expected = _object(await self._session_state(address)).get("nextExpectedRanges") or []
            position = int(str(expected[0]).partition("-")[0]) if expected else end
            if position >= end:
                return None
            if position < start:
                raise StorageUnavailable("OneDrive has lost a part of the upload; try again.")
            first = position
        raise StorageUnavailable("OneDrive does not take the upload; try again.")

    async def _session_state(self, address: str) -> bytes:
        async with self._request("GET", address, signed=True) as response:
            return await _read(response)

    async def _cancel(self, address: str) -> None:
        try:
            async with self._request("DELETE", address, signed=True, accept=(404, 410)):
                pass
        except (StorageUnavailable, NameTaken, NameRefused):
            log.info("an upload session was not cancelled; it expires by itself")

    async def _item(self, key: str) -> dict[str, Any] | None:
        try:
            return await self._json("GET", self._url(key))
        except ObjectMissing:
            return None

    def _url(self, key: str, action: str = "") -> str:
        """Raises NameRefused."""
        if not key:
            return f"{self._graph_url}/me/drive/root{action}"
        path = "/".join(quote(segment, safe="") for segment in _checked(key))
        return f"{self._graph_url}/me/drive/root:/{path}:{action}"

    async def _json(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> dict[str, Any]:
        said = {"Content-Type": "application/json"} | dict(headers or {}) if content is not None else dict(headers or {})
        async with self._request(method, url, headers=said, content=content) as response:
            return _object(await _read(response))

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        accept: tuple[int, ...] = (),
        signed: bool = False,
    ) -> "AsyncIterator[httpx.Response]":
        """A successful response (or one of `accept`); `signed` addresses get no token. Raises the named errors, also while it is read."""
        import httpx

        from shared.outbound.clients import ResponseTooLarge, finish, release

        try:
            response = await self._sent(method, url, dict(headers or {}), content, signed=signed)
            try:
                if response.status_code >= 300 and response.status_code not in accept:
                    _refuse(response.status_code, await _read(response), _seconds(response.headers.get("retry-after", "")))
                yield response
                await finish(response)
            finally:
                await release(response)
        except (HostNotAllowed, UrlNotAllowed, ResponseTooLarge) as refused:
            raise StorageUnavailable(str(refused)) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as lost:
            raise StorageUnavailable("OneDrive cannot be reached just now; try again in a moment.") from lost

    async def _sent(self, method: str, url: str, headers: dict[str, str], content: bytes | None, *, signed: bool) -> "httpx.Response":
        import httpx

        from shared.outbound.clients import finish

        refreshed = False
        pauses = list(PAUSES_SECONDS)
        while True:
            if not signed:
                headers["Authorization"] = f"Bearer {await self._token()}"
            try:
                await self._guard.check_url(url)
                client = self._client()
                response = await client.send(client.build_request(method, url, headers=headers, content=content), stream=True)
            except httpx.TransportError:
                if not pauses:
                    raise
                wait = 0
            else:
                if response.status_code == 401 and not signed and not refreshed:
                    # Ended before its time: once more with a new one.
                    await finish(response)
                    self._tokens, refreshed = await self._tokens.refresh(), True
                    continue
                wait = _seconds(response.headers.get("retry-after", ""))
                if response.status_code not in PASSING or not pauses or wait > LONGEST_PAUSE_SECONDS:
                    return response
                await finish(response)
            await asyncio.sleep(max(pauses.pop(0), wait))

    async def _token(self) -> str:
        if self._tokens.expires_at - REFRESHED_BEFORE_SECONDS < time.time():
            self._tokens = await self._tokens.refresh()
        return self._tokens.access_token

    def _client(self) -> "httpx.AsyncClient":
        from shared.outbound.clients import client

        if self._http is None:
            self._http = client(self._guard, seconds=SILENCE_SECONDS, response_bytes=2**62, idle_seconds=IDLE_SECONDS)
        return self._http


def _checked(key: str) -> list[str]:
    """A key's segments. Raises NameRefused by OneDrive's rules ("Restrictions and limitations in OneDrive and SharePoint")."""
    found = segments(key)
    for segment in found:
        if set('"*:<>?/\\|') & set(segment) or segment.startswith((" ", "~$")) or segment.endswith((" ", ".")):
            raise NameRefused(
                'OneDrive takes no names with " * : < > ? \\ |, none that begin or end with a space, and none that end with a dot.'
            )
        stem = segment.partition(".")[0].upper()
        if stem in ("CON", "PRN", "AUX", "NUL") or (len(stem) == 4 and stem[:3] in ("COM", "LPT") and stem[3].isdecimal()):
            raise NameRefused(f"OneDrive takes no file that is called “{segment}”.")
        if segment.lower() in (".lock", "desktop.ini") or "_vti_" in segment:
            raise NameRefused(f"OneDrive takes no file that is called “{segment}”.")
    return found


def _stored(key: str, item: Mapping[str, Any]) -> StoredObject:
    file = item.get("file") or {}
    return StoredObject(key, int(item.get("size", 0)), str(file.get("mimeType", "")), _tag(item))


def _entry(key: str, item: Mapping[str, Any]) -> FolderEntry:
    is_folder = "folder" in item
    changed_at = item.get("lastModifiedDateTime")
    return FolderEntry(
        key=key,
        name=str(item.get("name", key.rpartition("/")[2])),
        is_folder=is_folder,
        size=None if is_folder else int(item.get("size", 0)),
        modified_at=datetime.fromisoformat(str(changed_at)) if changed_at else None,
        etag=_tag(item),
        content_type=str((item.get("file") or {}).get("mimeType", "")),
    )


def _tag(item: Mapping[str, Any]) -> str:
    """`cTag` changes with the content; `eTag` also with the name, or with who may read it."""
    return str(item.get("cTag") or item.get("eTag") or "").strip('"')


async def _read(response: "httpx.Response") -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > ANSWER_BYTES:
            raise StorageUnavailable("OneDrive's response does not end.")
    return bytes(content)


def _object(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content or b"{}")
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise StorageUnavailable("OneDrive's response makes no sense.")
    return said


def _refuse(status: int, content: bytes, retry_after: int) -> NoReturn:
    """What a status means, with the code in its body (Graph's "error response resource")."""
    try:
        code = str(json.loads(content)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        code = ""
    if status == 401 or code in ("InvalidAuthenticationToken", "unauthenticated"):
        raise CredentialsRejected("OneDrive does not accept the sign-in any more.")
    if status in (404, 410):
        raise ObjectMissing
    if status in (409, 412):
        raise NameTaken
    if status == 507 or code in ("quotaLimitReached", "insufficientStorage"):
        raise QuotaFull("There is no room left in OneDrive.")
    if status == 429 or code == "activityLimitReached":
        raise StorageRateLimited("OneDrive wants fewer requests; try again later.", retry_after=retry_after or 60)
    if status == 403:
        raise CredentialsRejected("The account may not do this in OneDrive.")
    if status in (400, 414, 422):
        raise NameRefused("OneDrive does not take a file of this name.")
    if status == 413:
        raise QuotaFull("OneDrive does not take files of this size.")
    raise StorageUnavailable(f"OneDrive refused this just now ({status}).", retry_after=retry_after or 5)


def _seconds(retry_after: str) -> int:
    return min(int(retry_after), 24 * 3600) if retry_after.isascii() and retry_after.isdecimal() and len(retry_after) < 9 else 0
