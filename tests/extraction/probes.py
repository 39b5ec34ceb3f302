"""Tasks that misbehave inside the sandbox, each as `function(file, arguments)`; run by name through `sandbox.run`."""

import array
import ctypes
import errno
import json
import os
import platform
import signal
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from shared.extraction.confinement import _CALLS

_libc = ctypes.CDLL(None, use_errno=True)
Answer = tuple[dict[str, Any], bytes]


def echo(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """The file's bytes and the arguments, back."""
    return {"arguments": arguments, "pid": os.getpid(), "server": os.getppid()}, file.read()


def try_everything(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """What happens to each thing a confined child must not do: the name of the error, or "done"."""
    column = 0 if platform.machine() == "x86_64" else 1

    def call(name: str, *values: Any) -> Callable[[], None]:
        number = _CALLS[name][column]

        def attempt() -> None:
            if number is None:
                raise OSError(errno.EPERM, "no such call on this machine")
            if _libc.syscall(ctypes.c_long(number), *values) == -1:
                raise OSError(ctypes.get_errno(), name)

        return attempt

    attempts: dict[str, Callable[[], object]] = {
        "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "unix socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "connect": call("connect", 0, b"", 0),
        "execve": lambda: os.execv("/bin/true", ["true"]),
        "execveat": call("execveat", -100, b"/bin/true\0", None, None, 0),
        "fork": os.fork,
        "vfork": call("vfork"),
        "clone a process": call("clone", 17, 0, 0, 0, 0),
        "ptrace": call("ptrace", 16, arguments["parent"], 0, 0),
        "read the parent's memory": call("process_vm_readv", arguments["parent"], None, 0, None, 0, 0),
        "io_uring": call("io_uring_setup", 1, b"\0" * 120),
        "bpf": call("bpf", 0, None, 0),
        "unshare": call("unshare", 0x40000000),
        "mount": call("mount", b"x", b"/", b"tmpfs", 0, None),
        "another filter": call("seccomp", 1, 0, None),
        "kill the parent": lambda: os.kill(arguments["parent"], signal.SIGCONT),
        "kill the group": lambda: os.kill(0, signal.SIGCONT),
        "a signal by thread": call("tkill", arguments["parent"], 0),
        "limit the parent": call("prlimit64", arguments["parent"], 7, None, b"\0" * 16),
        "raise own limit": lambda: __import__("resource").setrlimit(__import__("resource").RLIMIT_AS, (2**40, 2**40)),
        "read /etc/passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "read the parent's environment": lambda: os.open(f"/proc/{arguments['parent']}/environ", os.O_RDONLY),
        "list /": lambda: os.listdir("/"),
        "read a secret": lambda: os.open(arguments["secret"], os.O_RDONLY),
        "write a file": lambda: os.open("/tmp/docuvault-escape", os.O_WRONLY | os.O_CREAT),
        "write the secret": lambda: os.open(arguments["secret"], os.O_RDWR),
        "truncate the secret": lambda: os.truncate(arguments["secret"], 0),
        "remove the secret": lambda: os.unlink(arguments["secret"]),
        "rename the secret": lambda: os.rename(arguments["secret"], arguments["secret"] + ".x"),
        "make a folder": lambda: os.mkdir("/tmp/docuvault-escape"),
        "write to the document": lambda: os.write(file.fileno(), b"x"),
    }
    outcomes = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            outcomes[name] = "done"
        except OSError as error:
            outcomes[name] = errno.errorcode.get(error.errno or 0, "?")
        except ValueError as error:
            outcomes[name] = str(error)
    return outcomes, b""


def look_around(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """The environment, open descriptors, capabilities and flags of the child."""
    descriptors = []
    for number in range(64):
        try:
            os.fstat(number)
            descriptors.append(number)
        except OSError:
            pass
    capabilities = ctypes.create_string_buffer(24)
    _libc.capget(struct.pack("<Ii", 0x2008_0522, 0), capabilities)
    return {
        "environment": dict(os.environ),
        "descriptors": descriptors,
        "capabilities": capabilities.raw.hex(),
        "seccomp": _libc.prctl(21, 0, 0, 0, 0),
        "no_new_privileges": _libc.prctl(39, 0, 0, 0, 0),
        "dumpable": _libc.prctl(3, 0, 0, 0, 0),
    }, b""


def start_a_thread(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Threads are allowed: parsers use them."""
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(1))
    thread.start()
    thread.join()
    return {"seen": seen}, b""


def segfault(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """SIGSEGV."""
    ctypes.string_at(0)
    return {}, b""


def abort(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """SIGABRT, as Rust and C++ end."""
    os.abort()


def rust_out_of_memory(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """What Rust says and does where memory ends."""
    os.write(2, b"memory allocation of 1073741824 bytes failed\n")
    os.abort()


def exit_quietly(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Gone without an answer, with the status of success."""
    os._exit(0)


def loop(file: BinaryIO, arguments: dict[str, Any] | None = None) -> Answer:
    """Burns CPU for ever."""
    while True:
        pass


def loop_after_reading_began(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """A parser that goes in circles: `reading.read` with a loop in the place of the HTML reader, and a second of CPU time for it."""
    from shared.extraction import reading
    from shared.extraction.formats import html

    reading.QUICK_CPU_SECONDS = 1  # type: ignore[attr-defined]
    html.read = loop  # type: ignore[assignment]
    return reading.read(file, {"filename": "a.html", "ocr_languages": [], "tessdata": ""})


def wait(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Waits for ever, having said on the file that it does."""
    while True:
        signal.pause()


def balloon(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Takes all the memory it can get."""
    held = []
    while True:
        held.append(bytearray(64 * 2**20))


def balloon_in_c(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """malloc until it fails, then says so."""
    _libc.malloc.restype = ctypes.c_void_p
    while _libc.malloc(ctypes.c_size_t(64 * 2**20)):
        pass
    raise MemoryError


def flood(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Answers without end."""
    descriptor = _answer_descriptor()
    while True:
        os.write(descriptor, bytes(2**16))


def answer_raw(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Answers `arguments["hex"]` byte by byte, instead of what the protocol asks for."""
    os.write(_answer_descriptor(), bytes.fromhex(arguments["hex"]))
    os._exit(0)


def claim(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Answers a well-formed message with any value."""
    return arguments["value"], bytes.fromhex(arguments["blob"])


def fill_its_error_log(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Writes to stderr until it may not."""
    written = 0
    try:
        while written < 2**24:
            written += os.write(2, bytes(2**16))
    except OSError:
        pass
    return {"written": written}, b""


def _answer_descriptor() -> int:
    for number in range(3, 64):
        try:
            if os.fstat(number).st_mode & 0o170000 == 0o140000:
                return number
        except OSError:
            continue
    raise AssertionError


def pass_descriptors(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Sends a descriptor along with the answer; the parent must not take it."""
    number = _answer_descriptor()
    answer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=number)
    body = json.dumps({"value": {}}).encode()
    answer.sendmsg([len(body).to_bytes(4, "big") + body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))])
    os._exit(0)
