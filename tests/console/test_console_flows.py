"""What a person does in the console, from register to restore."""

import asyncio
import re
import secrets
from typing import Any

import httpx
import pyotp
from playwright.async_api import Page, Route, expect

from tests.console.conftest import PHONE, WITHOUT_SERVER, NewVisitor, Visitor
from tests.system.stack import until

LEASE = b"Lease of the flat in Linden Street.\n\nThe notice period is three months to the end of a quarter.\n"


async def test_what_is_uploaded_is_found_opened_filed_downloaded_trashed_and_restored(visitor: Visitor) -> None:
    visitor.bearable += ["412"]  # the assistant may have changed the document meanwhile: the page looks, and saves again
    page = visitor.page
    await visitor.register()
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
    await page.get_by_role("button", name="New topic").click()
    await page.get_by_label("Name").fill("Housing")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Housing")).to_be_visible()

    await visitor.upload(("lease.txt", LEASE), ("other.txt", b"Something else entirely, about bees and honey."))
    await expect(page.get_by_text(re.compile(r"Found by its words after [\d.]+ s"))).to_be_visible()
    await expect(page.get_by_role("listitem", name=re.compile("lease|Lease"))).to_be_visible()

    await page.get_by_role("textbox", name="Search").fill("quarter")
    hit = page.get_by_role("main").get_by_role("listitem").filter(has=page.locator("mark", has_text="quarter"))
    await expect(hit).to_have_count(1)
    await expect(page.get_by_role("main").get_by_role("link", name=re.compile("other", re.I))).to_have_count(0)
    title = await hit.get_attribute("aria-label")
    assert title
    await hit.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
    await expect(page.locator("mark", has_text="quarter")).to_be_visible()

    await page.get_by_role("button", name="Edit the title").click()
    await page.get_by_role("textbox", name="Title").fill("Lease, Linden Street")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Lease, Linden Street")).to_be_visible()
    if await page.get_by_role("button", name="Take out of Housing").count() == 0:
        await page.get_by_role("button", name="Add", exact=True).click()
        await page.get_by_role("menuitem", name="Housing").click()
    await expect(page.get_by_role("button", name="Take out of Housing")).to_be_visible()

    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download").click()
    assert (await (await downloading.value).path()).read_bytes() == LEASE

    await page.get_by_role("button", name="Back to the library").click()
    await page.get_by_role("textbox", name="Search").fill("")
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(2)
    await visitor.listed("Lease, Linden Street").get_by_role("checkbox").check()
    await page.get_by_role("toolbar").get_by_role("button", name="Trash").click()
    await expect(visitor.listed("Lease, Linden Street")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(visitor.listed("Lease, Linden Street")).to_be_visible()

    await visitor.listed("Lease, Linden Street").get_by_role("checkbox").check()
    await page.get_by_role("toolbar").get_by_role("button", name="Trash").click()
    await expect(visitor.listed("Lease, Linden Street")).to_have_count(0)
    await page.get_by_role("navigation").get_by_role("link", name="Trash").click()
    await visitor.listed("Lease, Linden Street").get_by_role("checkbox").check()
    await page.get_by_role("button", name="Restore").click()
    await expect(page.get_by_text("The trash is empty")).to_be_visible()
    await page.get_by_role("navigation").get_by_role("link", name="Library").click()
    await expect(visitor.listed("Lease, Linden Street")).to_be_visible()


async def test_a_reload_keeps_one_signed_in_and_signing_out_in_one_tab_signs_out_in_all(visitor: Visitor) -> None:
    await visitor.register()
    await visitor.page.reload()
    await expect(visitor.page.get_by_role("navigation")).to_be_visible()
    other = await visitor.tab()
    await other.goto(f"{visitor.stack.url}/topics")
    await expect(other.get_by_role("heading", level=1, name="Topics")).to_be_visible()
    await visitor.page.get_by_role("button", name="Account").click()
    await visitor.page.get_by_role("menuitem", name="Sign out").click()
    for page in (visitor.page, other):
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await visitor.open("/topics")
    await visitor.sign_in()
    await expect(visitor.page.get_by_role("heading", level=1, name="Topics")).to_be_visible()


async def test_a_wrong_password_and_a_weak_one_are_explained(visitor: Visitor) -> None:
    visitor.bearable += ["422"]
    page = visitor.page
    await visitor.open()
    await visitor.sign_in()
    await expect(page.get_by_role("alert")).to_contain_text("Email or password is wrong")
    await page.get_by_role("textbox", name="Password").fill("short")
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_text("too easy to guess")).to_be_visible()


async def test_a_second_factor_is_asked_for_and_a_backup_code_does(visitor: Visitor) -> None:
    person = await visitor.stack.person()
    visitor.email, visitor.password = person.email, person.password
    begun = (await person.http.post("/api/auth/totp/begin", json={"password": person.password})).json()
    confirmed = await person.http.post("/api/auth/totp/confirm", json={"code": pyotp.TOTP(begun["secret"]).now()})
    await person.close()
    page = visitor.page
    await visitor.open()
    await visitor.sign_in()
    await page.get_by_role("textbox", name="Code").fill("000000")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("alert")).to_contain_text("wrong or too old")
    await page.get_by_role("button", name="Use a backup code").click()
    await page.get_by_role("textbox", name="Backup code").fill(confirmed.json()["backup_codes"][0])
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("navigation")).to_be_visible()


async def test_a_forgotten_password_is_replaced_by_the_mails_link(visitor: Visitor) -> None:
    person = await visitor.stack.person()
    await person.close()
    page = visitor.page
    await visitor.open()
    await page.get_by_role("link", name="Forgot it?").click()
    await expect(page.get_by_role("heading", name="Get a new password")).to_be_visible()  # it has a field of the same name
    await page.get_by_role("textbox", name="Email").fill(person.email)
    await page.get_by_role("button", name="Send the link").click()
    await expect(page.get_by_text("the link is on its way")).to_be_visible()

    def link() -> str | None:
        logged = "".join(path.read_text(errors="replace") for path in visitor.stack.folder.glob("*.log"))
        found = re.findall(r"/reset-password\?token=[\w.~%-]+", logged)
        return found[-1] if found else None

    path = await until(link, "the mail with the link is logged")
    await visitor.open(path)
    visitor.email, visitor.password = person.email, secrets.token_urlsafe(18)
    await page.get_by_role("textbox", name="New password").fill(visitor.password)
    assert "token" not in page.url
    await page.get_by_role("button", name="Save the new password").click()
    await expect(page.get_by_text("Your new password is saved")).to_be_visible()
    await page.get_by_role("link", name="Back to sign-in").click()
    await visitor.sign_in()
    await expect(page.get_by_role("navigation")).to_be_visible()


async def test_closed_registration_is_said(visitor: Visitor) -> None:
    visitor.bearable += ["403"]
    async with visitor.stack.database() as db:
        async with db.system() as tx:
            await tx.execute("INSERT INTO system_settings (name, value) VALUES ('registration', to_jsonb('closed'::text))")
        try:
            await visitor.open("/register")
            await visitor.page.get_by_role("textbox", name="Email").fill(visitor.email)
            await visitor.page.get_by_role("textbox", name="Password").fill(visitor.password)
            await visitor.page.get_by_role("button", name="Create account").click()
            await expect(visitor.page.get_by_role("alert")).to_contain_text("Registration is closed here")
        finally:
            async with db.system() as tx:
                await tx.execute("DELETE FROM system_settings WHERE name = 'registration'")


async def test_the_same_file_again_is_shown_before_it_is_sent(visitor: Visitor) -> None:
    visitor.bearable += ["409"]
    page = visitor.page
    await visitor.register()
    await visitor.upload(("bees.txt", b"Of bees and honey, once."))
    await expect(visitor.listed("bees")).to_be_visible()
    await visitor.upload(("again.txt", b"Of bees and honey, once."))
    await expect(page.get_by_text("You have it already")).to_be_visible()
    await page.get_by_role("button", name="Send anyway").click()
    await expect(visitor.listed("again")).to_be_visible()


async def test_an_upload_in_parts_goes_on_after_a_reload_and_after_the_gateway_was_killed(visitor: Visitor, tmp_path: Any) -> None:
    visitor.bearable += [*WITHOUT_SERVER, "409"]
    page = visitor.page
    await visitor.register()
    large = tmp_path / "large.txt"
    large.write_bytes((secrets.token_hex(511) + "\n\n").encode() * (68 * 1024))  # five parts of 16 MiB, the last one smaller
    sent: list[str] = []

    async def hold_third(route: Route) -> None:
        number = re.search(r"[?&]partNumber=(\d+)", route.request.url)
        if route.request.method != "PUT" or number is None:
            return await route.continue_()
        if number[1] == "3":
            sent.append("held")
            return None  # never responded to: the page is reloaded meanwhile
        await route.continue_()
        sent.append(number[1])
        return None

    await page.route(re.compile("partNumber="), hold_third)
    await page.locator("input[type=file]").set_input_files(large)
    await until(lambda: "held" in sent, "a part is held")
    before = await _parts(visitor)
    page.once("dialog", lambda dialog: dialog.accept())
    await page.reload()
    await page.unroute_all(behavior="ignoreErrors")
    await expect(page.get_by_text("Pick it again, to go on where it stopped")).to_be_visible()
    again: list[str] = []
    page.on("request", lambda request: again.extend(re.findall(r"[?&]partNumber=(\d+)", request.url)) if request.method == "PUT" else None)
    await visitor.stack.kill("gateway")
    await page.locator("input[type=file]").set_input_files(large)
    await visitor.stack.start("gateway")
    await expect(page.get_by_text("1 file has arrived")).to_be_visible()
    assert len(set(again)) == 5 - before


async def _parts(visitor: Visitor) -> int:
    """How many parts the store has, once all have arrived but the one that is held."""
    seen: list[int] = []
    async with httpx.AsyncClient(base_url=visitor.stack.url) as api:
        account = {"email": visitor.email, "password": visitor.password}
        api.headers["authorization"] = f"Bearer {(await api.post('/api/auth/login', json=account)).json()['access_token']}"
        (document,) = (await api.get("/api/documents", params={"status": "uploading"})).json()["items"]

        async def settled() -> bool:
            response = await api.get(f"/api/documents/{document['id']}/upload")
            assert response.status_code == 200, response.text
            seen.append(len(response.json()["parts"]))
            return seen[-1] == 4

        await until(settled, "no part is on its way")
    return seen[-1]


async def test_all_that_a_filter_chooses_is_selected_but_for_exceptions_and_trashed(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await visitor.upload(*((f"paper {number}.txt", f"Paper number {number} of many.".encode()) for number in range(6)))
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(6)
    await expect(page.get_by_role("status").filter(has_text="6 documents")).to_be_visible()
    await expect(page.get_by_role("main").get_by_text(re.compile("Reading|Filing"))).to_have_count(0)
    await page.keyboard.press("Control+a")
    await expect(page.get_by_role("toolbar")).to_contain_text("6 selected")
    await visitor.listed("paper 3").get_by_role("checkbox").uncheck()
    await expect(page.get_by_role("toolbar")).to_contain_text("5 selected")
    await page.keyboard.press("Delete")
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    await page.keyboard.press("Control+z")
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(6)
    await expect(page.get_by_role("status").filter(has_text="6 documents")).to_be_visible()
    await page.get_by_role("main").get_by_role("checkbox").nth(4).check()
    await page.get_by_role("main").get_by_role("checkbox").nth(1).click(modifiers=["Shift"])
    await expect(page.get_by_role("toolbar")).to_contain_text("4 selected")


async def test_filters_typed_and_clicked_become_chips_and_a_view_brings_them_back(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await visitor.upload(("bees.txt", b"Of bees and honey."), ("wasps.md", b"# Wasps\n\nOf wasps and stings."))
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(2)
    await page.get_by_role("textbox", name="Search").press_sequentially("type:markdown ", delay=130)  # each letter by itself
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    await expect(page.get_by_role("button", name="Take away: Markdown")).to_be_visible()
    await page.get_by_role("button", name="Saved views").click()
    await page.get_by_role("menuitem", name="Save this view").click()
    await page.get_by_label("Name").fill("Notes")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Notes")
    await page.get_by_role("button", name="Take away: Markdown").click()
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(2)
    await page.get_by_role("button", name="Saved views").click()
    await page.get_by_role("menuitem", name="Notes").click()
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)


async def test_a_word_finds_before_it_is_typed_to_its_end(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await visitor.upload(("bees.txt", b"Of bees and honey."), ("wasps.txt", b"Of wasps and stings."))
    rows = page.get_by_role("main").get_by_role("listitem")
    await expect(rows).to_have_count(2)
    await expect(page.get_by_text("Reading")).to_have_count(0)
    search = page.get_by_role("textbox", name="Search")
    await search.press_sequentially("hon")
    await expect(rows).to_have_count(1)
    await expect(rows.locator("mark")).to_have_text("honey")
    await expect(search).to_have_value("hon")
    await search.press("Enter")
    await expect(page.get_by_text("Nothing found")).to_be_visible()
    await search.fill("honeys")  # and its other forms are found as ever
    await expect(rows).to_have_count(1)


async def test_everything_goes_by_keys_alone(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.open()
    await page.get_by_role("textbox", name="Email").focus()
    await page.keyboard.type(visitor.email)
    for _ in range(2):  # past the link to a new password
        await page.keyboard.press("Tab")
    await page.keyboard.type(visitor.password)
    for _ in range(3):  # past "Show" and "Sign in"
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("navigation")).to_be_visible()
    await visitor.upload(("bees.txt", b"Of bees and honey."), ("wasps.txt", b"Of wasps and stings."))
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(2)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("/")
    await page.keyboard.type("stings")
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("g")
    await page.keyboard.press("o")
    await expect(page.get_by_role("heading", level=1, name="Topics")).to_be_visible()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("library")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(2)
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(page.get_by_role("toolbar")).to_contain_text("1 selected")
    await page.keyboard.press("Escape")
    await page.keyboard.press("o")
    await expect(page.get_by_role("button", name="Download")).to_be_visible()


async def test_what_is_typed_while_the_commands_load_is_not_lost(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    typed = asyncio.Event()

    async def hold(route: Route) -> None:
        await typed.wait()
        await route.continue_()

    await page.route(re.compile(r"/assets/CommandPalette-.*\.js"), hold)
    await page.keyboard.press("Control+k")
    await page.keyboard.type("topics")
    await page.keyboard.press("Enter")
    typed.set()
    await expect(page.get_by_role("heading", level=1, name="Topics")).to_be_visible()


async def test_a_german_browser_is_spoken_to_in_german(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(locale="de-DE")
    page = visitor.page
    await visitor.open()
    await expect(page.get_by_role("button", name="Anmelden")).to_be_visible()
    assert await page.locator("html").get_attribute("lang") == "de"
    await page.get_by_role("textbox", name="E-Mail").fill(visitor.email)
    await page.get_by_role("textbox", name="Passwort").fill(visitor.password)
    await page.get_by_role("button", name="Konto anlegen").click()
    await expect(page.get_by_text("Legen Sie Ihre ersten Dokumente hinein")).to_be_visible()
    await page.get_by_role("button", name="Konto").click()
    await page.get_by_role("menuitem", name="English").click()
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()


async def test_a_phone_shows_everything_within_its_width(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(**PHONE)
    page = visitor.page
    await visitor.register()
    await expect(page.get_by_role("button", name="Upload")).to_be_in_viewport()
    await visitor.upload(("a paper with a rather long name that goes on.txt", LEASE))
    row = page.get_by_role("main").get_by_role("listitem")
    await expect(row).to_be_visible()
    for name in ("Topics", "Trash", "Library"):
        await page.get_by_role("navigation").get_by_role("link", name=name).click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        await _fits(page, name)
        await visitor.picture(f"phone-{name.lower()}")
    await row.get_by_role("link").click()
    await expect(page.get_by_role("button", name="Download")).to_be_visible()
    await _fits(page, "document")
    await visitor.picture("phone-document")


async def _fits(page: Page, what: str) -> None:
    wide = "document.documentElement.scrollWidth - innerWidth + Math.max(0, document.querySelector('main').scrollWidth - innerWidth)"
    assert await page.evaluate(wide) <= 0, what


async def test_no_screen_shuts_anybody_out(visitor: Visitor) -> None:
    page = visitor.page
    for path, heading in (("/sign-in", "Your documents"), ("/register", "Make a vault"), ("/forgot-password", "Get a new password")):
        await visitor.open(path)
        await expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        await visitor.shuts_nobody_out(path.strip("/"))
    await visitor.open("/reset-password?token=used")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Choose a new password")
    await visitor.shuts_nobody_out("reset-password")
    await visitor.register()
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
    await visitor.shuts_nobody_out("first-run")
    await page.get_by_role("button", name="New topic").click()
    await visitor.shuts_nobody_out("new-topic")
    await page.get_by_label("Name").fill("Housing")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_role("button", name="Try with samples").click()
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(6)
    await visitor.shuts_nobody_out("library-at-work")
    await expect(page.get_by_text("Reading")).to_have_count(0)
    await page.get_by_role("button", name="Filter").click()
    await page.get_by_role("checkbox", name=re.compile("^Select")).first.check()
    await visitor.shuts_nobody_out("library")
    await page.get_by_role("button", name="Show as a grid").click()
    await visitor.shuts_nobody_out("grid")
    await page.get_by_role("textbox", name="Search").fill("notice")
    await expect(page.locator("mark").first).to_be_visible()
    await visitor.shuts_nobody_out("search")
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await visitor.shuts_nobody_out("commands")
    await page.keyboard.press("Escape")
    await page.get_by_role("main").get_by_role("link").first.click()
    await expect(page.get_by_role("button", name="Download")).to_be_visible()
    await visitor.shuts_nobody_out("document")
    for path in ("/topics", "/trash", "/nothing-of-the-kind"):
        if path == "/nothing-of-the-kind":
            await page.evaluate("history.pushState({}, '', '/nothing'); dispatchEvent(new PopStateEvent('popstate'))")
        else:
            await visitor.open(path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await visitor.shuts_nobody_out(path.strip("/"))


async def test_who_finds_no_server_is_told_and_what_is_open_goes_on_when_it_is_back(visitor: Visitor) -> None:
    visitor.bearable += WITHOUT_SERVER
    page = visitor.page
    await visitor.register()
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
    await visitor.stack.kill("gateway")
    try:
        await page.get_by_role("textbox", name="Search").fill("anything")
        await expect(page.get_by_text("The server cannot be reached").first).to_be_visible()
        await expect(page.get_by_role("button", name="Try again")).to_be_visible()
    finally:
        await visitor.stack.start("gateway")
    await expect(page.get_by_text("Nothing found")).to_be_visible()


async def test_who_comes_while_the_server_is_down_is_told_and_it_goes_on_by_itself(visitor: Visitor) -> None:
    visitor.bearable += WITHOUT_SERVER
    page = visitor.page
    await visitor.register()
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
    await page.route("**/api/auth/refresh", lambda route: route.abort())
    await page.reload()
    await expect(page.get_by_role("heading", name="DocuVault cannot be opened just now")).to_be_visible()
    await expect(page.get_by_text("it goes on by itself when it is back")).to_be_visible()
    await visitor.shuts_nobody_out("cannot-open")
    await page.unroute("**/api/auth/refresh")
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
