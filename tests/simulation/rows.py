"""The faults that were found in the field (A, B) and by the schedules (S), each by name.

A row that is open fails, for the reason that it gives; one that passes has to be closed. What
leads to an open row is not drawn, so that a drawn schedule that fails has found something new.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from simulation.faults import FOREVER, Fault, In
from simulation.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault of the field."""

    schedule: Schedule
    why: str
    """What happens, in one line."""
    said: str
    """What a run of it says while it is open: part of a problem."""
    is_open: bool = True
    leads_here: Callable[[Schedule], bool] = lambda _: False
    """Tells whether a drawn schedule may fail in this way too, while the row is open."""


def pair(*faults: Fault, **more: object) -> Schedule:
    """A holder in zone a and a standby in zone b, settled when the first fault comes."""
    made = Schedule(name="", seed=1, group=In.STANDBY, starts=(0.0, 0.3), faults=faults)
    return replace(made, **more)  # type: ignore[arg-type]


def alone(*faults: Fault, **more: object) -> Schedule:
    made = Schedule(name="", seed=1, group=In.ALONE, faults=faults)
    return replace(made, **more)  # type: ignore[arg-type]


def one(*faults: Fault, **more: object) -> Schedule:
    """One replica with a Lease, settled when the first fault comes."""
    made = Schedule(name="", seed=1, group=In.STANDBY, faults=faults)
    return replace(made, **more)  # type: ignore[arg-type]


def when(at: float, kind: str, **more: object) -> Fault:
    return replace(Fault(kind=kind, at=at, seconds=FOREVER), **more)  # type: ignore[arg-type]


def _has(plan: Schedule, *kinds: str) -> bool:
    return any(f.kind in kinds for f in plan.faults)


SOON = 3.0
"""Seconds in which a takeover is over that has to wait for nothing."""

_ROWS = {
    "A1": Row(
        schedule=pair(when(20, "describes fail"), when(60, "node lost"), within=SOON),
        why="describes fail for good, then the holder's node is lost: nobody takes over",
        said="alive: b2 (TRANSIENT, UNFIT)",
        is_open=False,
    ),
    "A1-throttled": Row(
        schedule=pair(when(20, "describes are throttled"), when(60, "node lost"), within=SOON),
        why="the same, throttled",
        said="alive: b2 (TRANSIENT, UNFIT)",
        is_open=False,
    ),
    "A1-yield": Row(
        schedule=pair(when(20, "describes fail"), when(60, "yield"), within=SOON),
        why="the same, and the holder yields: no hand-over",
        said="YIELDED), b2 (TRANSIENT, UNFIT)",
        is_open=False,
    ),
    "A2": Row(
        schedule=pair(when(20, "describes hang"), when(60, "node lost"), within=SOON),
        why="the same, and the describes hang",
        said="alive: b2 (TRANSIENT, UNFIT)",
        is_open=False,
    ),
    "A3": Row(
        schedule=alone(when(0, "describes fail"), starts=(1.0,), named_tables=True, within=12.0),
        why="a new pod with VPCRTIds writes no route while describes fail",
        said="192.168.0.1 leads to ['none']",
        is_open=False,
    ),
    "A4": Row(
        schedule=alone(
            when(20, "zone impaired"),
            when(30, "pointed at the other"),
            when(30, "dropped", amount=0.0),
            tables=3,
            seed=3,
        ),
        why="a rival in an impaired zone can't be looked up, and so nothing at all is repaired",
        said="'none'",
        is_open=False,
    ),
    "A5": Row(
        schedule=pair(when(25, "zone lost"), heartbeat=0.1, leads_to="a", within=1.5),
        why="the standby's connections lead into the zone that is lost",
        said="alive: b2 ()",
        is_open=False,
    ),
    "A6": Row(
        schedule=pair(when(0, "api crawls", amount=0.1), within=60.0),
        why="each proof is older than the fence on arrival: the holder never writes",
        said="and the routes lead to ['none",
        is_open=False,
    ),
    "A7": Row(
        schedule=pair(when(0, "bucket nearly empty"), tables=20, within=150.0, watched=200.0),
        why="throttling counts as a failed wave: the Lease goes back and forth",
        said="moves, where 1 are allowed",
        is_open=False,
    ),
    "A8": Row(
        schedule=pair(
            when(25, "credentials are slow"),
            when(26, "stolen"),
            when(32, "claim", place=1),
            resync=5.0,
            watched=40.0,
        ),
        why="a write is sent when its credentials are there: 25 s after the proof",
        said="too late",
        is_open=False,
    ),
    "A8-late": Row(
        schedule=pair(
            when(25, "credentials are slow", amount=0.11),
            when(26, "stolen"),
            when(30.0, "claim", place=1),
            resync=5.0,
            watched=40.0,
        ),
        why="the same, and credentials take 2.75 s, which a write waits for",
        said="too late",
        is_open=False,
    ),
    "A8-hangs": Row(
        schedule=pair(
            when(25, "writes never end"),
            when(26, "dropped"),
            resync=5.0,
            within=60.0,
            watched=120.0,
        ),
        why="a wave whose calls never end does not end either: neither steers nor offers",
        said="neither steers nor offers",
        is_open=False,
    ),
    "A9": Row(
        schedule=alone(agents=60, describes=3.5, within=600.0),
        why="hundreds of sidecars at rest (here 60, with a bucket as much smaller) keep the "
        "account's describe bucket empty",
        said="agents have not read EC2",
        is_open=False,
    ),
    "A11": Row(
        schedule=pair(
            when(25, "link cut at a write", seconds=20.0),
            when(25.1, "stolen"),
            resync=5.0,
            holds_bytes=True,
            watched=60.0,
        ),
        why="a link is cut with a write in the kernel, which sends it when the link heals",
        said="too late",
        is_open=False,
    ),
    "A12": Row(
        schedule=pair(when(25, "taken, looked at, and dead"), within=SOON, heartbeat=0.1),
        why="a reading newer than a takeover and older than its writes shows nothing to write",
        said="and the routes lead to",
        is_open=False,
    ),
    "B1": Row(
        schedule=Schedule(
            name="",
            seed=1,
            group=In.RIVALS,
            starts=(0.0, 1.0),
            faults=(
                when(0, "cut from ec2", seconds=120.0, amount=0.5),
                when(200, "pod gone for good"),
            ),
        ),
        why="a late claim displaces a pod that serves, and its own pod goes away",
        said="leads to ['eni-a1']",
        is_open=False,
    ),
    "B2": Row(
        schedule=alone(when(30, "second pod", seconds=30.0), asks=True),
        why="a second pod for half a minute displaces the first one for ever",
        said="leads to ['eni-b1']",
        is_open=False,
    ),
    "B2-rivals": Row(
        schedule=Schedule(
            name="",
            seed=1,
            group=In.RIVALS,
            starts=(0.0, 10.0),
            asks=True,
            faults=(when(200, "pod gone for good", place=1),),
        ),
        why="the newer of two pods is deleted after minutes: the older one has to serve again",
        said="leads to ['eni-b1']",
        is_open=False,
    ),
    "B2-lease": Row(
        schedule=one(when(30, "second pod claims", seconds=30.0), within=SOON),
        why="with a Lease the first one gets it back at once, though the second one claimed it",
        said="",
        is_open=False,
    ),
    "B2-gone": Row(
        schedule=one(
            when(30, "object deleted", amount=0.0), lease_seconds=60.0, heartbeat=0.1, within=SOON
        ),
        why="a lone holder is killed and its pod deleted: the next one takes at once",
        said="0 agents hold it",
        is_open=False,
    ),
    "B2-lives": Row(
        schedule=one(
            when(30, "object deleted", amount=1.0), lease_seconds=20.0, heartbeat=0.1, within=22.0
        ),
        why="the same, and the old process lives on, cut off: the swap fences it",
        said="",
        is_open=False,
    ),
    "B3": Row(
        schedule=pair(when(25, "addresses rolled out"), within=120.0),
        why="a rollout of other addresses stands still: the new pod is never ready",
        said="",
        is_open=False,
    ),
    "B3-all": Row(
        schedule=pair(when(25, "all addresses rolled out"), within=120.0),
        why="the same where no address stays",
        said="",
        is_open=False,
    ),
    "B3-three": Row(
        schedule=pair(when(25, "all addresses rolled out"), starts=(0.0, 0.3, 0.6), within=120.0),
        why="the same with three replicas",
        said="",
        is_open=False,
    ),
    "B4": Row(
        schedule=pair(two_leases=True, until=60.0, watched=240.0),
        why="two Leases with the same addresses write against each other",
        said="writes after everything was right",
        is_open=False,
    ),
    "B5": Row(
        schedule=alone(
            when(40, "pointed at the other"),
            when(300, "pointed at the other"),
            tables=3,
            nodes="b",
        ),
        why="a table that is stolen twice by an ENI without an agent is yielded by half the pods",
        said="leads to ['eni-a2', 'eni-b2']",
        is_open=False,
    ),
    "B5-often": Row(
        schedule=alone(
            *(when(at, "pointed at the other") for at in range(40, 200, 40)),
            tables=3,
            nodes="b",
            resync=5.0,
        ),
        why="the same four times in a row: a person or a tool that insists, and no agent",
        said="leads to ['eni-a2', 'eni-b2']",
        is_open=False,
    ),
    "B5-other": Row(
        schedule=alone(
            when(40, "pointed at the other"),
            when(300, "pointed at the other"),
            tables=3,
            nodes="a",
        ),
        why="the other half of the pods: they keep what is theirs, and have to go on doing so",
        said="",
        is_open=False,
    ),
    "B6": Row(
        schedule=pair(when(0, "writes denied"), until=30.0, within=120.0, watched=120.0),
        why="every write of the holder is denied: it tells that all is right, and offers nothing",
        said="tells that its takeover is complete: untrue",
        is_open=False,
    ),
    "B7": Row(
        schedule=pair(
            when(20, "health flips", seconds=300.0), tables=20, checked=True, watched=320.0
        ),
        why="a health that comes and goes moves everything each time",
        said="",
        is_open=False,
    ),
    "B7-three": Row(
        schedule=pair(
            when(20, "health flips", seconds=300.0),
            checked=True,
            watched=320.0,
            starts=(0.0, 0.3, 0.6),
        ),
        why="the same with three replicas, two of which turn sick together",
        said="",
        is_open=False,
    ),
    "B8-slower": Row(
        schedule=pair(
            when(20, "heartbeat rolled out to one", seconds=0.0),
            when(60, "cut apart", seconds=10.0, amount=0.2),
            heartbeat=0.5,
            watched=60.0,
        ),
        why="the other way round, and one direction is cut",
        said="",
        is_open=False,
    ),
    "B8": Row(
        schedule=pair(
            when(20, "heartbeat rolled out to one", place=1, seconds=0.0),
            when(60, "cut apart", seconds=10.0, amount=0.5),
            heartbeat=0.1,
            watched=60.0,
        ),
        why="a standby that probes faster than its holder expects takes every partition for death",
        said="",
        is_open=False,
    ),
    "B9": Row(
        schedule=pair(
            when(20, "watch slow", amount=0.5),
            when(25, "node lost at a renewal"),
            heartbeat=0.1,
            within=1.5,
        ),
        why="a late event of the dead holder's last renewal counts as life",
        said="",
        is_open=False,
    ),
    "S1": Row(
        schedule=pair(
            when(24.9, "late", amount=0.0),
            when(25, "node lost"),
            when(28, "link down", place=1, amount=0.0, seconds=5.0),
            seed=8,
            within=60.0,
        ),
        why="a holder whose link goes down in its first wave tells that the takeover is complete",
        said="tells that its takeover is complete: untrue",
        leads_here=lambda plan: _has(plan, "link down", "detached"),
        is_open=False,
    ),
    "S2": Row(
        schedule=Schedule(
            name="",
            seed=144,
            group=In.RIVALS,
            tables=4,
            starts=(0.0, 0.0),
            waits=0.3913515056663931,
            faults=(when(0, "ec2 stale", amount=0.0),),
        ),
        why="of two pods that claim at the same moment, both see the other spread, and both yield",
        said=" leads to ['eni-",
        is_open=False,
    ),
    "S3": Row(
        schedule=pair(when(20, "datagrams late", amount=0.3, seconds=20.0), heartbeat=0.1, seed=5),
        why="heartbeats that come late and in disorder are taken for death; the API is well",
        said="",
        is_open=False,
    ),
    "S3-lost": Row(
        schedule=pair(when(20, "datagrams lost", amount=0.3, seconds=60.0), heartbeat=0.1, seed=4),
        why="the same where a third of them is lost, in both directions",
        said="",
        is_open=False,
    ),
    "S4": Row(
        schedule=pair(when(20, "cut from ec2", amount=0.5), when(25, "link down"), within=10.0),
        why="a pass that can't read EC2 tells nothing of the kernel: a lost link stays unseen",
        said="and does not answer",
        is_open=False,
    ),
}

ROWS: Mapping[str, Row] = MappingProxyType(
    {name: replace(row, schedule=replace(row.schedule, name=name)) for name, row in _ROWS.items()}
)
"""By name: the row of the field's list, and a word where it has several schedules."""

OPEN = frozenset(name.partition("-")[0] for name, row in ROWS.items() if row.is_open)
"""Rows that the code still fails."""


def unexplained(plan: Schedule, problems: Iterable[str]) -> tuple[str, ...]:
    """Give the problems of a drawn schedule that no open row accounts for."""
    known = [row.said for row in ROWS.values() if row.is_open and row.leads_here(plan)]
    return tuple(p for p in problems if not any(said in p for said in known))
