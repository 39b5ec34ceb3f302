"""What a real API server says to infra/knative and to docs/knative.md, line by line: run by scripts/cluster-test, in this order."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from infra.functions import ROOT, event_functions, http_functions
from infra.knative.manifests import NO_SERVICE
from tests.infra.knative.schemas import REVISION

OVERLAY = "infra/knative/overlays/kourier"
PAGE = (ROOT / "docs" / "knative.md").read_text()
BLOCKS = [block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "kubectl" in block]
SNIPPETS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def kubectl(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["kubectl", *arguments], cwd=ROOT, input=stdin, capture_output=True, text=True, check=False, timeout=120)


def done(*arguments: str, stdin: str | None = None) -> str:
    """What it prints; without a warning."""
    ended = kubectl(*arguments, stdin=stdin)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def objects() -> list[dict[str, Any]]:
    """What the overlay gives."""
    return [each for each in yaml.safe_load_all(done("kustomize", OVERLAY)) if each]


def found() -> list[dict[str, Any]]:
    """The Services of functions that the server has."""
    items: list[dict[str, Any]] = json.loads(done("get", "services.serving.knative.dev", "-n", "docuvault", "-o", "json"))["items"]
    return items


def applied_versions() -> dict[str, str]:
    """Of each object of the overlay the server's version, which changes with whatever is changed of it."""
    items = json.loads(done("get", "-k", OVERLAY, "-o", "json"))["items"]
    return {f"{item['kind']} {item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in items}


def test_the_page_s_commands_before_the_apply_work_as_they_stand() -> None:
    before = [block for block in BLOCKS if "apply -k" not in block]
    assert len(before) == 2
    for block in before:
        ended = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    config = json.loads(done("get", "configmap", "config-defaults", "-n", "knative-serving", "-o", "json"))
    assert config["data"]["max-revision-timeout-seconds"] == "3600"


def test_a_dry_run_takes_every_object_strictly_and_without_a_warning() -> None:
    expected = objects()
    printed = done("apply", "--dry-run=server", "--validate=strict", "-k", OVERLAY).splitlines()
    assert len(printed) == len(expected)
    assert found() == []


def test_pods_are_what_the_namespace_s_policy_allows() -> None:
    done("create", "serviceaccount", "default", "-n", "docuvault")  # which a controller makes in a whole cluster
    pods = []
    for each in objects():
        spec = each.get("spec", {}).get("template", {}).get("spec", {})
        if "containers" in spec:
            spec = {name: value for name, value in spec.items() if name not in REVISION}
            name = f"{each['kind'].lower()}-{each['metadata']['name']}"
            pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "docuvault"}, "spec": spec})
    taken = done("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(pods))
    assert len(taken.splitlines()) == len(pods)


@pytest.mark.parametrize(
    ("field", "value"),
    [("containerConcurency", 1), ("timeoutSeconds", "a while"), ("containers", [{"image": "x", "enw": []}])],
)
def test_what_is_misspelt_is_refused(field: str, value: object) -> None:
    service = next(each for each in objects() if each["apiVersion"].startswith("serving.knative.dev"))
    service["spec"]["template"]["spec"][field] = value
    refused = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(service))
    assert refused.returncode != 0
    assert ("enw" if field == "containers" else field) in refused.stderr


def test_applied_twice_is_as_once() -> None:
    expected = objects()
    [command] = [line for block in BLOCKS for line in block.splitlines() if "apply -k" in line]
    first = done(*command.split()[1:]).splitlines()
    assert len(first) == len(expected)
    versions = applied_versions()
    assert len(versions) == len(expected)
    done(*command.split()[1:])
    assert applied_versions() == versions, "nothing that the server writes in by default differs from what stands there"
    functions = {declaration.service for declaration in http_functions() if declaration.name not in NO_SERVICE}
    functions |= {declaration.service for declaration in event_functions()}
    assert {service["metadata"]["name"] for service in found()} == functions


def test_what_containers_must_have_is_there_once_the_page_was_followed() -> None:
    here = {
        kind: {each["metadata"]["name"] for each in json.loads(done("get", kind, "-n", "docuvault", "-o", "json"))["items"]}
        for kind in ("secrets", "configmaps")
    }
    for each in objects():
        for container in each.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            for source in container["envFrom"]:
                for kind, field in (("secrets", "secretRef"), ("configmaps", "configMapRef")):
                    if field in source and not source[field].get("optional"):
                        assert source[field]["name"] in here[kind], each["metadata"]["name"]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_manifest_that_the_page_shows_is_taken(snippet: str) -> None:
    done("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=snippet)
