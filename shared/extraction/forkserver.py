"""The process that documents' readers are forked from: it has imported everything, knows no secret and never looks at a document.

`shared.extraction.sandbox` starts it with an empty environment and one descriptor, a SOCK_SEQPACKET socket. Each message on it is one
job: JSON `{"task": "module:function", "arguments": {…}, "limits": {…}, "skipped": […]}` with three descriptors, the document (read-only),
the socket for the response and the lease. For each job, the task's module may load what children share (`prepare(arguments)`), then a child
is forked that confines itself and runs `function(document, arguments)`.

- The child writes its response on its socket: the length of a JSON text in 4 bytes (big-endian), the JSON text, and bytes up to the end.
- The fork server writes how the child ended on the lease, as JSON `{"status": …, "cpu_ms": …, "errors": …, "part": …}`: status as in
  waitpid(2), part what the child was at, `[kind, number]` or null (`parts.py`).
- The other end of the lease closed means: nobody waits for this any more. The child is killed.
- The control socket closed means: the parent is gone, by whatever death. The fork server ends, and its children with it (PDEATHSIG).

multiprocessing's forkserver is not used: it inherits the parent's environment, which stays readable in memory and /proc, and talks pickle.
"""

import array
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import BuiltinImporter, FrozenImporter
from mmap import mmap
from typing import Any, BinaryIO, Never

from shared.extraction import confinement, heap, parts
from shared.extraction.failures import EXIT_NOT_CONFINED, ExtractionFailed
from shared.extraction.limits import KIB, Limits

_MAX_JOB = 64 * KIB
_MAX_ERRORS = 4 * KIB

JobFunction = Callable[[BinaryIO, dict[str, Any]], tuple[dict[str, Any], bytes]]


@dataclass
class _Child:
    lease: socket.socket
    errors: int
    place: mmap


def main(control_descriptor: int) -> None:
    """Serve jobs until the control socket is closed."""
    control = socket.socket(fileno=control_descriptor)
    control.setblocking(True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the parent, which closes the socket when it goes
    wakeup_read, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)

    from shared.extraction import reading

    reading.warm_up()
    prepared = confinement.prepare()
    gc.collect()
    heap.take_free_pieces()
    gc.freeze()  # keeps the collector from touching, and so copying, pages shared with the children …
    gc.disable()  # … which live for one document and need none

    children: dict[int, _Child] = {}
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(wakeup_read, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is control:
                job = _receive(control)
                if job is None:
                    os._exit(0)
                _prepare(job[0])
                pid, child = _fork(*job, prepared=prepared)
                children[pid] = child
                selector.register(child.lease, selectors.EVENT_READ, pid)
            elif key.fileobj == wakeup_read:
                os.read(wakeup_read, 4096)
            elif key.data in children:
                _kill(key.data)
                selector.unregister(key.fileobj)
        for pid, status, usage in _ended():
            if (ended := children.pop(pid, None)) is not None:
                if ended.lease in selector.get_map():
                    selector.unregister(ended.lease)
                _report(ended, status, usage)


def _receive(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    descriptors = array.array("i")
    message, ancillary, _, _ = control.recvmsg(_MAX_JOB, socket.CMSG_SPACE(3 * descriptors.itemsize), socket.MSG_CMSG_CLOEXEC)
    if not message:
        return None
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data)
    return json.loads(message), list(descriptors)


def _prepare(job: dict[str, Any]) -> None:
    """Give the module of the task the chance to load what its children share: `prepare(arguments)`, if it has one."""
    try:
        if prepare := getattr(importlib.import_module(job["task"].partition(":")[0]), "prepare", None):
            prepare(job["arguments"])
    except Exception as error:
        _complain(_traceback(error))  # the child will do without, or say what is missing


def _fork(job: dict[str, Any], descriptors: list[int], prepared: confinement.Prepared) -> tuple[int, _Child]:
    document, answer, lease = descriptors
    errors, place = os.memfd_create("errors"), parts.shared_memory()
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        _child(job, document, answer, errors, place, prepared, server)
    os.close(document)
    os.close(answer)
    return pid, _Child(socket.socket(fileno=lease), errors, place)


def _child(job: dict[str, Any], document: int, answer: int, errors: int, place: mmap, prepared: confinement.Prepared, server: int) -> Never:
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        _close_all_but(0, 1, 2, document, answer, *([] if prepared.ruleset is None else [prepared.ruleset.descriptor]))
        module, _, name = job["task"].partition(":")
        task: JobFunction = getattr(importlib.import_module(module), name)
        limits = Limits(**job["limits"])
        os.nice(limits.niceness)  # before the confinement, which lets nobody change priorities
        try:
            confinement.confine(limits, server, prepared)
        except confinement.CannotConfine as error:
            _complain(str(error))
            os._exit(EXIT_NOT_CONFINED)
        sys.meta_path[:] = [BuiltinImporter, FrozenImporter]  # what was not imported by now is not there: no looking for files
        parts.start(place, [tuple(part) for part in job["skipped"]])
        blob = b""
        try:
            with os.fdopen(document, "rb", buffering=0, closefd=False) as file:
                value, blob = task(file, job["arguments"])
            text = json.dumps({"value": value}, ensure_ascii=False)  # escaped, ten million emoji would not fit into an answer
        except ExtractionFailed as failure:
            if failure.__cause__ is not None:
                _complain(_traceback(failure.__cause__))
            text = json.dumps({"failed": {"code": failure.code, "detail": failure.detail}})
        except MemoryError:
            text = json.dumps({"failed": {"code": "extraction_out_of_memory", "detail": ""}})
        body = text.encode("utf-8", "surrogatepass")
        _write(answer, b"".join((len(body).to_bytes(4, "big"), body, blob)))
        os._exit(0)
    except BaseException as error:
        _complain(_traceback(error))
    finally:
        os._exit(1)


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _complain(text: str) -> None:
    os.write(2, text.encode("utf-8", "replace")[-_MAX_ERRORS:])


def _close_all_but(*kept: int) -> None:
    low = 0
    for descriptor in sorted(kept):
        if low < descriptor:  # closerange(0, 0) becomes close_range(0, UINT_MAX)
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _kill(pid: int) -> None:
    # ours and not reaped yet, so the number cannot have passed to another process
    os.kill(pid, signal.SIGKILL)


def _ended() -> list[tuple[int, int, resource.struct_rusage]]:
    ended: list[tuple[int, int, resource.struct_rusage]] = []
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status, usage))


def _report(child: _Child, status: int, usage: resource.struct_rusage) -> None:
    size = os.fstat(child.errors).st_size
    errors = os.pread(child.errors, _MAX_ERRORS, max(0, size - _MAX_ERRORS)) if size else b""
    report = {
        "status": status,
        "cpu_ms": round((usage.ru_utime + usage.ru_stime) * 1000, 1),
        "errors": errors.decode("utf-8", "replace"),
        "part": parts.announced(child.place),
    }
    try:
        child.lease.send(json.dumps(report).encode(), socket.MSG_DONTWAIT)
    except OSError:
        pass  # nobody waits any more
    finally:
        child.lease.close()
        os.close(child.errors)
        child.place.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
