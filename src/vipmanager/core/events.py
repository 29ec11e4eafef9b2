"""Which Kubernetes Events there are, and what a pass is worth: one of each kind and object."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from vipmanager.core.actions import RouteWrite
from vipmanager.core.downward import PodReference
from vipmanager.core.findings import Condition, Finding, Kind
from vipmanager.core.report import Report
from vipmanager.core.values import EniId, Network

LONGEST = 1024
"""Characters of a message (Kubernetes API, events.k8s.io/v1 `note`: at most 1 kB)."""


class Reason(Enum):
    """What happened; the value is the Event's `reason`, and with it the `type`."""

    MOVED = "FloatingIPMoved"
    REFUSED = "FloatingIPRefused"
    LOST = "FloatingIPLost"
    HOLDER = "BecameHolder"
    STANDBY = "BecameStandby"

    @property
    def type(self) -> str:
        """Normal, or Warning where a person may have to act."""
        return "Warning" if self in {Reason.REFUSED, Reason.LOST} else "Normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """Something worth an Event."""

    reason: Reason
    subject: str
    """What it is about; the same reason and subject again is counted, not posted anew."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An Event as it shall be in the API, this time and each time it is repeated."""

    name: str
    pod: PodReference
    reason: Reason
    message: str
    count: int
    first: float
    last: float
    """Seconds since 1970."""


Posted = frozenset[tuple[Condition, str]]
"""Findings that already have their Event, by condition and subject."""


def occurrences(report: Report, told: Posted) -> tuple[tuple[Occurrence, ...], Posted]:
    """Give what a pass is worth, and what is told after it.

    A finding is told when it comes; one that goes and comes back is told again.
    """
    news = tuple(_moved(report))
    if not report.observed:
        return news, told  # what was found before still stands for all we know
    found = {(f.condition, f.subject): f for f in report.findings if _worth(f)}
    new = [finding for key, finding in found.items() if key not in told]
    return news + tuple(_lost(new)) + tuple(_refused(new)), frozenset(found)


def _worth(finding: Finding) -> bool:
    """Tell what needs a person from what passes."""
    return finding.kind in {Kind.REFUSED, Kind.FAILED}


def _moved(report: Report) -> Iterator[Occurrence]:
    """One for each destination, however many tables it is in."""
    written: dict[tuple[Network, EniId], list[bool]] = {}
    for done in report.done:
        if isinstance(done.action, RouteWrite):
            key = (done.action.destination, done.action.eni)
            written.setdefault(key, []).append(done.failure is None)
    for (destination, eni), fates in written.items():
        good, bad = sum(fates), len(fates) - sum(fates)
        if good:
            share = f"{good} of {good + bad}" if bad else str(good)
            tables = f"{share} route table{'' if good + bad == 1 else 's'}"
            text = f"{destination} now points at {eni}, this pod's, in {tables}"
            text += f" ({report.seconds:.1f} s)"
            text += f"; {bad} could not be written" if bad else ""
            yield Occurrence(reason=Reason.MOVED, subject=str(destination), message=text)


def _lost(new: list[Finding]) -> Iterator[Occurrence]:
    for finding in new:
        if finding.condition.value.loses:
            yield Occurrence(
                reason=Reason.LOST, subject=finding.subject, message=_cut(str(finding))
            )


def _refused(new: list[Finding]) -> Iterator[Occurrence]:
    """One for each condition: a wrong selection of tables is one mistake, not fifty."""
    alike: dict[Condition, list[Finding]] = {}
    for finding in new:
        if not finding.condition.value.loses:
            alike.setdefault(finding.condition, []).append(finding)
    for condition, findings in alike.items():
        more = f" (and {len(findings) - 1} more like it)" if len(findings) > 1 else ""
        yield Occurrence(
            reason=Reason.REFUSED,
            subject=condition.name,
            message=_cut(str(findings[0]), more),
        )


def _cut(text: str, end: str = "") -> str:
    room = LONGEST - len(end)
    return (text if len(text) <= room else text[: room - 3] + "...") + end
