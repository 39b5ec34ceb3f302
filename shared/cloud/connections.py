"""Connections to clouds: made, listed, renamed, checked, marked as broken, deleted.

Credentials are sealed for this user and this connection, and never given back. A connection whose cloud does not accept them any more, or
that a check cannot reach, is `broken`; its owner gets one mail for each time it breaks. Connecting the same account again repairs it.
"""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared import audit, mail
from shared.audit import AuditAction, Caller
from shared.cloud.models import CloudProvider, Connection, NewConnection
from shared.config import settings
from shared.db import TenantDatabase, Transaction, database
from shared.errors import Conflict, DomainError, NotFound
from shared.ids import new_id
from shared.outbound import HostNotAllowed, UrlGuard, UrlNotAllowed
from shared.sealing import SealBroken, seal, unseal
from shared.storage import CredentialsRejected, StorageBackend, StorageUnavailable

log = logging.getLogger("docuvault.cloud")

PURPOSE = "cloud credentials"
MOST_CONNECTIONS = 50
VERIFY_SECONDS = 20.0
"""How long a check looks at the documents that live there; the daily one begins anew."""

_COLUMNS = "id, provider, name, server_url, account, state, error, created_at"


class ServerNotAllowed(DomainError):
    """The server's address leads where requests of this server do not go."""

    status, code, title = 422, "url_not_allowed", "This address may not be used"


class ConnectionFailed(DomainError):
    """The cloud cannot be used with these details; `detail` says why."""

    status, code, title = 422, "connection_failed", "The cloud cannot be connected"


class ConnectionInUse(Conflict):
    """Carries the member `documents`: how many live there."""

    code, title = "connection_in_use", "Documents live in this cloud"


class TooManyConnections(Conflict):
    code, title = "too_many_connections", "You have as many connections as there can be"


@dataclass(frozen=True)
class Account:
    """A connection's row with its credentials."""

    id: UUID
    provider: CloudProvider
    server_url: str | None
    credentials: dict[str, Any]


@dataclass(frozen=True)
class _SealedCredentials:
    id: UUID
    provider: CloudProvider
    server_url: str | None
    sealed: bytes


async def list_all(db: TenantDatabase) -> list[Connection]:
    """The owner's connections, oldest first."""
    async with db.transaction() as tx:
        return await tx.fetch_all(
            f"SELECT {_COLUMNS} FROM cloud_connections WHERE owner_id = %(owner)s ORDER BY created_at, id",
            {"owner": db.owner_id},
            row=Connection,
        )


async def get(tx: Transaction, owner_id: UUID, connection_id: UUID) -> Connection:
    """One of the owner's connections. Raises NotFound."""
    connection = await tx.fetch_one(
        f"SELECT {_COLUMNS} FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(id)s",
        {"owner": owner_id, "id": connection_id},
        row=Connection,
    )
    if connection is None:
        raise NotFound("You have no such connection.")
    return connection


async def connect(db: TenantDatabase, new: NewConnection, *, caller: Caller | None = None) -> Connection:
    """A connection to a server that was found to accept the credentials. Raises ServerNotAllowed, ConnectionFailed, TooManyConnections."""
    guard = url_guard()
    try:
        backend = _webdav_backend(new.provider, new.server_url, new.username, new.password, guard, user_id=None)
        await guard.check_url(backend.server_url)
    except (UrlNotAllowed, HostNotAllowed) as refused:
        raise ServerNotAllowed(str(refused)) from None
    credentials = {"username": new.username, "password": new.password}
    try:
        if new.provider == "nextcloud":
            credentials["user_id"] = await backend.identify()
        await backend.ping()
    except StorageUnavailable as failed:
        raise ConnectionFailed(failed.detail) from None
    finally:
        await backend.close()
    default_name = f"{new.username} at {guard_host(backend.server_url)}"
    return await store(
        db,
        new.provider,
        default_name,
        name=new.name,
        server_url=backend.server_url,
        account=new.username,
        credentials=credentials,
        caller=caller,
    )


async def store(
    db: TenantDatabase,
    provider: CloudProvider,
    default_name: str,
    *,
    name: str | None = None,
    server_url: str | None,
    account: str,
    credentials: dict[str, Any],
    caller: Caller | None = None,
) -> Connection:
    """Keeps credentials that work: in the connection to the same account, if there is one, else in a new one.

    One that is there keeps its name unless it gets another; a new one without a name has the default.
    """
    async with db.transaction() as tx:
        await tx.execute("SELECT FROM users WHERE id = %(owner)s FOR NO KEY UPDATE", {"owner": db.owner_id})
        connection_id: UUID | None = await tx.fetch_value(
            """
            SELECT id FROM cloud_connections
            WHERE owner_id = %(owner)s AND provider = %(provider)s
                AND server_url IS NOT DISTINCT FROM %(server_url)s AND account = %(account)s
            """,
            {"owner": db.owner_id, "provider": provider, "server_url": server_url, "account": account},
        )
        if connection_id is None:
            count = await tx.fetch_value("SELECT count(*) FROM cloud_connections WHERE owner_id = %(owner)s", {"owner": db.owner_id})
            if count >= MOST_CONNECTIONS:
                raise TooManyConnections(f"There can be {MOST_CONNECTIONS}; delete one first.")
        else:
            await _wake_moves(tx, db.owner_id, connection_id)
        connection_id = connection_id or new_id()
        connection = await tx.fetch_one(
            f"""
            INSERT INTO cloud_connections (id, owner_id, provider, name, server_url, account, sealed)
            VALUES (%(id)s, %(owner)s, %(provider)s, coalesce(%(name)s, %(default_name)s), %(server_url)s, %(account)s, %(sealed)s)
            ON CONFLICT (id) DO UPDATE
            SET name = coalesce(%(name)s, cloud_connections.name), sealed = excluded.sealed, state = 'ok', error = NULL,
                checked_at = now(), updated_at = now()
            RETURNING {_COLUMNS}
            """,
            {
                "id": connection_id,
                "owner": db.owner_id,
                "provider": provider,
                "name": name,
                "default_name": default_name[:100],
                "server_url": server_url,
                "account": account,
                "sealed": _sealed(credentials, db.owner_id, connection_id),
            },
            row=Connection,
        )
        assert connection is not None
        await audit.record_call(tx, caller, AuditAction.CLOUD_CONNECTED, target=connection_id)
    return connection


async def account_of(db: TenantDatabase, connection_id: UUID) -> Account:
    """A connection with its credentials. Raises NotFound, CredentialsRejected if they cannot be opened any more."""
    async with db.transaction() as tx:
        row = await tx.fetch_one(
            "SELECT id, provider, server_url, sealed FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(id)s",
            {"owner": db.owner_id, "id": connection_id},
            row=_SealedCredentials,
        )
    if row is None:
        raise NotFound("You have no such connection.")
    try:
        opened = unseal(row.sealed, user=db.owner_id, purpose=PURPOSE, row=row.id)
    except SealBroken:
        raise CredentialsRejected("The credentials of this connection cannot be opened any more; connect it again.") from None
    return Account(row.id, row.provider, row.server_url, json.loads(opened))


async def check(db: TenantDatabase, connection_id: UUID) -> Connection:
    """Asks the cloud whether it still lets us in; the connection as it is then. Raises NotFound.

    Documents that live there are looked at, as many as there is time for: what has become of them is said on each.
    """
    from shared.cloud import backends, outside_changes

    problem: StorageUnavailable | None = None
    try:
        async with backends.opened(db, connection_id) as backend:
            await backend.ping()
    except StorageUnavailable as failed:
        problem = failed
    if problem is None:
        await mark_ok(db, connection_id)
        with suppress(TimeoutError, StorageUnavailable):
            async with asyncio.timeout(VERIFY_SECONDS):
                await outside_changes.verify(db, connection_id)
    else:
        await mark_broken(db, connection_id, problem.detail)
    async with db.transaction() as tx:
        return await get(tx, db.owner_id, connection_id)


async def rename(db: TenantDatabase, connection_id: UUID, name: str, *, caller: Caller | None = None) -> Connection:
    """Raises NotFound."""
    async with db.transaction() as tx:
        connection = await tx.fetch_one(
            f"""
            UPDATE cloud_connections SET name = %(name)s, updated_at = now() WHERE owner_id = %(owner)s AND id = %(id)s
            RETURNING {_COLUMNS}
            """,
            {"owner": db.owner_id, "id": connection_id, "name": name},
            row=Connection,
        )
        if connection is None:
            raise NotFound("You have no such connection.")
        await audit.record_call(tx, caller, AuditAction.CLOUD_RENAMED, target=connection_id)
    return connection


async def delete(db: TenantDatabase, connection_id: UUID, *, caller: Caller | None = None) -> None:
    """Forgets a connection and its credentials; the cloud's files stay. Raises NotFound, ConnectionInUse."""
    async with db.transaction() as tx:
        await get(tx, db.owner_id, connection_id)
        # Locked, so that no move can begin there meanwhile: its row would point at this one.
        await tx.execute(
            "SELECT FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(id)s FOR UPDATE",
            {"owner": db.owner_id, "id": connection_id},
        )
        documents = await tx.fetch_value(
            """
            SELECT count(*) FROM (
                SELECT id FROM documents WHERE owner_id = %(owner)s AND connection_id = %(id)s
                UNION
                SELECT document_id FROM document_versions WHERE owner_id = %(owner)s AND connection_id = %(id)s
                UNION
                SELECT document_id FROM document_moves WHERE owner_id = %(owner)s AND to_connection = %(id)s
            ) AS there
            """,
            {"owner": db.owner_id, "id": connection_id},
        )
        if documents:
            raise ConnectionInUse(
                "One of your documents lives there or is on its way. Move it elsewhere first, or purge it."
                if documents == 1
                else f"{documents} of your documents live there or are on their way. Move them elsewhere first, or purge them.",
                documents=documents,
            )
        await tx.execute(
            "DELETE FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": connection_id}
        )
        await audit.record_call(tx, caller, AuditAction.CLOUD_DISCONNECTED, target=connection_id)


async def replace_credentials(db: TenantDatabase, connection_id: UUID, credentials: dict[str, Any]) -> None:
    """Keeps credentials that the cloud has renewed."""
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE cloud_connections SET sealed = %(sealed)s, updated_at = now() WHERE owner_id = %(owner)s AND id = %(id)s",
            {"sealed": _sealed(credentials, db.owner_id, connection_id), "owner": db.owner_id, "id": connection_id},
        )


async def mark_ok(db: TenantDatabase, connection_id: UUID) -> None:
    """The cloud lets us in (again)."""
    async with db.transaction() as tx:
        await _wake_moves(tx, db.owner_id, connection_id)
        await tx.execute(
            """
            UPDATE cloud_connections
            SET updated_at = CASE WHEN state = 'ok' THEN updated_at ELSE now() END, state = 'ok', error = NULL, checked_at = now()
            WHERE owner_id = %(owner)s AND id = %(id)s
            """,
            {"owner": db.owner_id, "id": connection_id},
        )


async def mark_broken(db: TenantDatabase, connection_id: UUID, error: str) -> None:
    """The cloud does not let us in, and why as of now; unless that it does not was known already, the owner gets a mail."""
    async with database().system() as tx:
        broken = await tx.fetch_one(
            """
            WITH before AS (SELECT state FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(id)s FOR UPDATE)
            UPDATE cloud_connections AS connection SET state = 'broken', error = %(error)s, checked_at = now(), updated_at = now()
            FROM users, before
            WHERE users.id = connection.owner_id AND users.deleted_at IS NULL
                AND connection.owner_id = %(owner)s AND connection.id = %(id)s
            RETURNING connection.name, users.email, before.state = 'ok' AS is_news
            """,
            {"owner": db.owner_id, "id": connection_id, "error": error},
            row=_Broken,
        )
        if broken is not None and broken.is_news:
            values = {"name": broken.name, "error": error, "url": f"{settings().frontend_url}/settings/storage"}
            await mail.request(tx, "cloud_connection_broken", broken.email, values, owner=db.owner_id)
    if broken is not None and broken.is_news:
        log.warning("a cloud connection is broken", extra={"fields": {"connection": str(connection_id)}})


async def _wake_moves(tx: Transaction, owner_id: UUID, connection_id: UUID) -> None:
    """If the connection was broken: moves there that were given up meanwhile count as stranded, and `upkeep` takes them up."""
    await tx.execute(
        """
        UPDATE document_moves SET created_at = created_at - interval '1 day'
        WHERE owner_id = %(owner)s AND to_connection = %(id)s
            AND EXISTS (SELECT FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(id)s AND state = 'broken')
        """,
        {"owner": owner_id, "id": connection_id},
    )


@dataclass(frozen=True)
class _Broken:
    name: str
    email: str
    is_news: bool


def url_guard() -> UrlGuard:
    """Where clouds may be."""
    return UrlGuard(settings().allowed_private_hosts)


def guard_host(url: str) -> str:
    """The host that a URL names, for people."""
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or url


async def backend_for(db: TenantDatabase, account: Account) -> StorageBackend:
    """The account's files. Raises StorageUnavailable for an address that is not allowed any more, NotConfigured."""
    from shared.cloud import google_account, onedrive_account

    said = account.credentials
    if account.provider == "google_drive":
        return await google_account.backend(db, account)
    if account.provider == "onedrive":
        return await onedrive_account.backend(db, account)
    try:
        backend: StorageBackend = _webdav_backend(
            account.provider, account.server_url or "", said["username"], said["password"], url_guard(), user_id=said.get("user_id")
        )
        return backend
    except UrlNotAllowed as refused:
        raise StorageUnavailable(str(refused)) from None


def _webdav_backend(provider: CloudProvider, server_url: str, username: str, password: str, guard: UrlGuard, *, user_id: str | None) -> Any:
    from shared.storage.nextcloud import NextcloudBackend
    from shared.storage.webdav import WebDAVBackend

    if provider == "nextcloud":
        return NextcloudBackend(server_url=server_url, username=username, password=password, guard=guard, user_id=user_id)
    return WebDAVBackend(server_url=server_url, username=username, password=password, guard=guard)


def _sealed(credentials: dict[str, Any], owner_id: UUID, connection_id: UUID) -> bytes:
    return seal(json.dumps(credentials).encode(), user=owner_id, purpose=PURPOSE, row=connection_id)
