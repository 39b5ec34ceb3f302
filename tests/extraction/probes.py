"""Tasks that misbehave inside the sandbox, each as `function(file, arguments)`; run by name through `sandbox.run`."""

import ctypes
import errno
import fcntl
import os
import platform
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from shared.extraction import parts
from shared.extraction.formats import recognition

_libc = ctypes.CDLL(None, use_errno=True)
Answer = tuple[dict[str, Any], bytes]


def echo(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """The file's bytes and the arguments, back."""
    return {"arguments": arguments, "pid": os.getpid()}, file.read()


def knows_chardet(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Whether the child has chardet from its fork server."""
    return {"knows": "chardet" in sys.modules}, b""


def count_engines(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """How many of Tesseract's engines the child has from its fork server."""
    return {"engines": recognition._text_engine.cache_info().currsize}, b""


# (x86_64, aarch64), from the kernel's tables
_CALLS = {
    "connect": (42, 203), "execveat": (322, 281), "vfork": (58, None), "clone": (56, 220), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "io_uring_setup": (425, 425), "bpf": (321, 280), "unshare": (272, 97), "mount": (165, 40),
    "chroot": (161, 51), "seccomp": (317, 277), "tkill": (200, 130), "prlimit64": (302, 261), "setxattr": (188, 5),
    "setxattrat": (463, 463), "listxattrat": (465, 465), "file_getattr": (468, 468), "file_setattr": (469, 469),
    "inotify_init1": (294, 26), "statx": (332, 291),
    "newfstatat": (262, 79), "faccessat": (269, 48), "readlinkat": (267, 78), "openat": (257, 56), "memfd_create": (319, 279),
    "fchmod": (91, 52), "mq_open": (240, 180), "shmget": (29, 194), "keyctl": (250, 219), "pidfd_open": (434, 434), "mmap": (9, 222),
    "sendmsg": (46, 211), "mprotect": (10, 226), "prctl": (157, 167), "fcntl": (72, 25),
}  # fmt: skip


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

    secret = arguments["secret"].encode() + b"\0"
    memory = ctypes.create_string_buffer(8192)
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
        "raise own limit": lambda: resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40)),
        "give the secret an attribute": call("setxattr", secret, b"user.x\0", b"x", 1, 0),
        "give the secret an attribute, the new way": call("setxattrat", -100, secret, 0, b"user.x\0", b"\0" * 16, 16),
        "change the secret's flags": call("file_setattr", -100, secret, b"\0" * 24, 24, 0),
        "watch": call("inotify_init1", 0),
        "the size of the secret": lambda: os.stat(arguments["secret"]),
        "statx": call("statx", -100, secret, 0, 0x7FF, memory),
        "whether there is a secret": call("faccessat", -100, secret, 0),
        "where a link leads": call("readlinkat", -100, b"/proc/self/exe\0", memory, 4096),
        "open the secret as a path": call("openat", -100, secret, os.O_PATH),
        "make a file without a name": call("openat", -100, b"/tmp\0", os.O_TMPFILE | os.O_RDWR, 0o600),
        "a file in memory": call("memfd_create", b"x\0", 0),
        "change the mode of the document": call("fchmod", file.fileno(), 0o777),
        "a message queue": call("mq_open", b"/x\0", os.O_CREAT | os.O_RDWR, 0o600, None),
        "shared memory": call("shmget", 0, 4096, 0o1600),
        "a key": call("keyctl", 0, -3, 1),
        "a handle of the parent": call("pidfd_open", arguments["parent"], 0),
        "memory to run": call("mmap", None, 4096, 7, 0x22, -1, 0),
        "make memory to run": call("mprotect", ctypes.c_void_p((ctypes.addressof(memory) + 4095) & ~4095), 4096, 5),
        "be traced": call("prctl", 0x59616D61, arguments["parent"], 0, 0, 0),
        "lock the document": call("fcntl", file.fileno(), 37, b"\0" * 32),
        "another root": call("chroot", b"/tmp\0"),
        "send a descriptor with the answer": call("sendmsg", _answer_descriptor(), b"\0" * 56, 0),
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


def call_what_is_not_allowed(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """The errors of every system call that the filter does not name, the kernel's newest and those to come included."""
    # 335 and 336 are the kernel's own jumps out of a traced function: not filtered, and SIGILL for whoever makes them otherwise
    named = {*arguments["named"], 335, 336}
    errors: dict[str, list[int]] = {}
    for number in range(1024):
        if number not in named:
            result = _libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
            errors.setdefault("done" if result != -1 else errno.errorcode[ctypes.get_errno()], []).append(number)
    return errors, b""


def write_to_dev_null(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """As fopen("/dev/null", "w") does, and what comes of trying that with another device and another file."""
    done: dict[str, int | str] = {}
    for path in ("/dev/null", "/dev/urandom", arguments["secret"]):
        try:
            with open(path, "wb") as log:
                done[path] = log.write(b"x")
        except OSError as error:
            done[path] = errno.errorcode[error.errno or 0]
    return done, b""


def look_around(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """The environment and the open descriptors of the child."""
    descriptors = []
    for number in range(64):
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
            descriptors.append(number)
        except OSError:
            pass
    return {"environment": dict(os.environ), "descriptors": descriptors}, b""


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


def die_at_parts(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Ten pages, of which some make their reader die."""
    ways: dict[str, Callable[[], object]] = {
        "segfault": lambda: ctypes.string_at(0),
        "abort": os.abort,
        "out of memory": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "out of time": lambda: os.kill(os.getpid(), signal.SIGXCPU),
    }
    read = []
    for number in range(1, 11):
        if parts.begin("page", number):
            if number in arguments["at"]:
                ways[arguments["way"]]()
            read.append(number)
    parts.begin("document")
    if arguments.get("in the end"):
        os.abort()
    return {"read": read}, b""


def read_and_die_of_a_part(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """`reading.read` with a reader of pictures, or of the pages of PDFs, that crashes."""
    from shared.extraction import reading
    from shared.extraction.formats import pdf_pages
    from shared.extraction.formats.recognition import Recognizer

    def crash(*_: object) -> Any:
        os.abort()

    if arguments["of"] == "pictures":
        Recognizer.text_of = crash  # type: ignore[method-assign,assignment]
    else:
        page_text = pdf_pages.read
        pdf_pages.read = lambda page: crash() if "crash" in (found := page_text(page)).text else found
    return reading.read(file, {"filename": arguments["filename"], "ocr_languages": ["eng"], "tessdata": ""})


def wait(file: BinaryIO, arguments: dict[str, Any]) -> Answer:
    """Waits for ever, having said on the file that it does."""
    while True:
        time.sleep(60)


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
    for number in range(3, 64):  # the document is open for reading alone
        try:
            if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR:
                return number
        except OSError:
            continue
    raise AssertionError
