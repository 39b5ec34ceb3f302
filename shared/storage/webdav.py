"""Files on a WebDAV server (RFC 4918).

An upload goes to a name of its own beside its target, is measured there, and then takes the target's name with one MOVE: nobody ever sees
half a file under the final name, and one that is there is replaced only if that is wanted.

`webdavclient3` makes the two calls that need neither a stream nor a header: MKCOL and DELETE (its `mkdir` and `clean` as such would ask
about the parent first and print what they do, so they go through its `execute_request`). The others go through httpx, because webdavclient3
- PUT: sends streams chunked, without Content-Length (its issue 107), which many servers refuse;
- GET: knows no Range, asks HEAD and PROPFIND before each download, and does not notice a body that ends early;
- PROPFIND: holds the whole listing and parses it with entities resolved, takes the first propstat whatever its status;
- MOVE: asks twice before it moves, and drops what else must be sent along (Nextcloud's checksums).
Both go through the outbound guard, at each request and again when a connection is opened. A redirect is followed within the same origin,
with the same method; no other is, so credentials never reach another host or leave TLS.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, unquote, urljoin, urlsplit

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
from shared.storage.cloud_addresses import segments, validate_cloud_url
from shared.storage.multistatus import MultistatusReader, NotMultistatus, Resource
from shared.storage.spooling import exactly
from shared.storage.whole_objects import IDLE_SECONDS, WholeObjects

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("docuvault.storage")

SILENCE_SECONDS = 60.0
"""How long the server may be silent in the middle of a request."""
SHORT_CALL_SECONDS = 90.0
"""How long a call may take whose response is a few lines."""
PAUSES_SECONDS = (0.2, 1.0)
"""Before each further attempt of a call that may be repeated."""
CUT_PAUSES_SECONDS = (0.1, 0.3, 1.0)
LONGEST_PAUSE_SECONDS = 10
"""A server that wants us to wait for longer is not waited for: the step is tried again later."""
LISTING_BYTES = 2**30
DESCRIPTION_BYTES = 2**20
"""What a server may say of one file or folder."""
REDIRECTS = 3
PASSING = frozenset({423, 429, 500, 502, 503, 504})

PROPERTIES = (
    b'<?xml version="1.0" encoding="utf-8"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><d:resourcetype/>'
    b"<d:getcontentlength/><d:getlastmodified/><d:getetag/><d:getcontenttype/><oc:checksums/></d:prop></d:propfind>"
)


class WebDAVBackend(WholeObjects):
    """One account on one server; keys are paths below `server_url`. Raises UrlNotAllowed for an address that cannot be one."""

    provider = "webdav"

    def __init__(self, *, server_url: str, username: str, password: str, guard: UrlGuard) -> None:
        self.server_url = validate_cloud_url(server_url, guard)
        self._username, self._password = username, password
        self._guard = guard
        self._http: httpx.AsyncClient | None = None
        self._folders: set[str] = set()
        """Folders that are known to be there."""

    async def _store(
        self, key: str, chunks: AsyncIterator[bytes], size: int, content_type: str, *, replace: bool, attempt: str | None
    ) -> StoredObject:
        *folder, _ = segments(key)
        unfinished = "/".join([*folder, f".docuvault-{attempt or secrets.token_hex(8)}.part"])
        if replace and (there := await self._find(key)) is not None and there.is_folder:
            raise NameRefused("There is a folder of that name.")  # a MOVE would replace it, and all that is in it
        await self._make_folders("/".join(folder))
        answered = False
        try:
            await self._upload(unfinished, exactly(chunks, size), size, content_type)
            answered = True
            try:
                await self._expect(unfinished, size)
            except ObjectMissing:
                raise WrongContent(f"{size} bytes were sent to the server, and it kept nothing. It may have no room left.") from None
            await self._move(unfinished, key, size, replace=replace)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(self._discard(unfinished, cut=not answered)))
            raise
        try:
            return await self._expect(key, size)
        except ObjectMissing:
            # Some servers cut the target of a MOVE at the first “?” or “;”, however it is written.
            await self._discard(unfinished)
            raise NameRefused("The server does not keep a file under this name.") from None

    async def stat(self, key: str) -> StoredObject | None:
        resource = await self._find(key)
        if resource is None or resource.is_folder:
            return None
        return StoredObject(key, resource.size or 0, resource.content_type, _etag(resource))

    async def look(self, key: str) -> FolderEntry | None:
        resource = await self._find(key)
        return None if resource is None else _entry(key, resource)

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        if length == 0:
            return
        headers = {}
        if start or length is not None:
            headers["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        async with self._request("GET", self._url(key), headers=headers, accept=(416,)) as response:
            if response.status_code == 416:
                return  # nothing is left from there on
            # A server that knows no ranges sends everything.
            skip = start if response.status_code == 200 else 0
            left = length
            async for chunk in response.aiter_raw():
                if skip:
                    skipped = min(skip, len(chunk))
                    skip -= skipped
                    chunk = chunk[skipped:]
                if left is not None:
                    chunk = chunk[:left]
                    left -= len(chunk)
                if chunk:
                    yield chunk
                if left == 0:
                    return

    async def delete(self, key: str) -> None:
        """A folder is never deleted: with it would go what is in it."""
        resource = await self._find(key)
        if resource is None:
            return
        if resource.is_folder:
            raise NameRefused("There is a folder of that name.")
        await self._remove(key)

    async def entries(self, folder: str) -> AsyncIterator[FolderEntry]:
        url = self._url(folder, folder=True)
        here, elsewhere, listed = _path(url), 0, 0
        async with aclosing(self._resources(url, depth=1)) as resources:
            async for resource in resources:
                path = _path(resource.href)
                if path == here:
                    if not resource.is_folder:
                        raise ObjectMissing
                    listed += 1
                elif (name := path.removeprefix(f"{here}/")) != path and name not in ("", ".", "..") and "/" not in name:
                    listed += 1
                    yield _entry(f"{folder}/{name}" if folder else name, resource)
                else:
                    elsewhere += 1
        if elsewhere and not listed:
            raise StorageUnavailable("The server lists its files under another address than the one it was asked at.")

    async def sha256(self, key: str) -> str:
        resource = await self._find(key)
        if resource is None or resource.is_folder:
            raise ObjectMissing
        return await self._hash(key, resource.size)

    async def changes(self, folder: str, since: str) -> tuple[bool, str]:
        """A folder's tag says nothing of its files' contents, nor of folders within: each look lists it."""
        return True, ""

    async def ping(self) -> None:
        try:
            resource = await self._find("")
        except NameRefused:
            resource = None
        if resource is None or not resource.is_folder:
            raise StorageUnavailable("There is no such folder on the server; check the address.")

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    # What subclasses may do otherwise

    @property
    def _base(self) -> str:
        """Where the account's files begin, without a slash at the end."""
        return self.server_url

    async def _upload(self, key: str, chunks: AsyncIterator[bytes], size: int, content_type: str) -> None:
        headers = {"Content-Type": content_type or "application/octet-stream", "Content-Length": str(size)}
        async with self._request("PUT", self._url(key), headers=headers, content=chunks):
            pass

    async def _move(self, source: str, target: str, size: int, *, replace: bool, headers: Mapping[str, str] | None = None) -> None:
        sent = {"Destination": self._url(target), "Overwrite": "T" if replace else "F", **(headers or {})}
        try:
            async with self._request("MOVE", self._url(source), headers=sent, repeat=True):
                pass
        except ObjectMissing:
            # The response to the first attempt may have been lost: then the file is where it should be.
            moved = await self.stat(target)
            if moved is None or moved.size != size:
                raise StorageUnavailable("The server has lost the upload; try again.") from None

    # How it is done

    def _url(self, key: str, *, folder: bool = False) -> str:
        """Raises NameRefused."""
        path = "".join(f"/{quote(segment, safe='')}" for segment in segments(key)) if key else ""
        return f"{self._base}{path}{'/' if folder or not key else ''}"

    async def _find(self, key: str) -> Resource | None:
        first: Resource | None = None
        # Without a slash at the end: a file's address has none, and servers name a folder's in their response.
        with suppress(ObjectMissing):
            async with aclosing(self._resources(self._url(key), depth=0)) as resources:
                async for resource in resources:
                    if first is not None:
                        break  # a server that knows no Depth
                    first = resource  # the rest is read, too: then the connection is free for the next request
        return first

    async def _resources(self, url: str, *, depth: int) -> AsyncGenerator[Resource, None]:
        headers = {"Depth": str(depth), "Content-Type": "application/xml; charset=utf-8"}
        async with self._request("PROPFIND", url, headers=headers, content=PROPERTIES, repeat=True) as response:
            if response.status_code != 207:
                raise StorageUnavailable("There is no WebDAV server at this address: it sends a page instead of a listing.")
            reader, received = MultistatusReader(), 0
            try:
                async for chunk in response.aiter_raw():
                    received += len(chunk)
                    if received > (LISTING_BYTES if depth else DESCRIPTION_BYTES):
                        raise NotMultistatus("The server's listing does not end.")
                    for resource in reader.feed(chunk):
                        yield resource
                for resource in reader.close():
                    yield resource
            except NotMultistatus as refused:
                raise StorageUnavailable(str(refused)) from None

    async def _expect(self, key: str, size: int) -> StoredObject:
        """Raises WrongContent unless the file has this size, ObjectMissing if there is none."""
        stored = await self.stat(key)
        if stored is None:
            raise ObjectMissing
        if stored.size != size:
            hint = " It may have no room left." if stored.size < size else ""
            raise WrongContent(f"{size} bytes were sent to the server, and it kept {stored.size}.{hint}")
        return stored

    async def _make_folders(self, folder: str) -> None:
        """Makes the folder, and those it is in, unless it is there."""
        if not folder or folder in self._folders:
            return
        resource = await self._find(folder)
        if resource is None:
            await self._make_folders(folder.rpartition("/")[0])
            await self._with_webdavclient("mkdir", folder)
        elif not resource.is_folder:
            raise NameRefused(f"“{folder}” is a file there, not a folder.")
        self._folders.add(folder)

    async def _remove(self, key: str) -> None:
        with suppress(ObjectMissing):
            await self._with_webdavclient("clean", key)

    async def _discard(self, key: str, *, cut: bool = False) -> None:
        """Removes what is left of an upload, if the server lets us; otherwise the next attempt replaces it.

        Of an upload that may have been `cut` off, a server may only be about to make the file: what is not there is looked for again."""
        for pause in (*CUT_PAUSES_SECONDS, None) if cut else (None,):
            try:
                await self._with_webdavclient("clean", key)
                return
            except ObjectMissing:
                if pause is None:
                    return
            except StorageUnavailable:
                log.warning("an unfinished upload is still on the server", extra={"fields": {"provider": self.provider}})
                return
            await asyncio.sleep(pause)

    async def _with_webdavclient(self, action: str, key: str) -> None:
        """Makes a call of webdavclient3 on a thread. Raises what `_request` raises."""
        await self._check(self._base)
        for pause in (*PAUSES_SECONDS, None):
            try:
                await asyncio.to_thread(self._call_webdavclient, action, key)
                return
            except StorageUnavailable as failed:
                if pause is None or isinstance(failed, CredentialsRejected | QuotaFull):
                    raise
            await asyncio.sleep(pause)

    def _call_webdavclient(self, action: str, key: str) -> None:
        import requests
        from webdav3 import exceptions
        from webdav3.client import Client
        from webdav3.urn import Urn

        from shared.outbound.clients import requests_session

        options = {"webdav_hostname": self._base, "webdav_login": self._username, "webdav_password": self._password}
        client = Client(options | {"webdav_disable_check": True})
        client.session = requests_session(self._guard, seconds=SILENCE_SECONDS)
        # As bytes, or requests would write them in Latin-1.
        client.session.auth = (self._username.encode(), self._password.encode())
        try:
            client.execute_request(action, Urn(f"/{key}", directory=action == "mkdir").quote())
        except exceptions.MethodNotSupported:
            if action != "mkdir":  # there, it says that the folder exists (RFC 4918, section 9.3.1)
                _refuse(405, "", 0)
        except exceptions.RemoteResourceNotFound:
            raise ObjectMissing from None
        except exceptions.NotEnoughSpace:
            _refuse(507, "", 0)
        except exceptions.ResourceLocked:
            _refuse(423, "", 0)
        except exceptions.ResponseErrorCode as refused:
            _refuse(refused.code, "MKCOL" if action == "mkdir" else "DELETE", 0)
        except requests.RequestException:
            raise StorageUnavailable("The server cannot be reached just now; try again in a moment.") from None
        finally:
            client.session.close()

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        repeat: bool = False,
        accept: tuple[int, ...] = (),
    ) -> "AsyncIterator[httpx.Response]":
        """A successful response (or one of `accept`), its body yet to be read; `repeat`: the call may be made again without harm.

        Raises ObjectMissing, NameTaken, NameRefused, StorageUnavailable and its kind, also while the body is read.
        """
        import httpx

        from shared.outbound.clients import ResponseTooLarge, finish, release

        try:
            response = await self._sent(method, url, headers, content, repeat=repeat and not isinstance(content, AsyncIterator))
            try:
                if response.status_code >= 300 and response.status_code not in accept:
                    await finish(response)
                    _refuse(response.status_code, method, _seconds(response.headers.get("retry-after", "")))
                yield response
                await finish(response)
            finally:
                await release(response)
        except (HostNotAllowed, UrlNotAllowed, ResponseTooLarge) as refused:
            raise StorageUnavailable(str(refused)) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as lost:
            raise StorageUnavailable("The server cannot be reached just now; try again in a moment.") from lost

    async def _sent(self, method: str, url: str, headers: Mapping[str, str] | None, content: Any, *, repeat: bool) -> "httpx.Response":
        import httpx

        from shared.outbound.clients import finish

        for pause in (*PAUSES_SECONDS, None):
            try:
                response = await self._followed(method, url, headers, content)
            except httpx.TransportError:
                if pause is None or not repeat:
                    raise
            else:
                wait = _seconds(response.headers.get("retry-after", ""))
                if pause is None or not repeat or response.status_code not in PASSING or wait > LONGEST_PAUSE_SECONDS:
                    return response
                await finish(response)
                pause = max(pause, wait)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _followed(self, method: str, url: str, headers: Mapping[str, str] | None, content: Any) -> "httpx.Response":
        """The response after redirects within the origin; raises StorageUnavailable at one that leads elsewhere."""
        from shared.outbound.clients import finish

        client = self._client()
        for _ in range(REDIRECTS):
            await self._check(url)
            request = client.build_request(method, url, headers=headers, content=content)
            response = await client.send(request, stream=True, auth=(self._username, self._password))
            if response.status_code not in (301, 302, 303, 307, 308):
                return response
            await finish(response)
            target = urljoin(url, response.headers.get("location", ""))
            if _origin(target) != _origin(url):
                # Only the host: what else stands in the address may be secret.
                raise StorageUnavailable(f"The server sends us to {urlsplit(target).hostname}; connect with that address instead.")
            if response.status_code == 303 or isinstance(content, AsyncIterator):
                raise StorageUnavailable("The server sends us to another address, where this request is not possible.")
            url = target
        raise StorageUnavailable("The server sends us from one address to another without end.")

    async def _check(self, url: str) -> None:
        try:
            await self._guard.check_url(url)
        except (HostNotAllowed, UrlNotAllowed) as refused:
            raise StorageUnavailable(str(refused)) from None

    def _client(self) -> "httpx.AsyncClient":
        from shared.outbound.clients import client

        if self._http is None:
            self._http = client(self._guard, seconds=SILENCE_SECONDS, response_bytes=2**62, idle_seconds=IDLE_SECONDS)
        return self._http


def _entry(key: str, resource: Resource) -> FolderEntry:
    return FolderEntry(
        key=key,
        name=key.rpartition("/")[2],
        is_folder=resource.is_folder,
        size=None if resource.is_folder else resource.size,
        modified_at=resource.modified_at,
        etag=_etag(resource),
        content_type=resource.content_type,
    )


def _etag(resource: Resource) -> str:
    """What changes with the content: the server's own tag, or when it was changed and how long it is."""
    if resource.etag or resource.is_folder:
        return resource.etag
    changed_at = 0 if resource.modified_at is None else int(resource.modified_at.timestamp())
    return f"{changed_at:x}-{resource.size or 0:x}"


def _refuse(status: int, method: str, retry_after: int) -> NoReturn:
    """What a status means (RFC 4918, section 11; RFC 9110, section 15)."""
    if status == 401:
        raise CredentialsRejected("The server does not accept the user name and password.")
    if status in (404, 410):
        raise ObjectMissing
    if status == 412:
        raise NameTaken
    if status == 507:
        raise QuotaFull("The account on the server has no room left.")
    if status == 429:
        raise StorageRateLimited("The server wants fewer requests; try again later.", retry_after=retry_after or 60)
    if method in ("PUT", "MOVE", "MKCOL") and status in (400, 403, 414, 422):
        raise NameRefused("The server does not take a file of this name there, or the account may not write there.")
    if status == 403:
        raise CredentialsRejected("The account may not do this on the server.")
    if status == 413:
        raise QuotaFull("The server does not take files of this size.")
    if status in (405, 501):
        raise StorageUnavailable("There is no WebDAV server at this address.")
    raise StorageUnavailable(f"The server refused this just now ({status}).", retry_after=retry_after or 5)


def _seconds(retry_after: str) -> int:
    """Of a `Retry-After` header; one that names a date is as good as none."""
    return min(int(retry_after), 24 * 3600) if retry_after.isascii() and retry_after.isdecimal() and len(retry_after) < 9 else 0


def _path(href: str) -> str:
    return unquote(urlsplit(href).path).rstrip("/")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
