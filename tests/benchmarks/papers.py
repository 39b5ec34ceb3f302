"""What readers find of the words on papers of every kind, how fast, and in how much memory; and documents for other benchmarks.

Read in this process (`extract_unsandboxed`), three hundred generated papers (`tests/extraction/generated_documents.py`) and large ones of
the kinds that people keep large; then the samples in the sandbox, as many at once as there are cores, against the plain loop. What other
readers find is in the benchmark `rightness`.
"""

import asyncio
import os
import random
import resource
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

_USUAL = """
invoice amount due payment bank account tenancy agreement rent deposit insurance policy premium claim electricity meter reading
kilowatt hours tax return assessment employer salary statement contract notice period delivery order number customer reference
signature date address telephone please find enclosed our letter regarding the annual report of your membership and the fees for
it
"""
WORDS = _USUAL.split()
SAMPLES = Path(__file__).resolve().parents[2] / "scripts" / "samples"


def text_pdf(number: int, *, pages: int = 2, lines: int = 40) -> bytes:
    """A PDF of `pages` pages of 40 lines each, all different, with the word `marker{number}x`."""
    chance = random.Random(number)
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in range(pages):
        text = ["BT /F1 10 Tf 50 780 Td 14 TL"]
        text += [f"({' '.join(chance.choices(WORDS, k=12))}) Tj T*" for _ in range(lines)]
        text += [f"(marker{number}x page {page + 1}) Tj ET"]
        stream = "\n".join(text).encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        contents = len(objects)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>" % contents
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), pages)
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for index, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (index, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


TYPES = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".html": "text/html",
    ".eml": "message/rfc822",
    ".txt": "text/plain",
}


def mixed(count: int) -> list[tuple[str, bytes, str]]:
    """`count` documents of every sample's kind in turn (the corrupt one left out): (name, bytes, content type)."""
    samples = [path for path in sorted(SAMPLES.iterdir()) if path.suffix in TYPES and "corrupt" not in path.name]
    chosen = [samples[number % len(samples)] for number in range(count)]
    return [(f"{number}-{path.name}", path.read_bytes(), TYPES[path.suffix]) for number, path in enumerate(chosen)]


_LARGE_ROWS = 15_000


def _large() -> dict[str, bytes]:
    """Papers of some hundred kilobytes of text."""
    from tests.extraction.made_documents import docx, paragraph, zipped

    words = [f"{word}{number}" for number in range(300) for word in WORDS[:20]]
    lines = [" ".join(words[number % 5_000 : number % 5_000 + 12]) for number in range(4_000)]
    cells = "".join(
        f'<row r="{row}"><c r="A{row}" t="inlineStr"><is><t>{words[row % 6_000]}</t></is></c><c r="B{row}" t="n"><v>{row * 1.25}</v></c>'
        f'<c r="C{row}" s="1"><v>{45000 + row % 700}</v></c><c r="D{row}"><v>{row}</v></c></row>'
        for row in range(1, _LARGE_ROWS)
    )
    relation = '<Relationships><Relationship Id="r1" Type="x/{}" Target="{}"/>{}</Relationships>'
    styles = b'<styleSheet xmlns="x"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'
    second = '<Relationship Id="r2" Type="x/styles" Target="styles.xml"/>'
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    xlsx = {
        "[Content_Types].xml": f'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/></Types>'.encode(),  # noqa: E501
        "_rels/.rels": relation.format("officeDocument", "xl/workbook.xml", "").encode(),
        "xl/workbook.xml": b'<workbook xmlns:r="r"><sheets><sheet name="Data" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relation.format("worksheet", "worksheets/sheet1.xml", second).encode(),
        "xl/styles.xml": styles,
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="x"><sheetData>{cells}</sheetData></worksheet>'.encode(),
    }
    urn = "urn:oasis:names:tc:opendocument:xmlns:"
    odt = "".join(f"<text:p>{line[:40]}<text:span>{line[40:]}</text:span> zu den Beiträgen</text:p>" for line in lines)
    opened = f'<office:document-content xmlns:office="{urn}office:1.0" xmlns:text="{urn}text:1.0"><office:body><office:text>'
    return {
        "large.docx": docx(b"".join(paragraph(line) for line in lines)),
        "large.odt": zipped(
            {
                "mimetype": b"application/vnd.oasis.opendocument.text",
                "content.xml": f"{opened}{odt}</office:text></office:body></office:document-content>".encode(),
            }
        ),
        "large.xlsx": zipped(xlsx),
        "large.pdf": text_pdf(1, pages=150),
        "large.txt": "\n".join(f"{line} für Übertrag" for line in lines * 2).encode("cp1252"),
        "large.html": f"<html><body>{''.join(f'<p>{line}</p>' for line in lines)}</body></html>".encode(),
        "large.csv": "\n".join(line.replace(" ", ";") for line in lines * 3).encode(),
    }


def run() -> None:
    """Measures and prints."""
    from tests.services import random_keys

    unused = dict.fromkeys(("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_BUCKET"), "http://127.0.0.1:1")
    os.environ.update(random_keys() | unused | {"DATABASE_URL": "postgresql://127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1"})
    os.environ["LOG_LEVEL"] = "error"
    from tests.extraction import generated_documents

    made = list(generated_documents.papers())
    with tempfile.TemporaryDirectory(prefix="docuvault-benchmark-") as name:
        folder = Path(name)
        files = [(paper, folder / f"{number}-{paper.filename}") for number, paper in enumerate(made)]
        for paper, path in files:
            path.write_bytes(paper.content)
        print(f"{len(made)} papers: share of the words found, share of those that are not to be found, milliseconds of CPU each")
        _read_each(files)
        for filename, content in _large().items():
            (folder / filename).write_bytes(content)
            print(f"{filename:12} {_best_of(folder / filename) * 1000:8.0f} ms of CPU")
        print(f"memory of this process at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
        quick = [paper for paper in mixed(90) if not paper[2].startswith("image/") and "scan" not in paper[0]]
        for filename, content, _ in quick:
            (folder / filename).write_bytes(content)
        asyncio.run(_compare([folder / filename for filename, _, _ in quick]))


def _read_each(files: list[tuple[Any, Path]]) -> None:
    from shared.extraction import ExtractionFailed, extract_unsandboxed

    kinds: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0, 0, 0])
    for paper, path in files:
        began = time.process_time()
        try:
            text = "".join("\n".join(extract_unsandboxed(path, filename=paper.filename, declared_type="").pages).split()).casefold()
        except ExtractionFailed:
            text = ""
        seen = kinds[paper.kind]
        seen[0] += 1
        seen[1] += time.process_time() - began
        seen[2] += sum(word.casefold() in text for word in paper.wanted)
        seen[3] += len(paper.wanted)
        seen[4] += sum(word.casefold() in text for word in paper.unwanted)
        seen[5] += len(paper.unwanted)
    for kind, (count, seconds, found, wanted, wrong, unwanted) in sorted(kinds.items()):
        share = f"{wrong / unwanted:7.1%}" if unwanted else "      -"
        print(f"{kind:8} {count:4.0f} papers {found / wanted:7.1%} {share} {seconds / count * 1000:8.1f} ms")
    total = [sum(seen[place] for seen in kinds.values()) for place in range(6)]
    print(f"all      {total[0]:4.0f} papers {total[2] / total[3]:7.1%} {total[4] / total[5]:7.1%}")
    recognized = [kinds[kind] for kind in kinds if kind.startswith(("A ", "E scan"))]
    print(f"text recognition: {sum(seen[0] for seen in recognized) / sum(seen[1] for seen in recognized):.2f} pages a second of CPU")


def _best_of(path: Path) -> float:
    from shared.extraction import extract_unsandboxed

    times = []
    for _ in range(3):
        began = time.process_time()
        extract_unsandboxed(path, filename=path.name, declared_type="")
        times.append(time.process_time() - began)
    return min(times)


def _read(path: Path) -> int:
    from shared.extraction import extract_unsandboxed

    return len(extract_unsandboxed(path, filename=path.name, declared_type="").pages)


async def _compare(paths: list[Path]) -> None:
    """Papers a minute in the sandbox and in a plain loop, in turns."""
    from shared.extraction import extract, sandbox

    cores = os.cpu_count() or 1
    paths = paths * 2

    async def sandboxed() -> float:
        waiting = iter(paths)

        async def some() -> None:
            for path in waiting:
                await extract(path, filename=path.name, declared_type="")

        began = time.perf_counter()
        await asyncio.gather(*(some() for _ in range(cores)))
        return time.perf_counter() - began

    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(_read, paths[:50]))
        await extract(paths[0], filename=paths[0].name, declared_type="")
        plain, inside = [], []
        for _ in range(2):
            began = time.perf_counter()
            list(await asyncio.to_thread(lambda: list(pool.map(_read, paths, chunksize=4))))
            plain.append(time.perf_counter() - began)
            inside.append(await sandboxed())
    sandbox.stop()
    rates = [len(paths) / min(seconds) * 60 for seconds in (inside, plain)]
    print(f"mixed papers in the sandbox: {rates[0]:,.0f} a minute; plain loop {rates[1]:,.0f}; ratio {rates[0] / rates[1]:.2f}")
