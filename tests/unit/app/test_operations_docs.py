"""What ``docs/operations.md`` lists is what the service says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.telemetry.metrics import Metrics

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
LISTED = {
    name for cell in re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE) for name in re.findall(r"`([^`]+)`", cell)
}


def metrics() -> dict[str, set[str]]:
    """Our metrics as Prometheus knows them, with their labels."""
    made = vars(Metrics())
    return {
        metric._name + ("_total" if metric._type == "counter" else ""): set(metric._labelnames)
        for metric in made.values()
        if hasattr(metric, "_labelnames")
    }


def events() -> set[str]:
    """Names of the events that the code logs."""
    found = set()
    for package in ("app", "adapters", "domain"):
        for file in (REPOSITORY / package).rglob("*.py"):
            found |= set(re.findall(r'_log\.\w+\(\s*"(\w+)"', file.read_text("utf-8")))
    return found


def test_there_are_metrics_and_events() -> None:
    assert len(metrics()) >= 7
    assert {"request", "stream", "service_ready", "reloaded"} <= events()


@pytest.mark.parametrize("name", sorted(metrics()))
def test_every_metric_is_listed_with_its_labels(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|([^|]*)\|", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == metrics()[name]


def test_no_other_metric_is_listed() -> None:
    assert {name for name in LISTED if name.startswith("parlante_")} == set(metrics())


@pytest.mark.parametrize("event", sorted(events()))
def test_every_event_of_the_log_is_listed(event: str) -> None:
    assert event in LISTED


def test_every_alert_has_its_line_and_no_other() -> None:
    rules = (REPOSITORY / "deploy" / "observability" / "alerts.yml").read_text("utf-8")
    alerts = set(re.findall(r"- alert: (\w+)", rules))
    assert {name for name in LISTED if name.startswith("Parlante")} == alerts
