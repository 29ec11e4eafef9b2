"""`vipmanager plan`: what `run` would change, and why."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from vipmanager.app import survey
from vipmanager.app.election import LeaseView, seat
from vipmanager.cli.command import Commands, add_command, add_output
from vipmanager.cli.keys import add_keys, settings
from vipmanager.cli.scope import add_scope, must_be_a_pod, scope
from vipmanager.cli.terminal import (
    BAD,
    BLANK,
    GOOD,
    UNSURE,
    Block,
    Table,
    Words,
    findings,
    print_json,
    show,
    words,
)
from vipmanager.core.actions import (
    Action,
    CloudAction,
    CreateRoute,
    DeleteRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
)
from vipmanager.core.election.role import Role
from vipmanager.core.findings import Kind
from vipmanager.core.report import Report
from vipmanager.core.schema import Schema

NOTHING, ERROR, CHANGES = 0, 1, 2

_DESCRIPTION = """\
Show every change that `vipmanager run` would make now, in the pod and in the VPC, and the routes
after this plan. Nothing is written. The code that decides is the agent's own. With LeaderElection
the changes in the VPC are those of a pod that holds the Lease, whether this one does or not.

Exit code: 0 nothing to change, 2 changes, 1 something is wrong (and then nothing may be right).
"""

_EPILOG = """\
examples:
  kubectl exec POD -c vipmanager -- vipmanager plan
  AWS_REGION=eu-central-1 vipmanager plan --vpc vpc-1 --floating-ip 192.168.0.1 --eni eni-1
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "plan",
        summary="show what run would change",
        description=_DESCRIPTION,
        examples=_EPILOG,
    )
    add_output(parser)
    add_scope(parser)
    add_keys(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the plan."""
    wanted, environ = settings(arguments)
    about = scope(arguments)
    if about.vpc is None:
        must_be_a_pod("plan", environ)
        worlds = survey.here(wanted, environ)
        held = seat(wanted, environ) if wanted.elects else None
    else:
        worlds = survey.elsewhere(wanted, about.vpc, about.pairs())
        held = LeaseView(lease=wanted.lease_name) if wanted.elects else None
    reports = survey.rehearse(wanted, worlds, held.role if held is not None else None)
    # In a pod that was only named, nothing can be said about its kernel.
    actions = _actions(reports, kernel=about.vpc is None)
    last = reports[-1]
    if held is not None:
        last = replace(last, findings=(*last.findings, *held.findings))
    if arguments.output == "json":
        print_json(Schema.PLAN, _document(last, actions, held))
    else:
        _show(last, actions, held)
    if last.of_kind(Kind.FAILED, Kind.REFUSED) or not last.observed:
        return ERROR
    return CHANGES if actions else NOTHING


def _actions(reports: Sequence[Report], *, kernel: bool) -> tuple[Action, ...]:
    order = {j.steer.table: n for report in reports for n, j in enumerate(report.judged)}

    def place(action: CloudAction) -> int:
        # A wave ends in any order; a plan is read in the order in which it begins.
        match action:
            case DisableSourceDestCheck():
                return -1
            case CreateRoute() | ReplaceRoute() | DeleteRoute():
                return order[action.table]
            case _:
                assert_never(action)

    found: list[Action] = []
    for report in reports:
        done = [d.action for d in report.done]
        before = [a for a in done if not isinstance(a, CloudAction)]
        cloud = sorted((a for a in done if isinstance(a, CloudAction)), key=place)
        found += [*(before if kernel else ()), *cloud]
    return tuple(found)


def _document(last: Report, actions: Sequence[Action], held: LeaseView | None) -> dict[str, object]:
    return {
        "election": held.document() if held is not None else None,
        "floatingIPs": [ip.document() for ip in last.floating],
        "changes": [
            {
                "where": "vpc" if isinstance(a, CloudAction) else "pod",
                "action": type(a).__name__,
                "text": str(a),
                "reason": a.reason,
            }
            for a in actions
        ],
        "after": [j.document() for j in last.judged],
        "findings": [f.document() for f in last.findings],
    }


def _show(last: Report, actions: Sequence[Action], held: LeaseView | None) -> None:
    pod = [a for a in actions if not isinstance(a, CloudAction)]
    vpc = [a for a in actions if isinstance(a, CloudAction)]
    blocks: list[Block] = [_verdict(last, len(pod), len(vpc))]
    if held is not None:
        blocks.append(words(_holder(held)))
    blocks += [*findings(last.findings), BLANK]
    for title, group in (("In the VPC", vpc), ("In the pod", pod)):
        if group:
            rows = [(str(a), a.reason) for a in group]
            blocks += [Table(title=title, columns=("change", "why"), rows=rows), BLANK]
    if last.judged:
        columns = ("destination", "target", "route tables")
        blocks.append(Table(title="Routes after this plan", columns=columns, rows=_after(last)))
    show(*blocks)


def _verdict(last: Report, pod: int, vpc: int) -> Words:
    wrong = len(last.of_kind(Kind.FAILED, Kind.REFUSED))
    changes = f"{vpc} in the VPC, {pod} in the pod"
    if not last.observed:
        return words("UNKNOWN: without a look at the pod and at EC2 there is no plan", BAD)
    if wrong:
        said = f"{wrong} problem{'s' if wrong > 1 else ''}"
        return words(
            f"PROBLEMS: {said} that no change of this plan solves. Changes: {changes}", BAD
        )
    if pod or vpc:
        return words(f"CHANGES: {changes}", UNSURE)
    if last.waiting:
        return words("NOTHING TO CHANGE yet", UNSURE)
    return words("NOTHING TO CHANGE", GOOD)


def _holder(held: LeaseView) -> str:
    """Say whose changes these are."""
    if held.role is Role.HOLDER:
        who = "This pod holds it."
    elif held.known:
        who = f"{held.name or held.holder or 'NOBODY'} holds it."
    else:
        who = "Who holds it is not known here."
    return f"LeaderElection: the changes in the VPC are the holder's of Lease {held.lease}. {who}"


def _after(last: Report) -> list[tuple[str, str, str]]:
    """Give a row for each destination and target, with the tables that have it."""
    rows: dict[tuple[str, str], list[str]] = {}
    for judged in last.judged:
        target = str(judged.route.target) if judged.route else "none"
        key = str(judged.steer.destination), target
        rows.setdefault(key, []).append(judged.steer.table)
    total = Counter(str(j.steer.destination) for j in last.judged)
    return [
        (
            destination,
            target,
            f"all {len(tables)}" if len(tables) == total[destination] else ", ".join(tables),
        )
        for (destination, target), tables in rows.items()
    ]
