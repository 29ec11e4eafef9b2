"""`vipmanager cleanup`: remove what this tool wrote, when it is no longer wanted."""

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vipmanager.app import survey
from vipmanager.cli.command import Commands, add_command, add_output
from vipmanager.cli.keys import add_keys, settings
from vipmanager.cli.scope import Scope, add_scope, must_be_a_pod, scope
from vipmanager.cli.terminal import (
    BAD,
    BLANK,
    GOOD,
    Block,
    Table,
    findings,
    print_json,
    show,
    words,
)
from vipmanager.core.actions import DeleteRoute, KernelAction
from vipmanager.core.census import of
from vipmanager.core.cleanup import cleanup
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Finding
from vipmanager.core.plan import wipe
from vipmanager.core.schema import Schema
from vipmanager.core.settings import Settings
from vipmanager.core.values import Address, EniId, VpcId
from vipmanager.edges.control import NoAgent, ask

_DESCRIPTION = """\
Delete the routes of the floating IPs from the VPC's route tables, and in a pod its own rules and
routes. It shows the plan and asks first. A route that another live ENI has is left alone.

Exit code: 0 nothing of ours is left, 1 something is.
"""

_EPILOG = """\
examples:
  kubectl exec POD -c vipmanager -- vipmanager cleanup --yes
  vipmanager cleanup --vpc vpc-1 --floating-ip 192.168.0.1 --orphans
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "cleanup",
        summary="remove the routes of the floating IPs",
        description=_DESCRIPTION,
        examples=_EPILOG,
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--orphans", action="store_true", help="also routes to ENIs that are detached or gone"
    )
    add_output(parser)
    add_scope(parser)
    add_keys(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Whose routes: the pod's own, or those of what was named."""

    worlds: survey.Worlds
    vpcs: tuple[VpcId, ...]
    enis: tuple[EniId, ...]
    addresses: tuple[Address, ...]
    pod: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    deletions: tuple[DeleteRoute, ...]
    kernel: tuple[KernelAction, ...]
    findings: tuple[Finding, ...]


def run(arguments: argparse.Namespace) -> int:
    """Show the plan, ask, delete, and look again."""
    wanted, environ = settings(arguments)
    if wanted.dry_run:
        raise Permanent("DryRun is on: nothing is deleted", "vipmanager cleanup --DryRun False")
    target = _target(wanted, environ, scope(arguments))
    todo = _plan(target, orphans=arguments.orphans)
    text = arguments.output == "text"
    if text:
        _show(todo, target)
    if (todo.deletions or todo.kernel) and not arguments.yes:
        _ask(todo)
    failures = _apply(wanted, target, todo)
    left = _plan(target, orphans=arguments.orphans)
    if text:
        _conclude(failures, left)
    else:
        print_json(Schema.CLEANUP, _document(todo, failures, left))
    return 1 if failures or left.deletions or left.kernel else 0


def _target(wanted: Settings, environ: Mapping[str, str], about: Scope) -> _Target:
    worlds = survey.here(wanted, environ)
    if about.vpc is not None:
        if not about.addresses:
            raise Permanent("--vpc without --floating-ip", "name the floating IPs to clean up")
        worlds.cloud.connect(survey.region(wanted))
        return _Target(
            worlds=worlds, vpcs=(about.vpc,), enis=about.enis, addresses=about.addresses, pod=False
        )
    must_be_a_pod("cleanup", environ)
    report = survey.look(wanted, worlds)
    if not report.observed:
        raise Permanent(str(report.findings[0]))
    return _Target(
        worlds=worlds,
        vpcs=tuple(dict.fromkeys(ip.vpc for ip in report.floating)),
        enis=tuple(ip.eni for ip in report.floating),
        addresses=tuple(ip.address for ip in report.floating),
        pod=True,
    )


def _plan(target: _Target, *, orphans: bool) -> _Plan:
    entries = survey.count(target.worlds.cloud, target.vpcs, target.enis) if target.vpcs else ()
    deletions, left = cleanup(of(entries, target.addresses), orphans=orphans)
    kernel = wipe(target.worlds.kernel.read()) if target.pod else ()
    return _Plan(deletions=deletions, kernel=kernel, findings=left)


def _ask(todo: _Plan) -> None:
    count = _count(todo)
    if not sys.stdin.isatty():
        raise Permanent(f"nothing was deleted: nobody can be asked about {count}", "add --yes")
    if input(f"Delete {count}? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise Permanent("nothing was deleted, as asked")


def _apply(wanted: Settings, target: _Target, todo: _Plan) -> list[str]:
    """Delete, the VPC's routes first; give what failed."""
    if target.pod:
        with contextlib.suppress(NoAgent):
            ask("yield")  # or the sidecar would repair what is deleted
    cloud = survey.write(wanted, target.worlds.cloud, _still(target, todo))
    kernel = target.worlds.kernel.write(todo.kernel)
    return [*map(str, cloud), *(str(failure) for _, failure in kernel)]


def _still(target: _Target, todo: _Plan) -> list[DeleteRoute]:
    """Look once more: what was shown may have been taken over while a person read it."""
    if not todo.deletions:
        return []
    now = {
        (table.id, route.destination): route.target
        for table in target.worlds.cloud.route_tables(target.vpcs)
        for route in table.routes
    }
    return [d for d in todo.deletions if now.get((d.table, d.destination)) == d.before]


def _show(todo: _Plan, target: _Target) -> None:
    count = _count(todo)
    blocks: list[Block] = [words(f"TO DELETE: {count}" if count else "NOTHING TO DELETE")]
    blocks += findings(todo.findings)
    rows = [*_rows(todo.deletions), *_rows(todo.kernel)]
    if rows:
        title = f"In {', '.join(target.vpcs)}" + (" and in the pod" if target.pod else "")
        blocks += [BLANK, Table(title=title, columns=("change", "why"), rows=rows)]
    show(*blocks, BLANK)


def _rows(actions: Sequence[DeleteRoute] | Sequence[KernelAction]) -> list[tuple[str, str]]:
    return sorted((str(a), a.reason) for a in actions)


def _count(todo: _Plan) -> str:
    """Say how much is deleted; nothing for nothing."""
    parts = ((len(todo.deletions), "routes in the VPC"), (len(todo.kernel), "entries in the pod"))
    return " and ".join(f"{n} {what}" for n, what in parts if n)


def _conclude(failures: Sequence[str], left: _Plan) -> None:
    count = _count(left)
    verdict = (
        words(f"LEFT of ours: {count}", BAD) if count else words("Nothing of ours is left.", GOOD)
    )
    show(*(words(f, BAD) for f in failures), verdict)


def _document(todo: _Plan, failures: Sequence[str], left: _Plan) -> dict[str, object]:
    return {
        "deleted": [
            str(a)
            for a in (*todo.deletions, *todo.kernel)
            if a not in (*left.deletions, *left.kernel)
        ],
        "left": [str(a) for a in (*left.deletions, *left.kernel)],
        "failures": list(failures),
        "findings": [f.document() for f in todo.findings],
    }
