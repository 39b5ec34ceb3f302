"""The manifests in `base/`: a Knative Service for each function, and what calls them.

Each function gets its own name, the groups of settings that its code can reach (`infra.knative.needs`), and room by what wakes it. Secrets
stand in the cluster, one for each group (`docuvault-database`, …), and are referred to.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.functions import ROOT, event_functions, http_functions
from infra.gateway.remote import ANSWER_TIMEOUT_SECONDS
from infra.knative.needs import groups
from shared.config import GROUP_OF, GROUPS, Settings
from shared.faas.declarations import EndpointDeclaration, EventDeclaration, Queue
from shared.time_budgets import DELIVERY_SECONDS, DRAIN_SECONDS

BASE = ROOT / "infra" / "knative" / "base"
NAMESPACE = "docuvault"
IMAGE = "docuvault"
"""Overlays name the real one."""
FUNCTION_URL_TEMPLATE = f"http://{{service}}.{NAMESPACE}.svc.cluster.local"
USER = 10001
"""Whom the image runs as, by number: Kubernetes cannot look a name up."""

NO_SERVICE = {"live", "ready"}
"""The gateway answers these of itself. It does so with `metrics`, too, but the queues are seen by that function's own service."""
CALLERS = ("gateway", "broker")
COMPONENT = "app.kubernetes.io/component"
PART_OF = {"app.kubernetes.io/part-of": "docuvault"}
HEAD = "# Generated from the functions' declarations by ./scripts/generate; do not edit: what differs belongs in an overlay.\n"

LONGEST_STREAM_SECONDS = 3600
"""An upload or an archive over a slow line. Knative allows 600 unless `max-revision-timeout-seconds` says more (docs/knative.md)."""


@dataclass(frozen=True)
class Room:
    """What one function may take: requests at once in a pod, seconds for each, pods, and what a pod asks for and is limited to."""

    concurrency: int
    seconds: int
    most_pods: int
    cpu: str
    memory: str
    memory_limit: str


QUICK = Room(40, int(ANSWER_TIMEOUT_SECONDS), 10, "50m", "160Mi", "512Mi")
"""As long as the gateway waits for it."""
LASTING = Room(100, LONGEST_STREAM_SECONDS, 10, "50m", "160Mi", "1Gi")
"""What is declared with `at_once`: uploads, archives, event streams."""
BY_QUEUE: Mapping[Queue, Room] = {
    # Each parsing child may have 512 MiB (shared/extraction/limits.py); brokers give no more at once than their own limits.
    "documents": Room(4, DELIVERY_SECONDS["documents"], 10, "250m", "256Mi", "2560Mi"),
    "large": Room(2, DELIVERY_SECONDS["large"], 10, "500m", "256Mi", "1536Mi"),
    "recognition": Room(1, DELIVERY_SECONDS["recognition"], 20, "1", "256Mi", "1Gi"),
    "email": Room(8, DELIVERY_SECONDS["email"], 2, "50m", "160Mi", "512Mi"),
    "system": Room(1, DELIVERY_SECONDS["system"], 2, "50m", "160Mi", "1Gi"),
    "ai": Room(16, DELIVERY_SECONDS["ai"], 4, "100m", "256Mi", "1Gi"),
}

_REQUIRED = {GROUP_OF.get(name) for name, field in Settings.model_fields.items() if field.is_required()}
OPTIONAL = GROUPS.keys() - _REQUIRED - {"migrations"}
"""Groups without which DocuVault runs, so that their Secret may be missing."""

# What no declaration says: the processes that call functions.
GATEWAY_GROUPS = frozenset({"keys", "metrics"})
"""It signs the client's address; everything else is the functions'."""
BROKER_GROUPS = frozenset({"admin", "database", "keys", "redis"})


def manifests() -> dict[Path, str]:
    """Every file of `base/` with what it should hold."""
    files = {"config.yaml": [_config()], "gateway.yaml": _gateway(), "broker.yaml": _broker(), "network-policies.yaml": _network_policies()}
    by_area: dict[str, list[dict[str, Any]]] = defaultdict(list)
    declarations: list[EndpointDeclaration | EventDeclaration] = [*http_functions(), *event_functions()]
    for declaration in declarations:
        if declaration.name not in NO_SERVICE:
            by_area[area(declaration)].append(service(declaration))
    files |= {f"functions/{name}.yaml": services for name, services in sorted(by_area.items())}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": list(files),
    }
    files["kustomization.yaml"] = [kustomization]
    return {BASE / name: HEAD + _yaml(documents) for name, documents in files.items()}


def area(declaration: EndpointDeclaration | EventDeclaration) -> str:
    """The folder under `functions/` that the function is in."""
    return Path(declaration.handler.__code__.co_filename).parent.name


def service(declaration: EndpointDeclaration | EventDeclaration) -> dict[str, Any]:
    """The function as a Knative Service: reached from inside the cluster alone, gone when nobody needs it."""
    room = _room(declaration)
    labels = {COMPONENT: "function", **PART_OF}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": declaration.service,
            "labels": {**labels, "docuvault.dev/area": area(declaration), "networking.knative.dev/visibility": "cluster-local"},
        },
        "spec": {
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {
                        "autoscaling.knative.dev/min-scale": "0",
                        "autoscaling.knative.dev/max-scale": str(room.most_pods),
                    },
                },
                "spec": {
                    "containerConcurrency": room.concurrency,
                    "timeoutSeconds": room.seconds,
                    # An event function says nothing before it is done; Knative's own patience for that ends after 300 s.
                    "responseStartTimeoutSeconds": room.seconds,
                    **_pod(
                        _container(
                            "function",
                            {"FUNCTION_TARGET": declaration.name},
                            groups(declaration),
                            {"requests": {"cpu": room.cpu, "memory": room.memory}, "limits": {"memory": room.memory_limit}},
                        )
                    ),
                },
            }
        },
    }


def _room(declaration: EndpointDeclaration | EventDeclaration) -> Room:
    if isinstance(declaration, EventDeclaration):
        return BY_QUEUE[declaration.queue]
    return QUICK if declaration.at_once is None else LASTING


def _config() -> dict[str, Any]:
    """What is no secret, for every process; overlays add what is theirs (BACKEND_URL, TRUSTED_PROXIES, limits)."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "docuvault", "labels": PART_OF},
        # A hundred services must not use up the database's connections.
        "data": {"DATABASE_POOL_SIZE": "2", "LOG_FORMAT": "json"},
    }


def _gateway() -> list[dict[str, Any]]:
    container = _container(
        "gateway",
        {"HOST": "0.0.0.0", "PORT": "8080", "FUNCTION_URL_TEMPLATE": FUNCTION_URL_TEMPLATE},  # noqa: S104
        GATEWAY_GROUPS,
        {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    )
    container |= {
        "args": ["gateway"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": {"httpGet": {"path": "/health/live", "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/health/ready", "port": "http"}, "periodSeconds": 3, "timeoutSeconds": 5},
        # The cluster takes a moment to send nothing more here.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
    }
    return [
        _deployment("gateway", container),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "gateway", "labels": _labels("gateway")},
            "spec": {"selector": _labels("gateway"), "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        },
        _disruption_budget("gateway"),
    ]


def _broker() -> list[dict[str, Any]]:
    container = _container(
        "broker",
        {"FUNCTION_URL_TEMPLATE": FUNCTION_URL_TEMPLATE, "BROKER_HEARTBEAT": "/tmp/broker-heartbeat"},  # noqa: S108
        BROKER_GROUPS,
        {"requests": {"cpu": "250m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}},
    )
    # Not its liveness: a broker whose database is down waits for it, and another one would do the same.
    alive = {
        "exec": {"command": ["python", "-I", "-S", "/app/infra/images/healthy.py", "broker"]},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
    }
    container |= {"args": ["broker"], "readinessProbe": alive}
    # Several at once wait for one another (infra/postgres/migrate.py), and no broker works before the schema is there.
    migrate = _container(
        "migrate", {}, frozenset({"migrations"}), {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}
    )
    return [
        _deployment("broker", container, before=migrate | {"args": ["migrate"]}),
        _disruption_budget("broker"),
    ]


def _network_policies() -> list[dict[str, Any]]:
    """Functions are reached by the gateway, the brokers and Knative's own parts; brokers by nobody.

    Requests to a Knative Service come by way of its ingress and its activator, so those namespaces are let in: who may use the ingress is
    said by the overlay, for the ingress that the cluster has.
    """
    from_callers = [{"podSelector": {"matchExpressions": [{"key": COMPONENT, "operator": "In", "values": list(CALLERS)}]}}]
    from_knative = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "knative-serving"}}}]
    return [
        _network_policy("functions", {COMPONENT: "function", **PART_OF}, [{"from": from_callers + from_knative}]),
        _network_policy("gateway", _labels("gateway"), [{"ports": [{"protocol": "TCP", "port": 8080}]}]),
        _network_policy("broker", _labels("broker"), []),
    ]


def _network_policy(name: str, pods: Mapping[str, str], ingress: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": PART_OF},
        # No list at all rather than an empty one, which a cluster drops and kubectl then puts back with each apply.
        "spec": {"podSelector": {"matchLabels": dict(pods)}, "policyTypes": ["Ingress"], **({"ingress": ingress} if ingress else {})},
    }


def _deployment(name: str, container: dict[str, Any], *, before: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": _labels(name)},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": _labels(name)},
            "template": {
                "metadata": {"labels": _labels(name)},
                "spec": {
                    "terminationGracePeriodSeconds": int(DRAIN_SECONDS) + 15,
                    **({} if before is None else {"initContainers": [before]}),
                    **_pod(container),
                },
            },
        },
    }


def _disruption_budget(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "labels": _labels(name)},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": _labels(name)}},
    }


def _labels(name: str) -> dict[str, str]:
    return {COMPONENT: name, **PART_OF}


def _pod(container: dict[str, Any]) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
        "volumes": [{"name": "temporary", "emptyDir": {}}],
    }


def _container(name: str, variables: Mapping[str, str], given: frozenset[str], resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "image": IMAGE,
        "env": [{"name": key, "value": value} for key, value in ({**variables, "SETTINGS_GROUPS": ",".join(sorted(given))}).items()],
        "envFrom": [{"configMapRef": {"name": "docuvault"}}, *_secrets(given)],
        "resources": resources,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "temporary", "mountPath": "/tmp"}],  # noqa: S108
    }


def _secrets(given: Iterable[str]) -> list[dict[str, Any]]:
    return [{"secretRef": {"name": f"docuvault-{group}", **({"optional": True} if group in OPTIONAL else {})}} for group in sorted(given)]


def _yaml(documents: list[dict[str, Any]]) -> str:
    return "---\n".join(
        yaml.dump(document, Dumper=_NoAliases, sort_keys=False, width=140, default_flow_style=None) for document in documents
    )


class _NoAliases(yaml.SafeDumper):
    """Writes out what occurs twice, twice, and indents lists as people do."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)
