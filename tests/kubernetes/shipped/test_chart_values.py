"""Every value of the chart, taken by a real API server as it would be by the user's."""

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.chart_values import OTHERS, given
from deploy.rendered import chart
from kubernetes.shipped.installed import Site
from vipmanager_lab.kubernetes.plane import await_true

OPERATORS = ("PodMonitor", "PrometheusRule")
"""Kinds of the Prometheus operator; their own schemas are not at hand."""


def definition(kind: str) -> dict[str, object]:
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version | {"schema": {"openAPIV3Schema": anything}}],
        },
    }


@pytest.fixture
def operated(site: Site, tmp_path: Path) -> Site:
    """A cluster that knows the kinds of the Prometheus operator."""
    file = tmp_path / "operator.yaml"
    file.write_text(yaml.safe_dump_all(map(definition, OPERATORS)))
    site.kubectl("apply", "-f", str(file))
    known = ("get", "podmonitors.monitoring.coreos.com,prometheusrules.monitoring.coreos.com")
    await_true("kinds", lambda: site.joined.kubectl(*known).returncode == 0)
    return site


def test_a_real_api_server_takes_every_value(operated: Site, tmp_path: Path) -> None:
    for number, path in enumerate(OTHERS):
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump_all(chart(given(path))))
        told = operated.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(file))
        assert "(server dry run)" in told, path
