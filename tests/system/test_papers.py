"""What a person sees on a paper is found, from upload to search: the awkward papers beside the repository, and what has no file."""

import io
import mimetypes
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tests.extraction.papers_cases import CASES, cases_of
from tests.system.conftest import StartStack
from tests.system.stack import Person

PATIENCE = 300.0
"""Seconds until all of some ninety papers are read, a dozen of them by text recognition, on a busy machine."""
BIRDS = ("heron", "kingfisher", "cormorant")


async def test_every_awkward_paper_is_found_by_what_stands_on_it(start_stack: StartStack) -> None:
    cases = [case for case in cases_of("") if case is not None]
    if not cases:
        pytest.skip("the awkward papers are not beside the repository")
    stack = await start_stack()
    person = await stack.person()
    documents = [await _uploaded(person, case) for case in cases]
    wrong = {}
    for case, document_id in zip(cases, documents, strict=True):
        if problems := await _problems(person, case, document_id):
            wrong[case["file"]] = problems
    assert wrong == {}
    await person.close()


async def test_the_thirty_thousandth_row_of_a_table_is_found(start_stack: StartStack) -> None:
    stack = await start_stack()
    person = await stack.person()
    rows = [f"{number};Schraube M{number % 20};{number * 7 % 1000},50" for number in range(40_000)]
    rows[30_000] += ";Sperberkauz"
    document_id = await person.upload("lager.csv", "\n".join(rows).encode(), "text/csv")
    document = await person.settled(document_id, seconds=PATIENCE)
    assert (document["status"], document["warnings"]) == ("ready", [])
    assert [hit["id"] for hit in await person.search("Sperberkauz")] == [document_id]
    await person.close()


async def test_the_pages_to_scan_again_are_named_and_words_are_shown_where_they_stand(start_stack: StartStack) -> None:
    stack = await start_stack()
    person = await stack.person()
    document_id = await person.upload("birds.pdf", _scans(), "application/pdf")
    document = await person.settled(document_id, seconds=PATIENCE)
    assert document["status"] == "ready"
    [warning] = document["warnings"]
    assert warning["code"] == "page_hardly_legible"
    assert "page 2 " in warning["detail"]
    assert "Scan it again" in warning["detail"]
    assert [hit["id"] for hit in await person.search("cormorant")] == [document_id]
    pages = (await person.http.get(f"/api/documents/{document_id}/text", params={"boxes": "true"})).json()["pages"]
    assert [page["number"] for page in pages] == [1, 2, 3]
    assert pages[1]["confidence"] < 60 < pages[0]["confidence"]
    assert any(word["text"] == "heron" and word["w"] > word["h"] > 0 for word in pages[0]["words"])
    await person.close()


def _scans() -> bytes:
    """A PDF of three scans, the second out of focus and in bad light."""
    pages = []
    for number, bird in enumerate(BIRDS):
        page = Image.new("L", (1240, 900), 255)
        for row in range(5):
            text = f"The {bird} waits at the weir for number {row} of the fish"
            ImageDraw.Draw(page).text((90, 90 + 120 * row), text, font=ImageFont.load_default(38), fill=10)
        if number == 1:
            page = page.filter(ImageFilter.GaussianBlur(5)).point(lambda light: 110 + light // 5)
        pages.append(page)
    out = io.BytesIO()
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:], resolution=150.0)
    return out.getvalue()


async def _uploaded(person: Person, case: dict[str, Any]) -> str:
    content_type = case.get("content_type") or mimetypes.guess_type(case["file"])[0] or "application/octet-stream"
    return await person.upload(case["file"], (CASES / case["file"]).read_bytes(), content_type)


async def _problems(person: Person, case: dict[str, Any], document_id: str) -> list[str]:
    """What of a case does not hold."""
    document = await person.settled(document_id, seconds=PATIENCE)
    code = (document.get("error") or {}).get("code")
    problems = [] if (document["status"], code) == (case["status"], case.get("code")) else [f"{document['status']} {code}"]
    for query in case["found"]:
        if document_id not in [hit["id"] for hit in await person.search(query)]:
            problems.append(f"not found: {query}")
    for query in case["not_found"]:
        if document_id in [hit["id"] for hit in await person.search(query)]:
            problems.append(f"found: {query}")
    if case.get("text"):
        pages = (await person.http.get(f"/api/documents/{document_id}/text")).json()["pages"]
        text = "".join("".join(page["text"] for page in pages).split())
        problems += [f"not in the text: {words}" for words in case["text"] if "".join(words.split()) not in text]
    return problems
