"""A line of text while ten owners' slow scans wait: how long until it is `ready`, for somebody else and for one of the ten.

`python -m tests.benchmarks.fairness [owners] [scans of each]`; 10 and 20 if nothing is said. The scans are, in turn, noise of 20 MB (which
text recognition finds hardest) and fifteen printed pages. While they are sent, as fast as one machine sends to itself, the store is at its
limit: how long the bare PUT of the page takes then is printed beside, and what part of that the page takes to be `ready`.
"""

import asyncio
import io
import os
import random
import statistics
import sys
import time
from typing import Any

import aiohttp
from PIL import Image, ImageDraw, ImageFont
from yarl import URL

from shared import temporary
from tests.benchmarks import papers
from tests.benchmarks.pipeline import services_in
from tests.system.stack import Person, Stack

OWNERS, SCANS = 10, 20
TEXTS = 60
PAUSE_SECONDS = 0.5
UPLOADS_AT_ONCE = 2
"""By each owner."""
Paper = tuple[str, bytes, str]
Seconds = tuple[float, float]


def run(owners: int = OWNERS, scans: int = SCANS) -> None:
    """Measures and prints."""
    asyncio.run(_run(owners, scans))


def noise(seed: int) -> bytes:
    """A picture of 20 megapixels in which there is nothing, as a TIFF of 20 MB."""
    picture = Image.frombytes("L", (5000, 4000), random.Random(seed).randbytes(20_000_000))
    return _encoded([picture], "TIFF")


def printed_pages(count: int, *, seed: int = 0, lines: int = 45) -> bytes:
    """So many scanned pages of text, A4 at 200 dpi, as a PDF."""
    chance = random.Random(seed)
    font = ImageFont.load_default(size=28)
    pages = []
    for _ in range(count):
        page = Image.new("L", (1654, 2339), 255)
        draw = ImageDraw.Draw(page)
        for line in range(lines):
            draw.text((140, 120 + 46 * line), " ".join(chance.choices(papers.WORDS, k=9)), fill=0, font=font)
        pages.append(page)
    return _encoded(pages, "PDF", resolution=200)


def _encoded(pages: list[Image.Image], format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    pages[0].save(out, format, save_all=len(pages) > 1, append_images=pages[1:], **options)
    return out.getvalue()


async def _run(owners: int, scans: int) -> None:
    with temporary.folder("benchmark") as folder:
        services = services_in(folder)
        stack = Stack(services, folder, {"LOG_LEVEL": "warning", "DEFAULT_QUOTA": "100 GiB"})
        await services.start()
        try:
            await stack.start()
            await _measure(stack, owners, scans)
        finally:
            await stack.stop()
            await services.kill()


async def _measure(stack: Stack, owners: int, scans: int) -> None:
    greedy = [await stack.person() for _ in range(owners)]
    stranger = await stack.person()
    print(f"alone: {_spread([(await _seconds(stranger, number))[1] for number in range(5)])}")
    papers_of_each: list[Paper] = [("noise.tiff", noise(1), "image/tiff"), ("pages.pdf", printed_pages(15), "application/pdf")]
    sending = asyncio.gather(*(_send(person, [papers_of_each[number % 2] for number in range(scans)]) for person in greedy))
    during = (await _texts(stranger, greedy[0], sending), "while they are sent")
    await sending
    after = (await _texts(stranger, greedy[0], None), "after they were sent")
    for (others, own), when in (during, after):
        if others:
            print(f"{when}, another's one page of text: {_spread([ready for _, ready in others])}")
            print(f"{when}, one's own line of text:      {_spread([ready for _, ready in own])}")
            print(f"{when}, the bare PUT of the page:    {_spread([stored for stored, _ in others])}")
            ratio = sum(ready for _, ready in others) / sum(stored for stored, _ in others)
            print(f"{when}, `ready` takes {ratio:.2f} times the bare PUT")
    waiting = 0
    for person in greedy:
        answer = (await person.http.get("/api/documents", params={"status": "stored", "limit": 100})).json()
        waiting += len(answer["items"])
    found = len(await greedy[-1].search("noise"))
    print(f"{waiting} of {owners * scans} scans are still to be read; by their name, {found} of {(scans + 1) // 2} are found")
    for person in (*greedy, stranger):
        await person.close()


async def _texts(stranger: Person, greedy: Person, while_: "asyncio.Future[Any] | None") -> tuple[list[Seconds], list[Seconds]]:
    others: list[Seconds] = []
    own: list[Seconds] = []
    for number in range(TEXTS):
        if while_ is not None and while_.done():
            break
        another, mine = await asyncio.gather(_seconds(stranger, number), _seconds(greedy, number, line=True))
        others.append(another)
        own.append(mine)
        await asyncio.sleep(PAUSE_SECONDS)
    return others, own


async def _seconds(person: Person, number: int, *, line: bool = False) -> Seconds:
    """How long the store takes to take a text, and how long it is from then until it is `ready`."""
    content = f"line {number} of {time.monotonic_ns()}\n".encode() if line else papers.text_pdf(time.monotonic_ns(), pages=1)
    name, kind = ("line.txt", "text/plain") if line else ("page.pdf", "application/pdf")
    reserved = await person.reserve(name, content, kind, allow_duplicate=True)
    sent = time.perf_counter()
    assert (await person.put(reserved["upload"], content)).status_code == 200
    stored = time.perf_counter()
    document = await person.settled(reserved["document"]["id"], seconds=600)
    assert document["status"] == "ready", document["error"]
    return stored - sent, time.perf_counter() - stored


async def _send(person: Person, scans: list[Paper]) -> None:
    waiting = list(scans)
    told = {name: person.http.headers[name] for name in ("authorization", "user-agent", "accept-language")}
    async with aiohttp.ClientSession(str(person.http.base_url), headers=told) as api, aiohttp.ClientSession() as store:

        async def work() -> None:
            while waiting:
                filename, content, content_type = waiting.pop()
                declared = {"filename": filename, "size": len(content), "content_type": content_type, "allow_duplicate": True}
                async with api.post("/api/documents", json=declared) as answer:
                    assert answer.status == 201, await answer.text()
                    upload = (await answer.json())["upload"]
                async with store.put(URL(upload["url"], encoded=True), data=content, headers=upload["headers"]) as stored:
                    assert stored.status == 200, await stored.text()

        await asyncio.gather(*(work() for _ in range(UPLOADS_AT_ONCE)))


def _spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return (
        f"median {statistics.median(ordered):.2f} s, p95 {ordered[int(len(ordered) * 0.95)]:.2f} s, longest {ordered[-1]:.2f} s "
        f"({len(ordered)} times, {os.cpu_count()} cores)"
    )


if __name__ == "__main__":
    run(*(int(argument) for argument in sys.argv[1:3]))
