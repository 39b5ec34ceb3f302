"""Every socket that the whole stack listens on, found by looking, is named here, with what a stranger gets there; any other fails.

A stranger is another user of this machine, and a web page that somebody has open here: neither has a password, a token or a certificate.
"""

import asyncio
import contextlib
import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.certificates import ensure_certificate
from infra.local.grpc import Peer, text_field
from infra.local.ports import free_port_block
from tests.infra.local.test_serve import PATIENCE_SECONDS, Serve, health, open_files, until

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
PATHS = (
    *("/", "/ui/index.html", "/status", "/stats/disk", "/metrics", "/debug/pprof/", "/healthz", "/readyz", "/health", "/docs", "/login"),
    *("/col/delete?collection=docuvault", "/collection/info?collection=docuvault", "/vol/grow?count=1", "/vol/vacuum", "/vol/status"),
    *("/dir/assign", "/dir/status", "/dir/lookup?volumeId=1", "/submit", "/cluster/status", "/cluster/healthz", "/raft/stats"),
    *("/1,01637037d6", "/2,01637037d6?type=replicate", "/delete?volumeId=1", "/admin/assign_volume?volume=9", "/api/cluster/topology"),
    *("/buckets/", "/buckets/docuvault/", "/buckets/docuvault/?recursive=true", "/etc/seaweedfs/filer.conf", "/.tus/", "/topics/"),
    *("/docuvault", "/docuvault/", "/docuvault/{key}", "/docuvault/?delete", "/docuvault/planted.txt", "/buckets/docuvault/{key}"),
    *("/api/account", "/api/documents", "/api/documents/{document}", "/object_created", "/extract_document", "/functions/send_email"),
)
"""What does or tells something in any of these programs."""
STRANGERS: dict[str, dict[str, str]] = {
    "another user": {},
    "a foreign host": {"host": "evil.example"},
    "a page of another site": {"origin": "http://evil.example", "sec-fetch-site": "cross-site", "content-type": "text/plain"},
}
READING = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class Http:
    """A port that speaks HTTP; `gets` are the paths that respond with success to a stranger's GET or HEAD, and why that is no harm."""

    gets: dict[str, str] = field(default_factory=dict)
    any_method: frozenset[str] = frozenset()
    """Those of them that take every method for a GET."""
    pages_read: bool = False
    """Whether pages of other sites are let read the response."""


@dataclass(frozen=True)
class Closed:
    """Nothing: `by` says what is asked for."""

    by: str


SOCKETS: dict[str, Http | Closed] = {
    "gateway": Http(
        {
            "/": "the console's page",
            "/admin/assign_volume?volume=9": "the same: the address of a screen, whatever its name",
            "/docs": "the description of the API",
            "/health": "whether services answer, in words that give nothing away",
            "/metrics": "counts, unless METRICS_TOKEN is set",
        }
    ),
    "worker": Http({"/health": "the same", "/metrics": "the same"}, any_method=frozenset({"/health", "/metrics"})),
    "store": Http({"/status": "that it runs", "/healthz": "that it runs", "/readyz": "that it runs"}, pages_read=True),
    "store, master": Http(
        {
            "/": "how many volumes there are",
            "/ui/index.html": "the same",
            "/healthz": "that it runs",
            "/readyz": "that it runs",
            "/cluster/status": "that it leads",
            "/cluster/healthz": "that it leads",
            "/raft/stats": "that it leads",
        },
        any_method=frozenset({"/", "/ui/index.html", "/cluster/status", "/cluster/healthz", "/raft/stats"}),
    ),
    "store, volumes": Http(
        {"/status": "where the data is, free space and the sizes of volumes", "/healthz": "that it runs", "/readyz": "that it runs"},
        any_method=frozenset({"/status", "/healthz", "/readyz"}),
        pages_read=True,
    ),
    "store, filer": Http(),
    "store, admin": Http({"/health": "that it runs", "/metrics": "counters of requests"}, any_method=frozenset({"/health", "/metrics"})),
    "store, gRPC": Closed("a certificate of the data folder"),
    "store, gRPC of master": Closed("a certificate of the data folder"),
    "store, gRPC of volumes": Closed("a certificate of the data folder"),
    "store, gRPC of filer": Closed("a certificate of the data folder"),
    "store, gRPC of admin": Closed("a certificate of the data folder"),
    "valkey": Closed("a password"),
    "postgresql, socket": Closed("the user"),
    "store, socket": Closed("the user"),
    "store, socket of filer": Closed("the user"),
    "store, gRPC socket": Closed("the user"),
}
STRANGER_UID = 54_321


@dataclass
class Stack:
    """A running one, with a document in it."""

    serve: Serve
    http: httpx.Client
    document: str
    content: bytes
    key: str
    secrets: list[bytes]

    @property
    def settings(self) -> dict[str, str]:
        lines = (self.serve.data_dir / "settings.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    def names(self) -> dict[tuple[str, str], str]:
        """Which socket is which: (`tcp`, port) or (`unix`, pattern)."""
        store, worker = int(self.settings["STORE_PORT"]), self.serve.child("infra.worker")
        environ = dict(pair.split("=", 1) for pair in Path(f"/proc/{worker}/environ").read_text().split("\0") if "=" in pair)
        ports = {"gateway": self.serve.port, "worker": int(environ["WORKER_PORT"]), "valkey": int(self.settings["VALKEY_PORT"])}
        for offset, part in enumerate(("", " master", " volumes", " filer", " admin")):
            ports[f"store,{part}" if part else "store"] = store + offset
            ports[f"store, gRPC of{part}" if part else "store, gRPC"] = store + offset + 10_000
        folder = re.escape(str(self.serve.data_dir))
        return {("tcp", str(port)): name for name, port in ports.items()} | {
            ("unix", rf"{folder}/postgresql/socket/\.s\.PGSQL\.5432"): "postgresql, socket",
            ("unix", rf"{folder}/seaweedfs/sockets/s3\.sock"): "store, socket",
            ("unix", rf"{folder}/seaweedfs/sockets/filer\.sock"): "store, socket of filer",
            ("unix", rf"/tmp/seaweedfs-(s3|master|volume|filer|admin)-grpc-{store // 10}.*\.sock|/tmp/seaweedfs-\w+-grpc-\d+\.sock"): (
                "store, gRPC socket"
            ),
        }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    serve = Serve(tmp_path_factory.mktemp("serve") / "data", free_port_block(1)).ready()
    account = {"email": "somebody@example.org", "password": "correct horse battery staple"}
    with httpx.Client(base_url=f"http://127.0.0.1:{serve.port}", timeout=PATIENCE_SECONDS) as http:
        http.post("/api/auth/register", json=account).raise_for_status()
        token = http.post("/api/auth/login", json=account).raise_for_status().json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        content = b"A secret that only its owner reads: marzipan."
        reserved = http.post("/api/documents", json={"filename": "a.txt", "size": len(content), "content_type": "text/plain"})
        upload = reserved.raise_for_status().json()
        url = httpx.URL(upload["upload"]["url"])
        httpx.put(url, content=content, headers=upload["upload"]["headers"]).raise_for_status()
        document = upload["document"]["id"]
        # Read, so that whatever reads documents has been started, too.
        until(lambda: http.get(f"/api/documents/{document}").json()["status"] == "ready", "the document is ready")
        lines = (serve.data_dir / "settings.env").read_text().splitlines()
        secrets = [line.split("=", 1)[1].encode() for line in lines if "KEY=" in line or "PASSWORD=" in line]
        yield Stack(serve, http, document, content, url.path.removeprefix("/docuvault/"), [*secrets, b"marzipan", token.encode()])
    serve.stop()


def descendants(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from descendants(int(child))


def listening(root: int) -> set[tuple[str, str]]:
    """Sockets on which any process of the tree takes connections or datagrams: (`tcp`, port), (`udp`, port), (`unix`, path)."""
    owners: dict[str, int] = {}
    for pid in descendants(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            owners |= {name[8:-1]: pid for name in open_files(pid) if name.startswith("socket:[")}
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            address, _, port = words[1].partition(":")
            if words[9] in owners and (words[3] == "0A" or table.startswith("udp")):
                assert address == "0100007F", f"{line} is open to other machines"
                found.add((table, str(int(port, 16))))
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split(None, 7)
        if words[6] in owners and words[3] == "00010000":
            path = words[7] if len(words) > 7 else ""
            folder = Path(os.readlink(f"/proc/{owners[words[6]]}/cwd"))
            found.add(("unix", path if path.startswith("@") else str(folder / path)))
    return found


def named(stack: Stack) -> dict[tuple[str, str], str]:
    """Each socket there is, with its name in the table."""
    names, found = stack.names(), {}
    for kind, place in listening(stack.serve.process.pid):
        name = next((name for (of, pattern), name in names.items() if of == kind and re.fullmatch(pattern, place)), None)
        assert name is not None, f"{kind} {place} is open, and this test does not say what a stranger gets there"
        found[kind, place] = name
    return found


def test_every_socket_is_named(stack: Stack) -> None:
    assert set(named(stack).values()) == set(SOCKETS)


def unharmed(stack: Stack) -> None:
    """The bucket and the document are there, and all is well."""
    told = stack.http.get(f"/api/documents/{stack.document}/download").raise_for_status().json()
    assert httpx.get(told["url"], timeout=PATIENCE_SECONDS).content == stack.content
    until(lambda: (health(stack.serve.port) or {}).get("status") == "ok", "all is well")


def http_sockets() -> list[str]:
    return [name for name, gives in SOCKETS.items() if isinstance(gives, Http)]


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("name", http_sockets())
def test_a_stranger_changes_and_reads_nothing_by_http(stack: Stack, name: str, stranger: str) -> None:
    gives = SOCKETS[name]
    assert isinstance(gives, Http)
    port = next(place for (_, place), known in named(stack).items() if known == name)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=STRANGERS[stranger], timeout=PATIENCE_SECONDS) as http:
        for template in PATHS:
            path = template.format(key=stack.key, document=stack.document)
            for method in METHODS:
                try:
                    response = http.request(method, path, content=b"planted" if method in ("POST", "PUT", "PATCH") else None)
                except httpx.RemoteProtocolError:
                    continue  # it hung up on the body, without a word
                said = f"{method} {path} by {stranger}: {response.status_code} {response.content[:200]!r}"
                if response.is_success and method != "OPTIONS":
                    assert template in gives.gets, said
                    assert method in READING or template in gives.any_method, said
                assert response.status_code < 500 or method not in READING, said
                assert gives.pages_read or "access-control-allow-origin" not in response.headers, said
                for secret in stack.secrets:
                    assert secret not in response.content, said
    unharmed(stack)


async def _hears(port: int, sent: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    heard = b""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            try:
                writer.write(sent)
                while more := await reader.read(4096):
                    heard += more
            finally:
                writer.close()
    return heard


@pytest.mark.parametrize("part", ["store, gRPC", *(f"store, gRPC of {part}" for part in ("master", "volumes", "filer", "admin"))])
async def test_a_stranger_gets_no_word_by_grpc(stack: Stack, part: str, tmp_path: Path) -> None:
    port = int(next(place for (_, place), known in named(stack).items() if known == part))
    http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    ensure_certificate(tmp_path / "own.crt", tmp_path / "own.key")
    trusting = ssl.create_default_context(cafile=stack.serve.data_dir / "seaweedfs" / "parts.crt")
    trusting.set_alpn_protocols(["h2"])
    presenting = ssl.create_default_context(cafile=stack.serve.data_dir / "seaweedfs" / "parts.crt")
    presenting.load_cert_chain(tmp_path / "own.crt", tmp_path / "own.key")
    presenting.set_alpn_protocols(["h2"])
    for context in (None, trusting, presenting):
        assert not (await _hears(port, http2, context)).startswith(b"\0")  # no HTTP/2 settings: nobody to talk to
    assert not (await _hears(port, b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n")).startswith(b"HTTP/1.1 2")


async def test_a_stranger_gets_nothing_from_valkey(stack: Stack) -> None:
    port = int(stack.settings["VALKEY_PORT"])
    for command in (b"FLUSHALL", b"CONFIG SET dir /tmp", b"KEYS *", b"EVAL 'return 1' 0", b"SHUTDOWN NOSAVE", b"REPLICAOF evil.example 1"):
        assert (await _hears(port, command + b"\r\nQUIT\r\n")).startswith(b"-NOAUTH"), command
    # What a web page can send: the first line ends it, so that no later one is taken for a command.
    posted = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n\r\nFLUSHALL\r\nSHUTDOWN NOSAVE\r\n"
    assert b"+OK" not in await _hears(port, posted)
    unharmed(stack)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user")
def test_another_user_connects_to_no_unix_socket(stack: Stack) -> None:
    for kind, place in named(stack):
        if kind == "unix":
            assert not place.startswith("@"), f"{place} is open to every user"
            assert not _connects(place), f"another user connects to {place}"
    unharmed(stack)


def _connects(path: str) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setresgid(STRANGER_UID, STRANGER_UID, STRANGER_UID)
            os.setresuid(STRANGER_UID, STRANGER_UID, STRANGER_UID)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
            code = 0
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def test_health_notices_that_documents_cannot_be_read(stack: Stack) -> None:
    """The last one, because it does what no stranger may: it removes every object's bytes, as an operator could by mistake."""
    folder = stack.serve.data_dir / "seaweedfs"
    master = Peer(int(stack.settings["STORE_PORT"]) + 10_001, folder / "parts.crt", folder / "parts.key")
    await master.call("/master_pb.Seaweed/CollectionDelete", text_field(1, "docuvault"), seconds=PATIENCE_SECONDS)

    def told() -> Any:
        checks = (health(stack.serve.port) or {"checks": {"object_store": {"ok": True}}})["checks"]
        return None if checks["object_store"]["ok"] else checks["object_store"]["detail"]

    assert await asyncio.to_thread(until, told, "the health check notices") == "answers, but its objects cannot be read"
