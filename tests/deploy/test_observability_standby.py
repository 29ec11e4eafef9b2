"""The alerts and panels of a warm standby, by the real Prometheus on two real sidecars."""

from collections.abc import Iterator

import pytest

from agent_fixtures import wait_until
from deploy.dashboard import empty_panels, expressions, values
from deploy.prometheus import NAMESPACE
from deploy.scene import Theatre
from deploy.standby_scene import FAULTS, Pair, stranger_sends


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre[Pair]]:
    made = Theatre(tmp_path_factory, Pair.built)
    yield made
    made.close()


@pytest.fixture
def pair(theatre: Theatre[Pair]) -> Pair:
    return theatre.scene()


def test_a_healthy_holder_and_its_standby_raise_no_alert(pair: Pair) -> None:
    pair.prometheus.wait_for_scrapes(40)  # longer than what counts as stale here
    assert pair.prometheus.value("vipmanager_ready") == [1, 1]
    assert pair.prometheus.value('vipmanager_routes{state="elsewhere"} > 0') != []
    assert pair.prometheus.seen("5s") == set()  # at first one is scraped, and the other is not


def test_what_points_at_the_holder_does_not_count_as_wrong_on_the_dashboard(pair: Pair) -> None:
    now = expressions("Now")
    assert values(pair.prometheus, now["Routes not right A"]) == [0]
    assert sum(values(pair.prometheus, now["Where the floating IPs point A"])) == len(
        pair.group.floating
    ) * len(pair.group.world.tables)


def test_every_panel_of_the_standby_has_data_when_a_stranger_has_sent(pair: Pair) -> None:
    stranger_sends(pair)
    wait_until(lambda: empty_panels(pair.prometheus, "Standby") == [])


@pytest.mark.parametrize("alert", FAULTS)
def test_an_alert_of_a_group_fires_in_its_fault_and_not_before(pair: Pair, alert: str) -> None:
    assert pair.prometheus.firing() == set()
    fault = FAULTS[alert]
    fault.strike(pair)
    wait_until(
        lambda: alert in (now := pair.prometheus.firing()) and now <= {alert, *fault.company}
    )
    found = next(a for a in pair.prometheus.alerts() if a["labels"]["alertname"] == alert)
    labels, text = found["labels"], found["annotations"]["description"]
    named = {"namespace", "pod", "floating_ip", "condition"} & labels.keys()
    assert labels["namespace"] == NAMESPACE
    assert [labels[name] for name in named if labels[name] not in text] == []
    if fault.mend is not None:
        fault.mend(pair)
        wait_until(lambda: not pair.prometheus.firing())
