"""`./scripts/demo [--once] [FILE|FOLDER ...]`: documents from upload to search before your eyes, on this machine.

Each run registers somebody new, uploads as a browser would (a presigned PUT straight to the store), shows each document's way as the server
tells it (server-sent events), searches, and keeps serving. With `--once` it ends instead: exit code 0 only where every document became
searchable. The sample `corrupt.pdf` is meant to fail, with a reason, and with its original still there.
"""

import argparse
import asyncio
import contextlib
import html
import json
import mimetypes
import os
import re
import secrets
import stat
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.local.environment import forget_other_programs
from infra.local.ports import free_port_block
from infra.local.serve import asked_port, folder_name, port_number, require_free, run, serve
from infra.local.stack import ROOT, Stack
from infra.processes import StartError

if TYPE_CHECKING:
    import httpx

SAMPLES = ROOT / "scripts" / "samples"
MEANT_TO_FAIL = {SAMPLES / "corrupt.pdf"}
TOPICS = {
    "Invoices": "Invoices and bills: what was bought or used, amounts due, payment terms",
    "Insurance": "Insurance policies, claims, damage reports",
    "Housing": "Rent, tenancy, apartment, heating and utility costs",
    "Taxes": "Tax returns, deductible expenses, tax office",
    "Work": "Employment, salary, letters of the employer",
    "Travel": "Bookings of hotels, trains and flights",
}
SAMPLE_QUERIES = ("notice period of the apartment", '"water damage"', "electricity -invoice", "Warmwasser", "bicicle workshop")
AT_ONCE = 3
"""Uploads at the same time; browsers take six connections a host."""
PATIENCE_SECONDS = 180.0
"""So long without news of any document, and those that are not there yet are given up."""
_TYPES = {".eml": "message/rfc822", ".md": "text/markdown", ".csv": "text/csv", ".webp": "image/webp"}


@dataclass
class Journey:
    """One document's way; times in milliseconds since its upload began."""

    path: Path
    times: dict[str, float] = field(default_factory=dict)
    status: str = "waiting"
    topics: tuple[str, ...] = ()
    problem: str = ""
    document_id: str = ""
    began: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def reached(self, step: str) -> None:
        self.times.setdefault(step, (time.perf_counter() - self.began) * 1000)

    @property
    def name(self) -> str:
        """The file's name; bytes in it that are no UTF-8 are replaced."""
        return os.fsencode(self.path.name).decode(errors="replace")

    @property
    def meant_to_fail(self) -> bool:
        return self.path.resolve() in MEANT_TO_FAIL

    @property
    def as_it_should_be(self) -> bool:
        if self.meant_to_fail:
            return self.status == "failed" and bool(self.problem)
        return self.status == "ready" and "searchable" in self.times


def main() -> int:
    """The exit code of `./scripts/demo`."""
    options = argparse.ArgumentParser(
        prog="./scripts/demo", description="Takes sample documents, or yours, from upload to search, then keeps serving. Ctrl-C stops it."
    )
    options.add_argument("paths", nargs="*", type=Path, metavar="FILE|FOLDER", help="your own documents (default: the samples)")
    options.add_argument("--once", action="store_true", help="stop at the end; exit code 0 only if every document became searchable")
    options.add_argument("--port", type=port_number, help="where it listens (8080, or a free one where that is taken)")
    options.add_argument("--data-dir", type=folder_name, default=ROOT / ".docuvault-demo", help="where it keeps its data (.docuvault-demo)")
    chosen = options.parse_args()
    forget_other_programs(os.environ)
    try:
        journeys = [Journey(path) for path in _documents(chosen.paths or [SAMPLES])]
        port = chosen.port or _usual_or_free_port()
    except StartError as problem:
        print(problem, file=sys.stderr)
        return 1
    # The password is made here at random: nothing to look up, and the demo needs no network.
    os.environ.setdefault("HIBP_URL", "")
    tour = Tour(journeys, samples=not chosen.paths, once=chosen.once)
    print("Starting DocuVault.", file=sys.stderr)
    return run(serve(port, chosen.data_dir, tour.take), chosen.data_dir)


class Tour:
    """What the demo does once everything runs."""

    def __init__(self, journeys: Sequence[Journey], *, samples: bool, once: bool) -> None:
        self._journeys = journeys
        self._by_id: dict[str, Journey] = {}
        self._samples = samples
        self._once = once
        self._last_news = 0.0
        self._email = f"demo-{secrets.token_hex(4)}@example.org"
        self._password = secrets.token_urlsafe(15)

    async def take(self, stack: Stack) -> int | None:
        """An exit code with `--once`; None: keep serving. Raises StartError if the demo cannot go on."""
        import httpx

        try:
            return await self._take(stack)
        except (RequestRefused, httpx.TransportError) as problem:
            raise StartError(f"The demo cannot go on: {problem or type(problem).__name__}") from None

    async def _take(self, stack: Stack) -> int | None:
        import httpx

        async with httpx.AsyncClient(base_url=stack.url, timeout=60, headers={"user-agent": "docuvault-demo"}) as api:
            await self._sign_in(api)
            for name, description in TOPICS.items():
                await _checked(api.post("/api/topics", json={"name": name, "description": description}))
            number = "1 document" if len(self._journeys) == 1 else f"{len(self._journeys)} documents"
            print(f"\nSigned in as {self._email}; {number}, as a browser would upload:\n")
            display = Display(self._journeys)
            stack.say = display.note
            self._last_news = time.monotonic()
            async with alongside(self._watch(api)), alongside(display.keep_drawing()):
                limit = asyncio.Semaphore(AT_ONCE)
                await asyncio.gather(*(self._follow(api, journey, limit) for journey in self._journeys))
            await self._search(api)
        failed = [journey for journey in self._journeys if not journey.as_it_should_be]
        if failed:
            print(f"\nNot searchable: {', '.join(printable(journey.name) for journey in failed)}.")
        if self._once:
            return 1 if failed else 0
        print(f"\n  {bold(f'{stack.url}/docs')}  every operation, to read and to try")
        print(f"  e-mail    {self._email}\n  password  {self._password}\n\nServing until Ctrl-C.", flush=True)
        return None

    async def _sign_in(self, api: "httpx.AsyncClient") -> None:
        account = {"email": self._email, "password": self._password}
        await _checked(api.post("/api/auth/register", json=account))
        signed_in = await _checked(api.post("/api/auth/login", json=account))
        api.headers["authorization"] = f"Bearer {signed_in['access_token']}"

    async def _watch(self, api: "httpx.AsyncClient") -> None:
        """Takes what the server tells about documents; comes back if the connection breaks."""
        import httpx

        while True:
            with contextlib.suppress(httpx.TransportError):
                async for document in _document_events(api):
                    self._take_note(document)
            await asyncio.sleep(0.2)

    def _take_note(self, document: dict[str, Any]) -> None:
        journey = self._by_id.get(document["id"])
        if journey is None or journey.status in ("ready", "failed"):
            return
        if document["status"] != journey.status:
            self._last_news = time.monotonic()
        journey.status = document["status"]
        journey.topics = tuple(topic["name"] for topic in document["topics"])
        if document["status"] in ("extracted", "ready"):
            journey.reached("read")
        if document["status"] == "ready":
            journey.reached("filed")
        if document["error"]:
            journey.problem = document["error"]["detail"]
        journey.changed.set()

    async def _follow(self, api: "httpx.AsyncClient", journey: Journey, limit: asyncio.Semaphore) -> None:
        import httpx

        try:
            async with limit:
                await self._upload(api, journey)
            await self._until(api, journey, "extracted", "ready", "failed")
            if journey.status != "failed":
                await self._find(api, journey)
            await self._until(api, journey, "ready", "failed")
            if journey.status == "failed":
                await self._check_original(api, journey)
        except TimeoutError:
            journey.problem = f"still {journey.status}, and no news of any document for {PATIENCE_SECONDS:.0f} s"
        except (RequestRefused, httpx.TransportError) as refused:
            journey.status, journey.problem = "refused", str(refused) or type(refused).__name__
        except OSError as unreadable:
            journey.status, journey.problem = "refused", f"the file cannot be read ({unreadable.strerror})"

    async def _until(self, api: "httpx.AsyncClient", journey: Journey, *statuses: str) -> None:
        while journey.status not in statuses:
            journey.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(journey.changed.wait(), 2)
            silent = time.monotonic() - self._last_news
            if silent > 2 and journey.status not in statuses:
                # Events say it at once; asking as well where they say nothing makes a lost connection harmless.
                self._take_note(await _checked(api.get(f"/api/documents/{journey.document_id}")))
            if silent > PATIENCE_SECONDS and journey.status not in statuses:
                raise TimeoutError

    async def _upload(self, api: "httpx.AsyncClient", journey: Journey) -> None:
        """create_upload, then the presigned PUT (or PUTs, from 64 MiB) with the headers it gives."""
        import httpx

        size = await asyncio.to_thread(_readable_size, journey.path)
        content_type = _TYPES.get(journey.path.suffix.lower()) or mimetypes.guess_type(journey.path.name)[0] or "application/octet-stream"
        journey.began, journey.status = time.perf_counter(), "uploading"
        upload_request = {"filename": journey.name, "size": size, "content_type": content_type, "allow_duplicate": True}
        reserved = await _checked(api.post("/api/documents", json=upload_request))
        journey.document_id = reserved["document"]["id"]
        self._by_id[journey.document_id] = journey
        upload = reserved["upload"]
        async with httpx.AsyncClient(timeout=300) as store:
            if upload["method"] == "single":
                content = await asyncio.to_thread(_part, journey.path, 0, size)
                await _stored(store.put(upload["url"], content=content, headers=upload["headers"]))
            else:
                numbers = list(range(1, upload["part_count"] + 1))
                parts = await _checked(api.post(f"/api/documents/{journey.document_id}/upload/parts", json={"numbers": numbers}))
                for part in parts["items"]:
                    start = (part["number"] - 1) * upload["part_size"]
                    content = await asyncio.to_thread(_part, journey.path, start, upload["part_size"])
                    await _stored(store.put(part["url"], content=content, headers=part["headers"]))
        if upload["method"] != "single":
            await _checked(api.post(f"/api/documents/{journey.document_id}/complete", json={}))
        journey.reached("uploaded")
        self._last_news = time.monotonic()

    async def _find(self, api: "httpx.AsyncClient", journey: Journey) -> None:
        """Searches for a word of the document's own until the document is found by it."""
        pages = (await _checked(api.get(f"/api/documents/{journey.document_id}/text")))["pages"]
        query = _telling_word(" ".join(page["text"] for page in pages)) or Path(journey.name).stem
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                hits = await _checked(api.get("/api/documents", params={"q": query, "sort": "-created_at", "limit": 200}))
                if any(item["id"] == journey.document_id for item in hits["items"]):
                    journey.reached("searchable")
                    return
                await asyncio.sleep(0.05)

    async def _check_original(self, api: "httpx.AsyncClient", journey: Journey) -> None:
        """A document that failed can still be downloaded as it was."""
        import httpx

        link = await _checked(api.get(f"/api/documents/{journey.document_id}/download"))
        async with httpx.AsyncClient(timeout=60) as store:
            original = await store.get(link["url"])
        if original.content != await asyncio.to_thread(journey.path.read_bytes):
            journey.status, journey.problem = "lost", f"{journey.problem} And its original cannot be downloaded."

    async def _search(self, api: "httpx.AsyncClient") -> None:
        queries: Iterable[str] = SAMPLE_QUERIES
        if not self._samples:
            queries = await self._queries_of_their_own(api)
        for query in queries:
            began = time.perf_counter()
            hits = await _checked(api.get("/api/documents", params={"q": query, "limit": 3}))
            took = (time.perf_counter() - began) * 1000
            print(f"\n{bold('Search')} {query}  ({took:.0f} ms)")
            for item in hits["items"]:
                print(f"  {printable(item['filename'])}\n      {_snippet(item['snippet'] or '')}")
            if not hits["items"]:
                print("  nothing found")

    async def _queries_of_their_own(self, api: "httpx.AsyncClient") -> list[str]:
        queries: list[str] = []
        for journey in self._journeys[:50]:
            if "searchable" in journey.times:
                pages = (await _checked(api.get(f"/api/documents/{journey.document_id}/text")))["pages"]
                word = _telling_word(" ".join(page["text"] for page in pages))
                if word and word not in queries:
                    queries.append(word)
            if len(queries) == 3:
                break
        return queries


class Display:
    """A line for each document: on a terminal all of them, redrawn; elsewhere each once it has arrived."""

    def __init__(self, journeys: Sequence[Journey]) -> None:
        self._journeys = journeys
        self._name_width = min(40, max((len(printable(journey.name)) for journey in journeys), default=0))
        self._live = on_a_screen() and len(journeys) < os.get_terminal_size().lines - 6
        self._drawn = 0
        self._printed: set[int] = set()

    async def keep_drawing(self) -> None:
        """Until cancelled; then once more, as it is at the end."""
        try:
            while True:
                self._draw()
                await asyncio.sleep(0.1)
        finally:
            self._draw(last=True)

    def note(self, line: str) -> None:
        """Says something else meanwhile, above the lines of the documents."""
        sys.stdout.write(self._back())
        sys.stdout.flush()
        print(line, file=sys.stderr, flush=True)
        if self._drawn:
            self._drawn = 0
            self._draw()

    def _draw(self, *, last: bool = False) -> None:
        if not self._live:
            for number, journey in enumerate(self._journeys):
                if number not in self._printed and (last or _arrived(journey)):
                    self._printed.add(number)
                    print(self._line(journey), flush=True)
            return
        lines = [self._line(journey) for journey in self._journeys]
        if not last:
            # A line that the terminal breaks in two cannot be drawn over.
            columns = os.get_terminal_size().columns
            lines = [_cut(line, columns - 1) for line in lines]
        sys.stdout.write(self._back() + "".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        self._drawn = 0 if last else len(lines)

    def _back(self) -> str:
        """To where the lines begin, with nothing left of them."""
        return f"\033[{self._drawn}F\033[J" if self._drawn else ""

    def _line(self, journey: Journey) -> str:
        mark = ("✓" if journey.as_it_should_be else "✗") if _arrived(journey) else "…"
        name = printable(journey.name)
        if len(name) > self._name_width:
            name = f"{name[: self._name_width - 1]}…"
        steps = [f"{step} {milliseconds:,.0f} ms" for step, milliseconds in sorted(journey.times.items(), key=lambda item: item[1])]
        if journey.status in ("failed", "refused", "lost"):
            steps.append(f"{journey.status}: {journey.problem}" + (" (as it should)" if journey.as_it_should_be else ""))
        elif journey.problem:
            steps.append(journey.problem)
        elif journey.topics:
            steps.append(f"→ {', '.join(journey.topics)}")
        return f"{mark} {name:{self._name_width}}  {' · '.join(steps)}"


class RequestRefused(Exception):
    """The server refused something; the message is its own."""


def on_a_screen() -> bool:
    """Whether the output is a terminal that knows escape sequences."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def bold(text: str) -> str:
    """Bold on a terminal."""
    return f"\033[1m{text}\033[0m" if on_a_screen() else text


def printable(name: str) -> str:
    """A file's name on one line that does nothing to a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)


@contextlib.asynccontextmanager
async def alongside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `work` beside the block, and ends it with the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _checked(request: Any) -> Any:
    response = await request
    if response.is_success:
        return response.json() if response.content else None
    try:
        problem = response.json()
        raise RequestRefused(str(problem.get("detail") or problem.get("title")))
    except ValueError:
        raise RequestRefused(f"the server responded with {response.status_code}") from None


async def _stored(request: Any) -> None:
    response = await request
    if not response.is_success:
        raise RequestRefused(f"the store responded with {response.status_code}: {' '.join(response.text.split())[:200]}")


async def _document_events(api: "httpx.AsyncClient") -> AsyncIterator[dict[str, Any]]:
    """The documents of `event: document` (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    async with api.stream("GET", "/api/documents/events", timeout=60) as stream:
        if not stream.is_success:
            return
        event = ""
        async for line in stream.aiter_lines():
            name, _, value = line.partition(":")
            if name == "event":
                event = value.strip()
            elif name == "data" and event == "document":
                yield json.loads(value)


def _arrived(journey: Journey) -> bool:
    return journey.status in ("failed", "refused", "lost") or (journey.status == "ready" and "searchable" in journey.times)


def _telling_word(text: str) -> str:
    """A long word that stands in the text seldom."""
    words = Counter(re.findall(r"[^\W\d_]{7,}", text))
    return min(words, key=lambda word: (words[word], -len(word)), default="")


def _snippet(marked: str) -> str:
    """A snippet for the console: matches bold, entities as characters, on one line."""
    start, end = ("\033[1m", "\033[0m") if on_a_screen() else ("[", "]")
    return html.unescape(" ".join(marked.split()).replace("<mark>", start).replace("</mark>", end))


def _cut(line: str, columns: int) -> str:
    """As much of the line as fits."""
    width = 0
    for number, character in enumerate(line):
        wide = unicodedata.east_asian_width(character) in ("W", "F")
        width += 0 if unicodedata.combining(character) else 1 + wide
        if width > columns:
            return line[:number]
    return line


def _readable_size(path: Path) -> int:
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size


def _part(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


def _documents(paths: Sequence[Path]) -> list[Path]:
    paths_found: list[Path] = []
    for path in paths:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            mode = 0
        except OSError as refused:
            raise StartError(f"{printable(str(path))} cannot be opened ({refused.strerror}).") from None
        if stat.S_ISDIR(mode):
            paths_found += _documents_in(path)
        elif stat.S_ISREG(mode):
            paths_found.append(path)
        else:
            raise StartError(f"{printable(str(path))} is neither a file nor a folder.")
    if not paths_found:
        raise StartError(f"There are no documents in {', '.join(printable(str(path)) for path in paths)}; hidden files are passed over.")
    return paths_found


def _documents_in(folder: Path) -> Iterable[Path]:
    """The files in it and below; says which folders it cannot look into. Raises StartError if it is `folder` itself."""

    def closed(refused: OSError) -> None:
        said = f"{printable(refused.filename)} cannot be opened ({refused.strerror})"
        if Path(refused.filename) == folder:
            raise StartError(f"{said}.")
        print(f"{said}: passed over.", file=sys.stderr)

    for parent, folders, names in os.walk(folder, onerror=closed):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            if not name.startswith(".") and not name.endswith(".py") and os.path.isfile(os.path.join(parent, name)):
                yield Path(parent, name)


def _usual_or_free_port() -> int:
    port = asked_port()
    try:
        require_free(port)
    except StartError:
        free = free_port_block(1)
        print(f"Port {port} is taken by another program: listening on {free} instead.", file=sys.stderr)
        return free
    return port


if __name__ == "__main__":
    sys.exit(main())
