"""The responses after a sign-in: tokens in the body, the refresh token in its cookie."""

from shared.api.response import Response
from shared.identity.cookies import device_cookie, refresh_cookie
from shared.identity.models import ChallengeAnswer, RefreshedAnswer, SignedInAnswer
from shared.identity.sign_in import SecondFactorRequired, SignedIn


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
