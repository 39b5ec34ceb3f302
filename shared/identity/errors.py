"""What identity can refuse."""

from shared.errors import DomainError, Forbidden, Unauthenticated


class InvalidCredentials(Unauthenticated):
    """Wrong address or wrong password: never which."""

    code, title = "invalid_credentials", "The address or the password is wrong"


class InvalidCode(Unauthenticated):
    code, title = "invalid_code", "The code is wrong, or was used already"


class InvalidToken(Unauthenticated):
    """A reset link or challenge that is unknown, expired or used: never which."""

    code, title = "invalid_token", "This link is not good any more"


class ReauthenticationRequired(Forbidden):
    """Something that lasts was asked for with nothing but an access token."""

    code, title = "reauthentication_required", "Show again that it is you"


class SessionRevoked(Unauthenticated):
    code, title = "session_revoked", "This session has ended; sign in again"


class PasswordTooWeak(DomainError):
    status, code, title = 422, "password_too_weak", "This password is too weak"


class PasswordBreached(DomainError):
    status, code, title = 422, "password_breached", "This password is known from a data breach; choose another one"


class RegistrationClosed(DomainError):
    status, code, title = 403, "registration_closed", "Registration is closed here"


class TotpEnabled(DomainError):
    status, code, title = 409, "totp_enabled", "A second factor is switched on already"


class TotpNotEnabled(DomainError):
    status, code, title = 409, "totp_not_enabled", "There is no second factor to do this with"
