"""The real Prometheus in a pod of the lab, with what deploy/observability ships."""

import json
import re
import shutil
import subprocess
import urllib.parse
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from agent_fixtures import wait_until
from deploy.rendered import DEPLOY, without
from vipmanager_lab.netns import Netns

OBSERVABILITY = DEPLOY / "observability"
RULES = OBSERVABILITY / "vipmanager-rules.yaml"
PORT = 9876
"""Of the agent, as in the shipped ConfigMap."""
NAMESPACE, POD = "telco", "app-0"

_STALE = "time() - vipmanager_last_good_pass_timestamp_seconds > 300"
_SEEN = "[7d:5m]) > 2"


def need(command: str) -> str:
    """Find a command of Debian's package prometheus, or skip the test."""
    found = shutil.which(command)
    if found is None:
        without(f"{command} is not installed: apt-get install --no-install-recommends prometheus")
    return found


def promtool(*words: str | Path) -> None:
    """Run promtool.

    Raises:
        AssertionError: with what it said.
    """
    done = subprocess.run(
        [need("promtool"), *words], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def impatient(rules: str) -> str:
    """Give the shipped rules without their patience: no `for`, and 5 s for the 300 s of Stale.

    A standby counts after two seconds.

    Everything else stays, ranges and offsets too. promtool tests the real durations.
    """
    assert _STALE in rules
    hasty, count = re.subn(r"(?m)^    for: .*$", "    for: 0s", rules)
    assert count == len(re.findall(r"for: \d", rules))
    assert _SEEN in hasty
    hasty = hasty.replace(_SEEN, "[5m:1s]) > 2")
    return hasty.replace(_STALE, _STALE.replace("300", "5"))


def target(pod: str = POD, address: str = "127.0.0.1") -> dict[str, Any]:
    """Give a target and its labels as Kubernetes' service discovery does."""
    labels = {
        "__meta_kubernetes_pod_container_port_name": "http-vipmanager",
        "__meta_kubernetes_pod_phase": "Running",
        "__meta_kubernetes_namespace": NAMESPACE,
        "__meta_kubernetes_pod_name": pod,
    }
    return {"targets": [f"{address}:{PORT}"], "labels": labels}


class Prometheus:
    """Scrapes sidecars five times a second; ends with the namespace that it runs in."""

    def __init__(self, where: Netns, folder: Path, targets: list[dict[str, Any]]) -> None:
        self._where = where
        self._targets = folder / "targets.json"
        self.discover(targets)
        (folder / "rules.yaml").write_text(impatient(RULES.read_text()))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(self._config()))
        command = [
            need("prometheus"),
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:9090",
            "--log.level=warn",
        ]
        with (folder / "prometheus.log").open("wb") as log:
            where.popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _config(self) -> dict[str, Any]:
        shipped = yaml.safe_load((OBSERVABILITY / "scrape.yaml").read_text())
        for job in shipped["scrape_configs"]:
            # The lab has no Kubernetes that lists pods; the shipped relabelling stays.
            del job["kubernetes_sd_configs"]
            job["file_sd_configs"] = [{"files": ["targets.json"]}]
        pace = {f"{what}_interval": "200ms" for what in ("scrape", "evaluation")}
        pace["scrape_timeout"] = "200ms"
        return {"global": pace, "rule_files": ["rules.yaml"], **shipped}

    def discover(self, targets: list[dict[str, Any]]) -> None:
        """Change what service discovery finds."""
        fresh = self._targets.with_suffix(".new")
        fresh.write_text(json.dumps(targets))
        fresh.rename(self._targets)

    def ask(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        """Ask the HTTP API.

        Raises:
            OSError: it does not answer yet.
        """
        query = f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}"

        def get() -> bytes:
            with closing(HTTPConnection("127.0.0.1", 9090, timeout=5)) as connection:
                connection.request("GET", query)
                answer = connection.getresponse()
                body = answer.read()
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                raise ConnectionError("Prometheus is not ready")
            return body

        return json.loads(self._where.call(get))["data"]

    def value(self, expression: str) -> list[float]:
        """Evaluate an expression now; give the values of all samples."""
        return [
            float(sample["value"][1]) for sample in self.ask("query", query=expression)["result"]
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """Give the alerts that fire."""
        found: list[dict[str, Any]] = self.ask("alerts")["alerts"]
        return found

    def firing(self) -> set[str]:
        """Name the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self.alerts()}

    def seen(self, window: str) -> set[str]:
        """Name the alerts that fired within a while until now."""
        told = self.ask("query", query=f"last_over_time(ALERTS[{window}])")["result"]
        return {sample["metric"]["alertname"] for sample in told}

    def wait_for_scrapes(self, count: int) -> None:
        """Wait until each sidecar was scraped so often, and the rules were evaluated after."""
        wait_until(lambda: self._scrapes() >= count)

    def _scrapes(self) -> float:
        try:
            return min(self.value("count_over_time(vipmanager_ready[1m])"), default=0.0)
        except OSError:
            return 0.0
