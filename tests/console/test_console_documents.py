"""Documents seen quickly, side by side, and moved to another place, in the browser."""

import re
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.console.conftest import PHONE, NewVisitor, Visitor, signed_in
from tests.console.test_console_screens import INVOICE
from tests.search.test_likeness import misread, paper
from tests.storage.servers.dav_server import PASSWORD, USER, DavServer
from tests.system.stack import until


def listed(page: Page) -> Any:
    return page.get_by_role("main").get_by_role("listitem")


async def test_a_preview_comes_and_goes_by_the_space_bar_and_moves_on_with_the_list(visitor: Visitor) -> None:
    person = await signed_in(visitor)
    for name, content in (("bees.txt", b"Of bees and honey."), ("wasps.txt", b"Of wasps and stings.")):
        await person.settled(await person.upload(name, content, "text/plain", complete=True))
    page = visitor.page
    await expect(listed(page)).to_have_count(2)
    await page.keyboard.press("j")
    await page.keyboard.press("Space")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading", name="wasps")).to_be_visible()
    await expect(dialog.get_by_text("Of wasps and stings.")).to_be_visible()
    await visitor.shuts_nobody_out("preview-text")
    await page.keyboard.press("j")
    await expect(dialog.get_by_text("Of bees and honey.")).to_be_visible()
    await page.keyboard.press("Space")
    await expect(dialog).to_have_count(0)

    await visitor.listed("wasps").get_by_role("link").focus()
    await page.keyboard.press("Space")
    await expect(dialog.get_by_role("heading", name="wasps")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(visitor.listed("wasps").get_by_role("link")).to_be_focused()

    await visitor.listed("bees").get_by_role("checkbox").focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("toolbar")).to_contain_text("1 selected")
    await expect(dialog).to_have_count(0)
    await person.close()


async def test_a_preview_shows_the_pages_and_leads_to_the_document(visitor: Visitor) -> None:
    person = await signed_in(visitor)
    await person.settled(await person.upload("invoice.pdf", INVOICE, "application/pdf", complete=True))
    page = visitor.page
    await page.get_by_role("textbox", name="Search").fill("quoting")
    await expect(page.locator("mark").first).to_be_visible()
    await listed(page).get_by_role("link").focus()
    await page.keyboard.press("Space")
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator(".text-layer mark").first).to_be_visible()
    await visitor.shuts_nobody_out("preview-pages")
    await dialog.get_by_role("button", name="Open the document").click()
    await expect(page.get_by_role("button", name="Download")).to_be_visible()
    await person.close()


async def test_an_earlier_version_is_seen_beside_the_current_one_and_made_current_again(visitor: Visitor) -> None:
    person = await signed_in(visitor)
    document_id = await person.upload("lease.txt", b"The rent is 700 euros.", "text/plain", complete=True)
    await person.settled(document_id)
    reserved = await person.reserve("lease.txt", b"The rent is 900 euros a month.", "text/plain", replaces=document_id)
    await person.put(reserved["upload"], b"The rent is 900 euros a month.")
    await person.http.post(f"/api/documents/{document_id}/complete", json={})

    async def ready() -> bool:
        document = await person.document(document_id)
        return (document["version"], document["status"]) == (2, "ready")

    await until(ready, "the new version is read")
    page = visitor.page
    await visitor.open(f"/documents/{document_id}")
    await page.get_by_role("button", name="Compare with the current one: Version 1").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("region", name="Version 1", exact=True)).to_contain_text("The rent is 700 euros.")
    await expect(dialog.get_by_role("region", name="Version 2 (current)", exact=True)).to_contain_text("The rent is 900 euros a month.")
    await visitor.shuts_nobody_out("versions")
    await dialog.get_by_role("button", name="Make it current again").click()
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("main")).to_contain_text("The rent is 700 euros.")
    await person.close()


async def test_of_two_that_look_alike_one_is_kept_and_taken_back_and_both_stay_if_wished(visitor: Visitor) -> None:
    person = await signed_in(visitor)
    for name, words in (("scan.txt", misread(paper(1), 0.03, 1)), ("again.txt", misread(paper(1), 0.03, 2))):
        await person.settled(await person.upload(name, " ".join(words).encode(), "text/plain", complete=True))

    async def paired() -> bool:
        return bool((await person.http.get("/api/documents/lookalikes")).json()["items"])

    await until(paired, "they are found to look alike")
    page = visitor.page
    await page.get_by_role("navigation").get_by_role("link", name="Look-alikes").click()
    await expect(page.get_by_role("region", name="scan", exact=True)).to_be_visible()
    await expect(page.get_by_role("region", name="again", exact=True)).to_be_visible()
    await visitor.shuts_nobody_out("lookalikes")
    await page.get_by_role("button", name=re.compile("^Keep this one: scan")).click()
    await expect(page.get_by_text("No two documents look alike")).to_be_visible()
    assert [item["title"] for item in (await person.http.get("/api/documents")).json()["items"]] == ["scan"]
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("region", name="again", exact=True)).to_be_visible()
    await page.keyboard.press("b")
    await expect(page.get_by_text("No two documents look alike")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("No two documents look alike")).to_be_visible()
    assert len((await person.http.get("/api/documents")).json()["items"]) == 2
    await person.close()


async def test_what_is_selected_is_moved_to_a_cloud_and_back(visitor: Visitor, tmp_path: Path) -> None:
    person = await signed_in(visitor)
    page = visitor.page
    async with DavServer(tmp_path / "dav").running() as server:
        account = {"provider": "webdav", "server_url": server.url, "username": USER, "password": PASSWORD, "name": "Attic"}
        connected = await person.http.post("/api/cloud/connections", json=account)
        assert connected.status_code == 201, connected.text
        ids = [await person.upload(name, name.encode(), "text/plain", complete=True) for name in ("bees.txt", "wasps.txt")]
        for one in ids:
            await person.settled(one)
        await expect(listed(page)).to_have_count(2)
        await page.keyboard.press("Control+a")
        await page.get_by_role("toolbar").get_by_role("button", name="More").click()
        await page.get_by_role("menuitem", name="Move to").click()
        await page.get_by_role("radio", name="Attic").check()
        await visitor.shuts_nobody_out("move")
        await page.get_by_role("button", name="Move", exact=True).click()
        await expect(page.get_by_text("2 documents are being moved to Attic.")).to_be_visible()

        async def live_in(connection: str | None) -> bool:
            return all([(await person.document(one))["storage"]["connection_id"] == connection for one in ids])

        await until(lambda: live_in(connected.json()["id"]), "both are in the cloud")
        assert sorted(path.read_bytes() for path in server.folder.rglob("*") if path.is_file()) == [b"bees.txt", b"wasps.txt"]
        await page.get_by_role("button", name="Undo").click()
        await until(lambda: live_in(None), "both are back")
    await person.close()


async def test_on_a_phone_the_paper_comes_before_what_is_known_of_it(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(**PHONE)
    person = await signed_in(visitor)
    document_id = await person.upload("invoice.pdf", INVOICE, "application/pdf", complete=True)
    await person.settled(document_id)
    page = visitor.page
    await visitor.open(f"/documents/{document_id}")
    pages = page.get_by_role("region", name="The pages")
    await expect(pages.get_by_role("img", name="Page 1")).to_be_visible()
    await visitor.picture("phone-pages")
    [paper_box, facts_box] = [await one.bounding_box() for one in (pages, page.get_by_label("Sender"))]
    assert paper_box
    assert facts_box
    assert paper_box["y"] < facts_box["y"]
    await person.close()
