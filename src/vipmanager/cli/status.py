"""`vipmanager status`: where each floating IP points, and whether that is right."""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from vipmanager.app import survey
from vipmanager.app.election import agent as ask_agent
from vipmanager.app.election import plights_of, role_of, tenure_of
from vipmanager.cli.command import Commands, add_command, add_output
from vipmanager.cli.keys import add_keys, settings
from vipmanager.cli.scope import Scope, add_scope, scope
from vipmanager.cli.terminal import BAD, GOOD, QUIET, findings, print_json, show, table
from vipmanager.core import hold
from vipmanager.core.actions import show_route, show_rule
from vipmanager.core.census import Entry, Holding, of
from vipmanager.core.claim import Judged, Verdict
from vipmanager.core.election.actions import Role
from vipmanager.core.failures import Failure
from vipmanager.core.findings import Finding, Kind
from vipmanager.core.podnet import PROTOCOL
from vipmanager.core.report import Report
from vipmanager.core.settings import Settings
from vipmanager.core.told import Told
from vipmanager.core.values import Eni, EniId, KernelState, TargetKind

RIGHT, WRONG = 0, 1

_DESCRIPTION = """\
Show each floating IP in each route table: its target, the zone, whether it is right, and since
when; the pod's rules and routes; what the sidecar did last; and its role, where a Lease decides.
A standby's routes lie elsewhere, and that is right. Nothing is written.

Exit code: 0 all is right, 1 something is not, or could not be read.
"""

_EPILOG = """\
examples:
  kubectl exec POD -c vipmanager -- vipmanager status
  vipmanager status --all                       every route of this kind in the pod's VPC
  vipmanager status --vpc vpc-1                 the same, outside of a pod
  vipmanager status --vpc vpc-1 --floating-ip 192.168.0.1 --watch
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "status",
        summary="show where each floating IP points",
        description=_DESCRIPTION,
        examples=_EPILOG,
    )
    parser.add_argument("--all", action="store_true", help="every route of this kind in the VPC")
    how = parser.add_mutually_exclusive_group()
    add_output(how)
    how.add_argument(
        "--watch",
        nargs="?",
        const=2.0,
        type=float,
        metavar="SECONDS",
        help="look again every so often [2], until Ctrl-C",
    )
    add_scope(parser)
    add_keys(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look: what programs read, what people read, and whether all is right."""

    document: dict[str, object]
    shown: RenderableType
    right: bool


def run(arguments: argparse.Namespace) -> int:
    """Show the status."""
    wanted, environ = settings(arguments)
    about = scope(arguments)
    if about.vpc is not None or arguments.all:
        look = partial(_vpc, wanted, environ, about)
    else:
        look = partial(_pod, wanted, environ)
    if arguments.watch is not None:
        return _watch(look, arguments.watch)
    view = look()
    if arguments.output == "json":
        print_json(view.document)
    else:
        show(view.shown)
    return RIGHT if view.right else WRONG


def _watch(look: "partial[View]", seconds: float) -> int:
    out = Console(highlight=False, emoji=False, markup=False)
    try:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                try:
                    shown = look().shown
                except Failure as failure:
                    shown = Text(str(failure), style=BAD)
                live.update(
                    Group(Text(time.strftime("%H:%M:%S"), style=QUIET), shown), refresh=True
                )
                time.sleep(seconds)
    except KeyboardInterrupt:
        return RIGHT


# --- a pod -------------------------------------------------------------------------------------


def _pod(wanted: Settings, environ: Mapping[str, str]) -> View:
    worlds = survey.here(wanted, environ)
    agent, unheard = _agent()
    role = role_of(agent)
    report = survey.look(wanted, worlds, role)
    kernel = worlds.kernel.read()
    targets = {
        EniId(j.route.target.id)
        for j in report.judged
        if j.route and j.route.target.kind is TargetKind.ENI
    }
    enis = {e.id: e for e in (worlds.cloud.enis_by_id(targets) if targets else ())}
    routes = [_route(j, enis, agent) for j in report.judged]
    more = _not_among(report.findings, plights_of(agent))
    found: tuple[Finding | Told, ...] = (*report.findings, *more, *unheard)
    served = all(map(hold.served, report.judged)) if role is Role.STANDBY else not report.wrong
    return View(
        document={
            "floatingIPs": [ip.document() for ip in report.floating],
            "routes": routes,
            "pod": _ours(kernel),
            "agent": agent,
            "findings": [f.document() for f in found],
        },
        shown=Group(
            *_show_pod(report, routes, kernel),
            *([] if unheard else _show_agent(agent)),
            *findings(found),
        ),
        right=report.observed
        and bool(report.judged)
        and served
        and not unheard
        and not any(f.kind in {Kind.FAILED, Kind.REFUSED} for f in found),
    )


def _agent() -> tuple[Mapping[str, Any] | None, Sequence[Finding]]:
    """Give the sidecar's status, or why one that runs did not tell it."""
    try:
        return ask_agent(), ()
    except Failure as failure:
        return None, (failure.finding("sidecar"),)


def _not_among(found: Sequence[Finding], told: Sequence[Told]) -> Sequence[Told]:
    """Leave out what this look found by itself."""
    known = [f.document() for f in found]
    return [t for t in told if t.document() not in known]


def _route(
    judged: Judged, enis: Mapping[EniId, Eni], agent: Mapping[str, Any] | None
) -> dict[str, object]:
    eni = enis.get(EniId(judged.route.target.id)) if judged.route else None
    told = (agent or {}).get("routes", ())
    key = judged.steer.table, str(judged.steer.destination), judged.verdict.name.lower()
    since = [r["since"] for r in told if (r["table"], r["destination"], r["verdict"]) == key]
    return judged.document() | {
        "zone": eni.zone if eni else None,
        "since": since[0] if since else None,
    }


def _ours(kernel: KernelState) -> dict[str, list[str]]:
    return {
        "rules": [show_rule(r) for r in kernel.rules if r.protocol == PROTOCOL],
        "routes": [show_route(r) for r in kernel.routes if r.protocol == PROTOCOL],
    }


_WORDS = {
    Verdict.RIGHT: ("right", GOOD),
    Verdict.WRITE: ("wrong", BAD),
    Verdict.WAIT: ("unsure", "yellow"),
    Verdict.YIELD: ("taken", BAD),
}


def _show_pod(
    report: Report, routes: Sequence[Mapping[str, Any]], kernel: KernelState
) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if report.floating:
        rows = [
            (str(ip.address), ip.interface, ip.eni, str(ip.destination)) for ip in report.floating
        ]
        parts += [table("Floating IPs", ("address", "interface", "ENI", "routed as"), rows), ""]
    if routes:
        columns = ("route table", "destination", "target", "zone", "state", "since", "why")
        rows_ = [_row(j, r, report.role) for j, r in zip(report.judged, routes, strict=True)]
        parts += [table("Routes in the VPC", columns, rows_), ""]
    ours = [(kind[:-1], each) for kind, group in _ours(kernel).items() for each in group]
    if ours:
        parts += [table("Rules and routes in the pod", ("kind", "as ip writes it"), ours), ""]
    return parts


def _row(judged: Judged, route: Mapping[str, Any], role: Role | None) -> tuple[str | Text, ...]:
    word, style = _WORDS[judged.verdict]
    if role is Role.STANDBY and judged.verdict is Verdict.YIELD:
        word, style = ("elsewhere", QUIET) if hold.served(judged) else _WORDS[Verdict.WRITE]
    target = f"{route['target']}, blackhole" if route["blackhole"] else route["target"]
    return (
        route["table"],
        route["destination"],
        target or "none",
        route["zone"] or "",
        Text(word, style=style),
        _age(route["since"]),
        "" if word == "right" else route["reason"],
    )


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _show_agent(agent: Mapping[str, Any] | None) -> list[Text]:
    if agent is None:
        return [Text("No sidecar runs in this pod.", style=QUIET)]
    text = Text("Sidecar: ")
    text.append("ready" if agent["ready"] else "not ready", GOOD if agent["ready"] else BAD)
    text.append(f", {agent['why']}")
    if "pass" in agent:
        last = agent["pass"]
        text.append(
            f"; last pass {_age(last['ago'])} ago took {last['seconds'] * 1000:.0f} ms "
            f"({', '.join(last['reasons'])})"
        )
    for action, bucket in agent.get("budget", {}).items():
        text.append(f"; {action}: {bucket['left']:.0f} calls left, {bucket['throttled']} throttled")
    election = agent.get("election")
    return [text] if election is None else [text, _show_election(election)]


def _show_election(election: Mapping[str, Any]) -> Text:
    tenure = tenure_of(election)
    text = Text(f"Election: {tenure}; {_age(election['since'])} ago; Lease {election['lease']} ")
    if tenure.role is Role.HOLDER:
        settled = "not read back yet" if tenure.settled is None else f"{tenure.settled:.2f} s"
        text.append(f"is held here; taken over in {settled}")
    else:
        text.append(f"is held by {election['holder'] or 'nobody'}")
    if tenure.takeovers:
        counts = ", ".join(f"{why} {n}" for why, n in sorted(tenure.takeovers.items()))
        text.append(f"; takeovers: {counts}")
    return text


# --- a VPC -------------------------------------------------------------------------------------


def _vpc(wanted: Settings, environ: Mapping[str, str], about: Scope) -> View:
    worlds = survey.here(wanted, environ)
    if about.vpc is not None:
        worlds.cloud.connect(survey.region(wanted))
        vpcs, ours = {about.vpc}, set(about.enis)
    else:
        floating = survey.look(wanted, worlds).floating
        vpcs, ours = {ip.vpc for ip in floating}, {ip.eni for ip in floating}
    entries = survey.count(worlds.cloud, vpcs, ours)
    if about.addresses:
        entries = of(entries, about.addresses)
    return View(
        document={"routes": [e.document() for e in entries]},
        shown=show_entries(entries),
        right=not any(e.holding is Holding.ORPHAN for e in entries),
    )


_STATES = {Holding.OURS: GOOD, Holding.LIVE: "", Holding.ORPHAN: BAD}


def show_entries(entries: Sequence[Entry]) -> RenderableType:
    """Lay out routes of a VPC, with who has them."""
    if not entries:
        return Text(
            "No route of this tool's kind: one address outside the VPC, or a subnet, to an ENI."
        )
    rows = [
        (
            str(e.route.destination),
            e.table,
            e.route.target.id,
            (e.eni.instance if e.eni else None) or "",
            (e.eni.zone if e.eni else None) or "",
            Text(e.holding.value, style=_STATES[e.holding]),
        )
        for e in sorted(entries, key=lambda e: (str(e.route.destination), e.table))
    ]
    columns = ("destination", "route table", "ENI", "instance", "zone", "state")
    return table("Routes in the VPC", columns, rows)
