"""Files in Google Drive (API v3), through google-api-python-client on threads, its requests through the outbound guard.

Drive knows ids, not paths: names repeat in one folder, and a query for a name ignores case. A key is a path all the same; its segments are
looked up one after the other, by the exact name, the oldest of several. What cannot be named so (a second file of that name, a name with a
slash) has the segment `=id:` and its id. Shared drives count like one's own.

An upload is resumable, and its file appears when it is complete. Documents of Google's own kinds have no bytes: reading them exports a PDF.
"""

import asyncio
import functools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

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
from shared.storage.whole_objects import WholeObjects

if TYPE_CHECKING:
    import requests

API_URL = "https://www.googleapis.com"
PIECE_SIZE = 8 * 2**20
"""A multiple of 256 KiB, as resumable uploads want it; downloads come in pieces of that size, too."""
SILENCE_SECONDS = 60.0
ANSWER_BYTES = 16 * 2**20
"""More than a piece, and than Google exports."""
PAUSES_SECONDS = (0.5, 2.0, 4.0)
FOLDER = "application/vnd.google-apps.folder"
GOOGLE_KINDS = "application/vnd.google-apps."
FIELDS = "id,name,mimeType,size,sha256Checksum,md5Checksum,modifiedTime,headRevisionId,version"
BY_ID = "=id:"
CHANGES_PAGES = 100
"""How many pages of changes are read, each of a thousand; whoever was away for longer lists anew."""
EXPORTED = {f"{GOOGLE_KINDS}{kind}": "application/pdf" for kind in ("document", "spreadsheet", "presentation", "drawing")}
"""What has no bytes of its own comes as a PDF, which is how it looks; Google exports 10 MB at most."""

_RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded"}
_QUOTA_REASONS = {
    "storageQuotaExceeded",
    "quotaExceeded",
    "dailyLimitExceeded",
    "teamDriveFileLimitExceeded",
    "numChildrenInNonRootLimitExceeded",
}

Renew = Callable[[str], Awaitable[str]]
"""Takes the access token that is not good any more, returns a newer one; raises CredentialsRejected, StorageUnavailable."""


class GoogleDriveBackend(WholeObjects):
    """One account's drive; keys are paths below its root."""

    provider = "google_drive"

    def __init__(self, access_token: str, renew: Renew, guard: UrlGuard, *, api_url: str = API_URL) -> None:
        self._http = _Http(guard, access_token)
        self._renew = renew
        self._drive: Any = None
        self._building = asyncio.Lock()
        self._api_url = api_url.rstrip("/")
        self._folders: dict[str, str] = {"": "root"}
        """Ids of folders, by path."""

    async def _store(
        self, key: str, chunks: AsyncIterator[bytes], size: int, content_type: str, *, replace: bool, attempt: str | None
    ) -> StoredObject:
        *folder, name = segments(key)
        there = await self._find(key)
        if there is not None and there["mimeType"] == FOLDER:
            raise NameRefused("There is a folder of that name.")
        if there is not None and not replace:
            raise NameTaken
        parent = await self._make_folder(folder)
        file = await self._upload(parent, name, there["id"] if there else None, exactly(chunks, size), size, content_type)
        if int(file.get("size", -1)) != size:
            await self._delete(file["id"])
            raise WrongContent(f"{size} bytes were sent to Google Drive, and it kept {file.get('size')}.")
        if there is None:
            oldest = await self._child(parent, name)
            if oldest is not None and oldest["id"] != file["id"]:
                # Names may repeat: somebody else was first.
                await self._delete(file["id"])
                raise NameTaken
        return _stored(key, file)

    async def stat(self, key: str) -> StoredObject | None:
        file = await self._find(key)
        return None if file is None or file["mimeType"] == FOLDER else _stored(key, file)

    async def look(self, key: str) -> FolderEntry | None:
        file = await self._find(key)
        return None if file is None else _entry(key, file)

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        file = await self._find(key)
        if file is None or file["mimeType"] == FOLDER:
            raise ObjectMissing
        if file["mimeType"].startswith(GOOGLE_KINDS):
            kind = EXPORTED.get(file["mimeType"])
            if kind is None:
                raise NameRefused("This is nothing that Google gives out as a file.")
            exported = {"fileId": file["id"], "mimeType": kind}
            content: bytes = await self._call(lambda drive: drive.files().export(**exported).execute())
            yield content[start : None if length is None else start + length]  # an export knows no ranges
            return
        end = int(file.get("size", 0)) if length is None else min(start + length, int(file.get("size", 0)))
        while start < end:
            part = await self._part(file["id"], start, min(end, start + PIECE_SIZE))
            if not part:
                raise StorageUnavailable("The download ended early; try again.")
            start += len(part)
            yield part

    async def delete(self, key: str) -> None:
        file = await self._find(key)
        if file is None:
            return
        if file["mimeType"] == FOLDER:
            raise NameRefused("There is a folder of that name.")
        await self._delete(file["id"])

    async def entries(self, folder: str) -> AsyncIterator[FolderEntry]:
        file = await self._find(folder) if folder else {"id": "root", "mimeType": FOLDER}
        if file is None or file["mimeType"] != FOLDER:
            raise ObjectMissing
        token, named = None, set()
        while True:
            page = await self._list(f"'{file['id']}' in parents and trashed = false", token)
            for child in page.get("files", []):
                name = str(child["name"])
                segment = name if name not in named and _is_possible(name) else f"{BY_ID}{child['id']}"
                named.add(name)
                yield _entry(f"{folder}/{segment}" if folder else segment, child)
            token = page.get("nextPageToken")
            if not token:
                return

    async def sha256(self, key: str) -> str:
        file = await self._find(key)
        if file is None or file["mimeType"] == FOLDER:
            raise ObjectMissing
        return str(file.get("sha256Checksum") or await self._hash(key, int(file["size"]) if "size" in file else None))

    async def changes(self, folder: str, since: str) -> tuple[bool, str]:
        """By the drive's list of changes, which is of all its files (Drive's "Retrieve changes")."""
        try:
            return await self._changes(since) if since else (True, await self._position())
        except (ObjectMissing, NameRefused):
            return True, await self._position()  # Google does not know that position any more

    async def ping(self) -> None:
        await self._call(lambda drive: drive.about().get(fields="user(emailAddress)").execute())

    async def account(self) -> str:
        """The account's mail address."""
        said = await self._call(lambda drive: drive.about().get(fields="user(emailAddress)").execute())
        return str(said["user"].get("emailAddress") or "Google Drive")

    async def close(self) -> None:
        await asyncio.to_thread(self._http.close)

    # How it is done

    async def _upload(
        self, parent: str, name: str, file_id: str | None, chunks: AsyncIterator[bytes], size: int, content_type: str
    ) -> dict[str, Any]:
        """Sends a file in pieces; what came of it. Nothing is there until the last one."""
        media = _media(size, content_type or "application/octet-stream")

        def begin(drive: Any) -> Any:
            if file_id is not None:
                return drive.files().update(fileId=file_id, media_body=media, fields=FIELDS, supportsAllDrives=True)
            body = {"name": name, "parents": [parent]}
            return drive.files().create(body=body, media_body=media, fields=FIELDS, supportsAllDrives=True)

        request = begin(await self._service())
        if size == 0:
            async for _ in chunks:
                pass
            sent: dict[str, Any] = await self._send_piece(request, media, b"", 0)
            return sent
        start = 0
        file: Any = None
        async with aclosing(pieces(chunks, PIECE_SIZE)) as parts:
            async for piece in parts:
                async with piece.content() as content:
                    file = await self._send_piece(request, media, content, start)
                    start += len(content)
        if file is None:
            raise StorageUnavailable("Google Drive does not say that the upload is complete.")
        return dict(file)

    async def _send_piece(self, request: Any, media: Any, content: bytes, start: int) -> Any:
        """Sends one piece, again where it got lost; the file, after the last one."""
        media.hold(content, start)
        end = start + len(content)
        failures = 0
        while True:
            try:
                _, file = await asyncio.to_thread(request.next_chunk)
            except Exception as failed:
                failures += 1
                await self._consider(failed, failures)
                continue
            if file is not None or request.resumable_progress >= end:
                return file

    async def _part(self, file_id: str, start: int, end: int) -> bytes:
        def work(drive: Any) -> bytes:
            request = drive.files().get_media(fileId=file_id, supportsAllDrives=True)
            request.headers["range"] = f"bytes={start}-{end - 1}"
            content: bytes = request.execute()
            return content[: end - start]

        part: bytes = await self._call(work)
        return part

    async def _changes(self, token: str) -> tuple[bool, str]:
        changed = False
        for _ in range(CHANGES_PAGES):
            page = await self._call(functools.partial(_changes_page, token))
            changed = changed or bool(page.get("changes"))
            if "newStartPageToken" in page:
                return changed, str(page["newStartPageToken"])
            token = str(page.get("nextPageToken") or "")
            if not token:
                break
        return True, await self._position()

    async def _position(self) -> str:
        said = await self._call(lambda drive: drive.changes().getStartPageToken(supportsAllDrives=True).execute())
        return str(said["startPageToken"])

    async def _delete(self, file_id: str) -> None:
        with suppress(ObjectMissing):
            await self._call(lambda drive: drive.files().delete(fileId=file_id, supportsAllDrives=True).execute())

    async def _make_folder(self, path: list[str]) -> str:
        """The id of a folder, which is made unless it is there."""
        parent, made = "root", ""
        for name in path:
            made = f"{made}/{name}" if made else name
            if made not in self._folders:
                child = await self._child(parent, name)
                if child is None:
                    ours = await self._new_folder(parent, name)
                    child = await self._child(parent, name) or ours
                    if child["id"] != ours["id"]:
                        await self._delete(ours["id"])  # somebody made one at the same time, and was first
                if child["mimeType"] != FOLDER:
                    raise NameRefused(f"“{made}” is a file there, not a folder.")
                self._folders[made] = child["id"]
            parent = self._folders[made]
        return parent

    async def _new_folder(self, parent: str, name: str) -> dict[str, Any]:
        body = {"name": name, "parents": [parent], "mimeType": FOLDER}
        made: dict[str, Any] = await self._call(
            lambda drive: drive.files().create(body=body, fields=FIELDS, supportsAllDrives=True).execute()
        )
        return made

    async def _find(self, key: str) -> dict[str, Any] | None:
        if not key:
            return {"id": "root", "name": "", "mimeType": FOLDER}
        *folder, name = segments(key)
        parent, walked = "root", ""
        for segment in folder:
            walked = f"{walked}/{segment}" if walked else segment
            if walked not in self._folders:
                child = await self._child(parent, segment)
                if child is None or child["mimeType"] != FOLDER:
                    return None
                self._folders[walked] = child["id"]
            parent = self._folders[walked]
        return await self._child(parent, name)

    async def _child(self, parent: str, segment: str) -> dict[str, Any] | None:
        """The oldest file of exactly that name in a folder."""
        if segment.startswith(BY_ID):
            file_id = segment.removeprefix(BY_ID)
            try:
                found: dict[str, Any] = await self._call(
                    lambda drive: drive.files().get(fileId=file_id, fields=f"{FIELDS},trashed", supportsAllDrives=True).execute()
                )
            except ObjectMissing:
                return None
            return None if found.get("trashed") else found
        escaped = segment.replace("\\", "\\\\").replace("'", "\\'")
        token = None
        while True:
            page = await self._list(f"'{parent}' in parents and name = '{escaped}' and trashed = false", token)
            for file in page.get("files", []):
                if file["name"] == segment:
                    same: dict[str, Any] = file
                    return same
            token = page.get("nextPageToken")
            if not token:
                return None

    async def _list(self, query: str, token: str | None) -> dict[str, Any]:
        page: dict[str, Any] = await self._call(
            lambda drive: (
                drive.files()
                .list(
                    q=query,
                    fields=f"nextPageToken,files({FIELDS})",
                    orderBy="createdTime",
                    pageSize=1000,
                    pageToken=token,
                    spaces="drive",
                    supportsAllDrives=True,
                    includeItemsFromAllDrives=True,
                )
                .execute()
            )
        )
        return page

    async def _call(self, work: Callable[[Any], Any]) -> Any:
        """Runs a short call on a thread, again where that may help."""
        failures = 0
        while True:
            try:
                return await asyncio.to_thread(work, await self._service())
            except Exception as failed:
                failures += 1
                await self._consider(failed, failures)

    async def _consider(self, failed: Exception, failures: int) -> None:
        """Returns if the call may be made again: with a newer token, or after a pause. Raises the named error otherwise."""
        import requests
        from googleapiclient.errors import HttpError

        if isinstance(failed, HttpError):
            reasons = _reasons(failed)
            if failed.status_code == 401 and failures == 1:
                self._http.token = await self._renew(self._http.token)
                return
            passing = failed.status_code in (429, 500, 502, 503, 504) or (failed.status_code == 403 and reasons & _RATE_REASONS)
            if not passing or failures > len(PAUSES_SECONDS):
                _refuse(failed.status_code, reasons)
        elif isinstance(failed, HostNotAllowed | UrlNotAllowed):
            raise StorageUnavailable(str(failed)) from None
        elif not isinstance(failed, requests.RequestException | OSError):
            raise failed
        elif failures > len(PAUSES_SECONDS):
            raise StorageUnavailable("Google Drive cannot be reached just now; try again in a moment.") from failed
        await asyncio.sleep(PAUSES_SECONDS[failures - 1])

    async def _service(self) -> Any:
        """The library's own object for Drive, by the discovery document that it ships."""
        async with self._building:
            if self._drive is None:
                self._drive = await asyncio.to_thread(_drive, self._api_url, self._http)
        return self._drive


class _Http:
    """What google-api-python-client takes for httplib2: requests with a token, through the outbound guard.

    Threads share it; a session is with one of them at a time.
    """

    def __init__(self, guard: UrlGuard, token: str) -> None:
        self.token = token
        self._guard = guard
        self._idle: list[requests.Session] = []
        self.redirect_codes = frozenset({308})
        """Set by the library: 308 is how a resumable upload says that it goes on."""

    def request(
        self, uri: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> tuple[Any, bytes]:
        import httplib2
        import requests

        from shared.outbound.clients import requests_session

        sent = {name: value for name, value in (headers or {}).items() if name.lower() not in ("accept-encoding", "user-agent")}
        sent["Authorization"] = f"Bearer {self.token}"
        try:
            session = self._idle.pop()
        except IndexError:
            session = requests_session(self._guard, seconds=SILENCE_SECONDS, response_bytes=ANSWER_BYTES)
        try:
            answer = session.request(method, uri, data=body, headers=sent, allow_redirects=False)
        except BaseException:
            session.close()
            raise
        if len(answer.content) >= ANSWER_BYTES:
            session.close()
            raise requests.ConnectionError("Google Drive's response does not end.")
        self._idle.append(session)
        response = httplib2.Response({name.lower(): value for name, value in answer.headers.items()} | {"status": str(answer.status_code)})
        response.reason = answer.reason
        return response, answer.content

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _drive(api_url: str, http: _Http) -> Any:
    from googleapiclient.discovery import build_from_document
    from googleapiclient.discovery_cache import get_static_doc

    document = json.loads(get_static_doc("drive", "v3"))
    document["rootUrl"] = f"{api_url}/"
    document["baseUrl"] = f"{api_url}/{document['servicePath']}"
    return build_from_document(document, http=http)


def _changes_page(token: str, drive: Any) -> dict[str, Any]:
    page: dict[str, Any] = (
        drive.changes()
        .list(
            pageToken=token,
            fields="nextPageToken,newStartPageToken,changes(fileId)",
            pageSize=1000,
            spaces="drive",
            supportsAllDrives=True,
            includeItemsFromAllDrives=True,
        )
        .execute()
    )
    return page


def _media(size: int, content_type: str) -> Any:
    from googleapiclient.http import MediaUpload

    class Pieces(MediaUpload):  # type: ignore[misc]
        """A file of which one piece at a time is held."""

        def __init__(self) -> None:
            self._content, self._start = b"", 0

        def hold(self, content: bytes, start: int) -> None:
            self._content, self._start = content, start

        def chunksize(self) -> int:
            return PIECE_SIZE

        def mimetype(self) -> str:
            return content_type

        def size(self) -> int:
            return size

        def resumable(self) -> bool:
            return True

        def has_stream(self) -> bool:
            return False

        def getbytes(self, begin: int, length: int) -> bytes:
            offset = begin - self._start
            if offset < 0:
                raise OSError("Google Drive has lost a part of the upload.")
            return self._content[offset : offset + length]

    return Pieces()


def _stored(key: str, file: Mapping[str, Any]) -> StoredObject:
    return StoredObject(key, int(file.get("size", 0)), str(file.get("mimeType", "")), _tag(file))


def _entry(key: str, file: Mapping[str, Any]) -> FolderEntry:
    is_folder = file.get("mimeType") == FOLDER
    changed_at = file.get("modifiedTime")
    return FolderEntry(
        key=key,
        name=str(file.get("name", "")),
        is_folder=is_folder,
        size=int(file["size"]) if not is_folder and "size" in file else None,
        modified_at=datetime.fromisoformat(str(changed_at)) if changed_at else None,
        etag=_tag(file),
        content_type=str(file.get("mimeType", "")),
        sha256=file.get("sha256Checksum"),
        exported=EXPORTED.get(str(file.get("mimeType", ""))),
    )


def _tag(file: Mapping[str, Any]) -> str:
    """What changes with the content; documents of Google's own kinds have nothing but a version."""
    return str(file.get("headRevisionId") or file.get("md5Checksum") or file.get("version") or "")


def _is_possible(name: str) -> bool:
    try:
        return segments(name) == [name] and not name.startswith(BY_ID)
    except NameRefused:
        return False


def _reasons(failed: Any) -> set[str]:
    try:
        errors = json.loads(failed.content)["error"]["errors"]
        return {str(error["reason"]) for error in errors}
    except (ValueError, KeyError, TypeError):
        return set()


def _refuse(status: int, reasons: set[str]) -> NoReturn:
    """What a status and its reasons mean (Drive's "Resolve errors")."""
    if status == 401:
        raise CredentialsRejected("Google does not accept the sign-in any more; sign in again.")
    if status in (404, 410):
        raise ObjectMissing
    if reasons & _QUOTA_REASONS:
        raise QuotaFull("There is no room left in Google Drive.")
    if status == 429 or reasons & _RATE_REASONS:
        raise StorageRateLimited("Google Drive wants fewer requests; try again later.", retry_after=60)
    if "exportSizeLimitExceeded" in reasons:
        raise NameRefused("Google gives out no document of its own kinds that is longer than 10 MB.")
    if "cannotDownloadAbusiveFile" in reasons:
        raise StorageUnavailable("Google takes this file for malware or spam, and gives it to nobody.", retry_after=24 * 3600)
    if status == 403:
        raise CredentialsRejected("The account, or what it lets DocuVault do, does not allow this in Google Drive.")
    if status == 400:
        raise NameRefused("Google Drive does not take a file of this name.")
    raise StorageUnavailable(f"Google Drive refused this just now ({status}).")
