"""What has to be true after the last fault, and what must never have happened."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any
from zlib import crc32

from chaos.container import Container, Footprint
from chaos.schedule import (
    AddressRemoved,
    Cut,
    Detached,
    Dropped,
    Hanging,
    Killed,
    Kind,
    Paused,
    Schedule,
    Stolen,
    TableDeleted,
)
from chaos.stage import PORT, RATE, Stage
from vipmanager_lab.ec2.endpoint import Call
from vipmanager_lab.netns import Netns, NetnsError

WRITES = ("CreateRoute", "ReplaceRoute")
READS = ("DescribeRouteTables", "DescribeNetworkInterfaces", "DescribeSubnets")
APPLIED = (None, "lost", "truncated")

GROWTH = Footprint(kilobytes=16_000, threads=6, descriptors=40)
"""What a process may gain: pools of threads and connections fill up once, and botocore's client
is there twice while its credentials are renewed."""

MOST = Footprint(kilobytes=75_000, threads=16, descriptors=100)
"""What a process may hold; libfaketime, where it is loaded, counts for some of it."""

TIE = 4
"""Moves of one route that two claims at one moment may cost."""


# --- what has to come true ---------------------------------------------------------------------


def unsettled(stage: Stage) -> Iterator[str]:
    """List what is not right yet."""
    if stage.plan.kind is Kind.PAIR:
        yield from _two_owners(stage)
    else:
        yield from _wrong_routes(stage)
        yield from _wrong_kernel(stage)
    for container in stage.containers.values():
        if stage.plan.kind is Kind.INIT:
            if not container.ended:
                yield "the initContainer has not ended"
        elif not container.alive:
            yield f"no agent runs in zone {container.zone}"
        else:
            yield from _unready(stage, container)


def _wrong_routes(stage: Stage) -> Iterator[str]:
    for destination, eni in stage.enis("a").items():
        for table in stage.tables:
            exempt = (table, destination) in stage.gateways or destination in stage.squatted
            target = stage.world.target(table, destination)
            if not exempt and target != eni:
                yield f"{destination} in {table} points at {target}, not at {eni}"


def _two_owners(stage: Stage) -> Iterator[str]:
    for number, destination in enumerate(stage.destinations):
        owners = {stage.world.target(t, destination) for t in stage.tables}
        live = {stage.world.nodes[z].secondary[number] for z in "ab"}
        if len(owners) != 1 or not owners <= live:
            yield f"{destination} has the owners {sorted(map(str, owners))}"


def _wrong_kernel(stage: Stage) -> Iterator[str]:
    plan, pod = stage.plan, stage.pod("a")
    routes = pod.run(["ip", f"-{plan.version}", "route", "show", "table", "all"]).splitlines()
    marks = {r.split()[1] for r in routes if r.startswith("throw") and "table 8600" in r}
    expected = {d: e for d, e in stage.enis("a").items() if d not in stage.squatted}
    wanted = {d.removesuffix("/32").removesuffix("/128"): e for d, e in expected.items()}
    # A mark stays for what is lost: an agent that starts again has to say so too.
    lost = {d.removesuffix("/32").removesuffix("/128") for d in stage.lost()}
    if marks - lost != set(wanted):
        yield f"marks for {sorted(marks)}, not for {sorted(wanted)}"
    for destination, eni in wanted.items():
        metric = f"metric {crc32(eni.encode())}"
        if destination in marks and not any(destination in r and metric in r for r in routes):
            yield f"the mark of {destination} is not that of {eni}"
    if plan.source_routing:
        rules = pod.run(["ip", f"-{plan.version}", "rule"])
        addresses = [f.partition("/")[0] for f in stage.present]
        yield from (f"no rule from {a}" for a in addresses if f"from {a} lookup" not in rules)
        return
    for number, peers in enumerate(stage.world.peers(plan.version).values(), start=1):
        if number in stage.present.values():
            found = any(r.startswith(f"{peers} via") and f"dev net{number}" in r for r in routes)
            if not found:
                yield f"no route to {peers} through net{number}"


def _unready(stage: Stage, container: Container) -> Iterator[str]:
    if stage.gateways or stage.squatted:
        return  # rightly so
    status = ask(container.pod)
    if stage.plan.kind is Kind.PAIR:
        verdicts = {r["verdict"] for r in status.get("routes", ())}
        if not verdicts or not verdicts <= {"right", "yield"}:
            yield f"the agent in zone {container.zone} is at {sorted(verdicts)}"
    elif not status.get("ready"):
        why = str(status.get("why"))
        if not any(f"{d.partition('/')[0]} is lost" in why for d in stage.lost()):
            yield f"the agent is not ready: {why}"


def ask(pod: Netns) -> dict[str, Any]:
    """Read /status, as a person in the pod would."""

    def get() -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/status", timeout=2) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    try:
        return pod.call(get)
    except (OSError, ValueError) as error:
        return {"why": f"/status: {error}"}


# --- what must never have happened -------------------------------------------------------------


def sins(stage: Stage, before: dict[tuple[str, str], str]) -> Iterator[str]:
    """List what was done wrong on the way; `before` are the foreign routes of the beginning."""
    stage.look()
    yield from stage.problems
    calls = stage.world.endpoint.calls
    yield from _strange_writes(stage, calls)
    yield from _touched(stage, before)
    for container in stage.containers.values():
        yield from container.problems
        yield from (
            f"zone {container.zone}: {line}"
            for life in container.lives
            for line in life.text
            if "Traceback" in line
        )
        yield from _foreign_kernel(container.pod)
    for action in WRITES:
        yield from _over_the_bucket(stage, action, _starts(calls, action))
    for action in READS:
        yield from _too_many_reads(stage, action, _starts(calls, action))
    yield from _moves(stage, calls)


def _strange_writes(stage: Stage, calls: Sequence[Call]) -> Iterator[str]:
    ours = {e for z in stage.plan.zones for e in stage.world.nodes[z].secondary}
    for call in calls:
        if call.action in WRITES:
            p = call.parameters
            destination = p.get("DestinationCidrBlock") or p.get("DestinationIpv6CidrBlock")
            if (
                p["RouteTableId"] not in stage.selected
                or destination not in stage.ever
                or p["NetworkInterfaceId"] not in ours
            ):
                yield f"{call.action} of {destination} in {p['RouteTableId']} is not ours"
        elif not call.action.startswith(("Describe", "AssumeRole")):
            yield f"{call.action} was called"


def _touched(stage: Stage, before: dict[tuple[str, str], str]) -> Iterator[str]:
    now = stage.foreign()
    existing = {t.id for t in stage.world.account.state().tables}
    for (table, destination), target in before.items():
        if table in existing and destination not in stage.ever:
            found = now.get((table, destination))
            if found != target:
                yield f"foreign route {destination} in {table}: {target} became {found}"


def _foreign_kernel(pod: Netns) -> Iterator[str]:
    try:
        if "10.200.0.0/16 via 169.254.1.1" not in pod.run(["ip", "-4", "route"]):
            yield "a foreign kernel route is gone"
        if "from 10.77.0.1 lookup 100" not in pod.run(["ip", "-4", "rule"]):
            yield "a foreign rule is gone"
    except NetnsError as error:
        yield str(error)


def _slack(plan: Schedule) -> float:
    """Seconds by which calls may arrive late, and then all at once."""
    lasted = [(s.until or s.at) - s.at for s in plan.having(Cut, Paused)]
    return 0.5 + 2 * sum(lasted)


def _starts(calls: Iterable[Call], action: str) -> list[float]:
    return sorted(c.start for c in calls if c.action == action)


def _over_the_bucket(stage: Stage, action: str, starts: Sequence[float]) -> Iterator[str]:
    burst, refill = RATE
    slack = _slack(stage.plan)
    spans = [span for c in stage.containers.values() for span in c.spans]
    for index, first in enumerate(starts):
        for count, last in enumerate(starts[index:], start=1):
            allowed = sum(
                burst + refill * (min(end, last) - max(begin, first - slack))
                for begin, end in spans
                if end >= first - slack and begin <= last
            )
            if count > allowed:
                yield f"{count} {action} in {last - first:.2f} s, where {allowed:.0f} are allowed"
                return


def _too_many_reads(stage: Stage, action: str, starts: Sequence[float]) -> Iterator[str]:
    """Compare with EC2's own bucket for readings: 100 at once, 20 a second."""
    if starts:
        lives = sum(len(c.spans) for c in stage.containers.values())
        allowed = 20 * lives + 20 * (starts[-1] - starts[0])
        if len(starts) > allowed:
            yield f"{len(starts)} {action} in {starts[-1] - starts[0]:.1f} s"


def _moves(stage: Stage, calls: Iterable[Call]) -> Iterator[str]:
    """Count how often each route went from one pod to the other."""
    plan = stage.plan
    reasons = plan.having(Killed, Stolen, Dropped, Detached, AddressRemoved, TableDeleted)
    late = sum(s.fault.times for s in plan.strikes if isinstance(s.fault, Hanging))
    bound = TIE + 2 * (len(list(reasons)) + late)
    owners: dict[tuple[str, str], list[str]] = {}
    for call in calls:
        if call.action in WRITES and call.error in APPLIED:
            p = call.parameters
            destination = p.get("DestinationCidrBlock") or p["DestinationIpv6CidrBlock"]
            owners.setdefault((p["RouteTableId"], destination), []).append(p["NetworkInterfaceId"])
    for (table, destination), line in owners.items():
        count = sum(one != other for one, other in pairwise(line))
        if count > bound:
            yield f"{destination} in {table} moved {count} times"


def oversized(now: Footprint, baseline: Footprint | None) -> Iterator[str]:
    """List what a process holds too much of."""
    for name in ("kilobytes", "threads", "descriptors"):
        found, most = getattr(now, name), getattr(MOST, name)
        if baseline is not None:
            most = min(most, getattr(baseline, name) + getattr(GROWTH, name))
        if found > most:
            was = "" if baseline is None else f", after {getattr(baseline, name)}"
            yield f"{found} {name}{was}"


def writes(stage: Stage) -> int:
    """Count the route writes that arrived so far."""
    return sum(c.action in WRITES for c in stage.world.endpoint.calls)
