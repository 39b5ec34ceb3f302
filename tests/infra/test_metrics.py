"""The dashboard asks Prometheus for what processes really tell, and Prometheus asks the processes that there are."""

import asyncio
import json
import re

import pytest
import yaml

from infra.functions import ROOT, http_functions
from infra.gateway.app import Gateway
from infra.worker.app import METRICS_PATH
from shared.faas.routing import Router
from shared.observability.measurements import process
from tests.faas.asgi import ask

METRICS = ROOT / "infra" / "metrics"
DASHBOARD = json.loads((METRICS / "grafana" / "dashboards" / "docuvault.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.fixture(scope="module")
async def text(services: None) -> str:
    """What a gateway that has run events, too, tells once its database responds."""
    process.count_event("extract_document", "done", 0.1)
    gateway = Gateway(Router(http_functions()))
    async with asyncio.timeout(60):
        while "docuvault_users" not in (found := (await ask(gateway, "GET", "/metrics")).body.decode()):
            await asyncio.sleep(0.2)
    # What this very request counted shows in the next response.
    return found + (await ask(gateway, "GET", "/metrics")).body.decode()


@pytest.mark.parametrize("expression", EXPRESSIONS)
async def test_a_panel_shows_series_that_there_are(text: str, expression: str) -> None:
    asked = re.sub(r'"[^"]*"|\[[^\]]*\]', "", expression)
    names = set(re.findall(r"\b(?:docuvault|process)_\w+", asked))
    assert names
    for name in names:
        assert re.search(rf"^{name}[ {{]", text, re.MULTILINE), name
    labels = set(re.findall(r"\{(\w+)[=!]", asked)) | {
        label for group in re.findall(r"by \(([^)]*)\)", asked) for label in group.split(", ")
    }
    for label in labels - {"job", "instance"}:  # those Prometheus puts on by itself
        assert re.search(rf'[{{,]{label}="', text), label


def test_panels_do_not_lie_upon_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_prometheus_asks_gateways_and_workers_with_the_token() -> None:
    config = yaml.safe_load((METRICS / "prometheus.yaml").read_text())
    for job in config["scrape_configs"]:
        assert job["metrics_path"] == METRICS_PATH == "/metrics"
        assert job["authorization"] == {"credentials_file": "/tmp/metrics-token"}
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    asked = {name: sd["port"] for job in config["scrape_configs"] for sd in job["dns_sd_configs"] for name in sd["names"]}
    assert asked == {
        "gateway": int(services["gateway"]["environment"]["PORT"]),
        "worker": int(services["worker"]["environment"]["WORKER_PORT"]),
    }
    (source,) = yaml.safe_load((METRICS / "grafana" / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
