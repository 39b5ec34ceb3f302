"""Every kind of document in many shapes, made in memory or found among the samples: what the sandbox must read as anybody would.

Run as a program (`python -m tests.extraction.corpus FOLDER`), it reads the files of a folder without the sandbox and prints, as JSON, what
each gave, and which modules were imported meanwhile.
"""

import codecs
import hashlib
import io
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from shared.extraction import Extraction, ExtractionFailed
from tests.extraction.made_documents import docx, line, paragraph, pdf, png_header, zipped

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "scripts/samples", Path(__file__).parent / "documents")
LETTER = "Dear Mr Okafor,\nthe library fee of\n45 euros is due.\nPlease pay it by\nthe end of May."
SENTENCES = {
    "cp1252": "Der Müll wird freitags abgeholt, die Gebühr beträgt 45 €.",
    "iso8859-2": "Příliš žluťoučký kůň úpěl ďábelské ódy, a proto byl potrestán.",
    "iso8859-9": "Kira sözleşmesi için ödeme günü her ayın birinci günüdür ve çok önemlidir.",
    "koi8-r": "Счёт за электричество нужно оплатить до конца месяца, спасибо.",
    "cp1251": "Договор аренды квартиры вступает в силу первого апреля этого года.",
    "iso8859-7": "Το συμβόλαιο ενοικίασης αρχίζει την πρώτη Απριλίου του έτους.",
    "cp1255": "חוזה השכירות מתחיל באחד באפריל ונמשך שנה אחת.",
    "cp1256": "يبدأ عقد الإيجار في الأول من أبريل ويستمر لمدة سنة واحدة.",
    "tis-620": "สัญญาเช่าเริ่มวันที่หนึ่งเมษายนและมีระยะเวลาหนึ่งปี",
    "shift_jis": "図書館の料金は四十五ユーロです。今月末までにお支払いください。",
    "euc-jp": "図書館の料金は四十五ユーロです。今月末までにお支払いください。",
    "iso2022-jp": "図書館の料金は四十五ユーロです。今月末までにお支払いください。",
    "gb18030": "图书馆费用为四十五欧元，请在本月底之前支付。谢谢您的合作。",
    "big5": "圖書館費用為四十五歐元，請在本月底之前支付。謝謝您的合作。",
    "euc-kr": "도서관 요금은 사십오 유로입니다. 이달 말까지 지불해 주십시오.",
    "utf-16": "Der Müll wird freitags abgeholt.",
    "utf-16-le": "Der Müll wird freitags abgeholt.",
    "utf-32": "Der Müll wird freitags abgeholt.",
    "utf-8-sig": "Der Müll wird freitags abgeholt.",
}
SMALL = [(width, height) for width in (*range(200, 800, 40), 800, 810, 819) for height in (120, 300, 600)]
"""Sizes at which the lines of `letter` can still be read."""


def letter(width: int = 1000, height: int = 500, mode: str = "L", degrees: int = 0) -> Image.Image:
    """A picture of a few lines of text, as large as fits."""
    page = Image.new("L", (width, height), 255)
    size = max(10, min(width // 12, height // 8))
    ImageDraw.Draw(page).multiline_text((width // 20, height // 20), LETTER, font=ImageFont.load_default(size), fill=0, spacing=size // 2)
    return page.rotate(degrees, expand=True, fillcolor=255).convert(mode)


def encoded(picture: Image.Image, format: str, **options: Any) -> bytes:
    """The picture as a file."""
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def small_pictures() -> Iterator[tuple[str, bytes]]:
    """54 pictures below 820 pixels, with text that a person can read."""
    for width, height in SMALL:
        yield f"small-{width}x{height}.png", encoded(letter(width, height), "PNG")


def with_photo(name: str, photo: bytes) -> bytes:
    """A mail with a picture attached."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "A photo"
    mail.set_content("See the photo of the meter.")
    mail.add_attachment(photo, maintype="image", subtype="jpeg", filename=name)
    return mail.as_bytes()


def with_picture_page(picture: Image.Image, text: str = "The contract is signed overleaf, on the second page.") -> bytes:
    """A PDF of a page with text and one that is nothing but a small picture, as of a signature."""
    jpeg = encoded(picture, "JPEG")
    image = (
        b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/DCTDecode/Length %d>>stream\n"
    )
    return pdf(
        [line(text), b"q %d 0 0 %d 40 500 cm /I Do Q" % (picture.width // 2, picture.height // 2)],
        more_objects=(image % (picture.width, picture.height, len(jpeg)) + jpeg + b"\nendstream",),
        resources=b"/XObject<</I 4 0 R>>",
    )


def signature(width: int, height: int) -> Image.Image:
    """A scribble."""
    page = Image.new("L", (width, height), 255)
    points = [(width * (5 + 9 * n) // 100, height * (50 + (30 if n % 2 else -25) + 3 * (n % 3)) // 100) for n in range(10)]
    ImageDraw.Draw(page).line(points, fill=20, width=3, joint="curve")
    return page


def _pictures() -> Iterator[tuple[str, bytes]]:
    for format, modes in {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
        "JPEG": ("L", "RGB", "CMYK"),
        "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK"),
        "WEBP": ("RGB", "RGBA"),
        "GIF": ("L", "P"),
    }.items():
        for mode in modes:
            yield f"letter-{mode.replace(';', '')}.{format.lower()}", encoded(letter(mode=mode if mode != "I;16" else "I;16"), format)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"{compression}.tiff", encoded(letter(), "TIFF", compression=compression)
    for compression in ("group3", "group4", "tiff_ccitt"):
        yield f"{compression}.tiff", encoded(letter(mode="1"), "TIFF", compression=compression)
    pages = [letter(mode="1"), letter(600, 300, "1")]
    yield "two-pages.tiff", encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="group4")
    yield "moving.gif", encoded(letter(mode="P"), "GIF", save_all=True, append_images=[letter(mode="P", degrees=180)])
    yield "moving.webp", encoded(letter(mode="RGB"), "WEBP", save_all=True, append_images=[letter(mode="RGB", degrees=180)])
    yield "lossless.webp", encoded(letter(mode="RGB"), "WEBP", lossless=True)
    yield "progressive.jpg", encoded(letter(mode="RGB"), "JPEG", progressive=True)
    yield "large.jpg", encoded(letter(3000, 1500, "RGB"), "JPEG")
    for degrees in (90, 180, 270):
        yield f"turned-{degrees}.png", encoded(letter(degrees=degrees), "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "camera.jpg", encoded(letter(mode="RGB", degrees=90), "JPEG", exif=exif.tobytes())
    yield "empty.png", encoded(Image.new("RGB", (300, 200), "white"), "PNG")
    yield "noise.png", encoded(Image.frombytes("L", (300, 300), hashlib.shake_128(b"noise").digest(90_000)), "PNG")
    yield "tiny.png", encoded(Image.new("L", (1, 1)), "PNG")
    yield "bomb.png", png_header(50_000, 50_000)


def _texts() -> Iterator[tuple[str, bytes]]:
    for encoding, sentence in SENTENCES.items():
        data = "\n".join([sentence] * 12).encode(encoding)
        name = codecs.lookup(encoding).name
        yield f"{name}.txt", data
        yield f"{name}.html", b"<!doctype html><meta charset=%s><title>T</title><p>" % encoding.encode() + data
        header = f"From: a@example.org\r\nSubject: S\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset={encoding}\r\n\r\n"
        yield f"{name}.eml", header.encode() + data
    yield "utf-7.eml", b"From: a@example.org\r\nSubject: S\r\nContent-Type: text/plain; charset=utf-7\r\n\r\nGr+APw-n\r\n"
    yield "rot13.eml", b"From: a@example.org\r\nSubject: S\r\nContent-Type: text/plain; charset=rot13\r\n\r\nUryyb\r\n"
    yield "unknown.eml", b"From: a@example.org\r\nSubject: S\r\nContent-Type: text/plain; charset=x-none\r\n\r\nHello\r\n"
    yield "date.eml", b"From: =?koi8-r?B?8NLJ18XU?= <a@example.org>\r\nSubject: S\r\nDate: Mon, 2 Mar 2026 09:30:00 +0100\r\n\r\nHello\r\n"
    yield "table.csv", b"name;amount\n" + b"rent;940\n" * 500
    yield "notes.md", b"# Rent\n\n* one\n* two\n"
    yield "program.bin", bytes(range(256)) * 10
    yield "nothing.txt", b""


def _office() -> Iterator[tuple[str, bytes]]:
    header = b'<w:hdr xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">%s</w:hdr>'
    yield "letterhead.docx", docx(paragraph("The body."), **{"header1.xml": header % paragraph("Brightwater Ltd")})
    original = (FOLDERS[0] / "employer-letter.docx").read_bytes()
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(original)) as old, zipfile.ZipFile(out, "w", method) as new:
            for part in old.infolist():
                new.writestr(part.filename, old.read(part))
        yield f"packed-{method}.docx", out.getvalue()
    yield "bomb.docx", docx(paragraph("A" * 300_000_000))
    yield "no-document.docx", zipped({"a.txt": b"x"})
    yield "pictured.rtf", rb"{\rtf1\ansi\ansicpg1252 Caf\'e9 {\pict\pngblip 89504e47} \u8364? done}"


def _pdfs() -> Iterator[tuple[str, bytes]]:
    yield "signature.pdf", with_picture_page(signature(420, 160))
    yield "scribble.pdf", with_picture_page(signature(780, 300))
    yield "small-scan.pdf", with_picture_page(letter(640, 320))
    deflated = zlib.compress(b"BT /F 12 Tf 60 780 Td (Compressed text of a page.) Tj ET")
    yield "plain.pdf", pdf([line("One page.")] * 3)
    fonts = b"<</Type/Font/Subtype/Type0/BaseFont/SimSun/Encoding/UniGB-UCS2-H/DescendantFonts[<</Type/Font/Subtype/CIDFontType2"
    fonts += b"/BaseFont/SimSun/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 2>>>>]>>"
    for name, font in {
        "cjk": fonts,
        "symbol": b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>",
        "unknown": b"<</Type/Font/Subtype/TrueType/BaseFont/NoSuchFont-Bold/Encoding/WinAnsiEncoding>>",
        "liberation": b"<</Type/Font/Subtype/TrueType/BaseFont/LiberationSerif/Encoding/WinAnsiEncoding>>",
        "dejavu": b"<</Type/Font/Subtype/TrueType/BaseFont/DejaVuSansMono/Encoding/WinAnsiEncoding>>",
        "arial": b"<</Type/Font/Subtype/TrueType/BaseFont/Arial,Italic/Encoding/MacRomanEncoding>>",
    }.items():
        yield (
            f"font-{name}.pdf",
            pdf([line("Text 4711") + b" BT /G 14 Tf 60 700 Td (abc) Tj <4e004e8c> Tj ET"], more_objects=(font,)).replace(
                b"/F 3 0 R", b"/F 3 0 R/G 4 0 R"
            ),
        )
    jpx = encoded(letter(mode="L"), "JPEG2000")
    image = b"<</Type/XObject/Subtype/Image/Width 1000/Height 500/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/%s/Length %d>>stream\n"
    for name, data in (("JPXDecode", jpx), ("FlateDecode", zlib.compress(letter().tobytes()))):
        yield (
            f"{name}.pdf",
            pdf(
                [b"q 500 0 0 250 40 500 cm /I Do Q"],
                more_objects=(image % (name.encode(), len(data)) + data + b"\nendstream",),
                resources=b"/XObject<</I 4 0 R>>",
            ),
        )
    yield "raw.pdf", pdf([deflated])


def _mails() -> Iterator[tuple[str, bytes]]:
    for width, height in ((120, 90), (400, 300), (640, 480), (800, 600)):
        yield f"photo-{width}.eml", with_photo("meter.jpg", encoded(letter(width, height, "RGB"), "JPEG"))
    yield "broken-photo.eml", with_photo("meter.jpg", encoded(letter(400, 300, "RGB"), "JPEG")[:900])
    yield "pdf.eml", with_photo("contract.pdf", with_picture_page(signature(420, 160)))
    yield "mail.eml", with_photo("mail.eml", with_photo("meter.jpg", encoded(letter(400, 300, "RGB"), "JPEG")))


def corpus() -> Iterator[tuple[str, bytes]]:
    """Names and contents; where it matters, the name says the kind."""
    for folder in FOLDERS:
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            yield path.name, content
            yield f"cut-{path.name}", content[: len(content) * 3 // 5]
            yield f"attached-{path.name}.eml", with_photo(path.name, content)
    for part in (small_pictures(), _pictures(), _texts(), _office(), _pdfs(), _mails()):
        yield from part


def described(extraction: Extraction | ExtractionFailed) -> dict[str, Any]:
    """What was read, but for how long it took; of a failure, what is told of it."""
    if isinstance(extraction, ExtractionFailed):
        return {"failed": extraction.code, "detail": extraction.detail}
    return {
        "content_type": extraction.content_type,
        "pages": extraction.pages,
        "page_count": extraction.page_count,
        "language": extraction.language,
        "title": extraction.title,
        "thumbnail": hashlib.sha256(extraction.thumbnail or b"").hexdigest(),
        "warnings": [[warning.code, warning.detail] for warning in extraction.warnings],
    }


def _read_outside(folder: Path) -> None:
    from shared.extraction import _arguments, extract_unsandboxed, reading

    reading.warm_up()
    reading.prepare(_arguments(""))
    before = set(sys.modules)
    found: dict[str, Any] = {}
    imported: set[str] = set()
    for name in sorted(os.listdir(folder)):
        # a process for each, as in the sandbox: what PDFium has read of fonts shows in the next document
        answer, child_answer = os.pipe()
        if os.fork() == 0:
            try:
                read = described(extract_unsandboxed(folder / name, filename=name, declared_type=""))
            except ExtractionFailed as failure:
                read = described(failure)
            with open(child_answer, "w") as file:
                json.dump([read, sorted(set(sys.modules) - before)], file)
            os._exit(0)
        os.close(child_answer)
        with open(answer) as file:
            found[name], modules = json.load(file)
        os.wait()
        imported.update(modules)
    print(json.dumps({"read": found, "imported": sorted(imported)}))


if __name__ == "__main__":
    _read_outside(Path(sys.argv[1]))
