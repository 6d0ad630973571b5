# SPDX-License-Identifier: Apache-2.0
"""What docs/deploy offers fits the program: metrics, commands, configuration keys."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import yaml

from server.app import FEATURES
from server.config import load
from server.telemetry import Metrics

DEPLOY = Path(__file__).parents[3] / "docs" / "deploy"
METRIC = re.compile(r"\byika_\w+")
# What Prometheus makes of a counter and of a histogram.
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def known_metrics() -> set[str]:
    """Name the series a server offers."""
    found = set()
    for family in Metrics().registry.collect():
        found.add(family.name + ("_total" if family.type == "counter" else ""))
    return found


def named_metrics(name: str) -> set[str]:
    """Name the series a file asks for."""
    text = (DEPLOY / name).read_text("utf-8")
    return {SUFFIX.sub("", found) for found in METRIC.findall(text)}


def test_dashboard_and_alerts_ask_for_series_that_exist() -> None:
    """Every metric in the dashboard and in the alerts is one the server counts."""
    asked = named_metrics("dashboard.json") | named_metrics("alerts.yaml")

    assert asked
    assert asked <= known_metrics()


def test_dashboard_shows_every_metric() -> None:
    """No metric of the server is left off the dashboard and the alerts."""
    shown = named_metrics("dashboard.json") | named_metrics("alerts.yaml")

    assert known_metrics() <= shown


def test_dashboard_has_panels_with_a_query_each() -> None:
    """Each panel has a title in both languages, a place of its own and a query."""
    panels = json.loads((DEPLOY / "dashboard.json").read_text("utf-8"))["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}

    assert len(places) == len(panels) >= 9
    assert all(panel["targets"][0]["expr"] for panel in panels)
    assert all(re.search(r"[一-鿿].*[A-Za-z]", panel["title"]) for panel in panels)


def test_commands_in_units_exist() -> None:
    """Each yika-server command that a unit or container starts is one of the program's."""
    known = {"init", "run"}
    for feature in FEATURES:
        if importlib.util.find_spec(f"{feature}.cli") is not None:
            known |= {
                command.name for command in importlib.import_module(f"{feature}.cli").COMMANDS
            }
    texts = [path.read_text("utf-8") for path in DEPLOY.iterdir() if path.suffix != ".json"]
    used = {word for text in texts for word in re.findall(r"yika-server ([a-z-]+)\b", text)}

    assert {"init", "run", "backup"} <= used
    assert used - {"init", "run"} <= known


def test_compose_opens_loopback_only_and_sets_keys_that_exist() -> None:
    """No port beyond loopback; every YIKA_ variable is a key of the configuration."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    environment = {
        name: "1" if name.endswith("PORT") else "x"
        for service in services.values()
        for name in service["environment"]
        if name.startswith("YIKA_")
    }

    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert load(None, environment).keys.passphrase == "x"
    assert load(None, environment).database_url == "x"
