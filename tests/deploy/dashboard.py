"""The shipped dashboard, and its expressions as Grafana would send them."""

import json
import math
from collections.abc import Iterator
from typing import Any

from deploy.prometheus import OBSERVABILITY, Prometheus

DASHBOARD: dict[str, Any] = json.loads((OBSERVABILITY / "vipmanager-dashboard.json").read_text())


def _rows() -> Iterator[tuple[str, dict[str, Any]]]:
    row = ""
    for panel in DASHBOARD["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        yield row, panel


ROWS = tuple(dict.fromkeys(row for row, _ in _rows()))


def expressions(*rows: str) -> dict[str, str]:
    """Give every expression of some rows, by panel and target."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for row, panel in _rows()
        for target in panel.get("targets", ())
        if row in rows
    }


def values(prometheus: Prometheus, expression: str) -> list[float]:
    """Evaluate an expression, with Grafana's variables put in and All chosen."""
    for name in ("cluster", "namespace", "pod"):
        expression = expression.replace(f"${name}", ".*")
    return prometheus.value(expression.replace("$__rate_interval", "30s"))


def empty_panels(prometheus: Prometheus, *rows: str) -> list[str]:
    """Name the panels of some rows that show nothing."""
    return [
        title
        for title, expression in expressions(*rows).items()
        if all(map(math.isnan, values(prometheus, expression)))
    ]
