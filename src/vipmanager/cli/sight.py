"""What `status` says of a pod: the verdict first, then what is wrong, what to do, the detail."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from vipmanager.app.election import role_of, role_status_of
from vipmanager.app.names import Names
from vipmanager.cli.terminal import (
    BAD,
    BLANK,
    GOOD,
    QUIET,
    UNSURE,
    Block,
    Table,
    Words,
    age,
    ago,
    finding_line,
    remedy,
    words,
)
from vipmanager.core.election.role import Role
from vipmanager.core.findings import Condition, Finding, Kind
from vipmanager.core.remote_finding import RemoteFinding

Route = Mapping[str, Any]
"""Of docs/schema/status.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Everything that one look found."""

    floating: Sequence[Mapping[str, Any]] = ()
    routes: Sequence[Route] = ()
    read: float | None = None
    """Seconds since EC2 told the routes; None where it never did."""
    fresh: bool = True
    """Whether it told them to this look; False where it is the agent that knows them."""
    agent: Mapping[str, Any] | None = None
    """The status of this pod's sidecar."""
    mute: Finding | None = None
    """Why a sidecar that runs does not tell its status."""
    found: Sequence[Finding | RemoteFinding] = ()
    names: Names = field(default_factory=Names)
    kernel: Sequence[tuple[str, str]] = ()
    """The pod's rules and routes, as ip writes them."""

    @property
    def role(self) -> Role | None:
        """What this pod is in its group."""
        return role_of(self.agent)

    @property
    def standby(self) -> bool:
        """Whether another pod is to have the routes."""
        return self.role is Role.STANDBY

    def good(self, route: Route) -> bool:
        """Tell whether a route is as it should be: here, or for a standby at a living ENI."""
        return route["verdict"] == "right" or (self.standby and _served(route))

    @property
    def served(self) -> bool:
        """Whether there are routes, and all are good."""
        return bool(self.routes) and all(map(self.good, self.routes))

    @property
    def right(self) -> bool:
        """Whether all is right: the exit code."""
        ready = self.agent is None or bool(self.agent["ready"])
        blamed = any(f.kind in {Kind.FAILED, Kind.REFUSED} for f in self.found)
        return self.fresh and self.served and ready and self.mute is None and not blamed


def _served(route: Route) -> bool:
    led = str(route["target"] or "").startswith("eni-") and not route["blackhole"]
    return route["verdict"] == "yield" and led


# --- the verdict -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The first line."""

    word: str
    """READY, NOT READY, ...: upper case."""
    said: str
    when: str = ""
    """How old it is."""
    style: str = BAD
    cause: Finding | RemoteFinding | None = None
    """The finding that it tells already."""

    def __str__(self) -> str:
        """Give the whole line."""
        return self.lasting + self.when

    @property
    def lasting(self) -> str:
        """Give it without its age: the same as long as nothing changes."""
        return f"{self.word}{self.said}"


def verdict(sight: Sight) -> Verdict:
    """Sum it up."""
    if sight.mute is not None:
        return Verdict(word="NO ANSWER", said=f": {sight.mute.text}", cause=sight.mute)
    if sight.agent is None:
        return _without_agent(sight)
    if not sight.agent["ready"]:
        return _not_ready(sight)
    dry = next((f for f in sight.found if f.condition is Condition.DRY_RUN), None)
    if dry is not None:
        said = ": the sidecar says what it would do, and writes nothing"
        return Verdict(word="DRY RUN", said=said, style=UNSURE, cause=dry)
    word = "READY as standby" if sight.standby else "READY"
    if not sight.fresh:
        since = "" if sight.read is None else f" for {age(sight.read)}"
        more = (
            "A takeover needs no answer to a describe."
            if sight.standby
            else "Traffic goes on; nothing can be repaired."
        )
        said = f", but EC2 has not answered{since}. {more}"
        return Verdict(word=word, said=said, style=UNSURE)
    good = sight.served
    return Verdict(
        word=word,
        said=f"{':' if good else ', but'} {_counts(sight)}",
        when=_checked(sight),
        style=GOOD if good else UNSURE,
    )


def _without_agent(sight: Sight) -> Verdict:
    none = "No sidecar runs in this pod."
    if not sight.fresh:
        return Verdict(word="UNKNOWN", said=f": EC2 can't be read. {none}")
    good = sight.right
    said = f": {_counts(sight)}"
    when = f"{_checked(sight)}. {none}"
    style = GOOD if good else BAD
    return Verdict(word="RIGHT" if good else "WRONG", said=said, when=when, style=style)


def _not_ready(sight: Sight) -> Verdict:
    agent = sight.agent or {}
    word = "NOT READY as standby" if sight.standby else "NOT READY"
    progress = agent.get("progress")
    if progress:
        seconds = f", about {progress['seconds']:.0f} s to go"
        said = f"{progress['written']} of {progress['total']} routes written"
        failed = f", {progress['failed']} failed" if progress["failed"] else ""
        return Verdict(word=word, said=f": {said}{failed}", when=seconds)
    yielded = next((f for f in sight.found if f.condition is Condition.YIELDED), None)
    if yielded is not None:
        holder = ""
        if sight.role is not None:
            election = agent["election"]
            holder = f" Holder now: {sight.names.holder or election['holder'] or 'NOBODY'}"
        said = f': yielded, takes nothing until "vipmanager claim".{holder}'
        return Verdict(word="NOT READY", said=said, style=UNSURE, cause=yielded)
    why = str(agent["why"])
    cause = next((f for f in sight.found if f.text and why.startswith(f.text)), None)
    said = sight.names.say(cause.text if cause is not None else why)
    return Verdict(word=word, said=f": {said}", cause=cause)


def _counts(sight: Sight) -> str:
    """Count what is as it should be."""
    by_destination: dict[str, list[bool]] = {}
    for route in sight.routes:
        by_destination.setdefault(route["destination"], []).append(sight.good(route))
    well = [
        ip["ready"] and not ip.get("lost") and all(by_destination.get(ip["destination"], [False]))
        for ip in sight.floating
    ]
    good = sum(map(sight.good, sight.routes))
    whose = "point to this pod"
    if sight.standby:
        whose = f"point to {sight.names.holder or 'a living network interface'}"
    return (
        f"{sum(well)} of {_many(len(well), 'floating IP')}, "
        f"{good} of {_many(len(sight.routes), 'route')} {whose}"
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _checked(sight: Sight) -> str:
    return "" if sight.read is None else f" (checked {ago(sight.read)})"


# --- what is below it --------------------------------------------------------------------------


def blocks(sight: Sight) -> Iterator[Block]:
    """Give everything, in the order in which a person wants it."""
    first = verdict(sight)
    yield Words(
        Text.assemble(
            (first.word, f"bold {first.style}"), (first.said, first.style), (first.when, QUIET)
        ),
        hang=2,
    )
    if first.cause is not None:
        if first.cause.remedy and first.cause.condition is not Condition.YIELDED:
            yield remedy(first.cause.remedy)
        if sight.fresh and sight.floating:
            yield words(f"{_counts(sight)}{_checked(sight)}")
    for finding in sight.found:
        if finding is not first.cause:
            yield finding_line(finding.kind, sight.names.say(finding.text))
            if finding.remedy:
                yield remedy(finding.remedy)
    for fault in (sight.agent or {}).get("resolved", ()):
        yield _resolved(fault, sight.names)
    yield from _tables(sight)
    yield from _details(sight)


def _resolved(fault: Mapping[str, Any], names: Names) -> Words:
    times = "" if fault["times"] == 1 else f", {fault['times']} times"
    when = f"{ago(fault['ago'])}, after {age(fault['lasted'])}{times}"
    return words(f"resolved {when}: {names.say(fault['text'])}", QUIET, hang=4)


def _tables(sight: Sight) -> Iterator[Block]:
    known = "" if sight.fresh or sight.read is None else f", as last read {ago(sight.read)}"
    wrong = [r for r in sight.routes if not sight.good(r)]
    if wrong:
        rows = [_wrong(sight, r) for r in wrong]
        columns = ("route table", "destination", "leads to", "since", "state")
        yield BLANK
        yield Table(title=f"Routes that are not right{known}", columns=columns, rows=rows)
    if sight.floating:
        columns = ("address", "interface", "leads to", "route tables", "since")
        yield BLANK
        zones = {sight.names.zone(ip["eni"]) for ip in sight.floating} - {None}
        where = f" of this pod, in {', '.join(sorted(map(str, zones)))}" if zones else ""
        yield Table(title=f"Floating IPs{where}{known}", columns=columns, rows=list(_folded(sight)))


def _wrong(sight: Sight, route: Route) -> tuple[str | Text, ...]:
    name = route.get("tableName")
    target = "nothing"
    if route["target"]:
        eni = str(route["target"]).partition(" ")[0]
        target = f"here, {eni}" if eni == route["wanted"] else sight.names.behind(eni)
    if route["blackhole"]:
        target += ", blackhole"
    said, style = _state(sight, route)
    return (
        f"{route['table']} ({name})" if name else route["table"],
        route["destination"],
        target,
        age(route["since"]) if route["since"] is not None else "",
        Text(said, style=style),
    )


def _state(sight: Sight, route: Route) -> tuple[str, str]:
    """Say what is wrong with a route, and when it is mended."""
    verdict, reason = route["verdict"], sight.names.say(route["reason"])
    if verdict == "wait" and route["due"] is not None:
        if sight.agent is None:
            return "drift: a running sidecar would repair it", UNSURE
        return f"drift: repaired in {age(route['due'])} if it stays so", UNSURE
    if sight.standby:
        return "wrong: for its holder to write", BAD
    if verdict == "yield":
        return "taken", BAD  # by whom is said beside it
    word, style = {"wait": ("unsure", UNSURE), "lost": ("lost", BAD)}.get(verdict, ("wrong", BAD))
    return f"{word}: {reason.partition(': ')[2] or reason}", style


def _folded(sight: Sight) -> Iterator[tuple[str | Text, ...]]:
    """Give a row for each floating IP and each place that its good routes lead to."""
    for ip in sight.floating:
        routes = [r for r in sight.routes if r["destination"] == ip["destination"]]
        places: dict[str, list[Route]] = {}
        for route in filter(sight.good, routes):
            places.setdefault(str(route["target"]).partition(" ")[0], []).append(route)
        shown = ip["address"]
        if ip["destination"].partition("/")[0] != shown:
            shown += f" in {ip['destination']}"
        if not places:
            state = "lost" if ip.get("lost") else "not here"
            yield shown, ip["interface"], Text(state, BAD), f"0 of {len(routes)}", ""
        for target, good in places.items():
            here = target == ip["eni"]
            place = f"here, {target}" if here else sight.names.behind(target, short=True)
            ages = [r["since"] for r in good if r["since"] is not None]
            yield (
                shown,
                ip["interface"],
                place,
                Text(f"{len(good)} of {len(routes)}", GOOD if len(good) == len(routes) else BAD),
                age(min(ages)) if ages else "",
            )


def _details(sight: Sight) -> Iterator[Block]:
    if sight.agent is not None:
        yield BLANK
        yield from _agent(sight)
    if sight.kernel:
        columns = ("kind", "as ip writes it")
        yield BLANK
        yield Table(title="Rules and routes in the pod", columns=columns, rows=sight.kernel)


def _agent(sight: Sight) -> Iterator[Block]:
    agent = sight.agent or {}
    election = agent.get("election")
    if election is not None:
        yield words(_election(election, sight.names), hang=2)
    said = ["ready" if agent["ready"] else "not ready"]
    if agent.get("evidence") is not None:
        said.append(f"EC2 last read {ago(agent['evidence'])}")
    if "pass" in agent:
        last = agent["pass"]
        reasons = ", ".join(last["reasons"])
        said.append(
            f"last pass {ago(last['ago'])} took {last['seconds'] * 1000:.0f} ms ({reasons})"
        )
    for action, bucket in agent.get("budget", {}).items():
        left = f"{action}: {bucket['left']:.0f} calls left"
        said.append(left + (f", {bucket['throttled']} throttled" if bucket["throttled"] else ""))
    yield words(f"Sidecar: {'; '.join(said)}", QUIET, hang=2)


def _election(election: Mapping[str, Any], names: Names) -> str:
    role_status = role_status_of(election)
    said = [f"Election: {role_status}", ago(election["since"])]
    if role_status.role is Role.HOLDER:
        settled = (
            "not read back yet"
            if role_status.settled is None
            else f"in {role_status.settled:.2f} s"
        )
        said.append(f"Lease {election['lease']} is held here; taken over {settled}")
    elif role_status.role is Role.RELIEVED:
        said.append(f"Lease {election['lease']} can't be read: its holder is not known here")
    else:
        holder = names.holder or election["holder"] or "NOBODY"
        said.append(f"Lease {election['lease']} is held by {holder}")
    if role_status.leaving:
        said.append(f"should leave: {role_status.leaving}")
    if role_status.takeovers:
        counts = ", ".join(f"{why} {n}" for why, n in sorted(role_status.takeovers.items()))
        said.append(f"takeovers: {counts}")
    return "; ".join(said)
