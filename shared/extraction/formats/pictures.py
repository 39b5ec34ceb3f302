"""Pictures: a look at the header before anything is decoded, thumbnails, and the text on them by OCR."""

import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from PIL import ImageStat

from shared.extraction import parts
from shared.extraction.failures import DocumentCorrupt, DocumentTooComplex
from shared.extraction.formats import Reading, Scan, Stopwatch
from shared.extraction.formats.recognition import Recognizer
from shared.extraction.limits import (
    MAX_JPEG_SCANNED_PIXELS,
    MAX_JPEG_SCANS,
    MAX_OCR_PIXELS,
    MAX_PAGES,
    MAX_PIXELS,
    MIB,
)
from shared.extraction.thumbnails import thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

START_OF_SCAN = b"\xff\xda"
"""The marker SOS; in the data of a scan, 0xFF is followed by 0 or by a restart marker."""

_LIGHT = 235
"""Mean lightness, of 255, of what cannot be seen on white."""

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "DIB", "HEIF")


def prepare() -> None:
    """Have Pillow read HEIC, the format of telephones, with libheif."""
    import pi_heif

    # a telephone's picture is decoded whole, its preview and depth not at all
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, decode_threads=1)


def read(file: BinaryIO, recognizer: Recognizer) -> Reading:
    """The text on each frame (a TIFF may hold a page each), and a thumbnail of the first."""
    from PIL import Image, UnidentifiedImageError

    prepare()
    watch = Stopwatch()
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    file.seek(0)
    reading = Reading()
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            _check_size(picture)
            if picture.format in ("JPEG", "MPO") and too_many_scans(_count_in(file, START_OF_SCAN), *picture.size):
                raise DocumentTooComplex("The picture is stored in far more passes than a JPEG needs.")
            frames = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
            reading.page_count = frames
            for number in range(min(frames, MAX_PAGES)):
                if number and not parts.begin("page", number + 1):
                    reading.pages.append("")
                    reading.warn("page_unreadable", f"Page {number + 1:,} could not be read.")
                    continue
                picture.seek(number)
                _check_size(picture)
                if recognizer.deferred and number > 0:
                    reading.pages.append("")
                    reading.scans.append(Scan(number, number))
                    continue
                page = _decoded(picture)
                watch.lap("decode")
                if number == 0:
                    reading.thumbnail = thumbnail(page)
                    watch.lap("thumbnail")
                if recognizer.deferred:
                    reading.pages.append("")
                    reading.scans.append(Scan(number, number))
                    continue
                if recognizer.exhausted():
                    reading.truncated = True
                    break
                if parts.begin("picture", number + 1):
                    reading.pages.append(recognizer.text_of(page))
                else:
                    reading.pages.append("")
                    reading.warn("page_not_recognized", f"The text on page {number + 1:,} could not be recognized.")
                parts.begin("document")
                watch.lap("ocr")
            reading.truncated |= frames > MAX_PAGES
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DocumentTooComplex("The picture has too many pixels.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError):
        if not reading.pages:
            raise DocumentCorrupt("The picture is damaged and cannot be shown.") from None
        reading.truncated = True
    reading.milliseconds = watch.milliseconds
    return reading


def recognize(file: BinaryIO, numbers: Iterable[int], recognizer: Recognizer) -> Iterator[str | None]:
    """The text on the frames of these numbers (from 0), one after the other; None for a frame that cannot be decoded."""
    from PIL import Image

    prepare()
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    file.seek(0)
    with Image.open(file, formats=_FORMATS) as picture:
        for number in numbers:
            try:
                picture.seek(number)
                _check_size(picture)
                yield recognizer.text_of(_decoded(picture))
            except MemoryError:
                raise
            except Exception:
                yield None


def _decoded(picture: "Image") -> "Image":
    if picture.format == "JPEG":
        picture.draft("RGB", _fitting(picture.size, MAX_OCR_PIXELS))
    return on_white(_upright(picture))


def _check_size(picture: "Image") -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise DocumentTooComplex(f"The picture has {width:,} by {height:,} pixels; at most {MAX_PIXELS // 1_000_000} million can be read.")


def too_many_scans(scans: int, width: int, height: int) -> bool:
    """Whether a progressive JPEG (ITU T.81, Annex G) takes far longer than its pixels: a scan of a few bytes goes over all of them."""
    return scans > MAX_JPEG_SCANS or scans * width * height > MAX_JPEG_SCANNED_PIXELS


def _count_in(file: BinaryIO, sought: bytes) -> int:
    position = file.tell()
    file.seek(0)
    count, end = 0, b""
    while chunk := file.read(MIB):
        count += (end + chunk).count(sought)
        end = chunk[1 - len(sought) :]
    file.seek(position)
    return count


def _upright(picture: "Image") -> "Image":
    """The picture as its camera says it is to be looked at (Exif 2.32, tag 0x0112), no longer tied to its file or format.

    Not ImageOps.exif_transpose: it writes all that the camera noted anew, and raises where some of it is broken, as it often is."""
    from PIL.Image import Transpose

    picture.load()  # so that what is broken in the pixels is not taken for what is broken in the notes
    try:
        orientation = picture.getexif().get(0x0112)
    except Exception:
        orientation = None
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    return picture.transpose(turns[orientation]) if isinstance(orientation, int) and orientation in turns else picture.copy()


def _fitting(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    width, height = size
    scale = min(1.0, (pixels / max(1, width * height)) ** 0.5)
    return max(1, round(width * scale)), max(1, round(height * scale))


def on_white(picture: "Image") -> "Image":
    """The picture in RGB or grey, what is transparent in it white, or black if the rest is white."""
    from PIL import Image

    if picture.mode in ("RGB", "L"):
        return picture
    if picture.mode in ("1", "I;16", "I", "F"):
        return picture.convert("L")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        opaque = layer.getchannel("A")
        # what is white itself, a logo made for a dark page, would not be seen on white
        light = ImageStat.Stat(layer.convert("L"), opaque).mean[0] if opaque.getbbox() else 0
        ground = Image.new("RGB", layer.size, "black" if light > _LIGHT else "white")
        ground.paste(layer, mask=opaque)
        return ground
    return picture.convert("RGB")
