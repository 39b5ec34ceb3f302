"""Knative's own schema for a Service, closed, and what its admission webhook checks beside it.

The schema is that of the CRD in `knative.dev/serving`. A cluster drops fields that it does not know, while a person who misspells one wants
to hear of it: here every object with properties takes no others.
"""

import importlib
import os
import re
from functools import lru_cache
from typing import Any

import pytest
import yaml

from tests.infra.knative.source import KNATIVE, NotFetched, module

CRD = "config/core/300-resources/service.yaml"
MOST_CONCURRENCY = 1000
"""pkg/apis/config/defaults.go: DefaultMaxRevisionContainerConcurrency."""
RESERVED_VARIABLES = {"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}
"""pkg/apis/serving/k8s_validation.go: reservedEnvVars."""
SECURITY = {"runAsNonRoot", "runAsUser", "runAsGroup", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"}
SECURITY |= {"seccompProfile"}
"""pkg/apis/serving/fieldmask.go: SecurityContextMask."""
POD = {"serviceAccountName", "containers", "volumes", "imagePullSecrets", "enableServiceLinks", "automountServiceAccountToken"}
"""pkg/apis/serving/fieldmask.go: PodSpecMask, without what only a feature flag allows."""
REVISION = {"containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds"}


def needed(module: str) -> Any:
    """A module of the development dependencies. Skips the tests of an environment that is older than the lock file; on CI that fails."""
    try:
        return importlib.import_module(module)
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{module} is not installed: ./scripts/environment requirements-dev.lock", allow_module_level=True)


@lru_cache(maxsize=1)
def knative_service() -> dict[str, Any]:
    """The closed schema. Skips the test if there is no Go to fetch it with; on CI that fails."""
    try:
        folder = module(KNATIVE)
    except NotFetched as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))
    crd = yaml.safe_load((folder / CRD).read_text())
    (version,) = (version for version in crd["spec"]["versions"] if version["name"] == "v1")
    schema: dict[str, Any] = _closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "namespace": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    return schema


def _closed(schema: Any) -> Any:
    """As JSON Schema: objects with properties are closed, Kubernetes' own extensions are translated."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
        closed.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", bool(schema.get("x-kubernetes-preserve-unknown-fields")))
    return closed


def refused_by_knative(service: dict[str, Any], *, longest_seconds: int) -> list[str]:
    """What the webhook would say, that the schema does not; `longest_seconds` is the cluster's max-revision-timeout-seconds."""
    wrong = []
    metadata, template = service["metadata"], service["spec"]["template"]
    pod = template["spec"]
    # apis.ValidateObjectMetadata; the name becomes a label of DNS, and those of revisions have a suffix of it.
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", metadata["name"]) or len(metadata["name"]) > 63:
        wrong.append("the name is no label of DNS (RFC 1035)")
    # ValidateHasNoAutoscalingAnnotation: on the Service itself they would do nothing.
    if any(key.startswith("autoscaling.knative.dev/") for key in metadata.get("annotations", {})):
        wrong.append("autoscaling annotations belong on the template")
    scales = {}
    for bound in ("min", "max"):
        text = template["metadata"]["annotations"].get(f"autoscaling.knative.dev/{bound}-scale", "0")
        if not re.fullmatch(r"\d{1,9}", text):
            wrong.append(f"{bound}-scale is no number of pods")
        else:
            scales[bound] = int(text)
    if scales.get("max") and scales["max"] < scales.get("min", 0):
        wrong.append("max-scale is less than min-scale")
    if not 0 <= pod.get("containerConcurrency", 0) <= MOST_CONCURRENCY:
        wrong.append(f"containerConcurrency is not between 0 and {MOST_CONCURRENCY}")
    if not 0 <= pod.get("timeoutSeconds", 300) <= longest_seconds:
        wrong.append(f"timeoutSeconds is not between 0 and {longest_seconds}")
    if pod.get("responseStartTimeoutSeconds", 0) > pod.get("timeoutSeconds", 300):
        wrong.append("responseStartTimeoutSeconds is more than timeoutSeconds")
    wrong += [f"{field} is not allowed in a pod" for field in pod.keys() - POD - REVISION]
    if pod.get("automountServiceAccountToken"):
        wrong.append("automountServiceAccountToken may be false only")
    mounted = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])}
    if {volume["name"] for volume in pod.get("volumes", [])} != mounted:
        wrong.append("volumes and what is mounted of them differ")
    for container in pod["containers"]:
        if container.get("name") == "queue-proxy":
            wrong.append("queue-proxy is Knative's own")
        wrong += [f"{each['name']} is set by Knative" for each in container.get("env", []) if each["name"] in RESERVED_VARIABLES]
        wrong += [f"{field} is not allowed in a securityContext" for field in container.get("securityContext", {}).keys() - SECURITY]
        if "add" in container.get("securityContext", {}).get("capabilities", {}):
            wrong.append("capabilities may only be dropped")
    return wrong
