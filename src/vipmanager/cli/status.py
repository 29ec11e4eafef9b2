"""`vipmanager status`: where each floating IP points, and whether that is right."""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from ipaddress import ip_network
from typing import Any

from vipmanager.app import survey
from vipmanager.app.election import agent as ask_agent
from vipmanager.app.election import role_of
from vipmanager.app.names import Names, Reader
from vipmanager.cli import sight
from vipmanager.cli.census import vpc
from vipmanager.cli.command import Commands, add_command, add_output
from vipmanager.cli.keys import add_keys, settings
from vipmanager.cli.scope import add_scope, must_be_a_pod, scope
from vipmanager.cli.sight import Route, Sight
from vipmanager.cli.terminal import print_json, show
from vipmanager.cli.view import View, watch
from vipmanager.core.actions import show_route, show_rule
from vipmanager.core.failures import Failure
from vipmanager.core.findings import Condition, Finding
from vipmanager.core.podnet import PROTOCOL
from vipmanager.core.remote_finding import RemoteFinding
from vipmanager.core.report import Report
from vipmanager.core.settings import Settings
from vipmanager.core.values import Eni, EniId, KernelState, Network, TargetKind

RIGHT, WRONG = 0, 1

_DESCRIPTION = """\
Say whether all is right, what is wrong and what to do; then where each floating IP points, since
when, the pod's rules and routes, and what the sidecar did last. A standby's routes lie elsewhere,
and that is right. Nothing is written.

The first line begins with the verdict: READY or NOT READY is the sidecar's, as the probes have it;
DRY RUN is one with DryRun=True, which is always ready, and writes nothing;
RIGHT or WRONG is said where none runs; NO ANSWER is a sidecar that hangs; UNKNOWN is an EC2 that
can't be read.

Exit code: 0 all is right, 1 something is not, or could not be read.
"""

_EPILOG = """\
examples:
  kubectl exec POD -c vipmanager -- vipmanager status
  kubectl exec POD -c vipmanager -- vipmanager status --watch
  vipmanager status --all

outside of a pod:
  vipmanager status --vpc vpc-1
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
        help="look again every so often [2], until Ctrl-C; in a pipe, a line for each change",
    )
    add_scope(parser)
    add_keys(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the status."""
    wanted, environ = settings(arguments)
    about = scope(arguments)
    look: Callable[[], View]
    if about.vpc is None:
        must_be_a_pod("status", environ)
    if about.vpc is not None or arguments.all:
        look = partial(vpc, wanted, environ, about)
    else:
        look = partial(_pod, wanted, environ, Reader(environ))
    if arguments.watch is not None:
        watch(look, arguments.watch)
        return RIGHT
    view = look()
    if arguments.output == "json":
        print_json(view.schema, view.document)
    else:
        show(*view.blocks)
    return RIGHT if view.right else WRONG


def _pod(wanted: Settings, environ: Mapping[str, str], reader: Reader) -> View:
    seen = _see(wanted, environ, reader)
    first = sight.verdict(seen)
    facts = {f"{f.condition.name} {f.subject}": seen.names.say(f.text) for f in seen.found}
    for route in seen.routes:
        where = f"{route['destination']} in {route['table']}"
        if not seen.good(route):
            facts[where] = f"{where} leads to {route['target'] or 'nothing'}"
    return View(
        verdict=first.lasting,
        right=seen.right,
        document={
            "verdict": str(first),
            "evidence": None if seen.read is None else round(seen.read, 1),
            "floatingIPs": seen.floating,
            "routes": seen.routes,
            "pod": _by_kind(seen.kernel),
            "agent": seen.agent,
            "findings": [f.document() for f in seen.found],
        },
        blocks=tuple(sight.blocks(seen)),
        facts=facts,
    )


def _see(wanted: Settings, environ: Mapping[str, str], reader: Reader) -> Sight:
    worlds = survey.here(wanted, environ)
    agent, mute = _agent()
    began = time.monotonic()
    report = survey.look(wanted, worlds, role_of(agent))
    fresh = report.observed and report.fresh
    enis = _targets(report, worlds) if fresh else ()
    theirs: Sequence[Route] = (agent or {}).get("routes", ())
    seen: Sequence[Route] = _merged(report.routes(), theirs)
    floating: Sequence[Mapping[str, Any]] = [ip.document() for ip in report.floating]
    read: float | None = time.monotonic() - began
    if not fresh and agent is not None:  # what it knows is better than nothing
        seen, floating = theirs, agent.get("floatingIPs", ())
        read = agent["evidence"]
    elif not fresh:
        read = None
    names = reader.read(enis, _rivals(seen), agent)
    own = tuple(RemoteFinding(f) for f in (agent or {}).get("findings", ()))
    return Sight(
        floating=floating,
        routes=[{**r, "zone": _zone(r, names)} for r in seen],
        read=read,
        fresh=fresh,
        agent=agent,
        mute=mute,
        found=_all(
            [f for f in own if not (fresh and _past(f, seen))],
            report.findings,
            [mute] if mute is not None else [],
        ),
        names=names,
        kernel=_ours(worlds.kernel.read()),
    )


def _agent() -> tuple[Mapping[str, Any] | None, Finding | None]:
    """Give the sidecar's status, or why one that runs did not tell it."""
    try:
        return ask_agent(), None
    except Failure as failure:
        return None, failure.finding("sidecar")


def _targets(report: Report, worlds: survey.Worlds) -> Sequence[Eni]:
    """Ask EC2 for the ENIs that routes lead to."""
    targets = {
        EniId(j.route.target.id)
        for j in report.judged
        if j.route and j.route.target.kind is TargetKind.ENI
    }
    try:
        return worlds.cloud.enis_by_id(targets) if targets else ()
    except Failure:
        return ()  # their zones are not told, and the rest is


def _merged(seen: Iterable[Route], told: Iterable[Route]) -> list[Route]:
    """Take the sidecar's word for what it sees as well: it remembers, this look does not."""
    known = {(r["table"], r["destination"], r["target"]): r for r in told}
    merged: list[Route] = []
    for route in seen:
        same = known.get((route["table"], route["destination"], route["target"]))
        merged.append({**route, "since": None} if same is None else {**route, **same})
    return merged


def _past(finding: RemoteFinding, seen: Iterable[Route]) -> bool:
    """Tell whether this look, which is newer, shows that a contest is over."""
    routes = [r for r in seen if r["destination"] == finding.subject]
    # These two are judged by the routes alone, which are what this look reads.
    contest = finding.condition in {Condition.CONTESTED, Condition.NOT_VISIBLE}
    return contest and all(r["verdict"] == "right" for r in routes)


def _all(*groups: Iterable[Finding | RemoteFinding]) -> Sequence[Finding | RemoteFinding]:
    """Give each finding once, as it was said first."""
    found: dict[tuple[Condition, str], Finding | RemoteFinding] = {}
    for group in groups:
        for each in group:
            found.setdefault((each.condition, each.subject), each)
    return tuple(found.values())


def _rivals(routes: Iterable[Route]) -> list[tuple[Network, EniId]]:
    """Give every other ENI that has a destination of this pod."""
    found = {
        (ip_network(r["destination"]), EniId(str(r["target"]).partition(" ")[0]))
        for r in routes
        if r["target"] and r["verdict"] not in {"right", "lost"}
    }
    return sorted(((d, e) for d, e in found if e.startswith("eni-")), key=str)


def _zone(route: Route, names: Names) -> str | None:
    return names.zone(str(route["target"] or "").partition(" ")[0])


def _ours(kernel: KernelState) -> list[tuple[str, str]]:
    rules = [("rule", show_rule(r)) for r in kernel.rules if r.protocol == PROTOCOL]
    return rules + [("route", show_route(r)) for r in kernel.routes if r.protocol == PROTOCOL]


def _by_kind(entries: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"rules": [], "routes": []}
    for kind, text in entries:
        found[f"{kind}s"].append(text)
    return found
