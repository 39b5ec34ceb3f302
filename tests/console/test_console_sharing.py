"""The console as an app of a phone: it can be installed, and other apps share files with it."""

import pytest
from playwright.async_api import Page, expect

from tests.console.conftest import PHONE, NewVisitor, Visitor

_SHARE = """([address, files, words]) => {
  const form = Object.assign(document.createElement("form"), {action: address, method: "post", enctype: "multipart/form-data"});
  for (const [name, value] of Object.entries(words)) form.append(Object.assign(document.createElement("input"), {name, value}));
  const taken = new DataTransfer();
  for (const [name, content] of files) taken.items.add(new File([content], name, {type: "text/plain"}));
  const input = Object.assign(document.createElement("input"), {type: "file", name: "files", multiple: true});
  input.files = taken.files;
  if (files.length) form.append(input);
  document.body.append(form);
  form.submit();
}"""


async def share(visitor: Visitor, *files: tuple[str, str], **words: str) -> None:
    """What the system does when somebody chooses DocuVault in its share sheet: a form is sent to the address in the manifest."""
    await visitor.page.goto("about:blank")
    async with visitor.page.expect_navigation(url="**/*shared*"):
        await visitor.page.evaluate(_SHARE, [f"{visitor.stack.url}/share", [list(one) for one in files], words])


async def _can_be_shared_to(page: Page) -> None:
    await page.evaluate("navigator.serviceWorker.ready.then(() => null)")


async def test_what_is_shared_from_another_app_is_uploaded_once_somebody_has_said_yes(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(**PHONE)
    page = visitor.page
    await visitor.register()
    await _can_be_shared_to(page)
    await share(visitor, ("from the phone.txt", "Of bees and honey."), ("second.txt", "Of wasps."))
    dialog = page.get_by_role("dialog", name="Put into your vault?")
    await expect(dialog.get_by_role("listitem")).to_have_count(2)
    await expect(dialog).to_contain_text("from the phone.txt")
    assert "shared" not in page.url
    await visitor.shuts_nobody_out("shared-to")
    await dialog.get_by_role("button", name="Put in").click()
    for title in ("from the phone", "second"):
        await expect(visitor.listed(title)).to_be_visible()
    await page.reload()
    await expect(visitor.listed("second")).to_be_visible()
    await expect(dialog).to_have_count(0)


async def test_what_is_shared_and_not_wanted_is_gone(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await _can_be_shared_to(page)
    await share(visitor, ("junk.txt", "Buy now."))
    await page.get_by_role("button", name="Discard").click()
    await page.reload()
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert await page.evaluate("caches.has('docuvault-shared')") is False


async def test_who_touches_beside_the_question_can_take_that_back(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await _can_be_shared_to(page)
    await share(visitor, ("wanted.txt", "The lease."))
    await expect(page.get_by_role("dialog")).to_contain_text("wanted.txt")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Undo").click()
    await expect(visitor.listed("wanted")).to_be_visible()


async def test_words_that_are_shared_become_a_text(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await _can_be_shared_to(page)
    await share(visitor, title="A recipe", text="Take two eggs.", url="https://example.org/eggs")
    await expect(page.get_by_role("dialog")).to_contain_text("A recipe.txt")
    await page.get_by_role("button", name="Put in").click()
    await expect(visitor.listed("A recipe")).to_be_visible()


async def test_what_is_shared_while_signed_out_waits_for_who_signs_in(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await _can_be_shared_to(page)
    await page.get_by_role("button", name="Account").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await share(visitor, ("bees.txt", "Of bees and honey."))
    await visitor.sign_in()
    await page.get_by_role("button", name="Put in").click()
    await expect(visitor.listed("bees")).to_be_visible()


async def test_it_can_be_installed(visitor: Visitor) -> None:
    await visitor.register()
    await _can_be_shared_to(visitor.page)
    browser = await visitor.context.new_cdp_session(visitor.page)
    manifest = await browser.send("Page.getAppManifest")
    assert manifest["errors"] == []
    found = await browser.send("Page.getInstallabilityErrors")
    # A private window, as each of these is, is the one place from which nothing is installed.
    assert [one["errorId"] for one in found["installabilityErrors"] if one["errorId"] != "in-incognito"] == []


@pytest.mark.parametrize("path", ["/assets/sw.js", "/assets/icon-192.png", "/assets/icon-512.png", "/assets/icon-maskable-512.png"])
async def test_what_the_app_is_made_of_is_served(visitor: Visitor, path: str) -> None:
    response = await visitor.context.request.get(f"{visitor.stack.url}{path}")
    assert response.status == 200
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers.get("service-worker-allowed") == ("/" if path.endswith("sw.js") else None)
