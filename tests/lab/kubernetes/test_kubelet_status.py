from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vipmanager_lab.kubernetes.kubelet.containers import Ended
from vipmanager_lab.kubernetes.kubelet.network import SandboxError, Wanted, wanted
from vipmanager_lab.kubernetes.kubelet.probes import Verdict
from vipmanager_lab.kubernetes.kubelet.slots import Slot
from vipmanager_lab.kubernetes.kubelet.status import Facts, Role, Seen, conditions, phase, status
from vipmanager_lab.kubernetes.kubelet.stopping import stop_order

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALWAYS = Facts(restart_policy="Always", host="10.0.1.10", address="10.0.1.100", start=NOW)
NEVER = replace(ALWAYS, restart_policy="Never")
ON_FAILURE = replace(ALWAYS, restart_policy="OnFailure")
OVER = replace(ALWAYS, over=True)


def end(code: int) -> Ended:
    return Ended(id="i", code=code, reason="r", message="", started=NOW, finished=NOW)


def waits(role: Role = "main") -> Seen:
    return Seen(name=role, image="i", role=role)


def runs(role: Role = "main", *, started: bool = True, ready: bool = True) -> Seen:
    return replace(waits(role), running=("i", NOW), started=started, ready=ready)


def ended(code: int, role: Role = "main") -> Seen:
    return replace(waits(role), ended=end(code), ready=role == "init" and code == 0)


def crashed() -> Seen:
    return replace(waits(), last=end(1), restarts=1)


@pytest.mark.parametrize(
    ("facts", "seen", "expected"),
    [
        (ALWAYS, [waits()], "Pending"),
        (ALWAYS, [runs("init"), waits()], "Pending"),
        (ALWAYS, [runs("sidecar"), waits()], "Pending"),
        (ALWAYS, [runs()], "Running"),
        (ALWAYS, [runs(), crashed()], "Running"),
        (ALWAYS, [crashed()], "Running"),
        (ALWAYS, [ended(0)], "Running"),
        (NEVER, [ended(1, "init"), waits()], "Failed"),
        (ALWAYS, [ended(1, "init"), waits()], "Pending"),
        (NEVER, [ended(0), ended(0)], "Succeeded"),
        (NEVER, [ended(0), ended(2)], "Failed"),
        (NEVER, [ended(2), runs()], "Running"),
        (ON_FAILURE, [ended(0)], "Succeeded"),
        (NEVER, [runs("sidecar"), ended(0)], "Running"),
        (NEVER, [ended(137, "sidecar"), ended(0)], "Succeeded"),
        (OVER, [runs()], "Running"),
        (OVER, [ended(0)], "Succeeded"),
        (OVER, [ended(143)], "Failed"),
        (OVER, [waits()], "Failed"),
        (replace(ALWAYS, refused=("r", "m")), [waits()], "Failed"),
    ],
)
def test_the_phase_follows_from_the_containers(
    facts: Facts, seen: list[Seen], expected: str
) -> None:
    assert phase(facts, seen) == expected


def told(facts: Facts, seen: list[Seen]) -> dict[str, str]:
    return {one["type"]: one["status"] for one in conditions(facts, seen, (), NOW)}


def test_a_pod_is_initialized_once_its_sidecars_have_started() -> None:
    assert told(ALWAYS, [runs("sidecar", started=False), waits()])["Initialized"] == "False"
    assert told(ALWAYS, [runs("sidecar"), waits()])["Initialized"] == "True"
    assert told(ALWAYS, [runs("sidecar", started=False), runs()])["Initialized"] == "True"


def test_sidecars_count_for_readiness_and_init_containers_do_not() -> None:
    assert told(ALWAYS, [ended(0, "init"), runs("sidecar"), runs()])["Ready"] == "True"
    assert told(ALWAYS, [runs("sidecar", ready=False), runs()])["Ready"] == "False"
    assert told(NEVER, [ended(0)])["Ready"] == "False"


def test_a_readiness_gate_holds_back_ready_alone() -> None:
    found = told(replace(ALWAYS, gates=("example.com/gate",)), [runs()])
    assert (found["ContainersReady"], found["Ready"]) == ("True", "False")


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    before = conditions(ALWAYS, [runs()], (), NOW)
    later = NOW + timedelta(seconds=5)
    assert conditions(ALWAYS, [runs()], before, later) == before
    changed = {o["type"]: o for o in conditions(ALWAYS, [runs(ready=False)], before, later)}
    assert changed["Ready"]["lastTransitionTime"] == "2026-01-01T00:00:05Z"
    assert changed["Initialized"]["lastTransitionTime"] == "2026-01-01T00:00:00Z"


def test_a_crash_loop_shows_the_run_before() -> None:
    one = replace(crashed(), waiting=("CrashLoopBackOff", "back-off"))
    (found,) = status(ALWAYS, [one], (), NOW)["containerStatuses"]
    assert found["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    assert found["lastState"]["terminated"]["exitCode"] == 1
    assert found["restartCount"] == 1


def test_so_many_answers_in_a_row_are_a_verdict() -> None:
    verdict = Verdict.of({"successThreshold": 2, "failureThreshold": 3})
    reached = [verdict.count(good=one) for one in (True, True, False, False, True, False)]
    assert reached == [False, True, False, False, False, False]
    assert verdict.good
    assert [verdict.count(good=False) for _ in range(2)] == [False, True]
    assert verdict.good is False


def test_sidecars_stop_last_one_first_after_the_others() -> None:
    roles: list[tuple[str, Role]] = [("s1", "sidecar"), ("s2", "sidecar"), ("m", "main")]
    slots = [Slot({"name": name}, role, "Always") for name, role in roles]
    order = {one.name: [other.name for other in before] for one, before in stop_order(slots)}
    assert order == {"m": [], "s1": ["m", "s2"], "s2": ["m"]}


@pytest.mark.parametrize(
    "annotation",
    [
        "nad-if1, other/nad-if2@fast",
        '[{"name": "nad-if1"}, {"name": "nad-if2", "namespace": "other", "interface": "fast"}]',
    ],
)
def test_networks_are_asked_for_in_two_forms(annotation: str) -> None:
    assert wanted(annotation, "ns") == (
        Wanted("ns", "nad-if1", "net1"),
        Wanted("other", "nad-if2", "fast"),
    )


@pytest.mark.parametrize("annotation", ["a/b/c", "[{]", '[{"name": "a", "ips": []}]', '{"a": 1}'])
def test_other_forms_are_refused(annotation: str) -> None:
    with pytest.raises(SandboxError, match="annotation"):
        wanted(annotation, "ns")
