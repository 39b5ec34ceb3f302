"""The keys that sign URLs: found, made or refused, whoever's keys the settings name and whatever store it is."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from aiohttp import ClientSession, web

from infra.minio.bucket import BucketError, prepare
from shared.config import SettingsError, read_settings
from shared.storage import ObjectStore, StorageUnavailable, minio_accounts, url_keys
from shared.storage.presigning import KeyPair, Signer
from shared.storage.url_keys import UrlKeys
from tests.services import Services, Store

StartServices = Callable[..., Awaitable[Services]]

BUCKET = "docuvault"


@pytest.fixture
async def minio(start_services: StartServices) -> Store:
    return (await start_services(store="minio", notify=False)).store


@asynccontextmanager
async def _opened(endpoint: str, account: KeyPair, named: UrlKeys | None = None) -> AsyncIterator[ObjectStore]:
    store = ObjectStore(
        endpoint=endpoint,
        public_endpoint=endpoint,
        region="us-east-1",
        access_key=account.access_key,
        secret_key=account.secret_key,
        bucket=BUCKET,
        named_url_keys=named,
    )
    try:
        yield store
    finally:
        await store.close()


def _signed_by(url: str) -> str:
    return parse_qs(urlsplit(url).query)["X-Amz-Credential"][0].split("/", 1)[0]


async def _use(store: ObjectStore) -> tuple[str, str]:
    """Uploads and downloads as a browser; the names of the keys that signed."""
    key = f"used/{secrets.token_hex(8)}"
    upload = await store.presign_put(key, size=5, content_type="text/plain", sha256=None, seconds=60)
    async with httpx.AsyncClient(timeout=60) as browser:
        sent = await browser.put(upload.url, content=b"hello", headers=dict(upload.headers))
        assert sent.status_code == 200, sent.text
        url = await store.presign_get(key, content_type="text/plain", content_disposition="attachment", seconds=60)
        assert (await browser.get(url)).content == b"hello"
    return _signed_by(upload.url), _signed_by(url)


async def _administer(store: Store, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
    """What an operator does with `mc admin`."""
    account = Signer(store.endpoint, "us-east-1", store.access_key, store.secret_key)
    sealed = minio_accounts.seal(store.secret_key, json.dumps(body).encode()) if body else b""
    async with ClientSession() as session:
        assert await minio_accounts._send(session, account, method, path, sealed) == ""


async def _new_user(store: Store, policy: str = "readwrite") -> KeyPair:
    user = KeyPair(f"user-{secrets.token_hex(5)}", secrets.token_hex(20))
    await _administer(store, "PUT", f"/add-user?accessKey={user.access_key}", {"secretKey": user.secret_key, "status": "enabled"})
    await _administer(store, "PUT", f"/set-user-or-group-policy?isGroup=false&policyName={policy}&userOrGroup={user.access_key}")
    return user


def _root(store: Store) -> KeyPair:
    return KeyPair(store.access_key, store.secret_key)


async def test_the_bucket_command_makes_the_keys_and_no_url_shows_our_own(minio: Store) -> None:
    made = url_keys.derived(_root(minio), BUCKET)
    async with _opened(minio.endpoint, _root(minio)) as store:
        assert await _use(store) == (made.upload.access_key, made.download.access_key)
    assert minio.access_key not in (made.upload.access_key, made.download.access_key)


async def test_an_ordinary_user_gets_keys_of_its_own_at_the_first_url(minio: Store) -> None:
    user = await _new_user(minio)
    made = url_keys.derived(user, BUCKET)
    async with _opened(minio.endpoint, user) as store:
        assert await _use(store) == (made.upload.access_key, made.download.access_key)


async def test_an_access_key_of_a_user_gets_keys_beside_it(minio: Store) -> None:
    user, access_key = await _new_user(minio), KeyPair(f"key-{secrets.token_hex(5)}", secrets.token_hex(20))
    signer = Signer(minio.endpoint, "us-east-1", user.access_key, user.secret_key)
    async with ClientSession() as session:
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": ["s3:*"], "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]},
                {"Effect": "Allow", "Action": ["admin:CreateServiceAccount"]},
            ],
        }
        await minio_accounts.add(session, signer, access_key, policy, description="DocuVault")
    async with _opened(minio.endpoint, access_key) as store:
        assert (await _use(store))[0] == url_keys.derived(access_key, BUCKET).upload.access_key


async def test_without_leave_to_make_keys_nothing_is_signed_on_minio(minio: Store) -> None:
    user, access_key = await _new_user(minio), KeyPair(f"key-{secrets.token_hex(5)}", secrets.token_hex(20))
    signer = Signer(minio.endpoint, "us-east-1", user.access_key, user.secret_key)
    statement = {"Effect": "Allow", "Action": ["s3:*"], "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}
    async with ClientSession() as session:
        await minio_accounts.add(session, signer, access_key, {"Version": "2012-10-17", "Statement": [statement]}, description="DocuVault")
    async with _opened(minio.endpoint, access_key) as store:
        await store.put("ours", b"x", content_type="text/plain")
        with pytest.raises(StorageUnavailable, match="admin:CreateServiceAccount"):
            await store.presign_put("a/b", size=5, content_type="text/plain", sha256=None, seconds=60)
        with pytest.raises(StorageUnavailable, match=r"infra\.minio\.bucket"):
            await store.ping()
    with pytest.raises(BucketError, match="The keys for URLs could not be made"):
        await asyncio.to_thread(prepare, minio.endpoint, access_key.access_key, access_key.secret_key, BUCKET)


async def test_many_who_make_the_keys_at_once_all_have_them(minio: Store) -> None:
    user = await _new_user(minio)

    async def first_url() -> tuple[str, str]:
        async with _opened(minio.endpoint, user) as store:
            return await _use(store)

    assert len(set(await asyncio.gather(*(first_url() for _ in range(5))))) == 1


async def test_keys_of_a_secret_that_changed_are_made_anew(minio: Store) -> None:
    user = await _new_user(minio)
    before = url_keys.derived(user, BUCKET)
    async with _opened(minio.endpoint, user) as store:
        await _use(store)
    changed = KeyPair(user.access_key, secrets.token_hex(20))
    await _administer(minio, "PUT", f"/add-user?accessKey={user.access_key}", {"secretKey": changed.secret_key, "status": "enabled"})
    async with _opened(minio.endpoint, changed) as store:
        await _use(store)
    old = Signer(minio.endpoint, "us-east-1", before.download.access_key, before.download.secret_key)
    async with httpx.AsyncClient(timeout=60) as browser:
        assert (await browser.get(old.url("GET", BUCKET, "any", seconds=60))).status_code == 403


async def test_keys_that_the_settings_name_sign_if_they_may_no_more_than_they_should(minio: Store) -> None:
    root = _root(minio)
    made = url_keys.derived(root, BUCKET)
    async with _opened(minio.endpoint, root, UrlKeys(made.upload, made.download)) as store:
        assert await _use(store) == (made.upload.access_key, made.download.access_key)
    user = await _new_user(minio)
    for named in (
        UrlKeys(user, made.download),
        UrlKeys(made.upload, user),
        UrlKeys(made.download, made.upload),
        UrlKeys(KeyPair("nobody", "x" * 20), made.download),
        UrlKeys(made.upload, KeyPair("nobody", "x" * 20)),
    ):
        async with _opened(minio.endpoint, root, named) as store:
            with pytest.raises(StorageUnavailable, match=r"MINIO_(UP|DOWN)LOAD_ACCESS_KEY"):
                await store.presign_get("a/b", content_type="text/plain", content_disposition="attachment", seconds=60)


def test_named_keys_go_together_and_are_three() -> None:
    valid = {
        "DATABASE_URL": "postgresql:///x",
        "REDIS_URL": "redis://127.0.0.1",
        "SECRET_KEY": secrets.token_hex(32),
        "CLOUD_CREDS_KEY": secrets.token_hex(32),
        "MINIO_ENDPOINT": "http://127.0.0.1:9000",
        "MINIO_ACCESS_KEY": "main",
        "MINIO_SECRET_KEY": "main-secret",
        "MINIO_BUCKET": BUCKET,
        "MINIO_UPLOAD_ACCESS_KEY": "up",
        "MINIO_UPLOAD_SECRET_KEY": "up-secret",
        "MINIO_DOWNLOAD_ACCESS_KEY": "down",
        "MINIO_DOWNLOAD_SECRET_KEY": "down-secret",
    }
    read = read_settings(valid)
    assert not any(secret in repr(read) for secret in ("up-secret", "down-secret", "main-secret"))
    for name in valid:
        if name.startswith(("MINIO_UPLOAD", "MINIO_DOWNLOAD")):
            with pytest.raises(SettingsError, match=r"^MINIO_UPLOAD_ACCESS_KEY, .* all four or none\.$"):
                read_settings(valid | {name: ""})
    for name in ("MINIO_UPLOAD_ACCESS_KEY", "MINIO_DOWNLOAD_ACCESS_KEY"):
        with pytest.raises(SettingsError, match="three different keys"):
            read_settings(valid | {name: "main"})


class _OtherStore:
    """A store that is not MinIO and knows one key; `copies` if it heeds a copy source that nobody signed."""

    def __init__(self, access_key: str, *, copies: bool) -> None:
        self.access_key, self.copies, self.objects = access_key, copies, dict[str, bytes]()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/minio/health/live":
            return web.Response(headers={"ETag": '"0"'})  # what somebody has put into a bucket `minio`, for everybody to read
        if request.query.get("X-Amz-Credential", "").split("/", 1)[0] != self.access_key:
            return web.Response(status=403, text="<Error><Code>InvalidAccessKeyId</Code></Error>")
        source = request.headers.get("x-amz-copy-source")
        if source is not None and not self.copies:
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        if request.method == "PUT":
            self.objects[request.path] = await request.read() if source is None else self.objects[source]
        elif request.method == "DELETE":
            self.objects.pop(request.path, None)
        elif request.path not in self.objects:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        return web.Response(body=self.objects.get(request.path, b""))


@asynccontextmanager
async def _running(other: _OtherStore) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", other.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_another_store_that_refuses_what_was_not_signed_needs_no_keys() -> None:
    other, account = _OtherStore("main", copies=False), KeyPair("main", "secret")
    async with _running(other) as endpoint, _opened(endpoint, account) as store:
        assert await _use(store) == ("main", "main")
    assert all("used" in path for path in other.objects), "what it was tried out with is gone"


async def test_another_store_that_heeds_what_was_not_signed_needs_keys_that_are_named() -> None:
    other, account = _OtherStore("main", copies=True), KeyPair("main", "secret")
    async with _running(other) as endpoint, _opened(endpoint, account) as store:
        with pytest.raises(StorageUnavailable, match="MINIO_UPLOAD_ACCESS_KEY"):
            await store.presign_put("a/b", size=5, content_type="text/plain", sha256=None, seconds=60)
    assert not other.objects
