"""`vipmanager yield` and `vipmanager claim`: orders for the sidecar of this pod."""

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

from vipmanager.cli.command import Commands, add_command, add_output, tell
from vipmanager.core.command import Command
from vipmanager.core.downward import holder_name
from vipmanager.core.failures import Failure
from vipmanager.core.findings import Condition
from vipmanager.edges.control import NoAgent, ask
from vipmanager.edges.proc import begins

_HELP = {
    Command.YIELD: "stop steering, so that the next owner takes over undisturbed (for preStop)",
    Command.CLAIM: "take the pod's floating IPs back on purpose, also from another pod",
}

_DESCRIPTION = {
    Command.YIELD: """\
Ask the sidecar of this pod to write no route any more. Its routes stay as they are until the
next owner replaces them. It returns when no write is under way, and the pod is unready then.
With LeaderElection it releases the Lease, and a fit standby takes over at once.

Exit code: 0 the pod has yielded, 1 it has not (the line says why).
""",
    Command.CLAIM: """\
Ask the sidecar of this pod to take every floating IP of the pod, also from another live ENI,
and to hold them again. The other pod's agent yields. With LeaderElection it takes the Lease.

Exit code: 0 the claim is accepted, and verified where the line says so; 1 it is not accepted
(the line says why).
""",
}

PATIENCE = 2.0
"""Seconds in which a next holder, or the reading that verifies a claim, is waited for."""

BEGINNING = 5.0
"""Seconds that an agent is given to begin: a busy node takes some."""

_LOOK = 0.1


def add(commands: Commands) -> None:
    """Add the commands."""
    for order in Command:
        name = order.name.lower()
        parser = add_command(
            commands,
            name,
            summary=_HELP[order],
            description=_DESCRIPTION[order],
            examples=f"example:\n  kubectl exec POD -c vipmanager -- vipmanager {name}",
        )
        add_output(parser)
        parser.set_defaults(run=run, order=order)


def run(arguments: argparse.Namespace) -> int:
    """Give the order; 0 once a pass has obeyed it."""
    status = _ask(arguments.order.name.lower())
    done = _verified if arguments.order is Command.CLAIM else _handed_over
    deadline = time.monotonic() + PATIENCE
    while not done(status) and time.monotonic() < deadline:
        time.sleep(_LOOK)
        try:
            status = ask("status")
        except Failure:
            break  # the order is obeyed; the sidecar may be on its way out
    if arguments.output == "json":
        print(json.dumps(status, indent=1))
    else:
        tell(_of_claim(status) if arguments.order is Command.CLAIM else _of_yield(status))
    return 0


def _ask(order: str) -> Mapping[str, Any]:
    """Ask; a pod may be deleted while its agent begins, and preStop comes only once."""
    deadline = time.monotonic() + BEGINNING
    while True:
        try:
            return ask(order)
        except NoAgent:
            if time.monotonic() > deadline or not begins():
                raise
            time.sleep(_LOOK)


def _handed_over(status: Mapping[str, Any]) -> bool:
    """Tell whether somebody else has the Lease, or none decides."""
    election = status.get("election")
    return not election or (bool(election["holder"]) and election["role"] != "holder")


def _verified(status: Mapping[str, Any]) -> bool:
    """Tell whether every route was read back since."""
    routes = status.get("routes", ())
    return bool(status["ready"] and routes) and all(r["verdict"] == "right" for r in routes)


def _of_yield(status: Mapping[str, Any]) -> str:
    if any(f["condition"] == Condition.DRY_RUN.name for f in status.get("findings", ())):
        return "Nothing to yield: DryRun is on, and this pod holds nothing."
    said = 'Yielded: this pod takes nothing until "vipmanager claim".'
    election = status.get("election")
    if not election:
        return f"{said}\nIts routes stay until the next owner replaces them."
    holder = holder_name(election) or election["holder"] or "NOBODY"
    return f"{said}\nHolder now: {holder}"


def _of_claim(status: Mapping[str, Any]) -> str:
    if not _verified(status):
        return "Claim accepted, not verified yet: vipmanager status"
    count = len(status["routes"])
    return f"Claimed and verified: {count} of {count} routes point to this pod."
