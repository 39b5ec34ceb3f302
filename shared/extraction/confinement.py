"""What a child gives up for good before it looks at an untrusted document.

`confine()` runs once in a freshly forked, single-threaded child. In the order of what is lost:

- limits on address space, CPU time, file size, open files and core dumps (setrlimit(2));
- its life without its parent (PR_SET_PDEATHSIG);
- every capability, and with a user namespace of its own the right to look into any process outside it;
- the file system, but for reading fonts and writing to /dev/null (Landlock from Linux 6.2 on; without it, not even that: all that readers
  need was loaded before);
- every system call but the few that reading was measured to need (seccomp-BPF): no sockets, no programs, no processes, no signals to
  others, no new code, no look at a file but by opening it. A call that a new kernel brings is refused until someone adds it.

The system-call filter is not optional: `confine()` raises `CannotConfine` if it cannot be installed or does not bite, and the caller
must not parse then. The rest is taken where the machine gives it. A network namespace is not made: it costs 1-5 ms a document and adds
nothing to a process that cannot make a socket.
"""

import ctypes
import errno
import fcntl
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from shared.extraction.limits import Limits

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_CLONE_NEWUSER = 0x1000_0000
_CLONE_THREAD = 0x0001_0000
_LINUX_CAPABILITY_VERSION_3 = 0x2008_0522


class CannotConfine(Exception):
    """The child cannot be locked down here; it must not parse."""


# What reading the whole corpus of formats was seen to call (`tests/extraction/test_inside_and_outside.py`), and what threads, memory and an
# end by abort() take. (x86_64, aarch64), from the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h;
# None: not called on that machine.
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # the document, the response, the error log
    "read": (0, 63), "write": (1, 64), "pread64": (17, 67), "writev": (20, 66), "lseek": (8, 62), "close": (3, 57), "fstat": (5, 80),
    # memory
    "munmap": (11, 215), "mremap": (25, 216), "brk": (12, 214), "madvise": (28, 233),
    # threads
    "futex": (202, 98), "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "set_robust_list": (273, 99), "rseq": (334, 293),
    "gettid": (186, 178), "getpid": (39, 172), "exit": (60, 93),
    # its own signals
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    # clocks, mostly read without the kernel, and chance
    "clock_gettime": (228, 113), "gettimeofday": (96, 169), "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "getrandom": (318, 278),
    # the end
    "exit_group": (231, 94),
}  # fmt: skip

# Allowed with certain arguments only; `filter_program` says with which.
_BY_ARGUMENT: dict[str, tuple[int, int]] = {
    "openat": (257, 56), "mmap": (9, 222), "mprotect": (10, 226), "clone": (56, 220), "kill": (62, 129), "tgkill": (234, 131),
    "prlimit64": (302, 261), "prctl": (157, 167), "fcntl": (72, 25), "ioctl": (16, 29),
}  # fmt: skip

_X32_BIT = 0x4000_0000
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|…|K, BPF_RET|K
_ALLOW, _KILL, _ERRNO = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_NR, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets into struct seccomp_data; arguments are 64 bits, little-endian on both machines

_NEVER_OPENED_WITH = os.O_PATH | (os.O_TMPFILE & ~os.O_DIRECTORY)  # what Landlock does not look at; files without a name
_PROT_EXEC = 4
_THREAD_FLAGS = 0x007D_0F00  # what glibc and musl start a thread with: CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, …
_PRCTL_OPTIONS = (15, 0x5356_4D41)  # PR_SET_NAME, PR_SET_VMA: names of threads and of memory
_FCNTL_COMMANDS = (fcntl.F_DUPFD, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_DUPFD_CLOEXEC)
_IOCTL_REQUESTS = (0x5401,)  # TCGETS: whether it is a terminal


@dataclass(frozen=True)
class Machine:
    """One architecture: its audit identifier, and its column in the tables above."""

    audit: int
    column: int

    def number(self, name: str) -> int | None:
        """The number of a system call that may be made, None if this machine has no such call."""
        return (_ALLOWED | _BY_ARGUMENT)[name][self.column]


X86_64, AARCH64 = Machine(0xC000_003E, 0), Machine(0xC000_00B7, 1)


def _machine() -> Machine:
    name = platform.machine()
    if sys.platform != "linux" or struct.calcsize("P") != 8:
        raise CannotConfine("documents are only read on 64-bit Linux")
    machine = {"x86_64": X86_64, "aarch64": AARCH64}.get(name)
    if machine is None:
        raise CannotConfine(f"there is no system-call filter for the {name} architecture")
    return machine


_Instruction = tuple[int, int, int, int]


def filter_program(machine: Machine, pid: int, *, landlocked: bool) -> bytes:
    """The BPF program for one machine and the process `pid`, as packed `struct sock_filter`s.

    `landlocked`: Landlock says which files may be opened; otherwise none may. What is not named here is unknown to the child (ENOSYS), as
    on an older kernel: libraries then do without. What is named, but with other arguments, is refused (EPERM)."""
    code: list[_Instruction] = []
    allow, deny, unknown = (_RET, 0, 0, _ALLOW), (_RET, 0, 0, _ERRNO | errno.EPERM), (_RET, 0, 0, _ERRNO | errno.ENOSYS)

    def argument(index: int) -> _Instruction:
        return (_LD, 0, 0, _ARGUMENTS + 8 * index)

    def unless(index: int, bits: int) -> list[_Instruction]:
        return [argument(index), (_JSET, 0, 1, bits), deny, allow]

    def only(index: int, values: Iterable[int]) -> list[_Instruction]:
        return [argument(index), *(step for value in values for step in ((_JEQ, 0, 1, value), allow)), deny]

    bodies: dict[str, list[_Instruction]] = {name: [allow] for name in _ALLOWED}
    bodies |= {
        "openat": unless(2, _NEVER_OPENED_WITH) if landlocked else [deny],
        # no code but what was loaded before the document was opened
        "mmap": unless(2, _PROT_EXEC),
        "mprotect": unless(2, _PROT_EXEC),
        # a thread, yes; a process or a namespace, no
        "clone": [
            argument(0), (_JSET, 0, 1, 0xFFFF_FFFF & ~_THREAD_FLAGS), deny, (_JSET, 0, 1, _CLONE_THREAD), allow, deny,
        ],
        # abort() signals itself; nobody else is to be signalled or limited (0 in kill(2) is the whole group)
        "kill": only(0, (pid,)),
        "tgkill": only(0, (pid,)),
        "prlimit64": only(0, (0, pid)),
        "prctl": only(0, _PRCTL_OPTIONS),
        "fcntl": only(1, _FCNTL_COMMANDS),
        "ioctl": only(1, _IOCTL_REQUESTS),
    }  # fmt: skip
    code += [(_LD, 0, 0, _ARCH), (_JEQ, 1, 0, machine.audit), (_RET, 0, 0, _KILL), (_LD, 0, 0, _NR)]
    if machine is X86_64:
        code += [(_JGE, 0, 1, _X32_BIT), (_RET, 0, 0, _KILL)]
    for name, body in bodies.items():
        if (number := machine.number(name)) is not None:
            code += [(_JEQ, 0, len(body), number), *body]
    code.append(unknown)
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


class _SockFprog(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def _prctl(option: int, argument: int = 0, pointer: int = 0) -> None:
    if _libc.prctl(option, argument, pointer, 0, 0) != 0:
        error = ctypes.get_errno()
        raise CannotConfine(f"prctl({option}) failed: {os.strerror(error)}")


_ANY_PID = 0x7EAD_BEEF
"""Stands for the child in a program that is made before it: larger than any (PID_MAX_LIMIT is 2^22) and than any other operand."""


class PreparedFilter:
    """The system-call filter for children to come, made once: to put it together takes a child 1.5 ms, most of it for copies of memory."""

    def __init__(self, *, landlocked: bool) -> None:
        program = filter_program(_machine(), _ANY_PID, landlocked=landlocked)
        self._program = ctypes.create_string_buffer(program, len(program))
        self._fprog = _SockFprog(len(program) // 8, ctypes.cast(self._program, ctypes.c_void_p))
        self._address = ctypes.addressof(self._fprog)
        placeholder = struct.pack("<I", _ANY_PID)
        self._pids = [place for place in range(4, len(program), 8) if program[place : place + 4] == placeholder]

    def program(self, pid: int) -> bytes:
        """The program for the process `pid`, as `filter_program` makes it."""
        for place in self._pids:
            struct.pack_into("<I", self._program, place, pid)
        return self._program.raw

    def install(self) -> None:
        """Put this process under it. Raises CannotConfine if that cannot be done, or if it does not bite."""
        self.program(os.getpid())
        _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._address)
        # trust nothing that was not tried: AF_UNIX, SOCK_STREAM
        if _libc.socket(1, 1, 0) != -1 or ctypes.get_errno() != errno.ENOSYS:
            raise CannotConfine("the system-call filter does not hold")


def _limit(limits: Limits) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, limits.address_space),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # the hard limit of CPU time lies a second higher: SIGXCPU at the soft one tells the parent what happened
        resource.setrlimit(kind, (value, value + 1 if kind == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY else value))


def allow_cpu(seconds: int | None) -> None:
    """From here on this process may use that many CPU seconds in all; None: as many as `confine` allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = hard - 1 if hard != resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_CPU, (most if seconds is None or seconds > most >= 0 else seconds, hard))


def _drop_capabilities() -> None:
    _libc.unshare(_CLONE_NEWUSER)  # where permitted; the capabilities it gives are dropped in the next line
    header = struct.pack("<Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, bytes(24)) != 0:
        raise CannotConfine("capabilities cannot be dropped")


# Landlock: no wrappers in the C library; the three calls have the same number everywhere
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_FS_EXECUTE_TO_MAKE_SYM = (1 << 13) - 1
_FS_REFER, _FS_TRUNCATE, _FS_IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1 << 1, 1 << 2, 1 << 3
_NET_BIND_AND_CONNECT = 3
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def readable_places() -> list[str]:
    """What a confined child may still open: fonts that a document names and does not bring along, and what is no file at all."""
    return [path for path in ("/usr/share/fonts", "/usr/local/share/fonts", os.devnull, "/dev/urandom") if os.path.exists(path)]


@dataclass(frozen=True)
class Ruleset:
    """A Landlock ruleset, by its descriptor; see `landlock_ruleset`."""

    descriptor: int


def landlock_ruleset(places: Iterable[str]) -> Ruleset | None:
    """A ruleset that lets `places` be read, /dev/null be written and nothing else be touched; None if the kernel has no Landlock, or one
    before version 3 (Linux 6.2), which did not know of truncation.

    Made once in the fork server, so that a child only has to enter it."""
    version = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 3:
        return None
    access = _FS_EXECUTE_TO_MAKE_SYM | _FS_REFER | _FS_TRUNCATE
    access |= _FS_IOCTL_DEV if version >= 5 else 0
    attributes = struct.pack("<Q", access)
    if version >= 4:
        attributes += struct.pack("<Q", _NET_BIND_AND_CONNECT)
    if version >= 6:
        attributes += struct.pack("<Q", _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS)
    ruleset: int = _libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return None
    for place in places:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            allowed = _FS_READ_FILE | (_FS_READ_DIR if os.path.isdir(place) else 0)
            if place == os.devnull:  # libraries open it for what they would log, and some do not look whether they could
                allowed |= _FS_WRITE_FILE | _FS_TRUNCATE
            rule = struct.pack("<Qi", allowed, descriptor)  # struct landlock_path_beneath_attr is packed
            _libc.syscall(_LANDLOCK_ADD_RULE, ruleset, 1, rule, 0)
        finally:
            os.close(descriptor)
    return Ruleset(ruleset)


@dataclass(frozen=True)
class Prepared:
    """What children need to be confined; see `prepare`."""

    ruleset: Ruleset | None
    filter: PreparedFilter | None


def prepare() -> Prepared:
    """Make in the fork server what is the same for every child; no filter if there is none for this machine, which `confine` tells."""
    ruleset = landlock_ruleset(readable_places())
    try:
        return Prepared(ruleset, PreparedFilter(landlocked=ruleset is not None))
    except CannotConfine:
        return Prepared(ruleset, None)


def confine(limits: Limits, parent: int, prepared: Prepared) -> None:
    """Lock this process down for good. `parent` is the process it must not outlive.

    Raises CannotConfine if the mandatory parts cannot be had."""
    ruleset = prepared.ruleset
    _limit(limits)
    _drop_capabilities()
    # after the change of credentials, which may clear both (prctl(2))
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise CannotConfine("the parent is gone")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if ruleset is not None:
        if _libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset.descriptor, 0) != 0:
            raise CannotConfine("Landlock refused its ruleset")
        os.close(ruleset.descriptor)
    (prepared.filter or PreparedFilter(landlocked=ruleset is not None)).install()
