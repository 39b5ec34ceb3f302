"""compose.yaml, .env.example and scripts/make-env, as they stand: no container runs here (scripts/compose-test runs them)."""

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.functions import ROOT, event_functions, http_functions
from infra.images import healthy
from infra.knative.manifests import BROKER_GROUPS
from infra.notification_list import LIST
from shared.config import GROUP_OF, GROUPS, Settings, read_settings
from shared.time_budgets import DRAIN_SECONDS

TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text()
CONTAINERFILE = (ROOT / "infra" / "images" / "Containerfile").read_text()

ALWAYS = {"postgres", "redis", "volumes", "minio", "migrate", "bucket", "gateway", "worker", "broker"}
PROFILES = {
    "functions": {"create-upload", "list-documents", "extract-document", "send-email"},
    "ollama": {"ollama"},
    "mail": {"mail", "mail-certificate"},
    "metrics": {"prometheus", "grafana"},
}
ONCE = {"volumes", "migrate", "bucket", "mail-certificate"}
OURS = {"volumes", "migrate", "bucket", "gateway", "worker", "broker", "mail-certificate", *PROFILES["functions"]}

COMPOSE_ONLY = {
    "POSTGRES_PASSWORD", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD", "PUBLISH_ADDRESS", "GATEWAY_PORT",
    "STORE_PORT", "OUTSIDE_SUBNET", "COMPOSE_PROFILES", "DOCUVAULT_IMAGE", "POSTGRES_IMAGE", "REDIS_IMAGE", "MINIO_IMAGE", "GATEWAY_MEMORY",
    "WORKER_MEMORY", "POSTGRES_MEMORY", "MINIO_MEMORY", "OLLAMA_MEMORY",
}  # fmt: skip
SEED = {
    "DATABASE_URL", "DATABASE_MIGRATE_URL", "REDIS_URL", "SECRET_KEY", "CLOUD_CREDS_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD",
    "CORS_ORIGINS", "FRONTEND_URL", "BACKEND_URL", "MINIO_ENDPOINT", "SMTP_HOST", "GOOGLE_CLIENT_ID", "ONEDRIVE_CLIENT_ID", "ADMIN_EMAIL",
    "DEFAULT_AI_PROVIDER",
}  # fmt: skip
OWN = {"WORKER_URL", "WORKER_HOST", "WORKER_PORT", "BROKER_HEARTBEAT"}
"""Settings that compose.yaml itself gives its containers."""


def in_example() -> dict[str, str]:
    """Each variable of .env.example with its value, commented out or not."""
    return dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))


def interpolated(text: str) -> set[str]:
    return set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text))


def by_name(name: str) -> dict[str, Any]:
    return SERVICES[name]


def test_services_and_profiles_are_those_that_are_promised() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == ALWAYS
    for profile, names in PROFILES.items():
        assert {name for name, service in SERVICES.items() if service.get("profiles") == [profile]} == names
    assert set(SERVICES) == ALWAYS.union(*PROFILES.values())


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_has_no_more_rights_and_means_than_it_needs(name: str) -> None:
    service = by_name(name)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["mem_limit"]
    assert 0 < service["pids_limit"] <= 400
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    if name in ("volumes", "mail-certificate"):
        # They give volumes to their owners, which only root can, and reach nothing else.
        assert (service["user"], service["network_mode"]) == ("0:0", "none")
    else:
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
        assert "cap_add" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_says_whether_it_is_well_and_is_started_again(name: str) -> None:
    service = by_name(name)
    if name in ONCE:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries", "start_period", "start_interval"} <= set(check)


def test_what_lasts_is_in_volumes_and_no_other_service_writes_there() -> None:
    users: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if source.startswith("."):
                assert volume.endswith(":ro,z"), volume
                assert (ROOT / source).exists(), volume
            else:
                users.setdefault(source, set()).add(name)
                assert target.startswith("/")
    assert set(users) == set(COMPOSE["volumes"])
    assert users["postgres-data"] == {"postgres"}
    assert users["minio-data"] == {"volumes", "minio"}
    assert users["scratch"] == {"worker", "extract-document"}
    readers = users["mail-certificate"] - {"mail-certificate"}
    assert readers == {"mail"} | {name for name in SERVICES if "SMTP_CA_FILE" in by_name(name).get("environment", {})}
    for name in readers:
        assert "mail-certificate:/mail-certificate:ro" in by_name(name)["volumes"]


def test_only_the_gateway_and_the_store_are_published_and_on_this_machine_alone_unless_one_says_so() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "gateway": ["${PUBLISH_ADDRESS:-127.0.0.1}:${GATEWAY_PORT:-8080}:8080"],
        "minio": ["${PUBLISH_ADDRESS:-127.0.0.1}:${STORE_PORT:-9000}:9000"],
    }
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis", "broker", "migrate", "bucket"):
        assert by_name(name)["networks"] == ["inside"]
    pages = yaml.safe_load((ROOT / "compose.local.yaml").read_text())["services"]
    assert all(port.startswith("127.0.0.1:") for page in pages.values() for port in page["ports"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_networks_or_none_at_all(name: str) -> None:
    # Compose refuses the whole file if a service has both.
    assert ("networks" in by_name(name)) != ("network_mode" in by_name(name))


def test_no_secret_stands_in_it_and_none_has_a_default() -> None:
    secrets = {name.upper() for name, field in Settings.model_fields.items() if not field.repr}
    secrets |= {"POSTGRES_PASSWORD", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD"}
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if variable in secrets or re.search("PASSWORD|SECRET|TOKEN", variable):
                assert re.fullmatch(r"\$\{\w+:(-|\?run \./scripts/make-env first)\}", str(value)) or "oauth2" in value, (name, variable)
    for name in secrets & set(in_example()):
        assert in_example()[name] == "" or "_PASSWORD" in in_example()[name], name


def test_images_are_pinned() -> None:
    images = {re.sub(r"\$\{\w+:-(.*)\}", r"\1", service["image"]) for service in SERVICES.values()}
    for image in images:
        name, _, tag = image.rpartition(":")
        assert name, image
        assert tag != "latest", image
        assert "." in name.partition("/")[0] or name == "docuvault", f"{image}: Podman asks which registry"
    project = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project is not None
    assert f"docuvault:{project[1]}" in images
    assert {"docker.io/library/postgres:17", "docker.io/library/redis:7-alpine"} <= images
    assert re.search(r"^ARG PYTHON_IMAGE=docker\.io/library/python:3\.\d+-slim-\w+$", CONTAINERFILE, re.MULTILINE)


def test_what_starts_after_what() -> None:
    def after(name: str) -> dict[str, str]:
        return {other: condition["condition"] for other, condition in by_name(name).get("depends_on", {}).items()}

    assert after("migrate") == {"postgres": "service_healthy"}
    assert after("bucket") == {"minio": "service_healthy"}
    assert after("minio") == {"volumes": "service_completed_successfully", "redis": "service_healthy"}
    for name in ("gateway", "worker", "broker", *PROFILES["functions"]):
        assert after(name) == {
            "migrate": "service_completed_successfully",
            "bucket": "service_completed_successfully",
            "redis": "service_healthy",
        }


def test_a_container_is_given_the_time_to_finish_what_is_under_way() -> None:
    for name in OURS - ONCE | {"migrate", "bucket"}:
        assert int(by_name(name)["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS


def test_one_service_builds_the_image_that_all_of_ours_run() -> None:
    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]
    assert {by_name(name)["image"] for name in OURS} == {by_name("migrate")["image"]}
    for name in ("gateway", "worker", "broker", "migrate", "bucket"):
        assert by_name(name)["command"] == [name]
    for name in PROFILES["functions"]:
        assert by_name(name)["environment"]["FUNCTION_TARGET"] == name.replace("-", "_")
    declared = {function.service for function in http_functions()} | {function.service for function in event_functions()}
    assert declared >= PROFILES["functions"]
    assert "{service}:8080" in in_example()["FUNCTION_URL_TEMPLATE"]
    assert set(in_example()["REMOTE_FUNCTIONS"].split(",")) == {name.replace("-", "_") for name in PROFILES["functions"]}


def test_the_store_announces_what_is_put_on_the_list_that_brokers_read_and_lets_the_frontend_use_it() -> None:
    store = by_name("minio")["environment"]
    assert store["MINIO_NOTIFY_REDIS_KEY_DOCUVAULT"] == LIST
    assert store["MINIO_API_CORS_ALLOW_ORIGIN"].startswith("${FRONTEND_URL:?")


def test_each_setting_is_in_the_example_and_nothing_else() -> None:
    """A new setting of shared/config.py belongs in .env.example, with a comment, and in compose.yaml's x-settings."""
    known = {name.upper() for name in Settings.model_fields} | COMPOSE_ONLY
    assert set(in_example()) | OWN == known
    assert all(name in EXAMPLE for name in OWN)
    assert set(in_example()) >= SEED


def test_each_setting_reaches_the_containers_and_each_variable_is_in_the_example() -> None:
    given = COMPOSE["x-settings"] | COMPOSE["x-mail-settings"]
    assert set(given) == {name.upper() for name in Settings.model_fields} - {"DATABASE_MIGRATE_URL"} - OWN | {
        "WORKER_URL",
        "SETTINGS_GROUPS",
    }
    assert all(f"${{{name}" in value for name, value in given.items() if name not in ("WORKER_URL", "SETTINGS_GROUPS"))
    assert interpolated(TEXT) - set(in_example()) == set()
    assert set(in_example()) - interpolated(TEXT) == {"COMPOSE_PROFILES"}
    assert given["HIBP_URL"].startswith("${HIBP_URL-"), "empty switches the check off"


def groups_of(name: str) -> set[str]:
    return set(by_name(name)["environment"]["SETTINGS_GROUPS"].split(","))


def test_each_container_has_the_settings_of_its_groups_and_brokers_no_more_than_they_need() -> None:
    every = GROUPS.keys() - {"migrations"}
    assert groups_of("broker") == BROKER_GROUPS
    assert groups_of("worker") == every
    assert groups_of("send-email") == {"database", "keys", "mail", "sealing"}
    for name in ("gateway", "create-upload", "list-documents", "extract-document"):
        assert groups_of(name) == every - {"mail"}
    for name in ("broker", "gateway", "worker", *PROFILES["functions"]):
        given = {variable.lower() for variable in by_name(name)["environment"]}
        assert {setting for setting, group in GROUP_OF.items() if group in groups_of(name)} <= given
        assert {setting for setting in Settings.model_fields.keys() - GROUP_OF.keys() if setting.upper() not in OWN} <= given
    kept = {variable.lower() for variable in by_name("broker")["environment"]} & GROUP_OF.keys()
    assert {GROUP_OF[name] for name in kept} == BROKER_GROUPS


def test_each_default_in_the_example_is_the_one_that_holds() -> None:
    shown = {
        name: value
        for name, value in re.findall(r"^# ([A-Z][A-Z0-9_]+)=(.+)$", EXAMPLE, re.MULTILINE)
        if name.lower() in Settings.model_fields
    }
    shown = {name: value for name, value in shown.items() if name not in ("FUNCTION_URL_TEMPLATE", "REMOTE_FUNCTIONS", "SMTP_FROM")}
    example = {name: "x" for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_BUCKET")}
    example |= {"DATABASE_URL": "postgresql://x/x", "MINIO_ENDPOINT": "http://x", "REDIS_URL": "redis://x"}
    example |= {"SECRET_KEY": os.urandom(32).hex(), "CLOUD_CREDS_KEY": os.urandom(32).hex()}
    usual, as_shown = read_settings(example), read_settings(example | shown)
    assert {name: getattr(as_shown, name) for name in Settings.model_fields} == {
        name: getattr(usual, name) for name in Settings.model_fields
    }


def make_env(target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts" / "make-env", target], capture_output=True, text=True, check=False)


def test_make_env_writes_settings_that_hold_for_its_owner_alone(tmp_path: Path) -> None:
    written = [tmp_path / "one.env", tmp_path / "two.env"]
    for target in written:
        made = make_env(target)
        assert made.returncode == 0, made.stderr
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
    one, two = (dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", target.read_text(), re.MULTILINE)) for target in written)
    assert set(one) == set(two)
    assert not [name for name, value in one.items() if not value], "what is required is set"
    secret = {name for name in one if one[name] != two[name]}
    assert secret >= {"SECRET_KEY", "CLOUD_CREDS_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "MINIO_ROOT_USER", "MINIO_SECRET_KEY"}
    settings = read_settings(one)
    assert settings.redis_url == f"redis://:{one['REDIS_PASSWORD']}@redis:6379/0"
    assert len({value for name, value in one.items() if name in secret}) == len(secret)
    assert len(one["MINIO_ACCESS_KEY"]) <= 20
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert required <= set(one)


def test_make_env_never_touches_one_that_is_there(tmp_path: Path) -> None:
    target = tmp_path / ".env"
    target.write_text("SECRET_KEY=precious\n")
    refused = make_env(target)
    assert refused.returncode == 1
    assert "stays as it is" in refused.stderr
    assert target.read_text() == "SECRET_KEY=precious\n"
    nowhere = make_env(tmp_path / "nowhere" / ".env")
    assert (nowhere.returncode, "cannot be written" in nowhere.stderr) == (1, True)


def test_the_image_takes_in_no_more_than_it_runs() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == {"LICENSE", "requirements.lock", "shared", "infra", "functions"}
    assert "infra/local" in ignored
    assert re.search(r"^USER 10001:10001$", CONTAINERFILE, re.MULTILINE)
    assert CONTAINERFILE.count("--require-hashes --no-deps --only-binary :all:") == CONTAINERFILE.count("pip install") == 2
    locked = (ROOT / "infra" / "images" / "sbom.lock").read_text()
    assert "cyclonedx-bom==" in locked
    assert locked.count("--hash=sha256:") > locked.count("==")


def entrypoint(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(ROOT / "infra" / "images" / "entrypoint"), *arguments]
    return subprocess.run(command, env={"PATH": os.environ["PATH"]} | environ, capture_output=True, text=True, check=False)


def test_a_function_that_there_is_not_is_one_sentence() -> None:
    for name in ("no_such_function", "../system/health", "*"):
        refused = entrypoint(FUNCTION_TARGET=name)
        assert refused.returncode == 2
        assert refused.stderr == f"FUNCTION_TARGET: there is no function {name}. Example: FUNCTION_TARGET=create_upload\n"
    assert entrypoint("echo", "a b").stdout == "a b\n"


def test_without_an_argument_the_image_runs_the_gateway(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$*"\n')
    python.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    for arguments, runs in {
        (): "-P -m infra.gateway",
        ("gateway",): "-P -m infra.gateway",
        ("worker", "--functions", "a"): "-P -m infra.worker --functions a",
        ("migrate",): "-P -m infra.postgres.migrate",
        ("bucket",): "-P -m infra.minio.bucket",
    }.items():
        assert entrypoint(*arguments, PATH=path).stdout == f"{runs}\n"


def test_a_broker_is_well_while_its_signs_of_life_are_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beat = tmp_path / "beat"
    monkeypatch.setenv("BROKER_HEARTBEAT", str(beat))
    assert healthy.problem("broker") == "no sign of life yet"
    beat.touch()
    assert healthy.problem("broker") == ""
    os.utime(beat, (0, 0))
    assert "s old" in healthy.problem("broker")
    assert healthy.problem("anything") == "there is no check for 'anything'"
    monkeypatch.setenv("PORT", "9")
    assert healthy.problem("gateway").startswith("0 ")
