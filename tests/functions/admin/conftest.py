"""An admin of a vault of the test's own, and people in it."""

import os

import pytest

from infra import functions
from infra.gateway.app import Gateway
from shared.config import read_settings
from shared.db import Database
from shared.faas.declarations import ENDPOINTS
from shared.faas.routing import Router
from shared.identity import bootstrap
from tests.identity.browser import Browser, new_address

AREAS = ("auth", "account", "admin", "documents")
ADMINS_PASSWORD = "the very first admin"


@pytest.fixture(scope="module")
def app() -> Gateway:
    return Gateway(Router([ENDPOINTS[functions.load(path)] for path in functions.files() if path.parent.name in AREAS]))


@pytest.fixture
async def admin(own_instance: Database, app: Gateway) -> Browser:
    """The only admin, who has just signed in."""
    email = new_address()
    assert await bootstrap.ensure_admin(own_instance, read_settings(os.environ | {"ADMIN_EMAIL": email, "ADMIN_PASSWORD": ADMINS_PASSWORD}))
    browser = Browser(app=app)
    await browser.login(email, ADMINS_PASSWORD)
    return browser
