"""What `infra/knative/` holds fits what will read it, and says what it should."""

import copy
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from infra.functions import ROOT, event_functions, http_functions
from infra.gateway.remote import ANSWER_TIMEOUT_SECONDS
from infra.knative.manifests import BASE, CALLERS, COMPONENT, LONGEST_STREAM_SECONDS, NO_SERVICE, PART_OF
from shared.config import SECRETS
from shared.time_budgets import DELIVERY_SECONDS, DRAIN_SECONDS
from tests.infra.knative.cluster import containers, documents
from tests.infra.knative.schemas import knative_service, needed, refused_by_knative

jsonschema, kubernetes_validate = needed("jsonschema"), needed("kubernetes_validate")

KUBERNETES = "1.31"
"""The oldest that still gets fixes somewhere; what fits it fits the later ones."""
OVERLAYS = BASE.parent / "overlays"
SERVICES = [document for document in documents() if document["apiVersion"] == "serving.knative.dev/v1"]
CORE = [document for document in documents() if "knative" not in document["apiVersion"] and "kustomize" not in document["apiVersion"]]
CORE += [
    document
    for path in sorted(OVERLAYS.rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] != "Kustomization"
]


def _named(document: dict[str, Any]) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


def _of(kind: str) -> list[dict[str, Any]]:
    return [document for document in documents() if document["kind"] == kind]


def test_every_function_is_a_service_of_its_own() -> None:
    functions = {declaration.service for declaration in http_functions() if declaration.name not in NO_SERVICE}
    functions |= {declaration.service for declaration in event_functions()}
    assert sorted(service["metadata"]["name"] for service in SERVICES) == sorted(functions)
    targets = {variable["value"] for c in _function_containers() for variable in c["env"] if variable["name"] == "FUNCTION_TARGET"}
    assert {target.replace("_", "-") for target in targets} == functions


def _function_containers() -> list[dict[str, Any]]:
    return list(containers("Service", "serving.knative.dev/v1").values())


def test_every_service_fits_knatives_schema_and_passes_its_webhook() -> None:
    validator = jsonschema.Draft202012Validator(knative_service())
    for service in SERVICES:
        assert [error.message for error in validator.iter_errors(service)] == [], service["metadata"]["name"]
        assert refused_by_knative(service, longest_seconds=LONGEST_STREAM_SECONDS) == [], service["metadata"]["name"]


def _set(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(service: dict[str, Any]) -> None:
        place: Any = service
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


SPEC = ("spec", "template", "spec")
CONTAINER = (*SPEC, "containers", 0)
ANNOTATIONS = ("spec", "template", "metadata", "annotations")


@pytest.mark.parametrize(
    "change",
    [
        _set(*SPEC, "containerConcurency", value=4),
        _set(*SPEC, "containerConcurrency", value="4"),
        _set(*SPEC, "containerConcurrency", value=-1),
        _set(*SPEC, "containerConcurrency", value=1001),
        _set(*SPEC, "timeoutSeconds", value=LONGEST_STREAM_SECONDS + 1),
        _set(*SPEC, "responseStartTimeoutSeconds", value=LONGEST_STREAM_SECONDS),
        _set(*SPEC, "automountServiceAccountToken", value=True),
        _set(*SPEC, "hostNetwork", value=True),
        _set(*SPEC, "volumes", value=[]),
        _set(*CONTAINER, "imagePulPolicy", value="Always"),
        _set(*CONTAINER, "env", 0, value={"name": "PORT", "value": "8080"}),
        _set(*CONTAINER, "env", 0, value={"name": "A", "valeu": "b"}),
        _set(*CONTAINER, "envFrom", 0, value={"secretRef": {"nam": "docuvault-keys"}}),
        _set(*CONTAINER, "resources", "limits", value={"memory": "lots"}),
        _set(*CONTAINER, "securityContext", "privileged", value=True),
        _set(*CONTAINER, "securityContext", "capabilities", value={"add": ["SYS_ADMIN"]}),
        _set(*ANNOTATIONS, "autoscaling.knative.dev/min-scale", value="one"),
        _set(*ANNOTATIONS, "autoscaling.knative.dev/min-scale", value="99"),
        _set(*ANNOTATIONS, "autoscaling.knative.dev/max-scale", value="-1"),
        _set(*ANNOTATIONS, "autoscaling.knative.dev/max-scale", value=3),
        _set("metadata", "annotations", value={"autoscaling.knative.dev/min-scale": "1"}),
        _set("metadata", "name", value="list_documents"),
        _set("metadata", "lables", value={}),
    ],
)
def test_what_is_wrong_in_a_service_is_seen(change: Callable[[dict[str, Any]], None]) -> None:
    service = copy.deepcopy(next(each for each in SERVICES if each["metadata"]["name"] == "list-documents"))
    validator = jsonschema.Draft202012Validator(knative_service())
    assert validator.is_valid(service)
    change(service)
    assert not validator.is_valid(service) or refused_by_knative(service, longest_seconds=LONGEST_STREAM_SECONDS)


@pytest.mark.parametrize("document", CORE, ids=_named)
def test_what_kubernetes_itself_knows_fits_its_schema(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_misspelt_field_of_kubernetes_own_is_seen() -> None:
    broken = copy.deepcopy(next(document for document in CORE if document["kind"] == "PodDisruptionBudget"))
    broken["spec"]["minAvailible"] = broken["spec"].pop("minAvailable")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_no_function_is_reached_from_outside_the_cluster() -> None:
    assert {service["metadata"]["labels"]["networking.knative.dev/visibility"] for service in SERVICES} == {"cluster-local"}


def test_only_the_callers_and_knative_reach_functions_and_nobody_reaches_brokers() -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in _of("NetworkPolicy")}
    function = {COMPONENT: "function", **PART_OF}
    assert policies["functions"]["podSelector"] == {"matchLabels": function}
    for service in SERVICES:
        labels = service["spec"]["template"]["metadata"]["labels"]
        assert function.items() <= labels.items(), "the policy must select every function's pods"
    (rule,) = policies["functions"]["ingress"]
    callers, knative = rule["from"]
    assert callers == {"podSelector": {"matchExpressions": [{"key": COMPONENT, "operator": "In", "values": ["gateway", "broker"]}]}}
    assert knative == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "knative-serving"}}}
    assert policies["broker"] == {"podSelector": {"matchLabels": _labels("broker")}, "policyTypes": ["Ingress"]}
    assert policies["gateway"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8080}]}]
    for deployment in _of("Deployment"):
        assert deployment["spec"]["template"]["metadata"]["labels"][COMPONENT] in CALLERS


def _labels(name: str) -> dict[str, str]:
    return {COMPONENT: name, **PART_OF}


def test_one_of_each_caller_stays_when_nodes_are_drained() -> None:
    deployments = {deployment["metadata"]["name"]: deployment["spec"] for deployment in _of("Deployment")}
    budgets = {budget["metadata"]["name"]: budget["spec"] for budget in _of("PodDisruptionBudget")}
    assert deployments.keys() == budgets.keys() == set(CALLERS)
    for name, deployment in deployments.items():
        assert deployment["replicas"] > budgets[name]["minAvailable"] == 1
        assert budgets[name]["selector"] == deployment["selector"] == {"matchLabels": _labels(name)}
        assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] > DRAIN_SECONDS + 5


def test_a_function_is_given_the_time_that_its_caller_waits() -> None:
    specs = {service["metadata"]["name"]: service["spec"]["template"]["spec"] for service in SERVICES}
    for declaration in event_functions():
        assert specs[declaration.service]["timeoutSeconds"] == DELIVERY_SECONDS[declaration.queue]
    for endpoint in http_functions():
        if endpoint.name not in NO_SERVICE:
            wanted = ANSWER_TIMEOUT_SECONDS if endpoint.at_once is None else LONGEST_STREAM_SECONDS
            assert specs[endpoint.service]["timeoutSeconds"] == wanted
    # Knative's own limit is less; the page for operators says how to raise it.
    assert f'"max-revision-timeout-seconds":"{LONGEST_STREAM_SECONDS}"' in (ROOT / "docs" / "knative.md").read_text()


def test_no_manifest_holds_a_secret_and_every_process_is_confined() -> None:
    for document in documents():
        assert document["kind"] != "Secret"
    every = [*_function_containers(), *containers("Deployment", "apps/v1").values()]
    for container in every:
        assert not {name.upper() for name in SECRETS} & {variable["name"] for variable in container["env"]}
        security = container["securityContext"]
        assert security["runAsNonRoot"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]
    (config,) = _of("ConfigMap")
    assert not {name.upper() for name in SECRETS} & config["data"].keys()


def test_the_kustomization_names_every_file() -> None:
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    there = {str(path.relative_to(BASE)) for path in BASE.rglob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == there


def test_an_overlay_builds_and_still_fits() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl to build the overlay with")
    built = subprocess.run([kubectl, "kustomize", OVERLAYS / "kourier"], capture_output=True, text=True, check=True)
    every = list(yaml.safe_load_all(built.stdout))
    validator = jsonschema.Draft202012Validator(knative_service())
    services = [document for document in every if document["apiVersion"] == "serving.knative.dev/v1"]
    assert len(services) == len(SERVICES)
    for service in services:
        assert [error.message for error in validator.iter_errors(service)] == []
        assert refused_by_knative(service, longest_seconds=LONGEST_STREAM_SECONDS) == []
        assert service["metadata"]["namespace"] == "docuvault"
        assert service["spec"]["template"]["spec"]["containers"][0]["image"].startswith("registry.example.org/docuvault:")
    waiting = {s["metadata"]["name"] for s in services if _min_scale(s) == "1"}
    assert waiting == {"login", "refresh-session", "list-documents", "create-upload"}
    (config,) = (document for document in every if document["kind"] == "ConfigMap")
    assert config["data"]["BACKEND_URL"] == "https://vault.example.org"


def _min_scale(service: dict[str, Any]) -> str:
    text: str = service["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"]
    return text


def test_the_overlays_patches_name_functions_that_there_are() -> None:
    kustomization = yaml.safe_load((OVERLAYS / "kourier" / "kustomization.yaml").read_text())
    names = {service["metadata"]["name"] for service in SERVICES}
    for patch in kustomization["patches"]:
        if patch["target"]["kind"] == "Service":
            assert set(re.split(r"\|", patch["target"]["name"])) <= names
