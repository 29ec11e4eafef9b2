"""Events on the pod: the real client, over TLS, against the lab's Kubernetes API."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from clusters import NAMESPACE, Pod, pod_in_a_cluster
from reports import displaced, refused, report, wrote
from vipmanager.core.events import Occurrence, Reason
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.delivery import REFUSALS
from vipmanager.edges.kubernetes.events import PodEvents
from vipmanager_lab.faults import Break, Hang, Unreachable
from vipmanager_lab.kube.faults import INTERNAL, STARTING, TOO_MANY, UNAVAILABLE, Fault, Refuse
from vipmanager_lab.kube.kinds import EVENTS
from vipmanager_lab.kube.store import Key

if TYPE_CHECKING:
    from pathlib import Path

    from vipmanager_lab.kube.endpoint import Call

MOVED = report(done=(wrote(0), wrote(1)))
LOST = report(displaced())
CREATED = 201
DENIED = Refuse(code=400, reason="", message='admission webhook "w" denied the request: no')
LONG = 20.0
"""Seconds that nothing here takes."""


class Agent:
    """The agent's part, and what it said in the log."""

    def __init__(self, pod: Pod, environ: Mapping[str, str] | None = None) -> None:
        self.said: list[tuple[str, str]] = []
        self.heard = threading.Event()
        self.kube = Kube(pod.environ if environ is None else environ)
        self.events = PodEvents(
            self.kube,
            pod.environ if environ is None else environ,
            say=self._say,
        )

    def _say(self, level: str, _event: str, text: str) -> None:
        self.said.append((level, text))
        self.heard.set()


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with pod_in_a_cluster(tmp_path) as made:
        made.account.allow(EVENTS, ["create", "patch"])
        yield made


Start = Callable[..., Agent]


@pytest.fixture
def start(pod: Pod) -> Iterator[Start]:
    agents = []

    def make(environ: Mapping[str, str] | None = None) -> Agent:
        agents.append(Agent(pod, environ))
        return agents[-1]

    yield make
    for agent in agents:
        agent.kube.close()


def stored(pod: Pod) -> list[Any]:
    return list(pod.cluster.store.list(EVENTS, NAMESPACE)[1])


def tried(pod: Pod, action: str, times: int = 1) -> list[Call]:
    """Wait until an action was called so often."""
    return pod.cluster.endpoint.await_calls(
        lambda calls: sum(call.action == action for call in calls) >= times
    )


def test_a_move_is_an_event_that_kubectl_describe_shows_on_the_pod(pod: Pod, start: Start) -> None:
    agent = start()
    agent.events.report(MOVED)
    assert agent.events.drain(LONG)
    [event] = stored(pod)
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": NAMESPACE,
        "name": "app-0",
        "uid": pod.environ["POD_UID"],
    }
    assert (event["type"], event["reason"]) == ("Normal", "FloatingIPMoved")
    assert event["message"].startswith(
        "192.168.0.1/32 now points at eni-a1, this pod's, in 2 route tables"
    )
    assert (event["count"], event["source"]) == (1, {"component": "vipmanager"})
    assert event["firstTimestamp"] == event["lastTimestamp"]
    assert agent.said == []


def test_refusals_and_losses_are_warnings(pod: Pod, start: Start) -> None:
    agent = start()
    agent.events.report(report(refused(), displaced()))
    assert agent.events.drain(LONG)
    assert {(it["type"], it["reason"]) for it in stored(pod)} == {
        ("Warning", "FloatingIPRefused"),
        ("Warning", "FloatingIPLost"),
    }


def test_a_change_of_role_is_an_event_beside_those_of_passes(pod: Pod, start: Start) -> None:
    agent = start()
    agent.events.tell(became(Reason.STANDBY))
    agent.events.report(LOST)
    agent.events.tell(became(Reason.HOLDER))
    assert agent.events.drain(LONG)
    assert [(it["type"], it["reason"]) for it in sorted(stored(pod), key=_version)] == [
        ("Normal", "BecameStandby"),
        ("Warning", "FloatingIPLost"),
        ("Normal", "BecameHolder"),
    ]


def became(reason: Reason) -> Occurrence:
    return Occurrence(reason=reason, subject="telco/vipmanager", message="generation 3")


def test_roles_that_alternate_while_the_api_is_away_are_told_in_their_newest_order(
    pod: Pod, start: Start
) -> None:
    pod.cluster.faults.inject("create events", Hang())
    agent = start()
    agent.events.report(LOST)
    pod.cluster.faults.await_hang()
    for reason in (Reason.HOLDER, Reason.STANDBY, Reason.HOLDER):
        agent.events.tell(became(reason))
    pod.cluster.faults.release_hangs()
    assert agent.events.drain(LONG)
    told = [it["reason"] for it in sorted(stored(pod), key=_version)]
    assert told == ["FloatingIPLost", "BecameStandby", "BecameHolder"]


def test_what_happens_again_is_counted_in_the_same_event(pod: Pod, start: Start) -> None:
    agent = start()
    for _ in range(3):
        agent.events.report(MOVED)
        assert agent.events.drain(LONG)
    [event] = stored(pod)
    assert event["count"] == 3
    assert pod.cluster.endpoint.counts() == {"create events": 1, "patch events": 2}


def test_a_repeat_of_an_event_that_expired_is_posted_anew(pod: Pod, start: Start) -> None:
    agent = start()
    agent.events.report(MOVED)
    assert agent.events.drain(LONG)
    name = stored(pod)[0]["metadata"]["name"]
    pod.cluster.store.delete(Key(EVENTS, NAMESPACE, name))
    agent.events.report(MOVED)
    assert agent.events.drain(LONG)
    assert stored(pod)[0]["count"] == 2


def test_a_flapping_pod_posts_a_limited_number_of_events(pod: Pod, start: Start) -> None:
    agent = start()
    for _ in range(30):
        agent.events.report(MOVED)
        assert agent.events.drain(LONG)
    assert len(pod.cluster.endpoint.calls) == 25


def test_without_permission_one_line_says_what_to_allow_and_nobody_waits_for_events(
    pod: Pod, start: Start
) -> None:
    pod.cluster.access.deny(pod.account.user)
    agent = start()
    agent.events.report(MOVED)
    assert agent.events.drain(LONG)
    agent.events.report(LOST)
    assert agent.events.drain(LONG)
    [(level, line)] = agent.said
    assert level == "warning"
    assert f'User "{pod.account.user}" cannot create resource "events"' in line
    assert "allow create on events in a Role bound to the pod's service account" in line
    pod.account.allow(EVENTS, ["create", "patch"])
    await_reasons(pod, "FloatingIPMoved", "FloatingIPLost")
    assert [level for level, _ in agent.said] == ["warning", "info"]


def test_an_api_that_starts_only_delays_events(pod: Pod, start: Start) -> None:
    pod.cluster.faults.inject("create events", STARTING)
    agent = start()
    agent.events.report(MOVED)
    await_reasons(pod, "FloatingIPMoved")


def test_an_event_that_is_refused_for_good_holds_no_other_up_for_good(
    pod: Pod, start: Start
) -> None:
    pod.cluster.faults.inject("create events", DENIED, times=REFUSALS)
    agent = start()
    agent.events.report(MOVED)
    tried(pod, "create events")
    agent.events.report(LOST)
    await_reasons(pod, "FloatingIPLost")


def await_reasons(pod: Pod, *reasons: str) -> None:
    """Wait until Events with these reasons are stored, and no others."""
    pod.cluster.endpoint.await_calls(
        lambda calls: sum(it.status == CREATED for it in calls) >= len(reasons)
    )
    assert sorted(it["reason"] for it in stored(pod)) == sorted(reasons)


def test_an_api_that_hangs_holds_no_pass_up(pod: Pod, start: Start) -> None:
    pod.cluster.faults.inject("create events", Hang())
    agent = start()
    agent.events.report(MOVED)
    pod.cluster.faults.await_hang()
    for _ in range(1000):  # more than can wait
        agent.events.report(LOST)
        agent.events.report(report())
    assert not agent.events.drain(0.0)
    assert len(pod.cluster.endpoint.calls) == 0
    pod.cluster.faults.release_hangs()
    assert agent.events.drain(LONG)
    assert {it["reason"] for it in stored(pod)} == {"FloatingIPMoved", "FloatingIPLost"}


def test_events_arrive_after_an_outage_and_the_log_tells_of_it_once(pod: Pod, start: Start) -> None:
    pod.cluster.faults.unreachable = Unreachable.CLOSES
    agent = start()
    agent.events.report(MOVED)
    tried(pod, "create events", times=2)
    agent.events.report(LOST)
    pod.cluster.faults.unreachable = None
    assert agent.events.drain(LONG)
    assert [it["reason"] for it in sorted(stored(pod), key=_version)] == [
        "FloatingIPMoved",
        "FloatingIPLost",
    ]
    assert [level for level, _ in agent.said] == ["warning", "info"]
    assert "create events: no answer" in agent.said[0][1]


def _version(found: Mapping[str, Any]) -> int:
    return int(found["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    "fault", [TOO_MANY, INTERNAL, UNAVAILABLE, Break.RESET, Break.LOST, Break.TRUNCATED]
)
def test_whatever_the_api_does_once_there_is_one_event_in_the_end(
    pod: Pod, start: Start, fault: Fault
) -> None:
    pod.cluster.faults.inject("create events", fault)
    agent = start()
    agent.events.report(MOVED)
    assert agent.events.drain(LONG)
    assert [it["count"] for it in stored(pod)] == [1]


def test_a_token_that_kubelet_rotated_is_taken_up(pod: Pod, start: Start) -> None:
    agent = start()
    agent.events.report(MOVED)
    assert agent.events.drain(LONG)
    new = pod.account.rotate()
    pod.cluster.access.revoke(pod.token)
    agent.events.report(LOST)
    assert agent.events.drain(LONG)
    assert [(it.status, it.token) for it in pod.cluster.endpoint.calls] == [
        (201, pod.token),
        (401, pod.token),
        (201, new),
    ]
    assert agent.said == []


def test_a_token_that_expired_before_kubelet_renewed_it_only_delays_events(
    pod: Pod, start: Start
) -> None:
    pod.cluster.access.revoke(pod.token)
    agent = start()
    agent.events.report(MOVED)
    tried(pod, "create events", times=2)
    pod.account.rotate()
    assert agent.events.drain(LONG)
    assert len(stored(pod)) == 1
    assert agent.said[0][1].count("401 Unauthorized") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("POD_NAME", "POD_NAME is not set; set it by the downward API: valueFrom.fieldRef."),
        ("POD_UID", "POD_UID is not set; set it by the downward API: valueFrom.fieldRef."),
        ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT are not set; run in a pod"),
        ("VIPMANAGER_SERVICE_ACCOUNT", "serviceaccount/token does not exist; set automount"),
    ],
)
def test_what_is_missing_in_the_pod_is_named_in_one_line(
    pod: Pod, start: Start, name: str, said: str
) -> None:
    if name == "VIPMANAGER_SERVICE_ACCOUNT":
        (pod.account.folder / "token").unlink()
        environ = pod.environ
    else:
        environ = {key: value for key, value in pod.environ.items() if key != name}
    agent = start(environ)
    agent.events.report(MOVED)
    assert agent.events.drain(LONG)
    assert pod.cluster.endpoint.calls == []
    [(_, line)] = agent.said
    assert said in line


def test_what_is_slow_to_import_is_not_loaded_before_there_is_something_to_post() -> None:
    code = "import sys, vipmanager.edges.kubernetes.events, vipmanager.edges.kubernetes.client\n"
    code += "import vipmanager.edges.kubernetes.lease, vipmanager.edges.kubernetes.role_label\n"
    code += "print(sorted({'urllib3', 'http.client', 'ssl', 'logging'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.own("two real clusters of one control plane have one authority")
def test_a_server_that_the_mounted_authority_did_not_sign_gets_no_token(
    pod: Pod, start: Start, tmp_path: Path
) -> None:
    with pod_in_a_cluster(tmp_path / "other") as other:
        (pod.account.folder / "ca.crt").write_text(other.account.ca)
    agent = start()
    agent.events.report(MOVED)
    assert agent.heard.wait(LONG)
    assert "CERTIFICATE_VERIFY_FAILED" in agent.said[0][1]
    assert pod.cluster.endpoint.calls == []
