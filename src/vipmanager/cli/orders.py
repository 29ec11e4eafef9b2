"""`vipmanager yield` and `vipmanager claim`: orders for the sidecar of this pod."""

import argparse
import json

from vipmanager.cli.command import Commands, add_command, add_output
from vipmanager.core.order import Order
from vipmanager.edges.control import ask

_HELP = {
    Order.YIELD: "stop steering, so that the next owner takes over undisturbed (for preStop)",
    Order.CLAIM: "take the pod's floating IPs back on purpose, also from another pod",
}

_DESCRIPTION = {
    Order.YIELD: """\
Ask the sidecar of this pod to write no route any more. Its routes stay as they are until the
next owner replaces them. It returns when no write is under way, and the pod is unready then.
With LeaderElection it releases the Lease, and a fit standby takes over at once.
""",
    Order.CLAIM: """\
Ask the sidecar of this pod to take every floating IP of the pod, also from another live ENI,
and to hold them again. The other pod's agent yields. With LeaderElection it takes the Lease.
""",
}


def add(commands: Commands) -> None:
    """Add the commands."""
    for order in Order:
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
    status = ask(arguments.order.name.lower())
    if arguments.output == "json":
        print(json.dumps(status, indent=1))
    else:
        print(status["why"])
    return 0
