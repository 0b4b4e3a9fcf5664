"""``deploy/monitoring`` and ``docs/monitoring.md`` name metrics that a real server has, with their labels."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.process import ServerProcess

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
NAME = r"\b(?:palpo|process)_[a-z_]+\b"
OF_EVERY_SERIES = {"instance", "job", "le"}
"""Labels that Prometheus itself adds, and those of histograms."""
Labels = dict[str, set[str]]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    """The labels of each sample that a server has told, by name; also of those that have none yet."""
    found: Labels = defaultdict(set)
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        httpx.get(f"{server.url}/_matrix/client/versions")
        text = httpx.get(f"{server.url}/_palpo/metrics").text
    for family in text_string_to_metric_families(text):
        found[f"{family.name}_total" if family.type == "counter" else family.name] |= set()
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return found


@pytest.fixture(scope="module")
def documented() -> Labels:
    """The labels of each metric that the page lists."""
    found: Labels = {}
    for line in (ROOT / "docs" / "monitoring.md").read_text().splitlines():
        row = re.fullmatch(r"\| ([^|]*`(?:palpo|process)_[^|]*`) \|([^|]*)\|.*\|", line)
        if row is None:
            continue
        names = re.findall(r"`(\w+)`", row[1])
        stem = re.sub(r"_[a-z]+(_total)?$", "", names[0])
        for name in names:
            full = name if re.match(NAME, name) else f"{stem}{name}"
            found[full] = set(re.findall(r"`(\w+)`", row[2]))
    return found


def of_histogram(name: str) -> str:
    """The metric that a sample is of."""
    return re.sub(r"_(bucket|sum|count)$", "", name)


def expressions() -> Iterator[str]:
    """What the dashboard and the rules ask for."""
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    board = json.loads((MONITORING / "grafana.json").read_text())
    yield from (target["expr"] for panel in board["panels"] for target in panel.get("targets", ()))


def test_every_metric_is_in_the_page(exposed: Labels, documented: Labels) -> None:
    names = {of_histogram(name) for name in exposed if not name.endswith("_created")}
    assert names - set(documented) == set()


def test_the_page_has_no_others(exposed: Labels, documented: Labels) -> None:
    assert set(documented) - set(exposed) == set()


def test_labels_are_those_of_the_page(exposed: Labels, documented: Labels) -> None:
    differ = {
        name: labels
        for name, labels in exposed.items()
        if labels and not name.endswith("_created") and labels - {"le"} != documented[of_histogram(name)]
    }
    assert differ == {}


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_expressions(expression: str, exposed: Labels, documented: Labels) -> None:
    names = set(re.findall(NAME, expression)) - {"process_name"}
    unknown = {name for name in names if of_histogram(name) not in documented and name not in documented}
    assert not unknown
    known = OF_EVERY_SERIES.union(
        *(documented.get(name, documented.get(of_histogram(name), set())) for name in names)
    )
    asked = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        asked += re.findall(r"\w+", group)
    assert set(asked) <= known


def test_alerts_say_what_to_do() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    alerts: list[dict[str, Any]] = [rule for group in rules["groups"] for rule in group["rules"]]
    assert [alert["alert"] for alert in alerts if f"`{alert['alert']}`" not in page] == []
    assert all(alert["annotations"]["summary"] and alert["labels"]["severity"] for alert in alerts)


def test_panels_have_names_and_places_of_their_own() -> None:
    panels = json.loads((MONITORING / "grafana.json").read_text())["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert len({panel["title"] for panel in panels}) == len(panels)
