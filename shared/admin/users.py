"""Accounts, as admins see and change them: everything on the record, and never the last admin out.

What gives access that lasts (an account, a role, an end of a lock) or destroys needs a sign-in of the last ten minutes, or the admin's
password (`shared.identity.confirmation`). What takes access away is there at once: sessions end, API tokens are revoked for good.
"""

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared import audit
from shared.admin.models import AccountForAdmins, AccountUpdate, NewAccount
from shared.api import id_lists
from shared.api.models import Page, PageQuery
from shared.audit import AuditAction, entries
from shared.config import settings
from shared.db import Database, Transaction
from shared.errors import Conflict, NotFound, ValidationFailed
from shared.identity import accounts, api_tokens, breach, confirmation, deletion, one_time, passwords, resets, revocation, sessions
from shared.identity.client import Client
from shared.identity.sessions import EndReason

_SHOWN = """
    SELECT users.id, email, display_name, role, second_factor, storage_connection_id, created_at, disabled, last_seen_at,
        coalesce(bytes_used, 0) AS bytes_used, coalesce(bytes_quota, system_limit('default_quota'), %(default)s) AS bytes_quota
    FROM users LEFT JOIN account_usage ON owner_id = users.id
    """


class UserExists(Conflict):
    code, title = "user_exists", "There is an account with this address"


@dataclass(frozen=True)
class Admin:
    """Who asks for a change."""

    client: Client
    user_id: UUID
    session_id: UUID | None


async def list_page(db: Database, query: PageQuery) -> Page[AccountForAdmins]:
    """A page of all accounts, newest first; those that are being deleted are gone. Raises InvalidCursor."""
    binding = {"list": "users"}
    before = id_lists.last_id(query.cursor, binding) or entries.AFTER_ALL
    async with db.system() as tx:
        items = await tx.fetch_all(
            f"{_SHOWN} WHERE deleted_at IS NULL AND users.id < %(before)s ORDER BY users.id DESC LIMIT %(limit)s",
            {"default": settings().default_quota, "before": before, "limit": query.limit + 1},
            row=AccountForAdmins,
        )
    return id_lists.page(items, query.limit, binding)


async def create(db: Database, admin: Admin, new: NewAccount) -> AccountForAdmins:
    """Makes an account; without a password its owner is mailed a link to choose one.

    Raises UserExists, PasswordTooWeak, PasswordBreached, and what `confirmation.require` raises.
    """
    await _confirm(db, admin, new.current_password, new.code)
    password = new.password
    if password is None:
        password = secrets.token_urlsafe(48)  # which nobody knows
    else:
        passwords.check_rules(password, email=new.email)
        await breach.refuse_breached(password)
    password_hash = await passwords.hash_password(password)
    async with db.system() as tx:
        user_id = await accounts.insert(tx, email=new.email, password_hash=password_hash, role=new.role)
        if user_id is not None:
            if new.bytes_quota is not None:
                await _set_quota(tx, user_id, new.bytes_quota)
            if new.password is None:
                await resets.invite(tx, new.email)
            detail = {"role": new.role, "invited": new.password is None}
            await _record(tx, admin, AuditAction.ADMIN_USER_CREATED, user_id, detail)
            return await _get(tx, user_id)
    raise UserExists


async def update(db: Database, admin: Admin, user_id: UUID, change: AccountUpdate) -> AccountForAdmins:
    """Changes role, quota, or whether the account may be used.

    Raises NotFound, LastAdmin, and what `confirmation.require` raises if the change gives access.
    """
    given = change.model_fields_set & {"role", "bytes_quota", "disabled"}
    for name in given - {"bytes_quota"}:
        if getattr(change, name) is None:
            raise ValidationFailed("The body does not fit.", errors=[{"loc": ["body", name], "msg": "must not be null"}])
    if change.role == "admin" or change.disabled is False:
        await _confirm(db, admin, change.current_password, change.code)
    async with db.system() as tx:
        if change.role == "user" or change.disabled:
            await deletion.refuse_last_admin(tx, user_id)
        await accounts.lock(tx, user_id)
        before = await _get(tx, user_id)
        changed: dict[str, Any] = {}
        if change.role is not None and change.role != before.role:
            changed["role"] = change.role
            await tx.execute("UPDATE users SET role = %(role)s, updated_at = now() WHERE id = %(id)s", {"id": user_id, "role": change.role})
            # Access tokens carry the role.
            await sessions.end_all(tx, user_id, EndReason.BY_ADMIN)
        if change.disabled is not None and change.disabled != before.disabled:
            changed["disabled"] = change.disabled
            await tx.execute(
                "UPDATE users SET disabled = %(disabled)s, updated_at = now() WHERE id = %(id)s",
                {"id": user_id, "disabled": change.disabled},
            )
            if change.disabled:
                await sessions.end_all(tx, user_id, EndReason.ACCOUNT_DISABLED)
                await api_tokens.revoke_all(tx, user_id)
                await one_time.void(tx, user_id)
        if "bytes_quota" in given:
            changed["bytes_quota"] = change.bytes_quota
            await _set_quota(tx, user_id, change.bytes_quota)
        await _record(tx, admin, AuditAction.ADMIN_USER_UPDATED, user_id, {"changed": changed})
        after = await _get(tx, user_id)
    await revocation.propagated()
    return after


async def delete(db: Database, admin: Admin, user_id: UUID) -> None:
    """Closes the account at once and has its data erased, as its owner could. Raises NotFound, LastAdmin, ReauthenticationRequired."""
    await _confirm(db, admin, None, None)
    async with db.system() as tx:
        await deletion.refuse_last_admin(tx, user_id)
        await accounts.lock(tx, user_id)
        await _get(tx, user_id)
        await deletion.close(tx, user_id)
        await _record(tx, admin, AuditAction.ADMIN_USER_DELETED, user_id, {})
    await revocation.propagated()


async def end_sessions(db: Database, admin: Admin, user_id: UUID) -> int:
    """Ends all sessions of the account at once; how many. Raises NotFound."""
    async with db.system() as tx:
        await _get(tx, user_id)
        ended = await sessions.end_all(tx, user_id, EndReason.BY_ADMIN)
        await _record(tx, admin, AuditAction.ADMIN_SESSIONS_REVOKED, user_id, {"sessions": ended})
    await revocation.propagated()
    return ended


async def _confirm(db: Database, admin: Admin, password: str | None, code: str | None) -> None:
    await confirmation.require(db, admin.client, admin.user_id, admin.session_id, password=password, code=code)


async def _get(tx: Transaction, user_id: UUID) -> AccountForAdmins:
    account = await tx.fetch_one(
        f"{_SHOWN} WHERE deleted_at IS NULL AND users.id = %(id)s",
        {"default": settings().default_quota, "id": user_id},
        row=AccountForAdmins,
    )
    if account is None:
        raise NotFound
    return account


async def _set_quota(tx: Transaction, user_id: UUID, quota: int | None) -> None:
    await tx.execute("UPDATE account_usage SET bytes_quota = %(quota)s WHERE owner_id = %(owner)s", {"owner": user_id, "quota": quota})


async def _record(tx: Transaction, admin: Admin, action: AuditAction, user_id: UUID, detail: dict[str, Any]) -> None:
    """On the admin's own record, where the admin's address belongs; the target is the account."""
    await audit.record(tx, action, actor=admin.user_id, owner=admin.user_id, target=str(user_id), origin=admin.client, detail=detail)
