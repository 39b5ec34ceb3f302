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


async def test_the_fork_server_has_one_thread(document: BinaryIO) -> None:
    server = await _fork_server(document)
    assert len(os.listdir(f"/proc/{server}/task")) == 1  # other threads would be lost, with the locks they hold, in every child


async def test_a_child_can_do_nothing_to_the_world(document: BinaryIO, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("kept")
    finished = await sandbox.run(PROBES + "try_everything", document, {"parent": os.getpid(), "secret": str(secret)})
    assert {name for name, outcome in finished.value.items() if outcome == "done"} == set()
    assert not os.listxattr(secret)
    assert secret.read_text() == "kept"


async def test_no_system_call_is_made_that_the_filter_does_not_name(document: BinaryIO) -> None:
    machine = confinement._machine()
    named = [machine.number(name) for name in confinement._ALLOWED | confinement._BY_ARGUMENT]
    finished = await sandbox.run(PROBES + "call_what_is_not_allowed", document, {"named": named})
    assert finished.value.keys() == {"ENOSYS"}
    assert len(finished.value["ENOSYS"]) == 1024 - len({*named, 335, 336} - {None})


@pytest.mark.skipif(not HAS_LANDLOCK, reason="this kernel has no Landlock, so nothing may be opened at all")
async def test_dev_null_is_the_one_file_that_may_be_written(document: BinaryIO, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("kept")
    finished = await sandbox.run(PROBES + "write_to_dev_null", document, {"secret": str(secret)})
    assert finished.value == {"/dev/null": 1, "/dev/urandom": "EACCES", str(secret): "EACCES"}
    assert secret.read_text() == "kept"


async def test_a_child_has_no_capability_and_gains_none(document: BinaryIO) -> None:
    server = await _fork_server(document)
    waiting = asyncio.create_task(sandbox.run(PROBES + "wait", document, {}))
    child = await _until(lambda: next(iter(_children(server)), None))
    status = await _until(lambda: (fields := _status(child)).get("Seccomp") == "2" and fields)
    waiting.cancel()
    assert (status["NoNewPrivs"], status["CapPrm"].strip("0"), status["CapEff"].strip("0"), status["CapInh"].strip("0")) == (
        "1",
        "",
        "",
        "",
    )


async def test_a_child_knows_no_secret_and_holds_nothing(document: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_OF_THE_TEST", "hunter2")
    sandbox.stop()  # so that the next fork server is started with the secret in our environment
    seen = (await sandbox.run(PROBES + "look_around", document, {})).value
    assert set(seen["environment"]) <= {
        "LANG", "HOME", "TESSDATA_PREFIX", "OMP_THREAD_LIMIT", "RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS", "MALLOC_ARENA_MAX",
        "LD_LIBRARY_PATH", "LC_CTYPE",
    }  # fmt: skip
    assert len(seen["descriptors"]) == 5  # standard input, output and error, the document, the answer


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
    "scans": [],
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
    server = await _fork_server(document)
    waiting = asyncio.create_task(sandbox.run(PROBES + "wait", document, {}))
    child = await _until(lambda: next(iter(_children(server)), None))
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await _until(lambda: child not in _children(server))


async def test_a_fork_server_that_was_killed_is_started_again(document: BinaryIO) -> None:
    server = await _fork_server(document)
    waiting = asyncio.create_task(sandbox.run(PROBES + "wait", document, {}))
    child = await _until(lambda: next(iter(_children(server)), None))
    os.kill(server, signal.SIGKILL)
    with pytest.raises(SandboxUnavailable):
        await waiting
    await _until(lambda: not Path(f"/proc/{child}").exists())
    assert await _fork_server(document) != server


def test_a_parent_killed_with_9_leaves_nobody_behind() -> None:
    code = (
        "import asyncio, sys\n"
        "from shared.extraction import sandbox\n"
        "async def main():\n"
        "    with open(sys.argv[1], 'rb', buffering=0) as file:\n"
        "        await sandbox.run('tests.extraction.probes:echo', file, {})\n"
        "        print(sandbox._server('reading')._process.pid, flush=True)\n"
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
        "confinement._ALLOWED['socket'] = (41, 198); forkserver.main(int(sys.argv[1]))"
    )
    monkeypatch.setattr(sandbox, "_BOOT", broken)
    sandbox.stop()
    try:
        with pytest.raises(SandboxUnavailable, match="filter does not hold"):
            await sandbox.run(PROBES + "echo", document, {})
    finally:
        sandbox.stop()


async def test_without_landlock_a_child_opens_no_file_at_all(document: BinaryIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
    assert {name for name, outcome in finished.value.items() if outcome == "done"} == set()
    assert secret.read_text() == "kept"


def test_an_unknown_architecture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(confinement.CannotConfine):
        confinement._machine()


MACHINES = {"x86_64": confinement.X86_64, "aarch64": confinement.AARCH64}


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("landlocked", [True, False])
def test_the_filter_lets_through_what_it_names_and_nothing_else(name: str, landlocked: bool) -> None:
    machine = MACHINES[name]
    program = confinement.filter_program(machine, pid=1234, landlocked=landlocked)
    named = {machine.number(name) for name in confinement._ALLOWED}
    by_argument = {machine.number(name) for name in confinement._BY_ARGUMENT}
    every = {number: _interpret(program, number, machine.audit, (0xFFFF_FFFF,) * 6) for number in [*range(1025), 2**30 - 1, 2**32 - 1]}
    assert {number for number, verdict in every.items() if verdict == "allow"} == named - {None}
    assert {number for number, verdict in every.items() if verdict == "EPERM"} == by_argument
    # numbers of the x32 interface count from 2**30, and another architecture's mean something else
    assert every[2**32 - 1] == ("kill" if name == "x86_64" else "ENOSYS")
    for number in range(1025):
        assert _interpret(program, number, 0x40000003, ()) == "kill"  # 32-bit x86
        if name == "x86_64":
            assert _interpret(program, number | 0x40000000, machine.audit, ()) == "kill"


@pytest.mark.parametrize("name", MACHINES)
def test_the_filter_looks_at_arguments(name: str) -> None:
    machine = MACHINES[name]
    program = confinement.filter_program(machine, pid=1234, landlocked=True)

    def verdict(call: str, *arguments: int) -> str:
        number = machine.number(call)
        assert number is not None
        return _interpret(program, number, machine.audit, arguments)

    assert verdict("clone", 0x11) == verdict("clone", 0) == verdict("clone", 0x3D0F00 | 0x10000000) == "EPERM"  # fork, a user namespace
    assert verdict("clone", 0x3D0F00) == verdict("clone", 0x7D0F00) == "allow"  # threads of glibc and of musl
    assert [verdict("kill", other, 9) for other in (0, 1, 0xFFFFFFFF, 1235)] == ["EPERM"] * 4
    assert verdict("kill", 1234, 6) == verdict("tgkill", 1234, 1234, 6) == "allow"
    assert verdict("prlimit64", 0) == verdict("prlimit64", 1234) == "allow"
    assert verdict("prlimit64", 1) == "EPERM"
    assert verdict("openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC) == "allow"
    assert verdict("openat", 0, 0, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) == "allow"  # Landlock decides
    assert verdict("openat", 0, 0, os.O_PATH) == verdict("openat", 0, 0, os.O_TMPFILE | os.O_RDWR) == "EPERM"  # it would not be asked
    assert verdict("mmap", 0, 4096, 3) == verdict("mprotect", 0, 4096, 1) == "allow"
    assert verdict("mmap", 0, 4096, 5) == verdict("mprotect", 0, 4096, 7) == "EPERM"
    assert verdict("ioctl", 0, 0x5401) == "allow"
    assert verdict("ioctl", 0, 0x5412) == "EPERM"  # TIOCSTI
    assert verdict("fcntl", 0, 1030) == "allow"
    assert verdict("fcntl", 0, 1026) == "EPERM"  # F_NOTIFY
    assert verdict("prctl", 15) == "allow"
    assert verdict("prctl", 4) == verdict("prctl", 22) == "EPERM"  # dumpable again, another filter


@pytest.mark.parametrize("landlocked", [True, False])
def test_a_filter_made_ahead_is_that_of_the_child_it_is_installed_in(landlocked: bool) -> None:
    prepared = confinement.PreparedFilter(landlocked=landlocked)
    for pid in (1234, 4_194_303, 7):
        assert prepared.program(pid) == confinement.filter_program(confinement._machine(), pid, landlocked=landlocked)


def test_the_fork_server_leaves_no_free_pieces_in_its_heap() -> None:
    """They are what children write on first."""
    code = "from shared.extraction import heap, reading; reading.warm_up(); print(heap.take_free_pieces(), heap.take_free_pieces())"
    printed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout
    first, then = map(int, printed.split())
    assert (first, then) == (0, 0) or then < first / 5  # without glibc, none is taken


@pytest.mark.parametrize("name", MACHINES)
def test_without_landlock_the_filter_lets_no_file_be_opened(name: str) -> None:
    machine = MACHINES[name]
    number = machine.number("openat")
    assert number is not None
    program = confinement.filter_program(machine, pid=1234, landlocked=False)
    assert _interpret(program, number, machine.audit, (0, 0, os.O_RDONLY)) == "EPERM"


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


async def _fork_server(document: BinaryIO) -> int:
    """The process that children are forked from, once it has made one."""
    await sandbox.run(PROBES + "echo", document, {})
    process = sandbox._server("reading")._process
    assert process is not None
    return process.pid


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _children(pid: int) -> set[int]:
    with contextlib.suppress(OSError):
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return set()


async def _until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while not (met := condition()):
            await asyncio.sleep(0.005)
    return met
