"""Dashboard and alert rules, by the real Prometheus on a real sidecar."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from agent_fixtures import wait_until
from deploy import standby_scene
from deploy.dashboard import DASHBOARD, ROWS, empty_panels, expressions
from deploy.prometheus import NAMESPACE, OBSERVABILITY, POD, PORT, RULES, promtool
from deploy.rendered import MODES, agent, overlay, pod
from deploy.scene import FAULTS, Scene, Theatre, check_is_switched_off, check_is_switched_on
from vipmanager.core.failures import Permanent
from vipmanager.core.refusals import REFUSALS, UNKNOWN
from vipmanager.edges.metrics import METRICS

ROOT = OBSERVABILITY.parents[1]
RULES_TEST = Path(__file__).with_name("vipmanager-rules-test.yaml")
ALERTS = {rule["alert"]: rule for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre[Scene]]:
    made = Theatre(tmp_path_factory, Scene.built)
    yield made
    made.close()


@pytest.fixture
def scene(theatre: Theatre[Scene]) -> Scene:
    return theatre.scene()


# --- in the lab ---------------------------------------------------------------------------------


def test_every_alert_has_its_fault_in_the_lab() -> None:
    assert FAULTS.keys() | standby_scene.FAULTS.keys() == ALERTS.keys()


def test_a_healthy_sidecar_raises_no_alert(scene: Scene) -> None:
    scene.prometheus.wait_for_scrapes(15)
    assert scene.prometheus.value("vipmanager_ready") == [1]
    assert [one["labels"]["alertname"] for one in scene.prometheus.alerts()] == []


def test_every_panel_has_data_after_a_repair_and_a_fault(scene: Scene) -> None:
    scene.lose_a_route()
    wait_until(lambda: scene.prometheus.value("vipmanager_repairs_total") > [0])
    check_is_switched_on(scene)
    told = 'ALERTS{alertname="VipmanagerSourceDestCheck"}'
    wait_until(lambda: scene.prometheus.value(told) == [1])
    assert empty_panels(scene.prometheus, *(row for row in ROWS if row != "Standby")) == []
    check_is_switched_off(scene)
    wait_until(lambda: scene.prometheus.value(told) == [])


@pytest.mark.parametrize("alert", FAULTS)
def test_an_alert_fires_in_its_fault_and_not_before(scene: Scene, alert: str) -> None:
    assert scene.prometheus.firing() == set()
    fault = FAULTS[alert]
    fault.strike(scene)
    wait_until(
        lambda: alert in (now := scene.prometheus.firing()) and now <= {alert, *fault.company}
    )
    found = next(a for a in scene.prometheus.alerts() if a["labels"]["alertname"] == alert)
    labels, text = found["labels"], found["annotations"]["description"]
    if alert != "VipmanagerAbsent":
        assert f"{NAMESPACE}/{POD}" in text
    named = {"floating_ip", "target", "condition", "action"} & labels.keys()
    assert [labels[name] for name in named if labels[name] not in text] == []
    if fault.mend is not None:
        fault.mend(scene)
        wait_until(lambda: alert not in scene.prometheus.firing())


# --- alerts by their text -----------------------------------------------------------------------


def test_alerts_keep_their_patience_in_virtual_time() -> None:
    promtool("check", "rules", RULES)
    promtool("test", "rules", RULES_TEST)


def test_two_clusters_with_the_same_names_in_one_prometheus_do_not_mix(tmp_path: Path) -> None:
    tests = yaml.safe_load(RULES_TEST.read_text())
    tests["rule_files"] = [str(RULES)]
    tests["tests"] = [
        _beside_another_cluster(t)
        for t in tests["tests"]
        if not _absent(t) and t["interval"] == "30s"
    ]
    file = tmp_path / "two.yaml"
    file.write_text(yaml.safe_dump(tests))
    promtool("test", "rules", file)


def _absent(test: dict[str, Any]) -> bool:
    """Tell whether a test is of clusters, or of a Prometheus that knows none."""
    series = [s["series"] for s in test["input_series"]]
    alone = not any('job="vipmanager"' in s for s in series)
    return alone or any("cluster=" in s for s in series)


def _beside_another_cluster(test: dict[str, Any]) -> dict[str, Any]:
    """Put a test in one cluster; in another one everything has the same name, and is well.

    Each pod there is in every state that keeps an alert from firing.
    """
    series = [s["series"] for s in test["input_series"]]
    one = [
        s | {"series": s["series"].replace("{", '{cluster="one", ')} for s in test["input_series"]
    ]
    pods = {m[0] for s in series for m in re.finditer(r'namespace="\w+", pod="\w+"', s)}
    addresses = {m[0] for s in series for m in re.finditer(r'floating_ip="[^"]+"', s)}
    well = [
        'up{job="vipmanager", @}',
        "vipmanager_ready{@}",
        'vipmanager_role{@, role="holder"}',
        'vipmanager_role{@, role="standby"}',
        'vipmanager_routes{@, state="elsewhere"}',
        'vipmanager_findings{@, condition="YIELDED", kind="asked"}',
        *(f'vipmanager_floating_ip_route_tables{{@, {ip}, state="right"}}' for ip in addresses),
    ]
    two = [
        {"series": each.replace("@", f'cluster="two", {pod}'), "values": "1x4000"}
        for pod in sorted(pods)
        for each in well
    ]
    return test | {"input_series": one + two}


def test_whatever_an_api_refuses_for_good_has_one_alert() -> None:
    lasting = {r.condition.name for r in (*REFUSALS, UNKNOWN) if r.failure is Permanent}
    told = "|".join(sorted(lasting))
    assert f'condition=~"{told}"' in ALERTS["VipmanagerRefused"]["expr"]
    assert f"|{told}" in ALERTS["VipmanagerFinding"]["expr"]


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_type_first(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    said, _, first = rule["annotations"]["description"].partition("First")
    assert said
    for hole in re.findall(r"\{\{.*?\}\}", first):
        assert re.fullmatch(r"\{\{ \$labels\.(namespace|pod|action) \}\}", hole)
    typed = first.replace("{{ $labels.namespace }}", "NAMESPACE").replace(
        "{{ $labels.pod }}", "POD"
    )
    # Its section of the runbook begins with the same.
    section = (ROOT / "docs/operations.md").read_text().partition(f"\n### {alert}\n")[2]
    section = section.partition("\n### ")[0]
    commands = re.findall(r"kubectl -n NAMESPACE [\w /,-]*\w", " ".join(typed.split()))
    assert [c for c in commands if c not in section] == []
    assert "\nFirst: " in section


def test_no_link_of_an_alert_is_relative() -> None:
    links = [r["annotations"].get("runbook_url", "https://") for r in ALERTS.values()]
    assert [link for link in links if not link.startswith("https://")] == []


def test_the_readme_gives_every_alert_a_link_to_its_section_of_the_runbook() -> None:
    block = (OBSERVABILITY / "README.md").read_text().split("<!-- runbook -->")[1]
    block = block.partition("<!-- end of runbook -->")[0]
    command = "".join(line.strip("\n") + "\n" for line in block.splitlines() if line[:4] == "    ")
    done = subprocess.run(
        ["sh", "-c", command], cwd=OBSERVABILITY, capture_output=True, text=True, check=True
    )
    headings = re.findall(r"(?m)^#+ (.*)$", (ROOT / "docs/operations.md").read_text())
    anchors = {heading.lower() for heading in headings}
    made = yaml.safe_load(done.stdout)["groups"][0]["rules"]
    assert [rule["alert"] for rule in made] == list(ALERTS)
    for rule in made:
        link = rule["annotations"].pop("runbook_url")
        assert link.startswith("https://")
        assert link.partition("#")[2] in anchors
        assert rule == ALERTS[rule["alert"]]


def test_the_rules_become_an_object_for_the_operator_as_the_readme_says() -> None:
    block = (OBSERVABILITY / "README.md").read_text().split("<!-- operator -->")[1]
    block = block.partition("<!-- end of operator -->")[0]
    command = "".join(line.strip("\n") + "\n" for line in block.splitlines() if line[:4] == "    ")
    pipe, _, end = command.rpartition("|")
    assert end.split() == ["kubectl", "apply", "-f", "-"]
    done = subprocess.run(
        ["sh", "-c", pipe], cwd=OBSERVABILITY, capture_output=True, text=True, check=True
    )
    made = yaml.safe_load(done.stdout)
    assert (made["apiVersion"], made["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert made["spec"] == yaml.safe_load(RULES.read_text())


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "initContainer"])
def test_the_shipped_pods_have_the_port_that_is_scraped(mode: str) -> None:
    ports = agent(pod(overlay(f"nonvpc-{mode}")))["ports"]
    assert {"name": "http-vipmanager", "containerPort": PORT} in ports
    assert [p["name"] for p in ports if p.get("protocol", "TCP") == "TCP"] == ["http-vipmanager"]
    monitor = yaml.safe_load((OBSERVABILITY / "podmonitor.yaml").read_text())
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "http-vipmanager"
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "vipmanager"}]


# --- the dashboard ------------------------------------------------------------------------------


def test_panels_have_ids_of_their_own_units_and_the_chosen_data_source() -> None:
    assert DASHBOARD["schemaVersion"] >= 36  # data sources by uid
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels:
        if panel["type"] == "row":
            continue
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert {json.dumps(t["datasource"]) for t in (panel, *panel["targets"])} == {
            json.dumps(chosen)
        }


def test_panels_fill_the_grid_and_cover_nothing() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        mine = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & mine, panel["title"]
        cells |= mine
    assert len(cells) == 24 * (1 + max(y for _, y in cells))


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    texts: list[Any] = [*expressions(*ROWS).values(), *(rule["expr"] for rule in ALERTS.values())]
    used = {name for text in texts for name in re.findall(r"\bvipmanager_\w+", text)}
    known = {f"{m.name}{end}" for m in METRICS for end in ("", "_bucket", "_count")}
    assert used <= known
    assert [m.name for m in METRICS if not any(name.startswith(m.name) for name in used)] == []
