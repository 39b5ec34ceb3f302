"""The console in Chromium: first load and reload, a list of 50,000, search as one types, 500 small files, and 1 GiB beside curl.

CONSOLE_PARTS names some of `load`, `beside`, `small`, `typing`, `list`, `large` (all of them otherwise); CONSOLE_DOCUMENTS, CONSOLE_FILES
and CONSOLE_BYTES say how long the list is, how many small files there are (which `typing` searches), and how large the large one is.
CONSOLE_BESIDE names built front ends of others, `name=folder name=folder#address`: they and ours are served by one static server that
compresses by gzip and knows no account, so that what differs is what they load and do. Built from their sources (paperless-ngx:
`ng build` in src-ui, start at `#en-US/`; Papra: `vite build` in apps/papra-client), since they are published in container images alone.
What is set beside is made in the same run: the same files sent by the API, three at once as the
console does, and the same bytes sent by curl to the store. Rows of the list are inserted by SQL, so that nothing waits for reading them.
"""

import asyncio
import gzip
import hashlib
import mimetypes
import os
import secrets
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from playwright.async_api import Browser, Page, async_playwright, expect

from functions.console.console import DIST
from shared import temporary
from tests.benchmarks.pipeline import services_in
from tests.system.stack import Person, Stack, until

PARTS = os.environ.get("CONSOLE_PARTS", "load beside small typing list large").split()
BESIDE = [one.partition("=")[::2] for one in os.environ.get("CONSOLE_BESIDE", "").split()]
DOCUMENTS = int(os.environ.get("CONSOLE_DOCUMENTS", "50000"))
BYTES = int(os.environ.get("CONSOLE_BYTES", str(2**30)))
SMALL_FILES = int(os.environ.get("CONSOLE_FILES", "500"))
ROUNDS = 7
AT_ONCE = 3
"""As many uploads as the console sends at once (`web/src/uploads/queue.ts`)."""
WORDS = ("harbour", "ledger", "notice", "warranty", "premium", "deposit", "insurance", "heating", "bicycle", "garden")
PATIENCE_MILLISECONDS = 600_000
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_NOTHING = b'{"config": {}, "count": 0, "results": []}'
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
_SENT = """(() => [performance.getEntriesByType('navigation')[0], ...performance.getEntriesByType('resource')]
  .filter((one) => !new URL(one.name).pathname.startsWith('/api/')).reduce((sum, one) => sum + one.transferSize, 0))()"""
_SCROLL = """async ([frames, step]) => {
  const main = document.getElementById("main"), times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 0; frame < frames; frame++) {
    main.scrollTop += step;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}"""
_TO_THE_END = """async (all) => {
  const main = document.getElementById("main");
  const last = () => Number([...document.querySelectorAll("[aria-posinset]")].at(-1)?.getAttribute("aria-posinset") ?? 0);
  let longest = 0, before = await new Promise(requestAnimationFrame);
  while (last() < all) {
    main.scrollTop = main.scrollHeight;
    const now = await new Promise(requestAnimationFrame);
    longest = Math.max(longest, now - before);
    before = now;
  }
  return longest;
}"""
_TYPE = """async ([text, beginning]) => {
  const input = document.getElementById("search"), began = performance.now();
  input.value = text;
  input.dispatchEvent(new Event("input", {bubbles: true}));
  const marked = () => [...document.querySelectorAll("#main mark")].some((one) => one.textContent.toLowerCase().startsWith(beginning));
  const asked = (one) => one.startTime > began && one.responseEnd > 0 && new URL(one.name).pathname === "/api/documents";
  const fits = (one) => new URL(one.name).searchParams.get("q")?.startsWith(text);
  const come = () => performance.getEntriesByType("resource").some((one) => asked(one) && fits(one));
  while (!(come() && marked())) await new Promise(requestAnimationFrame);
  return await new Promise(requestAnimationFrame) - began;
}"""
_ROWS = """
    INSERT INTO documents (id, owner_id, object_key, filename, title, size, content_type, status, language, created_at)
    SELECT gen_random_uuid(), %(owner)s::uuid, %(owner)s::uuid || '/row/' || n, 'row ' || n || '.txt', 'Row ' || n, n, 'text/plain',
        'ready', 'en', timestamptz '2020-01-01' + n * interval '1 minute'
    FROM generate_series(1, %(count)s) AS n
"""


def run() -> None:
    asyncio.run(_run())


async def _run() -> None:
    chromium = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    if chromium is None:
        print("There is no Chromium on this machine (Debian: apt-get install chromium).")
        return
    with temporary.folder("benchmark") as folder:
        services = services_in(folder)
        stack = Stack(services, folder, {"LOG_LEVEL": "warning", "DEFAULT_QUOTA": "100 GiB"})
        await services.start()
        try:
            await stack.start()
            async with async_playwright() as playwright:
                arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--enable-precise-memory-info"]
                browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
                await _measure(stack, browser, folder)
                await browser.close()
        finally:
            await stack.stop()
            await services.kill()


async def _measure(stack: Stack, browser: Browser, folder: Path) -> None:
    person = await stack.person()
    page = await _signed_in(stack, browser, person)
    if "load" in PARTS:
        await _load(stack, browser, page)
    if "beside" in PARTS:
        await _beside(browser)
    if "small" in PARTS:
        await _small(stack, page)
    if "typing" in PARTS:
        await _typing(page)
    if "list" in PARTS:
        await _list(stack, browser, person)
    if "large" in PARTS:
        await _large(stack, browser, folder)
    await person.close()


async def _signed_in(stack: Stack, browser: Browser, person: Person) -> Page:
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    await page.goto(stack.url)
    await page.get_by_role("textbox", name="Email").fill(person.email)
    await page.get_by_role("textbox", name="Password").fill(person.password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1, name="Library")).to_be_visible()
    return page


async def _load(stack: Stack, browser: Browser, signed_in: Page) -> None:
    """A stranger's first visit, and the reload of somebody who is signed in; usable is when what one came for can be used."""
    first: list[tuple[float, float, int]] = []
    again: list[tuple[float, float, int]] = []
    for _ in range(ROUNDS):
        context = await browser.new_context(viewport={"width": 1280, "height": 800})
        page = await context.new_page()
        began = time.perf_counter()
        await page.goto(stack.url, wait_until="commit")
        await page.get_by_role("textbox", name="Email").fill("ada@example.org")
        first.append(((time.perf_counter() - began) * 1000, await page.evaluate(_PAINT) or 0.0, await page.evaluate(_SENT)))
        await context.close()
        began = time.perf_counter()
        await signed_in.reload(wait_until="commit")
        await expect(signed_in.get_by_role("heading", level=1, name="Library")).to_be_visible()
        again.append(((time.perf_counter() - began) * 1000, await signed_in.evaluate(_PAINT) or 0.0, await signed_in.evaluate(_SENT)))
    for name, rounds in (("first load", first), ("reload, signed in", again)):
        usable, paint, sent = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name}: first paint {paint:.0f} ms, usable {usable:.0f} ms, {sent / 1000:.1f} kB sent (medians of {ROUNDS})", flush=True)


async def _beside(browser: Browser) -> None:
    """A first visit to each front end, until there is a field to write in: to sign in or, where the server's pages do that, to search."""
    ours: tuple[float, ...] | None = None
    for name, place in [("ours", str(DIST)), *BESIDE]:
        folder, _, start = place.partition("#")
        with _static(Path(folder), start) as address:
            rounds = []
            for _ in range(ROUNDS):
                context = await browser.new_context(viewport={"width": 1280, "height": 800})
                page = await context.new_page()
                began = time.perf_counter()
                await page.goto(address, wait_until="commit")
                await page.locator("input:visible").first.wait_for()
                usable = (time.perf_counter() - began) * 1000
                await page.wait_for_load_state("networkidle")
                rounds.append((await page.evaluate(_PAINT) or 0.0, usable, await page.evaluate(_SENT)))
                await context.close()
        figures = tuple(statistics.median(column) for column in zip(*rounds, strict=True))
        ours = ours or figures
        paint, usable, sent = figures
        ratios = " ".join(f"{there / here:.2f}" for there, here in zip(figures, ours, strict=True))
        print(f"{name}: first paint {paint:.0f} ms, usable {usable:.0f} ms, {sent / 1000:.1f} kB sent ({ratios} of ours)", flush=True)
    if not BESIDE:
        print("no other front end was named (CONSOLE_BESIDE)", flush=True)


@contextmanager
def _static(folder: Path, start: str) -> Iterator[str]:
    """Serves the files of a built front end, its first page for what is none, for its API 401 to who would sign in, else nothing."""
    compressed: dict[Path, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if "/api/" in path:
                return self._send(401 if "/api/auth/" in path or path.endswith("/me") else 200, "application/json", _NOTHING)
            file = folder / path.lstrip("/")
            file = file if file.is_file() else folder / start / "index.html"
            if file not in compressed:
                compressed[file] = gzip.compress(file.read_bytes(), 9)
            self._send(200, mimetypes.guess_type(file.name)[0] or "text/javascript", compressed[file], "gzip")

        do_POST = do_GET

        def _send(self, status: int, kind: str, content: bytes, encoding: str = "identity") -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            for name, value in (("content-type", kind), ("content-length", len(content)), ("content-encoding", encoding)):
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{start}"
        server.shutdown()


async def _small(stack: Stack, page: Page) -> None:
    files = [(f"paper {number}.txt", _text(number)) for number in range(SMALL_FILES)]
    payloads: Any = [{"name": name, "mimeType": "text/plain", "buffer": content} for name, content in files]
    began = time.perf_counter()
    await page.locator("input[type=file]").set_input_files(payloads)
    await expect(page.get_by_text(f"{SMALL_FILES} files have arrived")).to_be_visible()
    by_console = time.perf_counter() - began
    other = await stack.person()
    waiting = [(name, content + b"\nby the API\n") for name, content in files]

    async def send() -> None:
        while waiting:
            name, content = waiting.pop()
            reserved = await other.reserve(name, content, "text/plain", sha256=hashlib.sha256(content).hexdigest())
            assert (await other.put(reserved["upload"], content)).status_code == 200
            done = await other.http.post(f"/api/documents/{reserved['document']['id']}/complete", json={})
            assert done.status_code == 202, done.text

    # Not while those of the console are still being read.
    await until(lambda: _all_read(stack), "all are read", seconds=600)
    began = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    by_api = time.perf_counter() - began
    await other.close()
    print(
        f"{SMALL_FILES} small files: {by_console:.1f} s by the console, {by_api:.1f} s by the API ({by_console / by_api:.2f})", flush=True
    )
    await until(lambda: _all_read(stack), "all are read", seconds=600)


async def _all_read(stack: Stack) -> bool:
    async with stack.database() as db, db.system() as tx:
        return not await tx.fetch_value("SELECT EXISTS (SELECT FROM documents WHERE status NOT IN ('ready', 'failed'))")


def _text(number: int) -> bytes:
    words = [WORDS[(number * 7 + step * step) % len(WORDS)] for step in range(120)]
    return f"Paper {number} of {secrets.token_hex(4)}.\n\n{' '.join(words)}\n".encode()


async def _typing(page: Page) -> None:
    """From the last keystroke of a word to its hits in the list, beginning with three letters."""
    await page.reload()
    await page.evaluate("performance.setResourceTimingBufferSize(100000)")
    search = page.get_by_role("textbox", name="Search")
    times: list[float] = []
    for word in WORDS:
        await search.fill("")
        await expect(page.locator("#main mark")).to_have_count(0)
        await search.press_sequentially(word[:3], delay=60)
        for end in range(4, len(word) + 1):
            times.append(await page.evaluate(_TYPE, [word[:end], word[:3]]))
    _print_spread(f"keystroke to hits, {len(times)} keystrokes among {SMALL_FILES} documents", times, "ms")


async def _list(stack: Stack, browser: Browser, person: Person) -> None:
    owner = (await person.http.get("/api/account")).json()["id"]
    with psycopg.connect(stack.services.postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(_ROWS, {"owner": owner, "count": DOCUMENTS})
        connection.execute("VACUUM ANALYZE documents")
    page = await _signed_in(stack, browser, person)
    await expect(page.get_by_role("main").get_by_role("listitem").first).to_be_visible()
    before = await _heap(page)
    times = await page.evaluate(_SCROLL, [600, 240])
    _print_spread("scrolling by 3.5 rows a frame, 600 frames", times, "ms")
    print(f"frames over 50 ms: {sum(one > 50 for one in times)} of {len(times)}")
    began = time.perf_counter()
    count, longest = DOCUMENTS, await page.evaluate(_TO_THE_END, DOCUMENTS)
    print(f"to the end of {count} documents in {time.perf_counter() - began:.0f} s, the longest frame {longest:.0f} ms")
    times = await page.evaluate(_SCROLL, [600, -240])
    _print_spread(f"scrolling with all {count} loaded", times, "ms")
    heap = await _heap(page)
    print(f"memory of the page (JavaScript heap): {before:.0f} MB at first, {heap:.0f} MB with all {count} loaded", flush=True)
    await page.context.close()


async def _heap(page: Page) -> float:
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    used: float = await page.evaluate("performance.memory.usedJSHeapSize")
    return used / 1e6


async def _large(stack: Stack, browser: Browser, folder: Path) -> None:
    file = folder / "large.txt"
    line = (secrets.token_hex(511) + "\n\n").encode()
    with file.open("wb") as out:
        for _ in range(BYTES // len(line)):
            out.write(line)
    length = file.stat().st_size
    url = stack.bucket().generate_presigned_url("put_object", Params={"Bucket": stack.services.store.bucket, "Key": "beside"})
    by_curl = _seconds(lambda: subprocess.run(["curl", "-sSf", "-o", "/dev/null", "-T", str(file), url], check=True))
    person = await stack.person()
    page = await _signed_in(stack, browser, person)
    sending: list[float] = []
    page.on("request", lambda request: sending.append(time.perf_counter()) if request.method == "PUT" else None)
    began = time.perf_counter()
    await page.locator("input[type=file]").set_input_files(file)
    await expect(page.get_by_text("1 file has arrived")).to_be_visible()
    ended = time.perf_counter()
    rate, curl, hashing = length / (ended - sending[0]) / 1e6, length / by_curl / 1e6, sending[0] - began
    print(f"{length / 2**20:.0f} MiB: {rate:.0f} MB/s by the console once it sends, {curl:.0f} by curl to the store ({rate / curl:.2f})")
    print(f"before that, {hashing:.1f} s of hashing ({length / hashing / 1e6:.0f} MB/s)", flush=True)
    await page.context.close()
    await person.close()


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _print_spread(what: str, times: list[float], unit: str) -> None:
    cuts = statistics.quantiles(times, n=20)
    print(f"{what}: p50 {cuts[9]:.1f}, p95 {cuts[18]:.1f}, longest {max(times):.1f} {unit}", flush=True)
