"""What is pressed before its code is there waits for it, in the browser; what does not come is said, and nothing waits for ever."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, Route, expect

from tests.console.conftest import WITHOUT_SERVER, Visitor, signed_in
from tests.console.test_console_documents import listed


@asynccontextmanager
async def held(page: Page, *names: str) -> AsyncIterator[None]:
    """The code of these parts comes only at the end."""
    over = asyncio.Event()
    asked = asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await over.wait()
        await route.continue_()

    await page.route(re.compile(rf"/assets/({'|'.join(names)})-.*\.js"), hold)
    yield
    await asyncio.wait_for(asked.wait(), 60)
    over.set()


async def test_delete_pressed_before_its_code_is_there_trashes_what_was_selected_then(visitor: Visitor) -> None:
    person = await signed_in(visitor)
    for name in ("bees.txt", "wasps.txt"):
        await person.settled(await person.upload(name, name.encode(), "text/plain", complete=True))
    page = visitor.page
    await expect(listed(page)).to_have_count(2)
    await page.keyboard.press("j")
    async with held(page, "BulkBar", "bulk"):
        for key in ("x", "Delete", "j"):
            await page.keyboard.press(key)
    await expect(page.get_by_text("Moved to the trash.")).to_be_visible()
    await expect(listed(page)).to_have_count(1)
    await expect(visitor.listed("bees")).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await expect(listed(page)).to_have_count(2)
    await person.close()


async def test_a_name_typed_before_the_form_is_there_is_in_it(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    async with held(page, "TopicDialog", "AppDialog"):
        await page.get_by_role("button", name="New topic").click()
        await page.keyboard.type("Housess")
        await page.keyboard.press("Backspace")
        await page.keyboard.press("Backspace")
        await page.keyboard.press("Enter")
    await expect(page.get_by_text("Topic “House” is made.")).to_be_visible()
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_arrows_pressed_before_a_menu_is_there_move_in_it(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
    async with held(page, "MenuList"):
        await page.get_by_role("button", name="Account").focus()
        for key in ("Enter", "ArrowDown", "Enter"):
            await page.keyboard.press(key)
    await expect(page.get_by_role("heading", level=1, name=re.compile("Settings|Look-alikes"))).to_be_visible()


async def test_a_screen_gets_the_keys_that_were_pressed_while_it_was_loaded(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.register()
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
    async with held(page, "TopicsScreen"):
        for key in ("g", "o", "g", "x"):
            await page.keyboard.press(key)
    await expect(page.get_by_role("heading", level=1, name="Trash")).to_be_visible()


async def test_a_part_that_does_not_load_is_said_and_loads_when_asked_for_again(visitor: Visitor) -> None:
    visitor.bearable += [*WITHOUT_SERVER, "Failed to fetch"]
    page = visitor.page
    await visitor.register()
    await expect(page.get_by_text("Put in your first documents")).to_be_visible()
    away = re.compile(r"/assets/(CommandPalette|TopicsScreen)-.*\.js")
    await page.route(away, lambda route: route.abort())
    await page.keyboard.press("Control+k")
    await expect(page.get_by_text("A part of this page could not be loaded.")).to_be_visible()
    await page.keyboard.press("?")  # nothing waits for it: keys are commands again
    await expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.unroute(away)
    await page.keyboard.press("Control+k")
    await page.keyboard.type("topics")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Topics")).to_be_visible()
