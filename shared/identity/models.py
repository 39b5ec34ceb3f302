"""Requests and responses that several identity operations share; after a sign-in, tokens in the body, the refresh token in its cookie."""

from typing import Literal

from pydantic import Field

from shared.api.models import RequestModel, ResponseModel
from shared.api.response import Response
from shared.identity.accounts import User
from shared.identity.cookies import device_cookie, refresh_cookie
from shared.identity.passwords import Password
from shared.identity.sign_in import SecondFactorRequired, SignedIn


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


def signed_in(session: SignedIn) -> Response:
    """A session was opened."""
    body = SignedInAnswer(access_token=session.access_token, expires_in=session.expires_in, user=session.user)
    headers = [refresh_cookie(session.refresh_token)]
    if session.device is not None:
        headers.append(device_cookie(session.device))
    return Response.json(body, headers=headers)


def refreshed(session: SignedIn) -> Response:
    """A session goes on."""
    body = RefreshedAnswer(access_token=session.access_token, expires_in=session.expires_in, user=session.user)
    return Response.json(body, headers=[refresh_cookie(session.refresh_token)])


def challenged(required: SecondFactorRequired) -> Response:
    """The password was right; the second factor is asked for."""
    return Response.json(ChallengeAnswer(challenge_token=required.challenge))
