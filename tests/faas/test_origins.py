"""Origins as settings write them, and as browsers do."""

import os
from collections.abc import Callable

import pytest

from infra.local import stack
from shared.config import SettingsError, read_settings
from shared.faas.origins import is_cors_origin
from shared.web_origin import origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://vault.example.org", "https://vault.example.org"),
        ("HTTPS://Vault.Example.org:443/app?x#y", "https://vault.example.org"),
        ("http://vault.example.org:80/", "http://vault.example.org"),
        ("http://vault.example.org:443", "http://vault.example.org:443"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_what_a_browser_calls_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_the_embedded_store_lets_the_same_pages_in() -> None:
    listed = stack._origins({"CORS_ORIGINS": "https://App.example.org/, ", "FRONTEND_URL": "https://vault.example.org:443/app"}, 8080)
    assert listed == ("https://app.example.org", "https://vault.example.org", "http://127.0.0.1:8080", "http://localhost:8080")


def test_allowed_origins_may_be_written_as_people_write_them(with_settings: Callable[..., None]) -> None:
    with_settings(CORS_ORIGINS="https://App.example.org:443/, http://localhost:5173")
    assert is_cors_origin("https://app.example.org")
    assert is_cors_origin("http://localhost:5173")
    assert not is_cors_origin("https://localhost:5173")


@pytest.mark.parametrize(
    "wrong", ["*", "app.example.org", "https://*.example.org", "https://app.example.org/path", "ftp://app.example.org"]
)
def test_what_no_page_can_have_as_its_origin_is_refused_at_start(wrong: str) -> None:
    with pytest.raises(SettingsError, match="CORS_ORIGINS: holds something that is not an origin"):
        read_settings({**os.environ, "CORS_ORIGINS": f"https://fine.example.org,{wrong}"})


def test_a_template_that_is_no_url_is_refused_at_start() -> None:
    with pytest.raises(SettingsError, match="FUNCTION_URL_TEMPLATE: is not an http:// or https:// URL"):
        read_settings({**os.environ, "FUNCTION_URL_TEMPLATE": "ftp://{service}"})
    assert read_settings({**os.environ, "FUNCTION_URL_TEMPLATE": "{service}.local"}).function_url_template == "http://{service}.local"
