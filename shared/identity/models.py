"""Accounts, sessions and tokens, as clients see them, and what several of identity's operations take."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.api.models import RequestModel, ResponseModel
from shared.identity.passwords import Password


class User(ResponseModel):
    """An account, as its owner sees it."""

    id: UUID
    email: str
    display_name: str | None
    role: Literal["user", "admin"]
    second_factor: bool
    storage_connection_id: UUID | None
    created_at: datetime


StorageFolders = Literal["year", "year_and_topic"]


class UserWithHome(User):
    """The account, and how its documents lie in the cloud that is their home."""

    storage_folders: StorageFolders


class PasswordAgain(RequestModel):
    password: Password


class PasswordAndCode(RequestModel):
    password: Password
    code: str = Field(max_length=64, repr=False)


class Accepted(ResponseModel):
    status: Literal["accepted"] = "accepted"


class BackupCodes(ResponseModel):
    backup_codes: list[str]


class SignedInAnswer(ResponseModel):
    status: Literal["signed_in"] = "signed_in"
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int
    user: User


class RefreshedAnswer(ResponseModel):
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int
    user: User


class ChallengeAnswer(ResponseModel):
    status: Literal["second_factor_required"] = "second_factor_required"
    challenge_token: str
    methods: tuple[Literal["totp", "backup_code"], ...] = ("totp", "backup_code")


class SessionItem(ResponseModel):
    """A session as its owner sees it; `current` is the one that the request came with."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    user_agent: str
    ip: str
    current: bool


class TokenItem(ResponseModel):
    """A token as its owner sees it."""

    id: UUID
    name: str
    scopes: list[str]
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
