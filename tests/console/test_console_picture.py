"""The picture of the console that the README shows: `DOCUVAULT_SCREENSHOTS=folder` makes it anew, as `readme.png`; committed as
docs/console.png.
"""

import os
import re
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import expect

from infra.functions import ROOT
from tests.console.conftest import NewVisitor, signed_in

PICTURE = ROOT / "docs" / "console.png"
MOST_BYTES = 150_000
PAPERS = {
    "nebenkosten": ("Nebenkostenabrechnung 2025", "2026-02-12", "Housing"),
    "rental": ("Rental contract 14 Linden Street", "2026-03-02", "Housing"),
    "bicycle": ("Invoice 2026-0417: bicycle repair", "2026-04-17", "Invoices"),
    "electricity": ("Electricity bill 2025 (scan)", "2026-01-12", "Invoices"),
    "insurance": ("Your claim 88-2041: water damage in the kitchen", "2026-03-02", "Insurance"),
}
"""What the samples are about; a person would have said so in the triage."""


async def test_the_samples_searched_make_the_readmes_picture(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(viewport={"width": 1200, "height": 720}, color_scheme="light", reduced_motion="reduce")
    person = await signed_in(visitor)
    for name, color in (("Housing", "#2f7d4f"), ("Invoices", "#b3541e"), ("Insurance", "#3b6db3")):
        made = await person.http.post("/api/topics", json={"name": name, "color": color})
        assert made.status_code == 201, made.text
    page = visitor.page
    await visitor.open()
    await page.get_by_role("button", name="Try with samples").click()
    await expect(page.get_by_text("6 files have arrived")).to_be_visible()
    await expect(page.get_by_text(re.compile("Reading|Filing"))).to_have_count(0)
    items = (await person.http.get("/api/documents", params={"limit": 50})).json()["items"]
    assert {item["status"] for item in items} == {"ready"}
    topics = {topic["name"]: topic["id"] for topic in (await person.http.get("/api/topics")).json()["items"]}
    for item in items:
        for beginning, (title, dated, topic) in PAPERS.items():
            if item["filename"].startswith(beginning):
                facts = {"title": title, "issued_on": dated, "topic_ids": [topics[topic]]}
                changed = await person.http.patch(f"/api/documents/{item['id']}", json=facts)
                assert changed.status_code == 200, changed.text
    await visitor.open()
    await page.get_by_role("textbox", name="Search").fill("okafor")
    await expect(page.get_by_role("main").locator("mark").nth(3)).to_be_visible()
    await page.get_by_role("button", name="Filter").click()
    await page.get_by_role("heading", level=1).click()  # what is suggested closes
    await expect(page.get_by_role("listbox")).to_have_count(0)
    await expect(page.get_by_role("navigation").get_by_role("link", name=re.compile("Housing"))).to_be_visible()
    await visitor.picture("readme")
    if folder := os.environ.get("DOCUVAULT_SCREENSHOTS"):
        path = Path(folder) / "readme.png"
        Image.open(path).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    await person.close()


def test_the_readmes_picture_is_small_and_sharp() -> None:
    content = PICTURE.read_bytes()
    assert len(content) < MOST_BYTES
    assert Image.open(BytesIO(content)).size == (1200, 720)
