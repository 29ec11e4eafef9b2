"""`vipmanager demo`: a failover, live, on this machine."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vipmanager.cli.command import Commands, add_command, add_output
from vipmanager_lab.cli.inside import in_sandbox
from vipmanager_lab.kubernetes.assets import KUBERNETES
from vipmanager_lab.latency import latencies

if TYPE_CHECKING:
    from vipmanager_lab.cli.show import Stage
    from vipmanager_lab.story import Outcome

SCHEMA = "vipmanager/demo/v1"
"""Of docs/schema/demo.json."""

_DESCRIPTION = """\
Fail an Availability Zone and watch the floating IPs follow their pod.

Everything is real but the VPC: the agent, its EC2 and IMDS calls, the pods' network
namespaces and every packet. Without options it tells all eight stories: both patterns,
initContainer and sidecar, IPv4 and IPv6. With --standby a second replica is there already when
the zone fails, and hands back on request afterwards. With --zone-impaired the zone is lost as AWS
loses one: connections into it fall silent, and EC2 answers no describe.
"""

_EPILOG = """\
examples:
  vipmanager demo --pattern 1 --mode sidecar
  vipmanager demo --standby --pattern 1 --ipv4
  vipmanager demo --standby --zone-impaired --pattern 1 --ipv4
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
    _add_story(parser)
    _add_world(parser)
    _add_image(parser)
    add_output(parser)
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the timeline: FILE.svg or FILE.png"
    )
    parser.set_defaults(run=run)


def _add_story(parser: argparse.ArgumentParser) -> None:
    """Add what is told: which of the stories."""
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
    parser.add_argument(
        "--zone-impaired",
        nargs="?",
        const="fail",
        choices=("fail", "throttle", "hang"),
        help="with --standby: what describes do once zone a is lost [fail]",
    )


def _add_world(parser: argparse.ArgumentParser) -> None:
    """Add where it plays: which APIs, how fast they are, which addresses."""
    parser.add_argument(
        "--latencies",
        type=latencies,
        default="today",
        metavar="{today,real,FILE}",
        help="today: even and short; real: as published, with their long tails; FILE: as "
        "`vipmanager measure` found them [%(default)s]",
    )
    parser.add_argument(
        "--kubernetes",
        choices=KUBERNETES,
        default="own",
        help="with --standby: the API that the pods call; real: an API server of "
        "`make kubernetes` [%(default)s]",
    )
    family = parser.add_mutually_exclusive_group()
    family.add_argument("--ipv4", dest="version", action="store_const", const=4, help="IPv4 only")
    family.add_argument("--ipv6", dest="version", action="store_const", const=6, help="IPv6 only")


def _add_image(parser: argparse.ArgumentParser) -> None:
    """Add what runs: this checkout, or an image."""
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


def run(arguments: argparse.Namespace) -> int:
    """Tell the stories; 0 only if every floating IP answered again from the other zone."""
    wrong = _wrong(arguments)
    if wrong is not None:
        print(f"vipmanager demo: {wrong}", file=sys.stderr)
        return 2
    return in_sandbox("demo", lambda: _tell(arguments))


def _wrong(arguments: argparse.Namespace) -> str | None:
    """Name the choices that can't be told together, before anything starts."""
    plot: Path | None = arguments.plot
    if plot is not None and (plot.suffix not in {".svg", ".png"} or not plot.parent.is_dir()):
        return f"--plot {plot}: expected an .svg or .png file in a present folder"
    if arguments.image is not None and arguments.version == 6:  # noqa: PLR2004 - IPv6
        return "the shipped attachments are IPv4: drop --ipv6"
    if arguments.image is not None and arguments.standby:
        return "--image tells no --standby yet: drop one of them"
    if arguments.zone_impaired is not None and not arguments.standby:
        return "--zone-impaired needs --standby: add it"
    if arguments.kubernetes == "real" and not arguments.standby:
        return "--kubernetes real needs --standby: no other story calls Kubernetes"
    return None


def _tell(arguments: argparse.Namespace) -> int:
    from vipmanager_lab.cli import show  # noqa: PLC0415 - slow, and help goes without

    scenery = show.STANDBY if arguments.standby else show.FAILOVER
    if arguments.zone_impaired is not None:
        scenery = show.IMPAIRED
    quiet = arguments.output == "json"
    with show.Stage(scenery, arguments.latencies, quiet=quiet) as stage:
        outcomes = list((_standby if arguments.standby else _failover)(arguments, stage))
        stage.end(outcomes)
    if quiet:
        told = {"schema": SCHEMA, "outcomes": [asdict(o) for o in outcomes]}
        print(json.dumps(told, indent=1))
    if arguments.plot is not None:
        from vipmanager_lab.plot import plot  # noqa: PLC0415 - slow, and help goes without

        plot(outcomes, arguments.plot)
    return 0 if all(o.answered for o in outcomes) else 1


def _failover(arguments: argparse.Namespace, stage: "Stage") -> "Iterator[Outcome]":
    from vipmanager_lab import demo  # noqa: PLC0415 - slow, and help goes without
    from vipmanager_lab.shipped import Shipped  # noqa: PLC0415

    shipped, version = None, arguments.version
    if arguments.image is not None:
        shipped, version = Shipped.read(arguments.image, arguments.manifests), 4
    for story in demo.stories(pattern=arguments.pattern, mode=arguments.mode, version=version):
        stage.begin(story)
        yield demo.tell(story, stage, latencies=arguments.latencies, shipped=shipped)


def _standby(arguments: argparse.Namespace, stage: "Stage") -> "Iterator[Outcome]":
    from vipmanager_lab import standby_story  # noqa: PLC0415 - slow, and help goes without
    from vipmanager_lab.kubernetes.choice import kubernetes  # noqa: PLC0415 - as above

    with kubernetes(arguments.kubernetes) as cluster:
        for story in standby_story.stories(pattern=arguments.pattern, version=arguments.version):
            stage.begin(story)
            yield from standby_story.tell(
                story,
                stage,
                latencies=arguments.latencies,
                impaired=arguments.zone_impaired,
                cluster=cluster,
            )
