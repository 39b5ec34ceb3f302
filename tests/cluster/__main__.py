"""`python -m tests.cluster [pytest arguments]`: proves infra/knative with a real Kubernetes API server (scripts/cluster-test).

The server is compiled from Kubernetes' own source, with an etcd in the same process, and is kept in `~/.cache/docuvault`; kubectl comes
from a package of PyPI. It has Knative's own types and no controllers: what it takes is stored, and nothing runs.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.local.ports import free_port_block
from infra.minio.build import cache
from tests.infra.knative.source import KNATIVE, NotFetched, go, module
from tests.made_servers import Unprovable, run

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("apiserver") / "main.go"
KUBECTL_LOCK = Path(__file__).with_name("kubectl.lock")
TESTS = "tests/cluster/applied.py"
KUBERNETES = "v1.37.2"
STAGING = KUBERNETES.replace("v1.", "v0.", 1)
"""The version of the modules that Kubernetes' own module expects beside it, in folders that the module proxy does not have."""
BUILD_SECONDS = 7200
START_SECONDS = 120
TOKEN = "only-on-this-machine-while-the-test-runs"


def build() -> Path:
    """The server; compiled now if it has not been. Raises Unprovable, NotFetched."""
    server = cache() / f"kube-apiserver-{KUBERNETES}" / "kube-apiserver"
    if not server.exists():
        print(f"Compiling Kubernetes' API server {KUBERNETES}, once: a quarter of an hour or more.", flush=True)
        staged = re.findall(r"^\t(k8s\.io/[\w-]+) => \./staging", (module(f"k8s.io/kubernetes@{KUBERNETES}") / "go.mod").read_text(), re.M)
        server.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="docuvault-apiserver-") as folder:
            shutil.copy(SOURCE, folder)
            lines = ["module docuvault/apiserver", "go 1.26.0", f"require k8s.io/kubernetes {KUBERNETES}"]
            lines += [f"replace {name} => {name} {STAGING}" for name in staged]
            Path(folder, "go.mod").write_text("\n".join(lines) + "\n")
            started, fresh = time.monotonic(), server.with_suffix(".new")
            environ = os.environ | {"GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
            command: list[str | Path] = ["nice", "-n", "19", go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", fresh, "."]
            run(*command, cwd=folder, env=environ, timeout=BUILD_SECONDS)
            fresh.rename(server)
            print(f"compiled in {time.monotonic() - started:.0f} s", flush=True)
    return server


def kubectl() -> Path:
    """As it is locked, in a folder of its own."""
    folder = cache() / f"kubectl-{KUBECTL_LOCK.read_text().split()[0]}"
    if not (folder / "bin" / "kubectl").exists():
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin" / "python", "-m", "pip", "install", "-q", "--require-hashes", "--no-deps", "-r", KUBECTL_LOCK)
    return folder / "bin" / "kubectl"


@contextmanager
def running(server: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server of this run alone, on this machine alone; a kubeconfig for it lies in the folder."""
    port = free_port_block(3)
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "accounts.key").write_bytes(key)
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
    (folder / "tokens.csv").chmod(0o600)
    etcd = [str(folder / "etcd"), f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"]
    flags = {
        "bind-address": "127.0.0.1",
        "secure-port": port + 2,
        "cert-dir": folder / "certificates",
        "token-auth-file": folder / "tokens.csv",
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": folder / "accounts.key",
        "service-account-signing-key-file": folder / "accounts.key",
        "service-cluster-ip-range": "10.96.0.0/16",
        "endpoint-reconciler-type": "none",
    }
    (folder / "kubeconfig").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
        f"clusters: [{{name: test, cluster: {{server: 'https://127.0.0.1:{port + 2}', insecure-skip-tls-verify: true}}}}]\n"
        f"users: [{{name: admin, user: {{token: {TOKEN}}}}}]\ncontexts: [{{name: test, context: {{cluster: test, user: admin}}}}]\n"
    )
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen([server, *etcd, *(f"--{name}={value}" for name, value in flags.items())], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_ready(process: subprocess.Popen[bytes], program: Path, log: Path) -> None:
    """Returns once it serves. Raises Unprovable."""
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run([program, "get", "--raw", "/readyz"], capture_output=True, check=False).returncode != 0:
        if process.poll() is not None:
            raise Unprovable(f"the API server ended with {process.returncode}: {log.read_text()[-1500:]}")
        if time.monotonic() > deadline:
            raise Unprovable(f"the API server is not ready after {START_SECONDS} s: {log.read_text()[-1500:]}")
        time.sleep(0.2)


def add_knative(program: Path) -> None:
    """Its types, and the ConfigMap that docs/knative.md changes."""
    source = module(KNATIVE) / "config" / "core"
    run(program, "apply", "--server-side", "-f", source / "300-resources")
    run(program, "wait", "--for=condition=Established", "--timeout=60s", "-f", source / "300-resources")
    for namespace in ("knative-serving", "kourier-system"):
        run(program, "create", "namespace", namespace)
    run(program, "apply", "-f", source / "configmaps" / "defaults.yaml")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended
    folder = Path(tempfile.mkdtemp(prefix="docuvault-cluster-test-"))
    try:
        server, program = build(), kubectl()
        started = time.monotonic()
        with running(server, folder) as process:
            os.environ |= {
                "KUBECONFIG": str(folder / "kubeconfig"),
                "PATH": f"{program.parent}:{os.environ['PATH']}",
                "KUBECACHEDIR": str(folder / "cache"),
            }
            until_ready(process, program, folder / "server.log")
            add_knative(program)
            print(f"an API server with Knative's types: {time.monotonic() - started:.1f} s", flush=True)
            command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *(sys.argv[1:] or [TESTS])]
            return subprocess.run(command, cwd=ROOT, check=False).returncode
    except (Unprovable, NotFetched) as reason:
        print(f"cluster-test: {reason}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
