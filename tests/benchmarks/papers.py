"""Documents for benchmarks, made on the spot: real PDFs by hand, the rest from the samples."""

import random
from pathlib import Path

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
