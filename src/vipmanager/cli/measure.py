"""`vipmanager measure`: how long the calls take on which a failover depends, on this account."""

import argparse
import os
import re
from collections.abc import Callable, Iterator, Mapping

from vipmanager.cli.command import Commands, add_command, add_output, complain
from vipmanager.cli.terminal import (
    BAD,
    BLANK,
    GOOD,
    QUIET,
    Block,
    Table,
    print_json,
    show,
    words,
)
from vipmanager.core.measurement import RATE, RATES, ROUNDS, SAID, TIMES, Figures, Plan
from vipmanager.core.schema import Schema
from vipmanager.core.values import EniId, VpcId
from vipmanager.measure.run import Asked, Measured, clean, measure

COMPLETE, INCOMPLETE, UNUSABLE = 0, 1, 2

_DESCRIPTION = f"""\
Take the time of the calls on which a failover depends: route writes until they are accepted and
until they are read back, changes of a prefix list, describes, and in a pod Lease calls. It makes a
route table that no subnet uses, a prefix list and a Lease, and touches nothing of yours. It removes
them at its end, also after an error, a signal or kill -9.

EC2 gives 50 route writes at once and then {RATES[1]:g} a second, to all agents of the account
together; it takes {RATE:g} a second.

Exit code: 0 measured, 1 not, or not all, or something is left, 2 the options can't be used.
"""

_EPILOG = """\
examples:
  AWS_REGION=eu-central-1 vipmanager measure --vpc vpc-1
  vipmanager measure --vpc vpc-1 --times 100 --output json > latencies.json
  vipmanager demo --standby --latencies latencies.json
  vipmanager measure --clean
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "measure",
        summary="how long the calls of a failover take on this account",
        description=_DESCRIPTION,
        examples=_EPILOG,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--vpc", type=_id("vpc"), metavar="ID", help="where the route table is made")
    what.add_argument(
        "--clean",
        action="store_true",
        help="only remove what runs left behind that are over; in the whole Region",
    )
    parser.add_argument(
        "--eni",
        action="append",
        type=_id("eni"),
        default=[],
        metavar="ID",
        help="a target for its routes, given twice; default: two ENIs of the VPC",
    )
    parser.add_argument(
        "--times",
        type=_times,
        default=TIMES,
        metavar="N",
        help=f"rounds, {ROUNDS[0]} to {ROUNDS[1]}, of five writes each [%(default)s]",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        default=RATE,
        metavar="N",
        help=f"writes a second, {RATES[0]:g} to {RATES[1]:g} [%(default)g]",
    )
    add_output(parser)
    parser.set_defaults(run=run)


def _id(prefix: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(rf"{prefix}-[0-9a-f]+", text):
            raise argparse.ArgumentTypeError(f"expected {prefix}-..., not {text}")
        return text

    return check


def _times(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not ROUNDS[0] <= number <= ROUNDS[1]:
        raise argparse.ArgumentTypeError(f"expected {ROUNDS[0]} to {ROUNDS[1]}, not {text}")
    return number


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not RATES[0] <= number <= RATES[1]:
        raise argparse.ArgumentTypeError(f"expected {RATES[0]:g} to {RATES[1]:g}, not {text}")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Measure, or clean."""
    environ = dict(os.environ)
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    problem = _problem(region, arguments.eni)
    if problem or region is None:
        complain("measure", problem)
        return UNUSABLE
    text = arguments.output == "text"
    if arguments.clean:
        return _clean(region, environ, text=text)
    asked = Asked(
        region=region,
        vpc=VpcId(arguments.vpc),
        enis=tuple(EniId(eni) for eni in arguments.eni),
        plan=Plan(rounds=arguments.times, rate=arguments.rate),
    )
    _tell(
        f"a route table and a prefix list of its own in {asked.vpc}, {asked.region}; it takes "
        f"about {asked.plan.seconds:.0f} s, and {asked.plan.longest:.0f} s at the most"
    )
    measured = measure(asked, environ, _tell)
    if text:
        show(*_shown(measured))
    else:
        print_json(Schema.MEASURE, _document(measured))
    return COMPLETE if measured.complete else INCOMPLETE


def _problem(region: str | None, enis: list[str]) -> str:
    if not region:
        return "no region is known here; set AWS_REGION"
    if enis and len(set(enis)) != 2:  # noqa: PLR2004 - a route is led from one to the other
        return f"{len(set(enis))} different --eni are given, expected 2, or none"
    return ""


def _tell(said: str) -> None:
    complain("measure", said)


def _clean(region: str, environ: Mapping[str, str], *, text: bool) -> int:
    gone = clean(region, environ)
    if text:
        said = f"REMOVED: {', '.join(gone)}" if gone else "NOTHING was left behind"
        show(words(f"{said} in {region}", GOOD))
    else:
        print_json(Schema.MEASURE_CLEAN, {"removed": list(gone)})
    return COMPLETE


def _shown(measured: Measured) -> Iterator[Block]:
    """Give the verdict, the figures, and what there are none of."""
    plan = measured.asked.plan
    said = f"{measured.rounds} of {plan.rounds} rounds in {measured.seconds:.0f} s"
    if measured.complete:
        yield words(f"MEASURED: {said}; nothing of it is left", GOOD)
    else:
        yield words(f"INCOMPLETE: {said}; nothing of it is left", BAD)
    yield BLANK
    yield Table(
        title=f"Milliseconds, in {measured.asked.vpc}, {measured.asked.region}",
        columns=("p50", "p99", "most", "calls", "failed", "of"),
        rows=[_row(each) for each in measured.figures],
    )
    for each in measured.figures:
        if each.failure is not None:
            yield BLANK
            yield words(f"failed: {SAID[each.quantity]}: {each.failure}", hang=4)
    if any(0 < each.count < 100 for each in measured.figures):  # noqa: PLR2004 - of percent
        yield BLANK
        yield words("With fewer than 100 calls the p99 is the slowest one.", QUIET)
    for why, names in _reasons(measured.left_out).items():
        yield BLANK
        yield words(f"not measured: {', '.join(names)}: {why}", QUIET, hang=4)


def _row(each: Figures) -> tuple[str, ...]:
    times = (each.p50, each.p99, each.most)
    shown = ("-" if time is None else f"{time * 1000:.0f}" for time in times)
    return (*shown, str(each.count), str(each.failed), SAID[each.quantity])


def _reasons(left_out: Mapping[str, str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, why in left_out.items():
        found.setdefault(why, []).append(name.replace("_", " "))
    return found


def _document(measured: Measured) -> dict[str, object]:
    return {
        "complete": measured.complete,
        "began": measured.began.isoformat(timespec="seconds"),
        "seconds": round(measured.seconds, 3),
        "region": measured.asked.region,
        "vpc": measured.asked.vpc,
        "rounds": measured.rounds,
        "rate": measured.asked.plan.rate,
        "figures": [each.document() for each in measured.figures],
        "not_measured": [{"name": name, "why": why} for name, why in measured.left_out.items()],
    }
