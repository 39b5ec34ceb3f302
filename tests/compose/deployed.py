"""What holds of the stack that compose.yaml brings up, and of nothing else: run by scripts/compose-test, in this order."""

import asyncio
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import httpx
import pytest

from infra.local.ports import free_port_block
from tests.compose.stack import (
    ENV_FILE,
    LONG_RUNNING,
    PROJECT,
    Container,
    DeployedStack,
    compose,
    containers,
    docker,
    inspected,
    is_healthy,
    logs,
    other_settings,
    plain_environment,
)
from tests.infra.knative.source import go
from tests.infra.test_compose import ALWAYS, ONCE, PROFILES
from tests.system.stack import ROOT, Person, until
from tests.system.test_faults import assert_all_ready_once, upload_many

PROBES = ROOT / "tests" / "extraction" / "probes.py"
DASHBOARD = ROOT / "infra" / "metrics" / "grafana" / "dashboards" / "docuvault.json"
DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text()
FUNCTIONS = sorted(PROFILES["functions"])


@pytest.fixture
async def stack(tmp_path: Path) -> DeployedStack:
    stack = DeployedStack(tmp_path)
    await stack.start()
    return stack


async def works(stack: DeployedStack, word: str) -> None:
    """From an upload to a search hit."""
    person = await stack.person()
    document_id = await person.upload("note.txt", f"a note about the {word} and the heron\n".encode(), "text/plain")
    document = await person.settled(document_id)
    assert document["status"] == "ready", document["error"]
    assert [hit["id"] for hit in await person.search(word)] == [document_id]
    assert (await person.download(document_id)).content.startswith(b"a note")
    await person.close()


def assert_confined(service: str) -> None:
    """It has the rights that it was to have, and no more."""
    [name] = containers(service)
    host = inspected(name)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["Memory"] > 0
    assert 0 < host["PidsLimit"] <= 400
    process = inspected(name)["State"]["Pid"]
    status = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE))
    assert [int(status[kind], 16) for kind in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")] == [0] * 5
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert "0" not in status["Uid"].split()
    refused = docker("exec", name, "sh", "-c", "touch /etc/x /usr/x /x 2>&1; :")
    assert refused.count("Read-only file system") == 3


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_each_container_runs_with_the_rights_that_it_was_to_have(service: str) -> None:
    assert_confined(service)


def test_what_runs_once_has_ended_well() -> None:
    for service in sorted(ALWAYS & ONCE):
        [name] = containers(service)
        assert inspected(name)["State"]["ExitCode"] == 0, logs(name)


def test_only_the_gateway_and_the_store_are_published() -> None:
    published: dict[tuple[str, str], list[str]] = {}
    for service in LONG_RUNNING:
        bindings = inspected(containers(service)[0])["HostConfig"]["PortBindings"]
        published |= {(service, port): [each["HostIp"] for each in hosts] for port, hosts in bindings.items() if hosts}
    assert published == {("gateway", "8080/tcp"): ["127.0.0.1"], ("minio", "9000/tcp"): ["127.0.0.1"]}


def test_what_is_in_the_inner_network_alone_reaches_nothing_outside() -> None:
    for service in ("postgres", "redis", "broker"):
        routes = docker("exec", containers(service)[0], "cat", "/proc/net/route").splitlines()[1:]
        assert "00000000" not in [route.split()[1] for route in routes], f"{service} has a way out"
        assert list(inspected(containers(service)[0])["NetworkSettings"]["Networks"]) == [
            f"{os.environ['DOCUVAULT_COMPOSE_PROJECT']}_inside"
        ]


def test_documents_are_read_in_confinement_inside_the_container_too() -> None:
    [worker] = containers("worker")
    docker("exec", "-i", worker, "sh", "-c", "mkdir -p /tmp/attack && cat > /tmp/attack/probes.py", stdin=PROBES.read_text())
    code = """
import asyncio, json, os, sys
sys.path.insert(0, "/tmp/attack")
from shared.extraction import confinement, sandbox
open("/scratch/secret", "w").write("kept")
open("/scratch/document", "wb").write(b"content")
with open("/scratch/document", "rb", buffering=0) as file:
    tried = asyncio.run(sandbox.run("probes:try_everything", file, {"parent": os.getpid(), "secret": "/scratch/secret"})).value
landlock = confinement.landlock_ruleset([]) is not None
print(json.dumps([tried, landlock, open("/scratch/secret").read(), os.path.exists("/tmp/docuvault-escape")]))
"""
    tried, landlock, secret, escaped = json.loads(docker("exec", "-i", worker, "python", "-", stdin=code))
    assert len(tried) > 45
    assert {name for name, outcome in tried.items() if outcome == "done"} == set()
    assert (secret, escaped) == ("kept", False)
    assert landlock
    assert tried["read a secret"] == tried["read /etc/passwd"] == "EACCES", "by Landlock, which the runtime's seccomp profile lets through"
    docker("exec", worker, "sh", "-c", "rm -r /tmp/attack /scratch/secret /scratch/document")


@pytest.mark.parametrize("service", ["gateway", "worker", "broker"])
async def test_a_program_that_is_killed_is_started_again_by_itself(stack: DeployedStack, service: str) -> None:
    [name] = containers(service)
    before = inspected(name)["State"]["Pid"]
    os.kill(before, signal.SIGKILL)
    await until(lambda: (state := inspected(name)["State"])["Running"] and state["Pid"] not in (0, before), f"{service} is back")
    await until(lambda: Container(service).healthy, f"{service} is healthy")
    await works(stack, f"phoenix{service}")


@pytest.mark.parametrize("service", LONG_RUNNING)
async def test_after_any_service_was_restarted_all_goes_on(stack: DeployedStack, service: str) -> None:
    await Container(service).stop()
    await Container(service).start()
    await works(stack, f"restarted{service}")


async def test_health_tells_the_truth_when_a_service_is_gone(stack: DeployedStack) -> None:
    redis, gateway = Container("redis"), Container("gateway")
    await redis.stop()
    await until(lambda: not gateway.healthy, "the gateway says that something is missing")
    await redis.start()
    await until(lambda: gateway.healthy, "the gateway is healthy again")
    postgres, broker = Container("postgres"), Container("broker")
    await postgres.stop()
    await until(lambda: not broker.healthy, "the broker says that something is missing")
    await postgres.start()
    await until(lambda: broker.healthy, "the broker is healthy again")


async def test_two_workers_and_two_brokers_share_the_work(stack: DeployedStack) -> None:
    compose("up", "-d", "--no-build", "--scale", "worker=2", "--scale", "broker=2")
    try:
        await stack.start()
        assert [len(containers(service)) for service in ("worker", "broker")] == [2, 2]
        for name in [*containers("worker"), *containers("broker")]:
            await until(partial(is_healthy, name), f"{name} is healthy")
        person = await stack.person()
        ids = await upload_many(person, 30)
        await assert_all_ready_once(stack, person, ids)
        handled = {name: logs(name).count("event handled") for name in containers("worker")}
        assert all(handled.values()), f"each has had its share: {handled}"
        # The first of each goes; the second ones carry on.
        for service in ("worker", "broker"):
            await asyncio.to_thread(docker, "stop", "-t", "0", containers(service)[0])
        await works(stack, "survivor")
        await person.close()
    finally:
        compose("up", "-d", "--no-build")


def share_of(times: list[float]) -> str:
    return f"p50 {median(times):.1f} ms, p95 {quantiles(times, n=20)[18]:.1f} ms"


async def seconds_to_a_hit(person: Person, word: str) -> float:
    """From an upload's first request until a search has it."""
    started = time.perf_counter()
    await person.upload("note.txt", f"a note about {word}\n".encode(), "text/plain")
    await until(lambda: person.search(word), f"{word} is found")
    return (time.perf_counter() - started) * 1000


async def test_from_an_upload_to_a_hit_beside_scripts_serve(
    stack: DeployedStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port_block(1)
    command = [str(ROOT / "scripts" / "serve"), "--port", str(port), "--data-dir", str(tmp_path / "serve")]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "HIBP_URL": ""}
    with (tmp_path / "serve.log").open("w") as log:
        serve = subprocess.Popen(command, env=environ, stdout=log, stderr=log)  # noqa: ASYNC220
    beside = Person(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, headers={"user-agent": "docuvault-tests"}))

    try:
        # It says its address once all is ready.
        await until(lambda: f":{port}" in (tmp_path / "serve.log").read_text(), "scripts/serve is ready", 120)
        await beside.sign_in()
        person = await stack.person()
        times: dict[str, list[float]] = {"compose": [], "serve": []}
        for number in range(25):
            times["compose"].append(await seconds_to_a_hit(person, f"egret{number}"))
            times["serve"].append(await seconds_to_a_hit(beside, f"egret{number}"))
        with capsys.disabled():
            print(f"\nfrom an upload to a hit: compose {share_of(times['compose'][5:])}; scripts/serve {share_of(times['serve'][5:])}")
        await person.close()
    finally:
        serve.terminate()
        serve.wait(60)
        await beside.close()


async def timed(client: httpx.AsyncClient, path: str, count: int = 200) -> list[float]:
    for _ in range(20):
        assert (await client.get(path)).status_code == 200
    times = []
    for _ in range(count):
        started = time.perf_counter()
        assert (await client.get(path)).status_code == 200
        times.append((time.perf_counter() - started) * 1000)
    return times


async def test_functions_run_as_services_of_their_own(stack: DeployedStack, capsys: pytest.CaptureFixture[str]) -> None:
    person = await stack.person()
    within = await timed(person.http, "/api/documents")
    await person.close()
    remote = {name.replace("-", "_") for name in FUNCTIONS}
    chosen = {"FUNCTION_URL_TEMPLATE": "http://{service}:8080", "REMOTE_FUNCTIONS": ",".join(sorted(remote))}
    with other_settings("--profile", "functions", **chosen):
        await stack.start()
        for service in FUNCTIONS:
            await until(partial(is_healthy, containers(service)[0]), f"{service} is healthy")
        await works(stack, "serverless")
        done = logs(containers("worker")[0])
        assert "object_created" in done
        assert "extract_document" not in done, "it is a service of its own"
        person = await stack.person()
        elsewhere = await timed(person.http, "/api/documents")
        # One of them dies in the middle: its requests are 503, its events are delivered again.
        await Container("create-upload").kill()
        refused = await person.http.post("/api/documents", json={"filename": "a.txt", "size": 1, "content_type": "text/plain"})
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert (await person.http.get("/api/documents")).status_code == 200
        await Container("create-upload").start()
        await Container("extract-document").kill()
        document_id = await person.upload("late.txt", b"a late note\n", "text/plain")
        await Container("extract-document").start()
        assert (await person.settled(document_id, seconds=150))["status"] == "ready"
        await person.close()
    with capsys.disabled():
        print(f"\nlist_documents in the gateway: {share_of(within)}; as a service of its own: {share_of(elsewhere)}")
        added = median(elsewhere) - median(within), quantiles(elsewhere, n=20)[18] - quantiles(within, n=20)[18]
        print(f"added: p50 {added[0]:.1f} ms, p95 {added[1]:.1f} ms")


MAIL = {"SMTP_HOST": "mail", "SMTP_PORT": "1025", "SMTP_CA_FILE": "/mail-certificate/mail.pem"}
"""As docs/deployment.md has it for the profile `mail`."""


async def caught(catcher: httpx.AsyncClient, to: str, word: str) -> str:
    """The text of a mail to somebody, once the catcher has one with this word."""

    async def found() -> str:
        for message in (await catcher.get("/api/v1/messages")).json()["messages"]:
            if [each["Address"] for each in message["To"]] == [to]:
                text = str((await catcher.get(f"/api/v1/message/{message['ID']}")).json()["Text"])
                if word in text:
                    return text
        return ""

    return str(await until(found, f"a mail to {to} with {word}", 150))


async def test_mails_go_by_tls_to_the_catcher_whose_page_is_on_this_machine(stack: DeployedStack) -> None:
    assert all(f"`{name}={value}`" in DEPLOYMENT for name, value in MAIL.items())
    with other_settings("-f", str(ROOT / "compose.local.yaml"), "--profile", "mail", **MAIL):
        await stack.start()
        await until(lambda: Container("mail").healthy, "the catcher is healthy")
        assert_confined("mail")
        person = await stack.person()
        async with httpx.AsyncClient(base_url="http://127.0.0.1:8025", timeout=30) as catcher:
            assert stack.url in await caught(catcher, person.email, stack.url), "a welcome"
            # It goes away, and comes back: the mail that was asked for meanwhile comes, too.
            await Container("mail").kill()
            asked = await person.http.post("/api/auth/password/forgot", json={"email": person.email})
            assert asked.status_code == 202, asked.text
            await until(lambda: "send_email" in logs(containers("broker")[0]), "it was tried in vain")
            await Container("mail").start()
            letter = await caught(catcher, person.email, "reset-password?token=")
        token = re.search(r"reset-password\?token=([\w.~%-]+)", letter)
        assert token is not None, letter
        body = {"token": token[1], "new_password": "a new one, by mail, of some length"}
        assert (await person.http.post("/api/auth/password/reset", json=body)).status_code == 204
        again = await person.http.post("/api/auth/login", json={"email": person.email, "password": body["new_password"]})
        assert again.status_code == 200, again.text
        await person.close()


async def test_prometheus_asks_every_gateway_and_worker_and_each_panel_shows_something(stack: DeployedStack) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    with other_settings("--profile", "metrics", services=["prometheus", "worker", "broker"]):
        await stack.start()
        prometheus = Container("prometheus")
        await until(lambda: prometheus.healthy, "Prometheus is healthy")
        assert_confined("prometheus")
        assert (await httpx.AsyncClient().get(f"{stack.url}/metrics")).status_code == 401, "it has the token, strangers have not"
        await works(stack, "measured")
        async with httpx.AsyncClient(base_url=f"http://{prometheus.address}:9090", timeout=30) as client:

            async def asked() -> bool:
                targets = (await client.get("/api/v1/targets")).json()["data"]["activeTargets"]
                health = {(target["scrapeUrl"].rpartition(":")[2], target["health"], target["lastError"]) for target in targets}
                return health == {("8080/metrics", "up", ""), ("8081/metrics", "up", "")}

            await until(asked, "both are asked, and tell", 90)
            for panel in panels:
                for target in panel["targets"]:
                    query = target["expr"].replace("$__rate_interval", "1m")

                    async def shown(query: str = query) -> bool:
                        answer = (await client.get("/api/v1/query", params={"query": query})).json()
                        assert answer["status"] == "success", answer
                        return bool(answer["data"]["result"])

                    await until(shown, f"{panel['title']}: {query}", 120)


def test_the_dashboard_is_one_by_grafana_s_own_types(tmp_path: Path) -> None:
    def decoded(dashboard: Path) -> subprocess.CompletedProcess[str]:
        command = [go(), "run", ".", str(dashboard)]
        return subprocess.run(command, cwd=Path(__file__).with_name("dashboard"), capture_output=True, text=True, check=False, timeout=300)

    done = decoded(DASHBOARD)
    assert done.returncode == 0, done.stderr
    (tmp_path / "misspelt.json").write_text(DASHBOARD.read_text().replace('"gridPos"', '"gridPoss"', 1))
    assert "gridPoss" in decoded(tmp_path / "misspelt.json").stderr


def snippet(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DEPLOYMENT, re.DOTALL)
    assert found is not None
    return found[1]


@contextmanager
def proxy(name: str, folder: Path, vault: int, objects: int) -> Iterator[None]:
    """The proxy as docs/deployment.md shows it, on two ports of this machine, with a certificate of its own."""
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=x"
    named = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*made.split(), *named], cwd=folder, check=True, capture_output=True)
    os.chmod(folder, 0o755)
    text = (
        snippet({"nginx": "nginx", "caddy": "caddyfile"}[name])
        .replace("vault.example.org", "localhost")
        .replace("objects.example.org", "localhost")
    )
    if name == "nginx":
        text = re.sub(r"/etc/letsencrypt/live/[\w.]+/fullchain.pem", f"{folder}/cert.pem", text)
        text = re.sub(r"/etc/letsencrypt/live/[\w.]+/privkey.pem", f"{folder}/key.pem", text)
        for port in (vault, objects):
            text = text.replace("listen 443", f"listen 127.0.0.1:{port}", 1)
        places = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        whole = f"daemon off; pid {folder}/pid; error_log {folder}/errors; events {{}} http {{ access_log off; {places}\n{text} }}"
        (folder / "nginx.conf").write_text(whole)
        command = ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    else:
        certificate = f"\n\tbind 127.0.0.1\n\ttls {folder}/cert.pem {folder}/key.pem\n"
        for port in (vault, objects):
            text = text.replace("localhost {", f"localhost:{port} {{{certificate}", 1)
        (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{text}")
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with (folder / "proxy.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder)})
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("name", ["nginx", "caddy"])
async def test_behind_tls_uploads_and_events_stream(stack: DeployedStack, tmp_path: Path, name: str) -> None:
    vault = free_port_block(2)
    addresses = {
        "BACKEND_URL": f"https://localhost:{vault}",
        "FRONTEND_URL": f"https://localhost:{vault}",
        "MINIO_PUBLIC_ENDPOINT": f"https://localhost:{vault + 1}",
    }
    with other_settings(**addresses), proxy(name, tmp_path, vault, vault + 1):
        trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        person = Person(
            httpx.AsyncClient(base_url=addresses["BACKEND_URL"], timeout=30, verify=trust, headers={"user-agent": "docuvault-tests"}),
            httpx.AsyncClient(timeout=60, verify=trust),
        )

        async def answers() -> bool:
            try:
                return bool((await person.http.get("/health")).json()["status"] == "ok")
            except (httpx.TransportError, ValueError):
                return False

        await until(answers, f"the vault answers behind {name}: {(tmp_path / 'proxy.log').read_text()[-500:]}")
        await person.sign_in()
        seen: list[str] = []
        async with person.http.stream("GET", "/api/documents/events") as events:
            document_id = await person.upload("note.txt", b"a note about the egret\n", "text/plain")
            async for line in events.aiter_lines():
                if line.startswith("data:") and document_id in line:
                    seen.append(line)
                    if '"status":"ready"' in line:
                        break
        assert len(seen) >= 2, "event by event, not all at the end"
        assert [hit["id"] for hit in await person.search("egret")] == [document_id]
        assert (await person.download(document_id)).content == b"a note about the egret\n"
        large = os.urandom(1).hex().encode() * 6 * 2**20

        async def slowly() -> AsyncIterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.txt"\r\nContent-Type: text/plain\r\n\r\n'
            yield large
            yield b"\r\n--b--\r\n"

        form = await person.http.post(
            "/api/documents/upload", content=slowly(), headers={"content-type": "multipart/form-data; boundary=b"}
        )
        assert form.status_code == 201, form.text
        sessions = (await person.http.get("/api/auth/sessions")).json()["items"]
        assert sessions
        assert all(session["ip"].startswith("127.") for session in sessions), "the visitor's address, not the proxy's"
        await person.close()


def commands(containing: str) -> str:
    """The one block of commands of the page that has this in it."""
    [block] = [block for block in re.findall(r"```sh\n(.*?)```", DEPLOYMENT, re.DOTALL) if containing in block]
    return str(block)


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout with nothing in it that git does not have, on a machine where no DocuVault runs."""
    clone = tmp_path / "docuvault"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")):
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    compose("down", "-t", "5")
    monkeypatch.setenv(ENV_FILE, str(clone / ".env"))
    monkeypatch.setenv(PROJECT, "docuvault")
    yield clone
    types_in(clone, "docker compose --profile '*' down -v -t 5")
    monkeypatch.undo()
    compose("up", "-d", "--no-build")


def types_in(folder: Path, text: str) -> str:
    """What a person sees who types this there."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return done.stdout


async def test_the_page_is_followed_from_a_clean_checkout_to_a_restored_vault(newcomer: Path, tmp_path: Path) -> None:
    first = commands("git clone").replace("git clone … docuvault && cd docuvault\n", "")
    assert first.startswith("./scripts/make-env")
    make, _, rest = first.partition("\n")
    types_in(newcomer, make)
    settings_file = newcomer / ".env"
    assert settings_file.stat().st_mode & 0o777 == 0o600
    settings_file.write_text(settings_file.read_text().replace("HIBP_URL=https://api.pwnedpasswords.com", "HIBP_URL="))  # no network here
    up, _, rest = rest.partition("\n")
    types_in(newcomer, up)
    for service in LONG_RUNNING:
        await until(partial(lambda service: Container(service).healthy, service), f"{service} is healthy")
    assert '"status":"ok"' in types_in(newcomer, rest)
    stack = DeployedStack(tmp_path)
    person = await stack.person()
    document_id = await person.upload("kept.txt", b"a note about the avocet, which is kept\n", "text/plain")
    assert (await person.settled(document_id))["status"] == "ready"

    types_in(newcomer, commands("pg_dump"))
    assert (newcomer / "docuvault.dump").stat().st_size > 10_000

    # A database role's password changes.
    settings_file.write_text(re.sub(r"(docuvault_app:)\w+@", r"\1another0password@", settings_file.read_text()))
    types_in(newcomer, commands("10-roles.sh"))
    await until(lambda: Container("gateway").healthy, "the gateway has the new password")
    await works(stack, "passworded")

    types_in(newcomer, commands("--scale"))
    assert [len(containers(service)) for service in ("worker", "broker")] == [3, 2]
    await works(stack, "scaled")
    # There is no registry to pull from, and no network to build with.
    upgrade = commands("git pull").replace("git pull && docker compose pull postgres redis minio && ", "").replace(" --build", "")
    assert upgrade == "docker compose up -d\n"
    types_in(newcomer, upgrade)
    await works(stack, "upgraded")
    assert "event handled" in types_in(newcomer, "docker compose logs worker 2>&1")

    # The secret from a file, as the page's override has it.
    [override] = [block for block in re.findall(r"```yaml\n(.*?)```", DEPLOYMENT, re.DOTALL) if "smtp_password" in block]
    (newcomer / "compose.override.yaml").write_text(override)
    (newcomer / "smtp-password.txt").write_text("a secret in a file\n")
    types_in(newcomer, "docker compose up -d")
    await until(lambda: Container("worker").healthy, "the worker reads a secret from a file")
    assert docker("exec", containers("worker")[0], "cat", "/run/secrets/smtp_password") == "a secret in a file"
    (newcomer / "compose.override.yaml").unlink()

    # Everything is lost but the backup and the settings.
    types_in(newcomer, "docker compose down -v -t 5")
    types_in(newcomer, commands("pg_restore"))
    await until(lambda: Container("gateway").healthy, "the restored vault is healthy")
    signed_in = await person.http.post("/api/auth/login", json={"email": person.email, "password": person.password})
    assert signed_in.status_code == 200, signed_in.text
    person.http.headers["authorization"] = f"Bearer {signed_in.json()['access_token']}"
    assert [hit["id"] for hit in await person.search("avocet")] == [document_id]
    assert (await person.download(document_id)).content == b"a note about the avocet, which is kept\n"
    await works(stack, "restored")
    await person.close()
