"""What the sandbox promises, tried from inside."""

import asyncio
import contextlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from shared.extraction import (
    DocumentCorrupt,
    ExtractionCrashed,
    ExtractionOutOfMemory,
    ExtractionTimeout,
    ExtractionWarning,
    SandboxUnavailable,
    _checked,
    confinement,
    sandbox,
)
from shared.extraction.limits import MIB, Limits

PROBES = "tests.extraction.probes:"
ROOT = Path(__file__).parents[2]
HAS_USER_NAMESPACES = subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode == 0
HAS_LANDLOCK = confinement.landlock_ruleset([]) is not None


@pytest.fixture
def document(tmp_path: Path) -> Iterator[BinaryIO]:
    path = tmp_path / "document"
    path.write_bytes(b"content")
    with path.open("rb", buffering=0) as file:
        yield file


@pytest.fixture(autouse=True)
def _nothing_escapes() -> Iterator[None]:
    yield
    assert not Path("/tmp/docuvault-escape").exists()


async def test_a_task_gets_the_file_and_its_arguments_and_answers(document: BinaryIO) -> None:
    finished = await sandbox.run(PROBES + "echo", document, {"name": "Zoë"})
    assert finished.value["arguments"] == {"name": "Zoë"}
    assert finished.blob == b"content"
    assert finished.cpu_milliseconds > 0


async def test_each_document_has_a_child_of_its_own(document: BinaryIO) -> None:
    both = await asyncio.gather(*(sandbox.run(PROBES + "echo", document, {}) for _ in range(2)))
    assert both[0].value["pid"] != both[1].value["pid"]
    assert both[0].value["server"] == both[1].value["server"] != os.getpid()


async def test_the_fork_server_has_one_thread(document: BinaryIO) -> None:
    server = (await sandbox.run(PROBES + "echo", document, {})).value["server"]
    assert len(os.listdir(f"/proc/{server}/task")) == 1  # other threads would be lost, with the locks they hold, in every child


async def test_a_child_can_do_nothing_to_the_world(document: BinaryIO, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("kept")
    finished = await sandbox.run(PROBES + "try_everything", document, {"parent": os.getpid(), "secret": str(secret)})
    allowed = set() if HAS_LANDLOCK else {"read /etc/passwd", "list /", "read a secret"}
    assert {name for name, outcome in finished.value.items() if outcome == "done"} <= allowed
    assert secret.read_text() == "kept"


async def test_a_child_knows_no_secret_and_holds_nothing(document: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_OF_THE_TEST", "hunter2")
    sandbox.stop()  # so that the next fork server is started with the secret in our environment
    seen = (await sandbox.run(PROBES + "look_around", document, {})).value
    assert set(seen["environment"]) <= {
        "LANG", "HOME", "TESSDATA_PREFIX", "OMP_THREAD_LIMIT", "RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS", "MALLOC_ARENA_MAX",
        "LD_LIBRARY_PATH", "LC_CTYPE",
    }  # fmt: skip
    assert len(seen["descriptors"]) == 5  # standard input, output and error, the document, the answer
    assert seen["capabilities"] == "00" * 24
    assert (seen["seccomp"], seen["no_new_privileges"], seen["dumpable"]) == (2, 1, 0)


async def test_a_child_may_start_threads(document: BinaryIO) -> None:
    assert (await sandbox.run(PROBES + "start_a_thread", document, {})).value == {"seen": [1]}


@pytest.mark.parametrize("probe", ["segfault", "abort", "exit_quietly"])
async def test_a_crash_fails_that_document_alone(document: BinaryIO, probe: str) -> None:
    crash, fine = await asyncio.gather(
        sandbox.run(PROBES + probe, document, {}), sandbox.run(PROBES + "echo", document, {}), return_exceptions=True
    )
    assert isinstance(crash, ExtractionCrashed)
    assert isinstance(fine, sandbox.Finished)


async def test_a_loop_ends_at_the_wall_time(document: BinaryIO) -> None:
    with pytest.raises(ExtractionTimeout):
        await sandbox.run(PROBES + "wait", document, {}, Limits(wall_seconds=0.3))


async def test_a_loop_ends_at_its_cpu_time(document: BinaryIO) -> None:
    with pytest.raises(ExtractionTimeout):
        await sandbox.run(PROBES + "loop", document, {}, Limits(cpu_seconds=1))


async def test_a_parser_in_circles_does_not_get_the_time_that_ocr_may_have(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_bytes(b"<!doctype html><p>x")
    with page.open("rb", buffering=0) as file, pytest.raises(ExtractionTimeout):
        await sandbox.run(PROBES + "loop_after_reading_began", file, {})


@pytest.mark.parametrize("probe", ["balloon", "balloon_in_c", "rust_out_of_memory"])
async def test_a_balloon_ends_at_its_address_space(document: BinaryIO, probe: str) -> None:
    with pytest.raises(ExtractionOutOfMemory):
        await sandbox.run(PROBES + probe, document, {}, Limits(address_space=600 * MIB))


async def test_an_answer_without_end_is_cut(document: BinaryIO) -> None:
    with pytest.raises(ExtractionCrashed):
        await sandbox.run(PROBES + "flood", document, {}, Limits(output_bytes=MIB))


async def test_the_error_log_of_a_child_is_bounded(document: BinaryIO) -> None:
    assert (await sandbox.run(PROBES + "fill_its_error_log", document, {})).value == {"written": Limits().file_bytes}


async def test_descriptors_sent_along_with_an_answer_are_not_taken(document: BinaryIO) -> None:
    await sandbox.run(PROBES + "echo", document, {})  # the fork server runs: the connection to it is a descriptor, too
    before = set(os.listdir("/proc/self/fd"))
    await sandbox.run(PROBES + "pass_descriptors", document, {})
    assert len(os.listdir("/proc/self/fd")) <= len(before)


class _Boom:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/docuvault-escape",)


def _framed(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text


@pytest.mark.parametrize(
    "answer",
    [
        b"\x01",
        b"\xff\xff\xff\xff{}",
        _framed(b"{}"),
        _framed(b"[]"),
        _framed(b"null"),
        _framed(b'{"value": 1}'),
        _framed(b'{"failed": 1}'),
        _framed(b'{"failed": {"code": "../../x", "detail": ["?"]}}'),
        _framed(b'{"failed": {"code": "document_corrupt", "detail": ' + b"9" * 5000 + b"}}"),
        _framed(b"[" * 30_000),
        _framed(pickle.dumps(_Boom())),
        pickle.dumps(_Boom()),
    ],
)
async def test_a_lying_child_is_a_crash_and_nothing_more(document: BinaryIO, answer: bytes) -> None:
    with pytest.raises(ExtractionCrashed):
        await sandbox.run(PROBES + "answer_raw", document, {"hex": answer.hex()})


HONEST: dict[str, Any] = {
    "content_type": "text/plain",
    "pages": ["text"],
    "page_count": 1,
    "language": "en",
    "title": "Letter",
    "milliseconds": {},
    "warnings": [["text_cut_short", "3 of 4 pages were read."]],
}
WEBP = b"RIFF\0\0\0\0WEBPVP8 "


async def test_what_a_child_says_of_its_failure_can_be_stored_and_shown(document: BinaryIO) -> None:
    answer = _framed(b'{"failed": {"code": "document_corrupt", "detail": "nul \\u0000 and \\ud800 and \\u202e."}}')
    with pytest.raises(DocumentCorrupt) as failed:
        await sandbox.run(PROBES + "answer_raw", document, {"hex": answer.hex()})
    assert failed.value.detail == "nul  and  and ."


def test_an_honest_answer_is_believed() -> None:
    believed = _checked(HONEST, WEBP)
    assert (believed.pages, believed.title, believed.thumbnail) == (["text"], "Letter", WEBP)
    assert believed.warnings == [ExtractionWarning("text_cut_short", "3 of 4 pages were read.")]


@pytest.mark.parametrize(
    ("lie", "blob"),
    [
        ({"content_type": "text/x-sh"}, b""),
        ({"content_type": None}, b""),
        ({"pages": "text"}, b""),
        ({"pages": [1]}, b""),
        ({"pages": ["nul \0"]}, b""),
        ({"pages": ["surrogate \ud800"]}, b""),
        ({"pages": ["cafe\u0301"]}, b""),
        ({"pages": [""] * 100_000}, b""),
        ({"pages": ["x" * 10_000_001]}, b""),
        ({"page_count": -1}, b""),
        ({"page_count": 2**31}, b""),
        ({"page_count": True}, b""),
        ({"language": "<script>"}, b""),
        ({"language": "e\0"}, b""),
        ({"title": ["a"]}, b""),
        ({"milliseconds": []}, b""),
        ({"warnings": None}, b""),
        ({"warnings": ["text_cut_short"]}, b""),
        ({"warnings": [["text_cut_short", 1]]}, b""),
        ({"warnings": [["a code of its own", "detail"]]}, b""),
        ({}, b"<svg onload=alert(1)>"),
        ({}, WEBP + bytes(2**20)),
    ],
)
def test_a_lie_in_the_answer_is_a_crash(lie: dict[str, Any], blob: bytes) -> None:
    with pytest.raises(ExtractionCrashed):
        _checked(HONEST | lie, blob)


def test_times_that_are_none_are_left_out() -> None:
    told = {"read": 1.5, "nan": float("nan"), "huge": 10**400, "negative": -1, "true": True, "text": "1"}
    assert _checked(HONEST | {"milliseconds": told}, b"").milliseconds == {"read": 1.5}


def test_a_title_is_cleaned_and_cut() -> None:
    assert _checked(HONEST | {"title": " A\0\n\ud800B " + "x" * 900}, b"").title == "A B " + "x" * 496


async def test_a_cancelled_call_kills_its_child(document: BinaryIO) -> None:
    server = (await sandbox.run(PROBES + "echo", document, {})).value["server"]
    waiting = asyncio.create_task(sandbox.run(PROBES + "wait", document, {}))
    child = await _until(lambda: next(iter(_children(server)), None))
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await _until(lambda: child not in _children(server))


async def test_a_fork_server_that_was_killed_is_started_again(document: BinaryIO) -> None:
    server = (await sandbox.run(PROBES + "echo", document, {})).value["server"]
    waiting = asyncio.create_task(sandbox.run(PROBES + "wait", document, {}))
    child = await _until(lambda: next(iter(_children(server)), None))
    os.kill(server, signal.SIGKILL)
    with pytest.raises(SandboxUnavailable):
        await waiting
    await _until(lambda: not Path(f"/proc/{child}").exists())
    assert (await sandbox.run(PROBES + "echo", document, {})).value["server"] != server


def test_a_parent_killed_with_9_leaves_nobody_behind() -> None:
    code = (
        "import asyncio, sys\n"
        "from shared.extraction import sandbox\n"
        "async def main():\n"
        "    with open(sys.argv[1], 'rb', buffering=0) as file:\n"
        "        print((await sandbox.run('tests.extraction.probes:echo', file, {})).value['server'], flush=True)\n"
        "        await sandbox.run('tests.extraction.probes:wait', file, {})\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, __file__], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        watched = [os.pidfd_open(server)]
        while not (children := _children(server)):
            pass
        watched += [os.pidfd_open(child) for child in children]
        parent.kill()
    for pidfd in watched:
        ended, _, _ = select.select([pidfd], [], [], 60)
        os.close(pidfd)
        assert ended


async def test_without_its_filter_nothing_is_parsed(document: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (
        "import sys; sys.path[:] = sys.argv[2:]; from shared.extraction import confinement, forkserver; "
        "confinement._DENIED = set(); forkserver.main(int(sys.argv[1]))"
    )
    monkeypatch.setattr(sandbox, "_BOOT", broken)
    sandbox.stop()
    try:
        with pytest.raises(SandboxUnavailable, match="filter does not hold"):
            await sandbox.run(PROBES + "echo", document, {})
    finally:
        sandbox.stop()


async def test_without_landlock_a_child_still_changes_nothing_and_sees_no_other_process(
    document: BinaryIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old_kernel = (
        "import sys; sys.path[:] = sys.argv[2:]; from shared.extraction import confinement, forkserver; "
        "confinement.landlock_ruleset = lambda places: None; forkserver.main(int(sys.argv[1]))"
    )
    secret = tmp_path / "secret"
    secret.write_text("kept")
    monkeypatch.setattr(sandbox, "_BOOT", old_kernel)
    sandbox.stop()
    try:
        finished = await sandbox.run(PROBES + "try_everything", document, {"parent": os.getpid(), "secret": str(secret)})
    finally:
        sandbox.stop()
    done = {name for name, outcome in finished.value.items() if outcome == "done"}
    allowed = {"read /etc/passwd", "list /", "read a secret"}
    assert done <= (allowed if HAS_USER_NAMESPACES else allowed | {"read the parent's environment"})
    assert secret.read_text() == "kept"


def test_an_unknown_architecture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(confinement.CannotConfine):
        confinement._machine()


@pytest.mark.parametrize(("machine", "audit"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_the_filter_judges_every_call_of_both_architectures(monkeypatch: pytest.MonkeyPatch, machine: str, audit: int) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    numbers = confinement._machine().calls
    program = confinement.filter_program(confinement._machine(), pid=1234)

    def verdict(name: str, *arguments: int, arch: int = audit, bits: int = 0) -> str:
        number = numbers[name]
        assert number is not None
        return _interpret(program, number | bits, arch, arguments)

    for name in confinement._DENIED:
        if numbers[name] is not None:
            assert verdict(name) == "EPERM", name
    assert verdict("clone3") == "ENOSYS" == verdict("openat2")
    assert verdict("clone", 0x11) == "EPERM"
    assert verdict("clone", 0x3D0F00) == "allow"
    assert verdict("kill", 1234, 6) == "allow"
    assert [verdict("kill", other, 9) for other in (0, 1, 0xFFFFFFFF, 1235)] == ["EPERM"] * 4
    assert verdict("tgkill", 1234, 1234, 6) == "allow"
    assert verdict("prlimit64", 0) == verdict("prlimit64", 1234) == "allow"
    assert verdict("prlimit64", 1) == "EPERM"
    assert verdict("openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC) == "allow"
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_CREAT):
        assert verdict("openat", 0, 0, flags) == "EPERM"
    assert verdict("socket", arch=0x40000003) == "kill"  # 32-bit x86
    if machine == "x86_64":
        assert verdict("socket", bits=0x40000000) == "kill"  # x32
        assert verdict("open", 0, os.O_WRONLY) == "EPERM"


def _interpret(program: bytes, number: int, arch: int, arguments: tuple[int, ...]) -> str:
    """Run the filter on a system call, as the kernel does."""
    import struct

    data = struct.pack("<IIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    code = list(struct.iter_unpack("<HBBI", program))
    accumulator = position = 0
    while True:
        operation, if_true, if_false, value = code[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x06:
            return {0x7FFF0000: "allow", 0x80000000: "kill", 0x50001: "EPERM", 0x50026: "ENOSYS"}[value]
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[operation]
            position += if_true if holds else if_false


def test_the_parent_never_imports_a_parser() -> None:
    code = (
        "import sys, json, asyncio\n"
        "from pathlib import Path\n"
        "from shared.extraction import extract\n"
        "asyncio.run(extract(Path(sys.argv[1]), filename='a.pdf', declared_type=''))\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    sample = ROOT / "scripts/samples/rental-contract.pdf"
    out = subprocess.run([sys.executable, "-c", code, str(sample)], cwd=ROOT, capture_output=True, check=True).stdout
    assert not {"kreuzberg", "PIL", "pypdfium2", "tesserocr", "charset_normalizer", "multiprocessing"} & set(json.loads(out))


def _children(pid: int) -> set[int]:
    with contextlib.suppress(OSError):
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return set()


async def _until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while not (met := condition()):
            await asyncio.sleep(0.005)
    return met
