"""Which share of the words on papers of each kind is found, beside kreuzberg alone, Apache Tika and an earlier commit.

The papers: those made by hand (`tests/extraction/generated_documents.py`), those that LibreOffice makes if it is on this machine
(`office_documents.py`), and those in RIGHTNESS_PAPERS, a folder that `uv run tests/extraction/make_documents.py FOLDER` has written with
the libraries that other programs write with. Beside this checkout stand, if they are named:

    RIGHTNESS_KREUZBERG=…/bin/python   a Python that has kreuzberg (and TESSDATA_PREFIX for its text recognition)
    RIGHTNESS_TIKA=…:…                 a class path of Apache Tika (tika-parsers-standard-package), read by `java`
    RIGHTNESS_BEFORE=FOLDER            a checkout of an earlier commit with its own .venv

Each reads every paper in processes of its own, OCR included. A word counts as found if it stands in the text whatever the white space
around it, or in small letters; what nobody should find (deleted text, scripts) is counted apart.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.extraction import generated_documents, office_documents
from tests.extraction.generated_documents import Paper

ROOT = Path(__file__).parents[2]

_OURS = """
import json, pathlib, sys, time
from shared.extraction import ExtractionFailed, extract_unsandboxed
for line in sys.stdin:
    path = pathlib.Path(line.strip())
    began = time.process_time()
    try:
        pages = extract_unsandboxed(path, filename=path.name.partition("-")[2], declared_type="application/octet-stream").pages
    except ExtractionFailed:
        pages = []
    print(json.dumps(["\\n".join(pages), time.process_time() - began]), flush=True)
"""

_KREUZBERG = """
import json, sys, time, kreuzberg
config = kreuzberg.ExtractionConfig(ocr=kreuzberg.OcrConfig(backend="tesseract", language="eng+deu"))
for line in sys.stdin:
    began = time.process_time()
    try:
        text = kreuzberg.extract_file_sync(line.strip(), config=config).content
    except Exception:
        text = ""
    print(json.dumps([text, time.process_time() - began]), flush=True)
"""

Seen = tuple[str, float]
"""The text of a paper and the seconds of CPU that reading it took."""

KINDS = {
    "A": "pictures", "B": "Word", "C": "OpenDocument", "D": "PowerPoint", "E": "PDF", "F": "mail, HTML", "G": "Excel",
    "H": "encodings, RTF", "J": "amount", "K": "older and other types", "L": "languages of scans",
}  # fmt: skip


def run() -> None:
    """Measures and prints."""
    papers = [*generated_documents.papers(), *generated_documents.large_papers(), *office_documents.papers(), *_given()]
    with tempfile.TemporaryDirectory(prefix="docuvault-benchmark-") as name:
        paths = []
        for number, paper in enumerate(papers):
            path = Path(name) / f"{number}-{paper.filename}"
            path.write_bytes(paper.content)
            paths.append(path)
        readers = {"now": _seen_by([sys.executable, "-c", _OURS], paths, ROOT)}
        if before := os.environ.get("RIGHTNESS_BEFORE"):
            readers["before"] = _seen_by([f"{before}/.venv/bin/python", "-c", _OURS], paths, Path(before))
        if kreuzberg := os.environ.get("RIGHTNESS_KREUZBERG"):
            readers["kreuzberg"] = _seen_by([kreuzberg, "-c", _KREUZBERG], paths, Path(name))
        if tika := os.environ.get("RIGHTNESS_TIKA"):
            readers["Tika"] = _seen_by(["java", "-cp", tika, str(Path(__file__).with_name("TikaText.java"))], paths, Path(name))
    _print(papers, readers)


def _given() -> list[Paper]:
    """The papers of RIGHTNESS_PAPERS."""
    folder = Path(os.environ.get("RIGHTNESS_PAPERS", "/nowhere"))
    listing = folder / "papers.json"
    if not listing.is_file():
        return []
    return [
        Paper(made["kind"], made["file"], (folder / made["file"]).read_bytes(), tuple(made["wanted"]), tuple(made["unwanted"]))
        for made in json.loads(listing.read_text())
    ]


def _seen_by(command: list[str], paths: list[Path], folder: Path) -> list[Seen]:
    """What a program that reads paths line by line and writes [text, seconds] line by line sees of them, in two processes.

    A paper at which it dies has no text, and the rest is given to the next process; three in a row, and it is given up."""
    environ = os.environ | _settings() | {"PYTHONPATH": str(folder), "OMP_THREAD_LIMIT": "1"}

    def some(mine: list[Path]) -> list[Seen]:
        seen: list[Seen] = []
        deaths = 0
        while len(seen) < len(mine) and deaths < 3:
            rest = mine[len(seen) :]
            lines = "".join(f"{path}\n" for path in rest).encode()
            done = subprocess.run(command, input=lines, capture_output=True, cwd=folder, env=environ, check=False)
            deaths = 0 if b'["' in done.stdout else deaths + 1
            seen += [(line[0], line[1]) for line in map(json.loads, filter(lambda said: said.startswith(b'["'), done.stdout.splitlines()))]
            if done.returncode and len(seen) < len(mine):
                print(f"{command[0]} ended at {mine[len(seen)].name}: {done.stderr[-300:].decode(errors='replace')}", flush=True)
                seen.append(("", 0.0))
        seen += [("", 0.0)] * (len(mine) - len(seen))
        return seen

    halves = paths[::2], paths[1::2]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(some, halves)
    seen = [("", 0.0)] * len(paths)
    seen[::2], seen[1::2] = first, second
    return seen


def _settings() -> dict[str, str]:
    from tests.services import random_keys

    unused = dict.fromkeys(("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_BUCKET"), "http://127.0.0.1:1")
    places = {"DATABASE_URL": "postgresql://127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1", "LOG_LEVEL": "error"}
    return random_keys() | unused | places


def _print(papers: list[Paper], readers: dict[str, list[Seen]]) -> None:
    formats: dict[str, list[int]] = defaultdict(list)
    for number, paper in enumerate(papers):
        formats[paper.kind].append(number)
    print(f"{len(papers)} papers: share of the words found, of those that nobody should find, and milliseconds of CPU a paper")
    print(f"{'':28}{'papers':>7}" + "".join(f"{reader:>26}" for reader in readers))
    for kind in sorted({name[0] for name in formats}):
        within = sorted(name for name in formats if name[0] == kind)
        _line(f"{kind} {KINDS[kind]}", [number for name in within for number in formats[name]], papers, readers)
        for name in within:
            _line(f"    {name[2:]}", formats[name], papers, readers)
    _line("all", list(range(len(papers))), papers, readers)


def _line(label: str, numbers: list[int], papers: list[Paper], readers: dict[str, list[Seen]]) -> None:
    cells = []
    for seen in readers.values():
        wanted = unwanted = found = wrong = 0
        for number in numbers:
            text = "".join(seen[number][0].split()).casefold()
            wanted += len(papers[number].wanted)
            unwanted += len(papers[number].unwanted)
            found += sum("".join(word.split()).casefold() in text for word in papers[number].wanted)
            wrong += sum("".join(word.split()).casefold() in text for word in papers[number].unwanted)
        milliseconds = sum(seen[number][1] for number in numbers) / len(numbers) * 1000
        share = f"{wrong / unwanted:7.1%}" if unwanted else f"{'':7}"
        cells.append(f"{found / wanted:9.1%}{share}{milliseconds:7.0f} ms")
    print(f"{label:28}{len(numbers):7}" + "".join(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    run()
