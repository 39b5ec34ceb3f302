"""Settings, administration, triage, shares and the pages of a document, in the browser."""

import re
import time
from pathlib import Path

import pyotp
import pytest
from playwright.async_api import expect

from infra.functions import ROOT
from tests.console.conftest import NewVisitor, Visitor, signed_in
from tests.storage.servers.dav_server import PASSWORD, USER, DavServer

SCAN = (ROOT / "scripts" / "samples" / "electricity-bill-scan.pdf").read_bytes()
INVOICE = (ROOT / "scripts" / "samples" / "bicycle-invoice.pdf").read_bytes()


async def test_a_second_factor_is_set_up_by_its_code_used_and_switched_off(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await visitor.open("/settings/security")
    await page.get_by_role("button", name="Set up").click()
    await page.get_by_role("textbox", name="Current password").last.fill(visitor.password)
    await page.get_by_role("button", name="Go on").click()
    await expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()
    secret = pyotp.TOTP(await page.get_by_label("Key", exact=True).inner_text())
    await page.get_by_role("textbox", name="Code").fill(secret.now())
    await page.get_by_role("button", name="Switch on").click()
    codes = (await page.get_by_label("Backup codes").inner_text()).split()
    assert len(codes) == 10
    await visitor.shuts_nobody_out("backup-codes")
    await page.get_by_role("button", name="I have kept them").click()
    await page.get_by_role("button", name="Switch off").click()
    await page.get_by_role("textbox", name="Current password").last.fill(visitor.password)
    # A code is good once: the one that switched it on is not good again.
    await page.get_by_role("textbox", name="Code").fill(secret.at(int(time.time()) + 30))
    await page.get_by_role("button", name="Switch off").click()
    await expect(page.get_by_role("button", name="Set up")).to_be_visible()


async def test_a_token_is_made_shown_once_and_revoked(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await visitor.open("/settings/security")
    await page.get_by_role("button", name="New token").click()
    await page.get_by_role("textbox", name="Name").fill("Scanner")
    await page.get_by_role("checkbox", name="Add and change documents").check()
    await visitor.shuts_nobody_out("new-token")
    await page.get_by_role("button", name="Create", exact=True).click()
    token = await page.get_by_label("Token", exact=True).inner_text()
    person = await visitor.stack.person()
    person.http.headers["authorization"] = f"Bearer {token}"
    assert (await person.http.get("/api/documents")).status_code == 200
    await page.get_by_role("button", name="Done").click()
    await page.get_by_role("listitem").filter(has_text="Scanner").get_by_role("button", name="Revoke").click()
    await expect(page.get_by_text("No tokens yet")).to_be_visible()
    assert (await person.http.get("/api/documents")).status_code == 401
    await person.close()


async def test_a_document_is_shared_opened_by_a_stranger_with_its_password_and_taken_back(
    visitor: Visitor, new_visitor: NewVisitor
) -> None:
    page = visitor.page
    await visitor.register()
    await visitor.upload(("lease.txt", b"Lease of the flat in Linden Street."))
    await visitor.listed("lease").get_by_role("link").click()
    await page.get_by_role("button", name="Share", exact=True).click()
    await page.get_by_role("textbox", name="Password (optional)").fill("linden tree")
    await visitor.shuts_nobody_out("share")
    await page.get_by_role("button", name="Make the link").click()
    path = re.sub("^https?://[^/]+", "", await page.get_by_label("Link", exact=True).inner_text())
    await page.get_by_role("button", name="Done").click()

    stranger = await new_visitor()
    await stranger.open(path)
    await stranger.page.get_by_role("button", name="Download").click()
    await stranger.page.get_by_role("textbox", name="Password").fill("linden tree")
    await stranger.shuts_nobody_out("shared")
    async with stranger.page.expect_download() as downloading:
        await stranger.page.get_by_role("button", name="Download").click()
    assert (await (await downloading.value).path()).read_bytes() == b"Lease of the flat in Linden Street."

    await page.get_by_role("button", name="Take the link back").click()
    await expect(page.get_by_text("Shared with nobody")).to_be_visible()
    stranger.bearable.append("404")
    await stranger.open(path)
    await stranger.page.get_by_role("button", name="Download").click()
    await expect(stranger.page.get_by_text("This link does not work any more")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "content", "word", "mark"),
    [("bill.pdf", SCAN, "electricity", ".hit"), ("invoice.pdf", INVOICE, "quoting", ".text-layer mark")],
    ids=["a scan", "a text"],
)
async def test_hits_are_marked_on_the_page(visitor: Visitor, name: str, content: bytes, word: str, mark: str) -> None:
    page = visitor.page
    await visitor.register()
    await visitor.upload((name, content), content_type="application/pdf")
    await page.get_by_role("textbox", name="Search").fill(word)
    hit = page.get_by_role("main").get_by_role("listitem").filter(has=page.locator("mark"))
    await hit.get_by_role("link").click()
    await expect(page.get_by_role("region", name="Pages").locator(mark).first).to_be_visible()
    await expect(page.get_by_text(re.compile(r"Page 1 of \d"))).to_be_visible()
    await visitor.shuts_nobody_out(f"viewer-{Path(name).stem}")
    await page.keyboard.press("+")
    await expect(page.get_by_role("button", name="125 %")).to_be_visible()


async def test_triage_goes_by_keys_alone_and_takes_back(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await visitor.upload(("bees.txt", b"Of bees and honey."), ("wasps.txt", b"Of wasps and stings."))
    for title in ("bees", "wasps"):
        await expect(visitor.listed(title)).to_be_visible()
    await expect(page.get_by_text(re.compile("Reading|Filing"))).to_have_count(0)
    await page.get_by_role("navigation", name="Main").get_by_role("link", name="Triage").click()
    heading = page.get_by_role("heading", level=1)
    await expect(heading).to_have_text(re.compile("bees|wasps"))
    first = await heading.inner_text()
    await visitor.shuts_nobody_out("triage")
    await page.keyboard.press("t")
    await expect(page.get_by_role("combobox")).to_be_focused()
    await page.keyboard.type("Insects")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main").get_by_text("Insects", exact=True)).to_be_visible()
    await page.keyboard.press("u")
    await expect(page.get_by_text("no topic yet")).to_be_visible()
    await page.keyboard.press("e")
    await page.get_by_role("textbox", name="Title").fill("Renamed")
    await page.keyboard.press("Enter")
    await expect(heading).to_have_text("Renamed")
    await page.keyboard.press("n")
    await expect(heading).not_to_have_text("Renamed")
    assert await heading.inner_text() != first
    await page.keyboard.press("n")
    await expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    await page.get_by_role("button", name="Show what was passed over").click()
    await expect(heading).to_have_text(re.compile("Renamed|bees|wasps"))


async def test_settings_are_kept_and_shut_nobody_out(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await visitor.open("/settings/account")
    await page.get_by_role("textbox", name="Display name").fill("Ada")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("textbox", name="Display name")).to_have_value("Ada")
    await visitor.open("/settings/assistant")
    await page.get_by_label("What it does").select_option("suggest")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved.")).to_be_visible()
    await page.get_by_role("button", name="Try it").click()
    await expect(page.get_by_text("It answers")).to_be_visible()
    for section, heading in (("account", "You"), ("security", "Password"), ("storage", "Your clouds"), ("data", "Take everything out")):
        await visitor.open(f"/settings/{section}")
        await expect(page.get_by_role("heading", level=2, name=heading, exact=True)).to_be_visible()
        await visitor.shuts_nobody_out(f"settings-{section}")


async def test_a_cloud_is_renamed_where_it_is_listed_and_gets_its_name_back(new_visitor: NewVisitor, tmp_path: Path) -> None:
    visitor = await new_visitor()
    page = visitor.page
    person = await signed_in(visitor)
    async with DavServer(tmp_path / "dav").running() as server:
        account = {"provider": "webdav", "server_url": server.url, "username": USER, "password": PASSWORD, "name": "Attic"}
        connected = await person.http.post("/api/cloud/connections", json=account)
        assert connected.status_code == 201, connected.text
    await visitor.open("/settings/storage")
    await page.get_by_role("button", name="Rename: Attic").click()
    name = page.get_by_role("main").get_by_role("textbox", name="Name")
    await expect(name).to_be_focused()
    await visitor.shuts_nobody_out("rename")
    await name.press("Escape")
    await expect(page.get_by_role("button", name="Rename: Attic")).to_be_focused()
    await page.keyboard.press("Enter")
    await name.fill("Cellar")
    await name.press("Enter")
    await expect(page.get_by_text("It is called “Cellar” now.")).to_be_visible()
    await expect(page.get_by_label("New documents")).to_contain_text("Cellar")
    [named] = (await person.http.get("/api/cloud/connections")).json()["items"]
    assert named["name"] == "Cellar"
    await page.keyboard.press("Control+z")
    await expect(page.get_by_role("button", name="Rename: Attic")).to_be_visible()
    await page.get_by_role("button", name="Account").click()
    await page.get_by_role("menuitem", name="Deutsch").click()
    await page.get_by_role("button", name="Umbenennen: Attic").click()
    await page.get_by_role("main").get_by_role("textbox", name="Name").fill("Dachboden")
    await page.get_by_role("button", name="Speichern").click()
    await expect(page.get_by_text("Sie heißt jetzt „Dachboden“.")).to_be_visible()
    await person.close()


async def test_two_topics_become_one(visitor: Visitor) -> None:
    page = visitor.page
    person = await signed_in(visitor)
    ids = {}
    for name in ("House", "Housing"):
        made = await person.http.post("/api/topics", json={"name": name})
        ids[name] = made.json()["id"]
    document = await person.upload("lease.txt", b"A lease.", "text/plain", complete=True)
    await person.settled(document)
    filed = await person.http.patch(f"/api/documents/{document}", json={"topic_ids": [ids["House"]]})
    assert filed.status_code == 200, filed.text
    await visitor.open("/topics")
    await page.get_by_role("button", name="Merge into another: House", exact=True).click()
    await expect(page.get_by_role("dialog").get_by_label("Into")).to_have_value(ids["Housing"])
    await visitor.shuts_nobody_out("merge-topics")
    await page.get_by_role("dialog").get_by_role("button", name="Merge").click()
    await expect(page.get_by_text("“House” is part of “Housing” now.")).to_be_visible()
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    await expect(page.get_by_role("main").get_by_role("listitem", name="Housing")).to_contain_text("1 document")
    assert [topic["name"] for topic in (await person.document(document))["topics"]] == ["Housing"]
    await person.close()


async def test_what_the_assistant_would_be_sent_is_shown_word_for_word(visitor: Visitor) -> None:
    page = visitor.page
    person = await signed_in(visitor)
    document = await person.upload("lease.txt", b"A lease of the house by the harbour.", "text/plain", complete=True)
    await person.settled(document)
    topic = await person.http.post("/api/topics", json={"name": "Housing"})
    assert topic.status_code == 201, topic.text
    await visitor.open(f"/documents/{document}")
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("menuitem", name="See what would be sent").click()
    await expect(page.get_by_text("Nothing leaves this server")).to_be_visible()
    await page.keyboard.press("Escape")
    settings = {
        "provider": "ollama",
        "base_url": "http://127.0.0.1:9",
        "model": "tiny",
        "mode": "suggest",
        "password": person.password,
    }
    chosen = await person.http.put("/api/ai/settings", json=settings)
    assert chosen.status_code == 200, chosen.text
    await visitor.open("/settings/assistant")
    await page.get_by_role("button", name="See what would be sent").click()
    await expect(page.get_by_text("For the newest of your documents, “lease”")).to_be_visible()
    await expect(page.get_by_text("To Ollama, tiny, at http://127.0.0.1:9")).to_be_visible()
    await expect(page.get_by_role("region", name="The assistant's question")).to_contain_text("A lease of the house by the harbour.")
    await visitor.shuts_nobody_out("assistant-preview")
    await person.close()


async def test_an_admin_sees_how_it_is_and_others_do_not(visitor: Visitor, new_visitor: NewVisitor) -> None:
    await visitor.register()
    await visitor.open("/admin/overview")
    await expect(visitor.page.get_by_role("heading", level=1, name="Library")).to_be_visible()
    admin = await new_visitor()
    admin.email, admin.password = "admin@example.org", visitor.stack.settings["ADMIN_PASSWORD"]
    page = admin.page
    await admin.open("/admin/overview")
    await admin.sign_in()
    await expect(page.get_by_text("Everything works.")).to_be_visible()
    await admin.shuts_nobody_out("admin-overview")
    await page.get_by_role("link", name="Users").click()
    await expect(page.get_by_role("listitem").filter(has_text=visitor.email)).to_be_visible()
    await admin.shuts_nobody_out("admin-users")
    await page.get_by_role("link", name="Audit log").click()
    await page.get_by_role("button", name="Verify").click()
    await expect(page.get_by_text(re.compile(r"lines? (is|are) whole"))).to_be_visible()
    await admin.shuts_nobody_out("admin-audit")
    await page.get_by_role("link", name="System").click()
    await expect(page.get_by_label("Registration")).to_have_value("open")
    await admin.shuts_nobody_out("admin-system")
