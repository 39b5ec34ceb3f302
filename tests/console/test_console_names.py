"""The names that tests of others rely on, in English: each is there, and once, also for who asks for a part of it in any case."""

from typing import Any

from playwright.async_api import Page, expect

from tests.console.conftest import Visitor, signed_in

LETTER = (
    b"Water Works, River Street 4\n\n12 May 2026\n\nYour bill\n\nDear Ms Okafor, please pay 84.20 euros for your water by 30 May 2026.\n"
)


async def _once(page: Page, role: Any, *names: str) -> None:
    for name in names:
        await expect(page.get_by_role(role, name=name)).to_have_count(1)
        await expect(page.get_by_role(role, name=name, exact=True)).to_be_visible()


async def test_who_signs_in_finds_each_name_once(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.open()
    await _once(page, "textbox", "Email", "Password")
    await _once(page, "button", "Sign in", "Create account")
    await visitor.open("/register")
    await _once(page, "textbox", "Email", "Password")
    await _once(page, "button", "Create account")


async def test_who_is_signed_in_finds_each_name_once(visitor: Visitor) -> None:
    page = visitor.page
    person = await signed_in(visitor)
    chosen = await person.http.put("/api/ai/settings", json={"provider": "local", "mode": "off"})
    assert chosen.status_code == 200, chosen.text  # what it would ask is put in below
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
    for path in ("/", "/topics", "/trash", "/triage", "/lookalikes", "/settings/account"):
        await visitor.open(path)
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        await _once(page, "button", "Upload", "New topic")
        await _once(page, "textbox", "Search")
        for landmark in ("main", "search"):
            await expect(page.get_by_role(landmark)).to_have_count(1)
        await expect(page.get_by_role("navigation", name="Main")).to_have_count(1)
        several = page.locator("input[type=file]")
        await expect(several).to_have_count(1)
        assert await several.evaluate("(input) => input.multiple")

    document_id = await person.upload("water bill.txt", LETTER, "text/plain", complete=True)
    document = await person.settled(document_id)
    await visitor.open("/")
    await expect(page.get_by_role("listitem", name=document["title"])).to_have_count(1)
    await visitor.open(f"/documents/{document_id}")
    await expect(page.get_by_role("heading", name=document["title"])).to_have_count(1)
    await expect(page.get_by_role("heading", level=1, name=document["title"])).to_be_visible()
    await _once(page, "button", "Download", "Upload")
    async with visitor.stack.database() as db, db.system() as tx:
        await tx.execute(
            """
            INSERT INTO detail_proposals (id, owner_id, document_id, name, value, quote, provider, model, state, revision)
            SELECT gen_random_uuid(), owner_id, id, 'title', 'Water bill of May', 'Your bill', 'local', 'test', 'open', 1
            FROM documents WHERE id = %(id)s
            """,
            {"id": document_id},
        )
    for path in (f"/documents/{document_id}", "/triage"):
        await visitor.open(path)
        await _once(page, "button", "Accept", "Reject")
    await person.close()
