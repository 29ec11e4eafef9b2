"""`vipmanager lab`: the demo's world at a prompt, with faults on command."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vipmanager.cli.command import Commands, add_command
from vipmanager_lab.cli.inside import in_sandbox
from vipmanager_lab.cli.prompt import Prompt
from vipmanager_lab.kubernetes.assets import KUBERNETES

if TYPE_CHECKING:
    from vipmanager_lab.replicas import Replica
    from vipmanager_lab.world import World

PEERS = ("10.10.10.48", "192.168.1.204")
"""Who talks to the shipped manifests' pods: the client has these addresses too."""
_DESCRIPTION = """\
A VPC on this machine with two zones and a client: start pods in it, break things by
name, look with `vipmanager status`, and heal them. Nothing that a command does ends it;
`help` lists the commands. In a pipe it runs a script; the exit code is 1 if a command
was not understood.
"""
_EPILOG = """\
examples:
  vipmanager lab
  vipmanager lab --tables 10
  printf 'pod a\\nsidecar\\nsteal\\nstatus\\nheal\\nprobe 1\\n' | vipmanager lab
  vipmanager lab --kubernetes real
"""
_INTRO = """\
A VPC with zones a and b, and a client. Begin with
  pod a      a pod with floating IPs in zone a
  sidecar    vipmanager in it
  steal      one of its routes is stolen
  status     what vipmanager says of it
`help` lists all commands, `quit` ends it."""
_CLUSTER_INTRO = """\
A real Kubernetes with a node in each of two zones, in a VPC with a client. Begin with
  kubectl apply -k deploy/manifests/overlays/nonvpc-standby
It is in the namespace telco, as all that names none.
`help` lists all commands, `quit` ends it."""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "lab",
        summary="the demo's world at a prompt, with faults on command",
        description=_DESCRIPTION,
        examples=_EPILOG,
    )
    parser.add_argument(
        "--tables", type=_count, default=4, metavar="N", help="route tables [%(default)s]"
    )
    parser.add_argument(
        "--latency-ms",
        type=_milliseconds,
        default=80,
        metavar="MS",
        help="of every EC2 call [%(default)s]",
    )
    parser.add_argument(
        "--kubernetes",
        choices=KUBERNETES,
        default="own",
        help="real: a control plane of `make kubernetes`, whose nodes run what `kubectl` applies "
        "[%(default)s]",
    )
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 200:  # noqa: PLR2004 - EC2's own quota of route tables in a VPC
        raise argparse.ArgumentTypeError(f"expected 1 to 200, not {text}")
    return number


def _milliseconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 60_000:  # noqa: PLR2004 - longer than any time-out
        raise argparse.ArgumentTypeError(f"expected 0 to 60000, not {text}")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Read commands until the end of input."""
    return in_sandbox("lab", lambda: _open(arguments))


def _open(arguments: argparse.Namespace) -> int:
    from vipmanager_lab.world import World  # noqa: PLC0415 - slow, and help goes without

    latency = arguments.latency_ms / 1000
    with World(tables=arguments.tables, latency=latency) as world:
        return (_in_a_cluster if arguments.kubernetes == "real" else _with_pods)(world)


def _with_pods(world: "World") -> int:
    from vipmanager_lab.cli.lab_commands import PodLab  # noqa: PLC0415 - as above
    from vipmanager_lab.replicas import Replicas  # noqa: PLC0415 - as above

    def heard(replica: "Replica", record: Mapping[str, Any]) -> None:
        prompt.say(f"  {replica.name}: {record.get('text', record)}")

    config = {"LeaderElection": "False", "ResyncSeconds": "2"}
    with Replicas(world, config=config, heard=heard, name="pod") as group:
        group.plane.ship_nodes()
        lab = PodLab(world, group)
        prompt = Prompt(_INTRO, lab.groups(), names=lab.names)
        return prompt.loop()


def _in_a_cluster(world: "World") -> int:
    from vipmanager_lab.cli.cluster_commands import ClusterLab  # noqa: PLC0415 - as above
    from vipmanager_lab.kubernetes.assets import find  # noqa: PLC0415 - needs binaries
    from vipmanager_lab.kubernetes.joined import Joined  # noqa: PLC0415 - as above
    from vipmanager_lab.kubernetes.plane import Plane  # noqa: PLC0415 - as above

    assets = find()
    world.reach_from_outside(PEERS)
    with Plane(assets) as plane, Joined(world, plane) as joined:
        lab = ClusterLab(world, joined)
        return Prompt(_CLUSTER_INTRO, lab.groups(), names=lab.names).loop()
