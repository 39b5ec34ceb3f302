"""The cookies of identity: the refresh token, and the mark of a known device."""

from shared.api.response import Header
from shared.config import settings

REFRESH_COOKIE = "docuvault_refresh"
REFRESH_SECONDS = 30 * 24 * 3600
DEVICE_COOKIE = "docuvault_device"
DEVICE_SECONDS = 365 * 24 * 3600


def refresh_cookie(token: str) -> Header:
    """Sets the refresh token."""
    return _set(REFRESH_COOKIE, token, REFRESH_SECONDS)


def cleared_refresh_cookie() -> Header:
    """Takes the refresh token away."""
    return _set(REFRESH_COOKIE, "", 0)


def device_cookie(token: str) -> Header:
    """Marks the device as known to the account."""
    return _set(DEVICE_COOKIE, token, DEVICE_SECONDS)


def _set(name: str, value: str, seconds: int) -> Header:
    secure = "; Secure" if settings().backend_url.startswith("https://") else ""
    return "set-cookie", f"{name}={value}; Path=/api/auth; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
