"""The console in a real Chromium, on a real stack. Skipped with the reason on a machine that has no Chromium.

Every page fails its test if it violates its own policy, throws, or is refused something that it should not have asked for. Screenshots go
to the folder DOCUVAULT_SCREENSHOTS, if that is set. A test that fails says what each page showed then, and what it had asked for.
"""

import os
import re
import secrets
import shutil
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright, expect

from tests import services as run_services
from tests.system.stack import Person, Stack

PATIENCE_MILLISECONDS = 60_000
"""As in tests.system.stack: far beyond what is usual on a busy machine."""
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_WATCH = "addEventListener('securitypolicyviolation', (event) => console.error(`violated: ${event.violatedDirective} ${event.blockedURI}`))"
_FAILED = pytest.StashKey[bool]()
expect.set_options(timeout=PATIENCE_MILLISECONDS)


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """One for all tests of a worker; each test is a person of its own."""
    _chromium()
    folder = tmp_path_factory.mktemp("console")
    services = run_services.services_in(folder / "services", run_services.own_plan(), notify=True)
    await services.start()
    settings = {
        "ADMIN_EMAIL": "admin@example.org",
        "ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "RATE_LIMIT_REGISTER": "1000/hour",
        "ALLOWED_PRIVATE_HOSTS": "127.0.0.1",  # the clouds of these tests
    }
    running = Stack(services, folder, settings)
    await running.start()
    yield running
    await running.stop()
    await services.kill()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # As root, as on CI, Chromium has no sandbox; it visits nothing but our own pages here.
        opened = await playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        await opened.close()


WITHOUT_SERVER = ["ERR_", "Failed to load resource", "An unknown error occurred when fetching the script"]
"""What Chromium says of requests that nobody answers; the last of the service worker's file, which is fetched a moment after the page."""


@dataclass
class Visitor:
    """Somebody with a browser window of their own."""

    stack: Stack
    context: BrowserContext
    page: Page
    email: str = field(default_factory=lambda: f"{secrets.token_hex(8)}@example.org")
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    troubles: list[str] = field(default_factory=list)
    bearable: list[str] = field(default_factory=list)
    """Patterns of what may go wrong in this test."""
    pages: list[Page] = field(default_factory=list)
    traffic: deque[str] = field(default_factory=lambda: deque(maxlen=300))
    """What the pages asked for, and what came back: shown if the test fails."""

    async def tab(self) -> Page:
        """Another one in the same browser."""
        page = await self.context.new_page()
        self.watch(page)
        return page

    def watch(self, page: Page) -> None:
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("console", lambda message: self.troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.pages.append(page)
        page.on("request", lambda request: self.note(request, "…"))
        page.on("response", lambda response: self.note(response.request, str(response.status)))
        page.on("requestfailed", lambda request: self.note(request, request.failure or "failed"))

    def note(self, request: Request, what: str) -> None:
        if not (path := request.url.removeprefix(self.stack.url)).startswith("/assets/"):
            self.traffic.append(f"{time.monotonic():.3f} {request.method} {path[:200]} {what}")

    async def report(self) -> str:
        """What is to be seen now, as an assistive technology has it, and how it came to that."""
        seen = [f"--- {page.url}\n{await page.locator('body').aria_snapshot(timeout=2000)}" for page in self.pages if not page.is_closed()]
        return "\n".join([*seen, f"--- asked by {self.email}, until {time.monotonic():.3f}", *self.traffic, *self.troubles])

    async def open(self, path: str = "/") -> None:
        await self.page.goto(f"{self.stack.url}{path}")

    async def register(self) -> None:
        """By the form, as a person does; ends in the library."""
        await self.open()
        await self.page.get_by_role("textbox", name="Email").fill(self.email)
        await self.page.get_by_role("textbox", name="Password").fill(self.password)
        await self.page.get_by_role("button", name="Create account").click()
        await expect(self.page.get_by_role("navigation")).to_be_visible()

    async def sign_in(self) -> None:
        await self.page.get_by_role("textbox", name="Email").fill(self.email)
        await self.page.get_by_role("textbox", name="Password").fill(self.password)
        await self.page.get_by_role("button", name="Sign in").click()

    async def upload(self, *named: tuple[str, bytes], content_type: str = "text/plain") -> None:
        payloads: Any = [{"name": name, "mimeType": content_type, "buffer": content} for name, content in named]
        await self.page.locator("input[type=file]").set_input_files(payloads)

    def listed(self, title: str) -> Any:
        return self.page.get_by_role("listitem", name=title, exact=True)

    async def picture(self, name: str) -> None:
        if folder := os.environ.get("DOCUVAULT_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            await self.page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")

    async def shuts_nobody_out(self, what: str) -> None:
        """No violation of WCAG 2.2 AA that axe-core knows of, in either theme; of what a theme changes, it looks at the contrast."""
        if not await self.page.evaluate("'axe' in globalThis"):
            await self.page.evaluate(f"{(files('axe_playwright_python') / 'axe.min.js').read_text()}; undefined")
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        for theme in ("light", "dark"):
            rules = {"type": "tag", "values": tags} if theme == "light" else {"type": "rule", "values": ["color-contrast"]}
            await self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            # What fades is not what it is going to be.
            await self.page.evaluate("Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => null)")
            await self.picture(f"{what}-{theme}")
            options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
            found = await self.page.evaluate("(options) => axe.run(document, options)", options)
            said = [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found["violations"]]
            assert said == [], f"{what}, {theme}"


async def signed_in(visitor: Visitor) -> Person:
    """The visitor as a person with an API of their own, too; ends in the library."""
    person = await visitor.stack.person()
    visitor.email, visitor.password = person.email, person.password
    await visitor.open()
    await visitor.sign_in()
    await expect(visitor.page.get_by_role("navigation")).to_be_visible()
    return person


NewVisitor = Callable[..., Awaitable[Visitor]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture
async def new_visitor(stack: Stack, browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[NewVisitor]:
    visitors: list[Visitor] = []

    async def make(**options: Any) -> Visitor:
        context = await browser.new_context(**({"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"} | options))
        await context.add_init_script(_WATCH)
        visitor = Visitor(stack, context, await context.new_page())
        # Before one has signed in, nobody knows: the cookie is tried.
        visitor.bearable.append("401")
        visitor.watch(visitor.page)
        visitors.append(visitor)
        return visitor

    yield make
    for visitor in visitors:
        unbearable = [trouble for trouble in visitor.troubles if not any(re.search(pattern, trouble) for pattern in visitor.bearable)]
        if unbearable or request.node.stash.get(_FAILED, False):
            print(await visitor.report())
        await visitor.context.close()
        assert unbearable == []


@pytest.fixture
async def visitor(new_visitor: NewVisitor) -> Visitor:
    return await new_visitor()


def _chromium() -> str:
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (on Debian: apt-get install chromium)")
    return found
