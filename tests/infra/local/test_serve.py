"""`scripts/serve`: one command, and what may go wrong with it. Each test runs the real thing in a process of its own."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import infra.broker.broker
import infra.local.stack
import infra.serving
from infra import processes
from infra.local.ports import free_port_block
from infra.local.stack import ROOT
from infra.processes import working_in
from shared.time_budgets import DRAIN_SECONDS

PATIENCE_SECONDS = 60.0
ACCOUNT = {"email": "somebody@example.org", "password": "correct horse battery staple"}


class Serve:
    """One `scripts/serve`, without its look after the environment."""

    def __init__(self, data_dir: Path, port: int, **environ: str) -> None:
        self.data_dir, self.port = data_dir, port
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.serve", "--data-dir", str(data_dir), "--port", str(port)],
            cwd=ROOT,
            env=kept | {"HIBP_URL": "", "PYTHONPATH": str(ROOT)} | environ,
            stdout=subprocess.PIPE,
            stderr=(data_dir.parent / f"{data_dir.name}.stderr").open("ab"),
            text=True,
        )

    def ready(self) -> "Serve":
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"DocuVault is ready at http://127.0.0.1:{self.port}\n", self.complaints()
        return self

    def complaints(self) -> str:
        return (self.data_dir.parent / f"{self.data_dir.name}.stderr").read_text()

    def ended(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def child(self, words: str) -> int:
        """The process id of the child whose command line has these words."""
        return next(pid for pid, command in working_in(self.data_dir).items() if words in command)


def open_files(pid: int) -> set[str]:
    """What a process has open; what it closes meanwhile is left out."""
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(file))
    return found


def until(condition: Callable[[], Any], what: str | Callable[[], str]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.05)
    return found


def health(port: int) -> Any:
    """The answer of /health; None where none comes."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=PATIENCE_SECONDS).json()
    except httpx.TransportError:
        return None


def healthy(port: int, *, other_than: Any = None) -> bool:
    """Whether all is well, by an answer that is not `other_than`: /health remembers for a second, and tells how long each check took."""
    told = health(port)
    return told is not None and told != other_than and bool(told["status"] == "ok")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Serve]]:
    started: list[Serve] = []

    def begin(name: str = "data", *, port: int = 0, **environ: str) -> Serve:
        started.append(Serve(tmp_path / name, port or free_port_block(1), **environ))
        return started[-1]

    yield begin
    for serve in started:
        if serve.process.poll() is None:
            serve.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One that runs for all tests that only look, or hurt it in a way it gets over."""
    serve = Serve(tmp_path_factory.mktemp("serve") / "data", free_port_block(1)).ready()
    yield serve
    serve.stop()


def test_it_serves_and_a_stop_leaves_nothing_running(start: Callable[..., Serve]) -> None:
    serve = start().ready()
    until(lambda: healthy(serve.port), "all is well")
    assert working_in(serve.data_dir)

    assert serve.stop(signal.SIGINT) == 0

    assert working_in(serve.data_dir) == {}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{serve.port}/health")


def test_a_stop_while_it_starts_leaves_nothing_running(start: Callable[..., Serve]) -> None:
    serve = start(REDIS_URL="redis://127.0.0.1:1/0")  # which it waits for, however late the stop comes
    until(lambda: working_in(serve.data_dir), "a first child runs")
    assert serve.stop() == 130
    assert working_in(serve.data_dir) == {}


def test_whom_an_ended_child_leaves_is_ended_too() -> None:
    script = """
import ctypes, os, subprocess
from infra.local.stack import _PR_SET_CHILD_SUBREAPER, _children_of, end_strays

ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
family = ["sh", "-c", "sh -c 'sleep 1000 & echo; wait' & wait"]
eldest = subprocess.Popen(family, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
eldest.stdout.readline()
end_strays(all_of_them=True)
assert _children_of(os.getpid()) == set()
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert ended.returncode == 0, ended.stderr


def test_killed_its_children_end_and_the_next_start_finds_everything(start: Callable[..., Serve]) -> None:
    serve = start().ready()
    httpx.post(f"http://127.0.0.1:{serve.port}/api/auth/register", json=ACCOUNT, timeout=PATIENCE_SECONDS).raise_for_status()
    keys = (serve.data_dir / "settings.env").read_text()

    serve.process.kill()
    serve.ended()
    again = start(port=serve.port).ready()

    assert (serve.data_dir / "settings.env").read_text() == keys
    httpx.post(f"http://127.0.0.1:{again.port}/api/auth/login", json=ACCOUNT, timeout=PATIENCE_SECONDS).raise_for_status()
    again.process.kill()
    until(lambda: not working_in(serve.data_dir), "the children end by themselves")


def test_the_generated_secrets_are_for_their_owner_alone(running: Serve) -> None:
    assert stat.S_IMODE((running.data_dir / "settings.env").stat().st_mode) == 0o600
    assert stat.S_IMODE(running.data_dir.stat().st_mode) == 0o700


async def test_what_a_function_needs_to_run_alone_is_left_beside_it(running: Serve, tmp_path: Path) -> None:
    environ = running.data_dir / "functions.env"
    assert stat.S_IMODE(environ.stat().st_mode) == 0o600
    port = free_port_block(1)
    program, source = Path(sys.executable).with_name("functions-framework"), ROOT / "functions" / "system" / "health.py"
    function = await processes.start(
        ["sh", "-c", f"set -a; . {environ}; exec {program} --asgi --source {source} --target health --port {port}"],
        log=tmp_path / "health.log",
        # Those of the shell are forgotten: without that they would have it knock at another port, and ask for TLS.
        environ={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PGPORT": "1",
            "PGSSLMODE": "verify-full",
            "PGOPTIONS": "-c nothing=1",
        },
    )
    try:
        await asyncio.to_thread(until, lambda: healthy(port), "all that it stands on answers")
    finally:
        await processes.stop(function)


def test_secrets_stand_on_no_command_line(running: Serve) -> None:
    secrets = [line.split("=", 1)[1] for line in (running.data_dir / "settings.env").read_text().splitlines() if "PASSWORD=" in line]
    assert secrets
    assert not [command for command in working_in(running.data_dir).values() if any(secret in command for secret in secrets)]


def test_the_programs_do_not_get_what_owns_the_schema(running: Serve) -> None:
    for words in ("infra.gateway", "infra.worker", "infra.broker"):
        environ = Path(f"/proc/{running.child(words)}/environ").read_text()
        assert "DATABASE_URL=" in environ
        assert "DATABASE_MIGRATE_URL" not in environ


def test_services_listen_on_loopback_only(running: Serve) -> None:
    listening = set()
    for pid in working_in(running.data_dir):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # sessions of PostgreSQL, for instance, come and go
            sockets = open_files(pid)
            for table in ("tcp", "tcp6"):
                for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                    fields = line.split()
                    if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                        listening.add(fields[1].split(":")[0])
    assert listening == {"0100007F"}


@pytest.mark.parametrize("words", ["infra.gateway", "infra.worker", "infra.broker", "valkey-server", "weed", "postgres -D"])
def test_a_child_that_is_killed_is_started_again(running: Serve, words: str) -> None:
    before = running.child(words)
    os.kill(before, signal.SIGKILL)

    def started_again() -> bool:
        return any(words in command and pid != before for pid, command in working_in(running.data_dir).items())

    until(started_again, f"{words} runs again")
    perhaps_remembered = health(running.port)
    until(lambda: healthy(running.port, other_than=perhaps_remembered), "all is well again")
    assert "ended unexpectedly (signal 9); starting it again" in running.complaints()


def test_a_second_one_in_the_same_folder_says_so(running: Serve, start: Callable[..., Serve]) -> None:
    second = Serve(running.data_dir, free_port_block(1))
    assert second.ended() == 1
    assert f"Another DocuVault (process {running.process.pid}) is using {running.data_dir}" in second.complaints()
    until(lambda: healthy(running.port), "the first one goes on")


def test_a_port_that_is_taken_is_one_sentence(start: Callable[..., Serve]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        serve = start(port=taken.getsockname()[1])
        assert serve.ended() == 1
        assert serve.complaints() == f"Port {serve.port} is taken by another program: choose another with --port.\n"


def test_an_address_of_another_machine_is_one_sentence(start: Callable[..., Serve]) -> None:
    serve = start(HOST="192.0.2.1")  # RFC 5737: nobody's
    assert serve.ended() == 1
    assert serve.complaints() == "HOST: 192.0.2.1 is not an address of this machine. Example: HOST=127.0.0.1\n"


def test_a_data_folder_without_a_name_is_not_the_folder_one_stands_in(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "infra.local.serve", "--data-dir", ""],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert answer.returncode == 2
    assert answer.stderr.endswith("argument --data-dir: an empty name is no folder\n")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = subprocess.run(
        [sys.executable, "-m", "infra.local.serve", "--data-dir", tmp_path / "file" / "data"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr == f"The data folder {tmp_path}/file/data cannot be written (Not a directory): choose another with --data-dir.\n"


def test_a_folder_that_everybody_may_write_in_is_refused(start: Callable[..., Serve], tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    serve = start("shared")
    assert serve.ended() == 1
    assert serve.complaints() == (
        f"{tmp_path}/shared is another user's, or everybody may write in it: choose another folder with --data-dir.\n"
    )
    assert list(serve.data_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("size=20m", "The disk of {folder} is full: "),
        ("size=64m,ro", "The data folder {folder} cannot be written (Read-only file system): choose another with --data-dir.\n"),
    ],
    ids=["full", "read-only"],
)
def test_a_disk_that_is_full_or_read_only_is_one_sentence(tmp_path: Path, options: str, sentence: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"mount -t tmpfs -o {options} tmpfs {disk} || exit 77; exec {sys.executable} -m infra.local.serve --data-dir {disk}/data"
    answer = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if answer.returncode == 77 or "unshare" in answer.stderr:
        pytest.skip(f"no file system may be mounted here: {answer.stderr.strip()}")
    assert answer.returncode == 1
    assert answer.stderr.startswith(sentence.format(folder=f"{disk}/data"))
    assert answer.stderr.count("\n") == 1


def test_a_wrong_setting_is_named(start: Callable[..., Serve]) -> None:
    serve = start(SECRET_KEY="short")
    assert serve.ended() == 1
    assert "SECRET_KEY" in serve.complaints()
    assert working_in(serve.data_dir) == {}


def test_a_service_the_environment_names_is_not_started(start: Callable[..., Serve], services: None) -> None:
    serve = start(REDIS_URL=os.environ["REDIS_URL"]).ready()
    assert not [command for command in working_in(serve.data_dir).values() if "valkey-server" in command]
    until(lambda: healthy(serve.port), "all is well")


def test_a_database_of_ones_own_needs_the_role_that_owns_it(start: Callable[..., Serve]) -> None:
    serve = start(DATABASE_URL="postgresql://docuvault_app@127.0.0.1:1/docuvault")
    assert serve.ended() == 1
    assert serve.complaints().startswith("DATABASE_URL is set, so DATABASE_MIGRATE_URL must be too")


def test_a_service_of_ones_own_that_does_not_answer_is_named(start: Callable[..., Serve]) -> None:
    serve = start(REDIS_URL="redis://127.0.0.1:1/0")
    missing = "Waiting: redis cannot be reached (ConnectionError), see REDIS_URL.\n"
    until(lambda: missing in serve.complaints(), serve.complaints)
    assert serve.stop() == 130


async def test_the_programs_of_a_whole_run_are_reached_by_notifications(running: Serve) -> None:
    """What is put into the store wakes the broker, without complete_upload and long before the reconciler."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}", timeout=PATIENCE_SECONDS) as api:
        (await api.post("/api/auth/register", json=ACCOUNT)).raise_for_status()
        signed_in = (await api.post("/api/auth/login", json=ACCOUNT)).raise_for_status().json()
        api.headers["authorization"] = f"Bearer {signed_in['access_token']}"
        reserved = await api.post("/api/documents", json={"filename": "a.txt", "size": 11, "content_type": "text/plain"})
        upload = reserved.raise_for_status().json()
        (await api.put(upload["upload"]["url"], content=b"hello there", headers=upload["upload"]["headers"])).raise_for_status()
        path = f"/api/documents/{upload['document']['id']}"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await api.get(path)).raise_for_status().json()["status"] == "uploading":
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(("origin", "allowed"), [("http://localhost:{port}", True), ("http://evil.example", False)])
def test_only_its_own_pages_may_use_the_store(running: Serve, origin: str, allowed: bool) -> None:
    lines = (running.data_dir / "settings.env").read_text().splitlines()
    store = next(line.removeprefix("STORE_PORT=") for line in lines if line.startswith("STORE_PORT="))
    asking = origin.format(port=running.port)
    headers = {"Origin": asking, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type,if-none-match"}
    answer = httpx.options(f"http://127.0.0.1:{store}/docuvault/u/a.txt", headers=headers, timeout=PATIENCE_SECONDS)
    assert (answer.headers.get("access-control-allow-origin") in (asking, "*")) is allowed


def test_a_stop_waits_for_longer_than_what_is_stopped_gives_its_work() -> None:
    server = DRAIN_SECONDS + infra.serving.CLOSE_SECONDS
    broker = DRAIN_SECONDS + infra.broker.broker.WRITE_RESULTS_SECONDS
    assert max(server, broker) < infra.local.stack.STOP_SECONDS
