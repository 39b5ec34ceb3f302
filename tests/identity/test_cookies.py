"""Cookie flags follow BACKEND_URL."""

import os
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie

import pytest

from shared.config import settings
from shared.identity import cookies


@pytest.fixture
def with_backend() -> Iterator[Callable[[str], None]]:
    before = os.environ.get("BACKEND_URL")

    def change(url: str | None) -> None:
        os.environ.pop("BACKEND_URL", None)
        if url is not None:
            os.environ["BACKEND_URL"] = url
        settings.cache_clear()

    yield change
    change(before)


@pytest.mark.parametrize(("url", "secure"), [("https://vault.example.org", True), ("http://127.0.0.1:8080", False)])
@pytest.mark.parametrize("make", [cookies.refresh_cookie, cookies.device_cookie])
def test_cookies_are_for_this_server_alone(
    with_backend: Callable[[str], None], url: str, secure: bool, make: Callable[[str], tuple[str, str]]
) -> None:
    with_backend(url)
    name, value = make("token")
    assert name == "set-cookie"
    (cookie,) = SimpleCookie(value).values()
    assert cookie.value == "token"
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["path"] == "/api/auth"
    assert bool(cookie["secure"]) is secure
    assert cookie["domain"] == ""


def test_a_cleared_cookie_has_no_life_left() -> None:
    (cookie,) = SimpleCookie(cookies.cleared_refresh_cookie()[1]).values()
    assert (cookie.key, cookie.value, cookie["max-age"]) == ("docuvault_refresh", "", "0")
