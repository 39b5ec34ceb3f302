"""What a child gives up for good before it looks at an untrusted document.

`confine()` runs once in a freshly forked, single-threaded child. In the order of what is lost:

- limits on address space, CPU time, file size, open files and core dumps (setrlimit(2));
- its life without its parent (PR_SET_PDEATHSIG);
- every capability, and with a user namespace of its own the right to look into any process outside it;
- the file system, but for reading the interpreter's library, fonts and OCR data (Landlock, Linux 5.13; where the kernel has none, the
  filter below still makes it read-only);
- the system calls in `_DENIED` (seccomp-BPF): no sockets, no programs, no processes, no tracing or signalling of others, no writing.

The system-call filter is not optional: `confine()` raises `CannotConfine` where it cannot be installed or does not bite, and the caller
must not parse then. The rest is taken where the machine gives it. A network namespace is not made: it costs 1-5 ms a document and adds
nothing to a process that cannot make a socket.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Iterable

from shared.extraction.limits import Limits

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_CLONE_NEWUSER = 0x1000_0000
_CLONE_THREAD = 0x0001_0000
_LINUX_CAPABILITY_VERSION_3 = 0x2008_0522


class CannotConfine(Exception):
    """The child cannot be locked down here; it must not parse."""


class _Machine:
    """The numbers of one architecture: audit identifier, and the system calls named in `_CALLS` (None: it has no such call)."""

    def __init__(self, audit: int, column: int) -> None:
        self.audit = audit
        self.calls = {name: numbers[column] for name, numbers in _CALLS.items()}


# (x86_64, aarch64), from the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "bind": (49, 200), "listen": (50, 201), "accept4": (288, 242),
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "clone": (56, 220), "clone3": (435, 435),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "prlimit64": (302, 261), "setpriority": (141, 140),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274),
    "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239), "personality": (135, 92),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "seccomp": (317, 277), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semctl": (66, 191),
    "semop": (65, 193), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "mq_open": (240, 180), "mq_unlink": (241, 181), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "open": (2, None), "openat": (257, 56), "openat2": (437, 437),
    "creat": (85, None), "truncate": (76, 45), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "link": (86, None), "linkat": (265, 37), "unlink": (87, None),
    "unlinkat": (263, 35), "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "lchown": (94, None),
    "fchown": (93, 55), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16),
}  # fmt: skip

# Not simply denied: looked at by argument below, or refused as unknown so that the C library falls back to a call that can be looked at.
_BY_ARGUMENT = {"clone", "kill", "tgkill", "prlimit64", "open", "openat"}
_UNKNOWN = {"clone3", "openat2"}
_DENIED = _CALLS.keys() - _BY_ARGUMENT - _UNKNOWN

_X32_BIT = 0x4000_0000
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|…|K, BPF_RET|K
_ALLOW, _KILL, _ERRNO = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_NR, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets into struct seccomp_data; arguments are 64 bits, little-endian on both machines

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _machine() -> _Machine:
    name = platform.machine()
    if sys.platform != "linux" or struct.calcsize("P") != 8:
        raise CannotConfine("documents are only read on 64-bit Linux")
    if name == "x86_64":
        return _Machine(0xC000_003E, 0)
    if name == "aarch64":
        return _Machine(0xC000_00B7, 1)
    raise CannotConfine(f"there is no system-call filter for the {name} architecture")


def filter_program(machine: _Machine, pid: int) -> bytes:
    """The BPF program for one machine and the process `pid`, as packed `struct sock_filter`s."""
    code: list[tuple[int, int, int, int]] = []

    def emit(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        code.append((operation, if_true, if_false, value))

    def refuse(number: int, error: int) -> None:
        emit(_JEQ, number, 0, 1)
        emit(_RET, _ERRNO | error)

    def on_call(name: str, body: list[tuple[int, int, int, int]]) -> None:
        number = machine.calls[name]
        if number is not None:
            emit(_JEQ, number, 0, len(body))
            code.extend(body)

    def argument(index: int) -> tuple[int, int, int, int]:
        return (_LD, 0, 0, _ARGUMENTS + 8 * index)

    allow, deny = (_RET, 0, 0, _ALLOW), (_RET, 0, 0, _ERRNO | errno.EPERM)

    emit(_LD, _ARCH)
    emit(_JEQ, machine.audit, 1, 0)
    emit(_RET, _KILL)
    emit(_LD, _NR)
    if machine.audit == 0xC000_003E:
        emit(_JGE, _X32_BIT, 0, 1)
        emit(_RET, _KILL)
    for name in sorted(_DENIED):
        if (number := machine.calls[name]) is not None:
            refuse(number, errno.EPERM)
    for name in sorted(_UNKNOWN):
        if (number := machine.calls[name]) is not None:
            refuse(number, errno.ENOSYS)
    # a thread, yes; a process, no
    on_call("clone", [argument(0), (_JSET, 0, 1, _CLONE_THREAD), allow, deny])
    # abort() signals itself; nobody else is to be signalled or limited (0 in kill(2) is the whole group, so it is denied)
    for name in ("kill", "tgkill"):
        on_call(name, [argument(0), (_JEQ, 0, 1, pid), allow, deny])
    on_call("prlimit64", [argument(0), (_JEQ, 2, 0, 0), (_JEQ, 1, 0, pid), deny, allow])
    for name, index in (("open", 1), ("openat", 2)):
        on_call(name, [argument(index), (_JSET, 0, 1, _WRITING), deny, allow])
    emit(_RET, _ALLOW)
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


class _SockFprog(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _prctl(option: int, *arguments: int | ctypes.c_void_p) -> None:
    values = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    if _libc.prctl(option, *values, *[ctypes.c_ulong(0)] * (4 - len(values))) != 0:
        error = ctypes.get_errno()
        raise CannotConfine(f"prctl({option}) failed: {os.strerror(error)}")


def _install_filter() -> None:
    program = filter_program(_machine(), os.getpid())
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = _SockFprog(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(fprog)))
    # trust nothing that was not tried: AF_UNIX, SOCK_STREAM
    if _libc.socket(1, 1, 0) != -1 or ctypes.get_errno() != errno.EPERM:
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
_FS_READ_FILE, _FS_READ_DIR = 1 << 2, 1 << 3
_NET_BIND_AND_CONNECT = 3
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def readable_places() -> list[str]:
    """What a confined child may still read: the interpreter's library (codecs are imported late), fonts, OCR data, the time zones."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {"/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom", "/proc/cpuinfo"}
    if prefix := os.environ.get("TESSDATA_PREFIX"):
        paths.add(prefix)
    return sorted(path for path in paths if path and os.path.exists(path))


def landlock_ruleset(places: Iterable[str]) -> int | None:
    """A descriptor of a Landlock ruleset that lets `places` be read and nothing else be touched; None where the kernel has no Landlock.

    Made once in the fork server, so that a child only has to enter it."""
    version = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return None
    access = _FS_EXECUTE_TO_MAKE_SYM
    access |= _FS_REFER if version >= 2 else 0
    access |= _FS_TRUNCATE if version >= 3 else 0
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
            rule = struct.pack("<Qi", allowed, descriptor)  # struct landlock_path_beneath_attr is packed
            _libc.syscall(_LANDLOCK_ADD_RULE, ruleset, 1, rule, 0)
        finally:
            os.close(descriptor)
    return ruleset


def confine(limits: Limits, parent: int, ruleset: int | None) -> None:
    """Lock this process down for good. `parent` is the process it must not outlive, `ruleset` comes from `landlock_ruleset`.

    Raises CannotConfine where the mandatory parts cannot be had."""
    _limit(limits)
    _drop_capabilities()
    # after the change of credentials, which may clear both (prctl(2))
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise CannotConfine("the parent is gone")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if ruleset is not None:
        if _libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
            raise CannotConfine("Landlock refused its ruleset")
        os.close(ruleset)
    _install_filter()
