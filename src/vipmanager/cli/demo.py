"""`vipmanager demo`: a failover, live, on this machine."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from vipmanager.cli.command import Commands, add_command, add_output
from vipmanager.lab import sandbox

_DESCRIPTION = """\
Fail an Availability Zone and watch the floating IPs follow their pod.

Everything is real but the VPC: the agent, its EC2 and IMDS calls, the pods' network
namespaces and every packet. Without options it tells all eight stories: both patterns,
initContainer and sidecar, IPv4 and IPv6.
"""

_EPILOG = """\
examples:
  vipmanager demo --pattern 1 --mode sidecar
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
    parser.add_argument("--mode", choices=("init", "sidecar"), help="how the agent runs")
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
    """Tell the stories; 0 only if every floating IP answered again from zone b."""
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
    from vipmanager.cli.show import Stage  # noqa: PLC0415 - needs the extra `lab`
    from vipmanager.lab import demo  # noqa: PLC0415
    from vipmanager.lab.shipped import Shipped  # noqa: PLC0415

    shipped = None
    if arguments.image is not None:
        shipped = Shipped.read(arguments.image, arguments.manifests)
        arguments.version = 4
    stage = Stage(quiet=arguments.output == "json")
    outcomes = []
    for story in demo.stories(
        pattern=arguments.pattern, mode=arguments.mode, version=arguments.version
    ):
        stage.begin(story)
        outcome = demo.tell(story, stage.event, shipped=shipped)
        outcomes.append(outcome)
    if arguments.output == "json":
        print(json.dumps([asdict(o) for o in outcomes], indent=1))
    else:
        stage.end(outcomes)
    if arguments.plot is not None:
        from vipmanager.lab.plot import plot  # noqa: PLC0415 - needs the extra `lab`

        plot(outcomes, arguments.plot)
    return 0 if all(o.answered for o in outcomes) else 1
