"""The role as a label of the pod: the real client, over TLS, against the lab's Kubernetes API."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from clusters import NAMESPACE, Pod, pod_in_a_cluster
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.role_label import RoleLabel
from vipmanager_lab.faults import Break, Hang, Unreachable
from vipmanager_lab.kube.faults import INTERNAL, STARTING, TOO_MANY, UNAVAILABLE, Fault
from vipmanager_lab.kube.kinds import PODS
from vipmanager_lab.kube.store import Key

if TYPE_CHECKING:
    from pathlib import Path

    from vipmanager_lab.kube.endpoint import Call

APP = Key(PODS, NAMESPACE, "app-0")
LONG = 20.0
"""Seconds that nothing here takes."""


class Agent:
    """The agent's part, and what it said in the log."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.said: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self.kube = Kube(environ)
        self.label = RoleLabel(
            self.kube, environ, say=lambda level, _, text: self.said.put((level, text))
        )

    def says(self) -> tuple[str, str]:
        return self.said.get(timeout=LONG)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with pod_in_a_cluster(tmp_path) as made:
        made.account.allow(PODS, ["patch"])
        yield made


Start = Callable[..., Agent]


@pytest.fixture
def start(pod: Pod) -> Iterator[Start]:
    agents = []

    def make(environ: Mapping[str, str] | None = None) -> Agent:
        agents.append(Agent(pod.environ if environ is None else environ))
        return agents[-1]

    yield make
    for agent in agents:
        agent.kube.close()


def answered(pod: Pod, times: int) -> list[Call]:
    """Wait until the label was written so often, or refused."""
    return pod.cluster.endpoint.await_calls(
        lambda calls: sum(it.action == "patch pods" for it in calls) >= times
    )


def labels(pod: Pod) -> Mapping[str, str]:
    found: Mapping[str, str] = pod.cluster.store.get(APP)["metadata"].get("labels", {})
    return found


def test_the_pod_has_its_role_as_a_label_beside_the_labels_it_had(pod: Pod, start: Start) -> None:
    pod.cluster.store.patch(APP, {"metadata": {"labels": {"app": "a"}}})
    agent = start()
    for times, role in enumerate(["standby", "holder", "standby"], 1):
        agent.label.show(role)
        answered(pod, times)
        assert labels(pod) == {"app": "a", "vipmanager/role": role}
    assert agent.said.empty()


def test_a_role_that_is_shown_already_is_not_written_again(pod: Pod, start: Start) -> None:
    agent = start()
    agent.label.show("standby")
    answered(pod, 1)
    for _ in range(100):
        agent.label.show("standby")
    agent.label.show("holder")
    assert len(answered(pod, 2)) == 2


def test_an_api_that_hangs_holds_nobody_up_and_the_newest_role_wins(pod: Pod, start: Start) -> None:
    pod.cluster.faults.inject("patch pods", Hang())
    agent = start()
    agent.label.show("holder")
    pod.cluster.faults.await_hang()
    for _ in range(1000):
        agent.label.show("standby")
        agent.label.show("holder")
    agent.label.show("standby")
    assert pod.cluster.endpoint.calls == []
    pod.cluster.faults.release_hangs()
    assert len(answered(pod, 2)) == 2
    assert labels(pod) == {"vipmanager/role": "standby"}


@pytest.mark.parametrize(
    "fault", [TOO_MANY, INTERNAL, UNAVAILABLE, Break.RESET, Break.LOST, Break.TRUNCATED]
)
def test_whatever_the_api_does_once_the_label_is_right_in_the_end(
    pod: Pod, start: Start, fault: Fault
) -> None:
    pod.cluster.faults.inject("patch pods", fault)
    agent = start()
    agent.label.show("holder")
    level, line = agent.says()
    assert level == "warning"
    assert line.startswith("the role label has to wait: the Kubernetes API: patch pods: ")
    assert agent.says() == ("info", "the role label is holder now")
    assert labels(pod) == {"vipmanager/role": "holder"}


def test_a_role_that_was_shown_before_a_lost_answer_is_written_again(
    pod: Pod, start: Start
) -> None:
    agent = start()
    agent.label.show("standby")
    answered(pod, 1)
    pod.cluster.faults.inject("patch pods", Break.LOST)
    agent.label.show("holder")
    agent.says()
    agent.label.show("standby")
    assert agent.says() == ("info", "the role label is standby now")
    assert labels(pod) == {"vipmanager/role": "standby"}


def test_an_outage_is_told_once_and_the_newest_role_is_shown_after_it(
    pod: Pod, start: Start
) -> None:
    pod.cluster.faults.unreachable = Unreachable.CLOSES
    agent = start()
    agent.label.show("holder")
    answered(pod, 1)
    agent.label.show("standby")
    answered(pod, 2)
    pod.cluster.faults.unreachable = None
    assert "has to wait" in agent.says()[1]
    assert agent.says() == ("info", "the role label is standby now")
    assert labels(pod) == {"vipmanager/role": "standby"}


def test_without_permission_one_line_says_what_to_allow_and_the_label_comes_once_it_is(
    pod: Pod, start: Start
) -> None:
    pod.cluster.access.deny(pod.account.user)
    agent = start()
    agent.label.show("holder")
    level, line = agent.says()
    assert level == "warning"
    assert line.startswith("the role label has to wait: ")
    assert "allow patch on pods in a Role bound to the pod's service account" in line
    answered(pod, 2)
    assert agent.said.empty()
    pod.account.allow(PODS, ["patch"])
    assert agent.says() == ("info", "the role label is holder now")
    assert labels(pod) == {"vipmanager/role": "holder"}


def test_an_api_that_starts_only_delays_the_label(pod: Pod, start: Start) -> None:
    pod.cluster.faults.inject("patch pods", STARTING)
    agent = start()
    agent.label.show("holder")
    assert agent.says()[0] == "warning"
    assert agent.says() == ("info", "the role label is holder now")
    assert labels(pod) == {"vipmanager/role": "holder"}


def test_a_pod_that_took_the_name_of_a_dead_one_keeps_its_own_label(pod: Pod, start: Start) -> None:
    pod.cluster.store.delete(APP)
    body = {"metadata": {"name": APP.name, "labels": {"vipmanager/role": "holder"}}, "spec": {}}
    pod.cluster.store.create(PODS, NAMESPACE, body)
    agent = start()
    agent.label.show("standby")
    assert agent.says()[0] == "warning"
    assert labels(pod) == {"vipmanager/role": "holder"}


@pytest.mark.parametrize("name", ["POD_NAME", "POD_UID"])
def test_what_is_missing_in_the_pod_is_named_in_one_line(pod: Pod, start: Start, name: str) -> None:
    agent = start({key: value for key, value in pod.environ.items() if key != name})
    agent.label.show("holder")
    assert f"{name} is not set; set it by the downward API" in agent.says()[1]
    assert pod.cluster.endpoint.calls == []


def test_the_namespace_is_the_service_accounts_where_the_environment_names_none(
    pod: Pod, start: Start
) -> None:
    agent = start({k: v for k, v in pod.environ.items() if k != "POD_NAMESPACE"})
    agent.label.show("holder")
    answered(pod, 1)
    assert labels(pod) == {"vipmanager/role": "holder"}
