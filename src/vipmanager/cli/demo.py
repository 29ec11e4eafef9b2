"""`vipmanager demo`: a failover, live, on this machine."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vipmanager.cli.command import Commands, add_command, add_output
from vipmanager.lab import sandbox

if TYPE_CHECKING:
    from vipmanager.cli.show import Stage
    from vipmanager.lab.story import Outcome

_DESCRIPTION = """\
Fail an Availability Zone and watch the floating IPs follow their pod.

Everything is real but the VPC: the agent, its EC2 and IMDS calls, the pods' network
namespaces and every packet. Without options it tells all eight stories: both patterns,
initContainer and sidecar, IPv4 and IPv6. With --standby a second replica is there already when
the zone fails, and hands back on request afterwards.
"""

_EPILOG = """\
examples:
  vipmanager demo --pattern 1 --mode sidecar
  vipmanager demo --standby --pattern 1 --ipv4
  vipmanager demo --ipv6 --plot timeline.svg
  vipmanager demo --output json
  scripts/image && vipmanager demo --image build/image
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "demo",
        summary="fail a zone in the lab and watch the floating IPs follow",
        description=_DESCRIPTION,
        examples=_EPILOG,
    )
    parser.add_argument(
        "--pattern",
        type=int,
        choices=(1, 2),
        help="1: addresses outside the VPC; 2: dummy subnets",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--mode", choices=("init", "sidecar"), help="how the agent runs")
    how.add_argument(
        "--standby", action="store_true", help="two sidecars, one of them a warm standby"
    )
    family = parser.add_mutually_exclusive_group()
    family.add_argument("--ipv4", dest="version", action="store_const", const=4, help="IPv4 only")
    family.add_argument("--ipv6", dest="version", action="store_const", const=6, help="IPv6 only")
    parser.add_argument(
        "--image",
        type=Path,
        metavar="FOLDER",
        help="run the agent from the image that scripts/image left there, with the shipped "
        "manifests (IPv4)",
    )
    parser.add_argument(
        "--manifests",
        type=Path,
        metavar="FOLDER",
        default=Path("deploy/manifests/base"),
        help="the manifests for --image [%(default)s]",
    )
    add_output(parser)
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the timeline: FILE.svg or FILE.png"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell the stories; 0 only if every floating IP answered again from the other zone."""
    plot: Path | None = arguments.plot
    if plot is not None and (plot.suffix not in {".svg", ".png"} or not plot.parent.is_dir()):
        print(
            f"vipmanager demo: --plot {plot}: expected an .svg or .png file in a present folder",
            file=sys.stderr,
        )
        return 2
    if arguments.image is not None and arguments.version == 6:  # noqa: PLR2004 - IPv6
        print("vipmanager demo: the shipped attachments are IPv4: drop --ipv6", file=sys.stderr)
        return 2
    if arguments.image is not None and arguments.standby:
        print("vipmanager demo: --image tells no --standby yet: drop one of them", file=sys.stderr)
        return 2
    try:
        if not sandbox.inside():
            sandbox.enter([sys.executable, "-m", "vipmanager", *sys.argv[1:]])
        return _tell(arguments)
    except sandbox.SandboxError as error:
        print(f"vipmanager demo: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        print(
            f"vipmanager demo: the lab is not installed ({error}); pip install 'vipmanager[lab]'",
            file=sys.stderr,
        )
        return 1


def _tell(arguments: argparse.Namespace) -> int:
    from vipmanager.cli import show  # noqa: PLC0415 - needs the extra `lab`

    scenery = show.STANDBY if arguments.standby else show.FAILOVER
    stage = show.Stage(scenery, quiet=arguments.output == "json")
    outcomes = list((_standby if arguments.standby else _failover)(arguments, stage))
    if arguments.output == "json":
        print(json.dumps([asdict(o) for o in outcomes], indent=1))
    else:
        stage.end(outcomes)
    if arguments.plot is not None:
        from vipmanager.lab.plot import plot  # noqa: PLC0415 - needs the extra `lab`

        plot(outcomes, arguments.plot)
    return 0 if all(o.answered for o in outcomes) else 1


def _failover(arguments: argparse.Namespace, stage: "Stage") -> "Iterator[Outcome]":
    from vipmanager.lab import demo  # noqa: PLC0415 - needs the extra `lab`
    from vipmanager.lab.shipped import Shipped  # noqa: PLC0415

    shipped, version = None, arguments.version
    if arguments.image is not None:
        shipped, version = Shipped.read(arguments.image, arguments.manifests), 4
    for story in demo.stories(pattern=arguments.pattern, mode=arguments.mode, version=version):
        stage.begin(story)
        yield demo.tell(story, stage.event, shipped=shipped)


def _standby(arguments: argparse.Namespace, stage: "Stage") -> "Iterator[Outcome]":
    from vipmanager.lab import standby_story  # noqa: PLC0415 - needs the extra `lab`

    for story in standby_story.stories(pattern=arguments.pattern, version=arguments.version):
        stage.begin(story)
        yield from standby_story.tell(story, stage.event)
