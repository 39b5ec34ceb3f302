"""Recognition left for later: the same text in the end as in one pass, a few pages at a time."""

import asyncio
import contextlib
import os
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from shared.extraction import Extraction, ExtractionCrashed, ExtractionTimeout, Scan, _checked, extract, recognize, sandbox
from shared.extraction.limits import Limits
from shared.time_budgets import QUICK_READING, RECOGNITION
from tests.extraction.conftest import Read
from tests.extraction.test_formats import SAMPLES, encoded, letter_as_picture
from tests.extraction.test_sandbox import HONEST

SCANNED_PDF = (SAMPLES / "electricity-bill-scan.pdf").read_bytes()
SLICE = Limits.within(RECOGNITION)


def tiff(frames: int) -> bytes:
    pages = [letter_as_picture("1") for _ in range(frames)]
    return encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="group4")


def mail_with_scans() -> bytes:
    message = EmailMessage()
    message["Subject"] = "Two scans and a note"
    message.set_content("The scans are attached, and a note.")
    message.add_attachment(tiff(2), maintype="image", subtype="tiff", filename="fee.tiff")
    message.add_attachment("A note about the heron.", filename="note.txt")
    message.add_attachment(SCANNED_PDF, maintype="application", subtype="pdf", filename="bill.pdf")
    return message.as_bytes()


@pytest.mark.parametrize(
    ("content", "filename", "scans"),
    [
        (SCANNED_PDF, "bill.pdf", [0]),
        (tiff(3), "fee.tiff", [0, 1, 2]),
        (encoded(letter_as_picture("RGB"), "JPEG"), "photo.jpg", [0]),
        (mail_with_scans(), "mail.eml", [1, 2, 4]),
        ((SAMPLES / "rental-contract.pdf").read_bytes(), "rental-contract.pdf", []),
    ],
    ids=["pdf", "tiff", "photo", "mail", "text layer"],
)
async def test_recognition_left_for_later_gives_the_text_of_one_pass(
    read: Read, tmp_path: Path, content: bytes, filename: str, scans: list[int]
) -> None:
    at_once = await read(content, filename)
    path = tmp_path / "object"
    later = await extract(path, filename=filename, declared_type="", defer_recognition=True, limits=Limits.within(QUICK_READING))
    assert [scan.page for scan in later.scans] == scans
    assert (later.content_type, later.page_count, later.thumbnail) == (at_once.content_type, at_once.page_count, at_once.thumbnail)
    pages = list(later.pages)
    left = list(later.scans)
    while left:
        done = await recognize(path, filename=filename, scans=left, limits=SLICE, cpu_seconds=0)
        assert len(done.texts) == 1, "one page in any case, and no more when the time is up"
        assert done.cpu_milliseconds > 0
        pages[left.pop(0).page] = done.texts[0] or ""
    assert pages == at_once.pages


async def test_only_children_that_guess_encodings_carry_what_that_takes(tmp_path: Path) -> None:
    path = tmp_path / "object"
    for text, guessed in (("Grüße aus Köln, " * 9, False), ("Счёт за воду и отопление в Твери. " * 9, True)):
        path.write_bytes(text.encode("koi8-r" if guessed else "utf-8"))
        done = await extract(path, filename="note.txt", declared_type="", defer_recognition=True)
        assert done.pages == [text.strip()]
        with path.open("rb", buffering=0) as file:
            knows = await sandbox.run("tests.extraction.probes:knows_chardet", file, {}, server="reading")
        assert knows.value == {"knows": False}
    with path.open("rb", buffering=0) as file:
        assert (await sandbox.run("tests.extraction.probes:knows_chardet", file, {}, server="recognition")).value == {"knows": True}


async def test_only_children_that_recognise_carry_the_models(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(SCANNED_PDF)
    await extract(path, filename="bill.pdf", declared_type="", defer_recognition=True)
    await recognize(path, filename="bill.pdf", scans=[Scan(0, 0)], limits=SLICE, cpu_seconds=0)
    engines = {}
    with path.open("rb", buffering=0) as file:
        for server in ("reading", "recognition"):
            engines[server] = (await sandbox.run("tests.extraction.probes:count_engines", file, {}, server=server)).value["engines"]
    assert engines["reading"] == 0 < engines["recognition"]


async def test_a_slice_takes_the_pages_that_begin_in_its_time(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(tiff(3))
    scans = [Scan(number, number) for number in range(3)]
    done = await recognize(path, filename="x", scans=scans, limits=SLICE, cpu_seconds=60)
    assert ["45 euros" in (text or "") for text in done.texts] == [True] * 3


async def test_a_frame_that_is_not_there_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(tiff(2))
    scans = [Scan(0, 0), Scan(1, 7), Scan(2, 1)]
    first, missing, last = (await recognize(path, filename="x", scans=scans, limits=SLICE, cpu_seconds=60)).texts
    assert "45 euros" in (first or "")
    assert missing is None
    assert "45 euros" in (last or "")


async def test_a_child_that_recognises_lets_others_go_first(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(b"")
    with path.open("rb", buffering=0) as file:
        waiting = asyncio.create_task(sandbox.run("tests.extraction.probes:wait", file, {}, SLICE))
        async with asyncio.timeout(30):
            while RECOGNITION.niceness + os.nice(0) not in priorities_of_grandchildren():
                await asyncio.sleep(0.02)
        waiting.cancel()


def priorities_of_grandchildren() -> set[int]:
    """The nice values of the processes that children of this one have made, as proc_pid_stat(5) tells them."""
    parents: dict[int, int] = {}
    priorities: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            pid = int(entry.parent.name)
            parents[pid], priorities[pid] = int(fields[1]), int(fields[16])
    return {priorities[pid] for pid, parent in parents.items() if parents.get(parent) == os.getpid()}


async def test_the_time_of_a_quick_reading_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(tiff(1))
    with pytest.raises(ExtractionTimeout):
        await extract(path, filename="x", declared_type="", defer_recognition=True, limits=Limits(wall_seconds=0.001))


@pytest.mark.parametrize(
    "scans", [None, [1], [[0, 0]], [[0, 0, -1]], [[0, 0, True]], [[9, 0, 0]], [[1, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0]]]
)
def test_a_lie_about_scans_is_a_crash(scans: Any) -> None:
    with pytest.raises(ExtractionCrashed):
        _checked(HONEST | {"scans": scans}, b"")


def test_scans_are_told_with_the_extraction() -> None:
    told: Extraction = _checked(HONEST | {"scans": [[0, 3, 2]]}, b"")
    assert told.scans == [Scan(page=0, frame=3, attachment=2)]
