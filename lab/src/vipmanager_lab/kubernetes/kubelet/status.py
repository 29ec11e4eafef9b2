"""A pod's status of what its containers do: pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from vipmanager_lab.kubernetes.kubelet.containers import Ended
from vipmanager_lab.kubernetes.kubelet.environment import Object

Role = Literal["init", "sidecar", "main"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A container as the pod's status tells it."""

    name: str
    image: str
    role: Role
    waiting: tuple[str, str] = ("PodInitializing", "")
    """Reason and message, where it neither runs nor has ended."""
    running: tuple[str, datetime] | None = None
    """Id and start."""
    ended: Ended | None = None
    """Where it has ended and is not to be started again, or at once."""
    last: Ended | None = None
    """The run before."""
    restarts: int = 0
    started: bool = False
    """It runs, its postStart hook is done, and its startup probe passed."""
    ready: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the status is made of, beside the containers."""

    restart_policy: str
    host: str
    address: str = ""
    """The pod's; empty before it has one."""
    sandbox: bool = False
    """Whether it has a network now."""
    start: datetime
    over: bool = False
    """Nothing is to be started again: the pod is being deleted, or was refused."""
    refused: tuple[str, str] | None = None
    """Reason and message of a pod that failed as a whole."""
    gates: tuple[str, ...] = ()
    """Conditions that others have to set, too."""


def stamp(when: datetime) -> str:
    """Write a time as metav1.Time does."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def initialized(seen: Iterable[Seen]) -> bool:
    """Tell whether main containers may start, or have started."""
    every = tuple(seen)
    if any(one.role == "main" and (one.running or one.ended or one.last) for one in every):
        return True
    return all(_is_past(one) for one in every if one.role != "main")


def _is_past(one: Seen) -> bool:
    if one.role == "sidecar":
        return one.started
    return one.ended is not None and one.ended.code == 0


def outcome(facts: Facts, seen: Sequence[Seen]) -> str | None:
    """Give the phase that the pod ends with; None while a container has to run."""
    if facts.refused is not None:
        return "Failed"
    final = facts.over or facts.restart_policy == "Never"
    if final and any(one.ended and one.ended.code for one in seen if one.role == "init"):
        return "Failed"
    mains = [one for one in seen if one.role == "main"]
    if all(one.ended is not None for one in mains):
        if not any(one.ended.code for one in mains if one.ended is not None):
            return "Succeeded" if facts.over or facts.restart_policy != "Always" else None
        return "Failed" if final else None
    return "Failed" if facts.over else None


def phase(facts: Facts, seen: Sequence[Seen]) -> str:
    """Give the phase: it is told that a pod has ended once nothing of it runs."""
    found = outcome(facts, seen)
    if found is not None and not any(one.running for one in seen):
        return found
    mains = [one for one in seen if one.role == "main"]
    return "Running" if any(one.running or one.ended or one.last for one in mains) else "Pending"


def conditions(
    facts: Facts, seen: Sequence[Seen], before: Iterable[Object], now: datetime
) -> list[dict[str, Any]]:
    """Give the conditions that are a kubelet's.

    Args:
        facts: of the pod.
        seen: its containers.
        before: all conditions that the pod has; a time changes with its condition.
        now: the time of what changes.
    """
    had = {one["type"]: one for one in before}
    ending = phase(facts, seen) in {"Succeeded", "Failed"}
    lasting = [one for one in seen if one.role != "init"]
    unready = [one.name for one in lasting if not one.ready]
    missing = [g for g in facts.gates if had.get(g, {}).get("status") != "True"]
    incomplete = [one.name for one in seen if one.role != "main" and not _is_past(one)]
    reason, message = "", ""
    if ending:
        reason = "PodCompleted" if phase(facts, seen) == "Succeeded" else "PodFailed"
    elif unready:
        reason = "ContainersNotReady"
        message = f"containers with unready status: [{' '.join(unready)}]"
    contained = (not unready and not ending, reason, message)
    ready = contained
    if contained[0] and missing:
        ready = (False, "ReadinessGatesNotReady", f"conditions not True: {' '.join(missing)}")
    begun = initialized(seen)
    wanted = {
        "PodReadyToStartContainers": (facts.sandbox, "", ""),
        "Initialized": (begun, "", "")
        if begun
        else (
            False,
            "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(incomplete)}]",
        ),
        "ContainersReady": contained,
        "Ready": ready,
    }
    return [_condition(kind, value, had.get(kind), now) for kind, value in wanted.items()]


def _condition(
    kind: str, wanted: tuple[bool, str, str], before: Object | None, now: datetime
) -> dict[str, Any]:
    status = str(wanted[0])
    same = before is not None and before["status"] == status
    changed = before["lastTransitionTime"] if before is not None and same else stamp(now)
    return {
        "type": kind,
        "status": status,
        "reason": wanted[1] or None,
        "message": wanted[2] or None,
        "lastProbeTime": None,
        "lastTransitionTime": changed,
    }


def container(one: Seen) -> dict[str, Any]:
    """Give a container's status."""
    identity = one.running[0] if one.running else (one.ended or one.last)
    return {
        "name": one.name,
        "image": one.image,
        "imageID": one.image,
        "containerID": identity.id if isinstance(identity, Ended) else identity or "",
        "restartCount": one.restarts,
        "started": one.started,
        "ready": one.ready,
        "state": _state(one),
        "lastState": {} if one.last is None else {"terminated": _terminated(one.last)},
    }


def _state(one: Seen) -> dict[str, Any]:
    if one.running is not None:
        return {"running": {"startedAt": stamp(one.running[1])}}
    if one.ended is not None:
        return {"terminated": _terminated(one.ended)}
    reason, message = one.waiting
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def _terminated(ended: Ended) -> dict[str, Any]:
    return {
        "containerID": ended.id,
        "exitCode": ended.code,
        "reason": ended.reason,
        **({"message": ended.message} if ended.message else {}),
        "startedAt": stamp(ended.started),
        "finishedAt": stamp(ended.finished),
    }


def _only(address: str) -> list[dict[str, str]]:
    """Give the list of addresses; a merge would keep those that a node had before its restart."""
    return [{"ip": address}, {"$patch": "replace"}]


def status(
    facts: Facts, seen: Sequence[Seen], before: Iterable[Object], now: datetime
) -> dict[str, Any]:
    """Give the status, as a merge with what the pod has."""
    refused = facts.refused or (None, None)
    return {
        "phase": phase(facts, seen),
        "reason": refused[0],
        "message": refused[1],
        "startTime": stamp(facts.start),
        "hostIP": facts.host,
        "hostIPs": [{"ip": facts.host}],
        **({"podIP": facts.address, "podIPs": _only(facts.address)} if facts.address else {}),
        "conditions": conditions(facts, seen, before, now),
        "initContainerStatuses": [container(one) for one in seen if one.role != "main"],
        "containerStatuses": [container(one) for one in seen if one.role == "main"],
    }
