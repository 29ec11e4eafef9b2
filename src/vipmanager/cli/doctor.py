"""`vipmanager doctor`: what stands between a pod and its floating IPs, and what to do about it."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from vipmanager.cli.command import Commands, add_command, add_output, complain
from vipmanager.cli.keys import add_keys, settings
from vipmanager.cli.scope import add_scope, must_be_a_pod, scope
from vipmanager.cli.terminal import (
    BAD,
    BLANK,
    GOOD,
    QUIET,
    UNSURE,
    Block,
    Table,
    Words,
    print_json,
    remedy,
    show,
    words,
)
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.schema import Schema
from vipmanager.doctor import readings
from vipmanager.doctor.check import Result, Severity
from vipmanager.doctor.examine import examine
from vipmanager.doctor.table import CHECKS
from vipmanager.edges.settings import SettingsError

HEALTHY, ERRORS, UNUSABLE = 0, 1, 2

_DESCRIPTION = """\
Check everything that a floating IP needs: the container, IMDS, credentials, permissions, ENIs,
route tables, quotas. Checks run in parallel; what depends on a failed one is skipped. Nothing is
written: permissions are asked for by EC2's DryRun.

Exit code: 0 no error (there may be warnings), 1 errors, 2 the options or the configuration
can't be used.
"""

_EPILOG = """\
examples:
  kubectl exec POD -c vipmanager -- vipmanager doctor
  AWS_REGION=eu-central-1 vipmanager doctor --vpc vpc-1 --floating-ip 192.168.0.1 --eni eni-1
"""

_SHOWN = {
    "ok": ("ok", GOOD),
    "skipped": ("skipped", QUIET),
    Severity.INFO.value: ("ok", ""),
    Severity.WARNING.value: ("WARNING", UNSURE),
    Severity.ERROR.value: ("FAILED", BAD),
}
"""The state of a check, for people."""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "doctor",
        summary="check everything that a floating IP needs",
        description=_DESCRIPTION,
        examples=_EPILOG,
    )
    add_output(parser)
    add_scope(parser).add_argument(
        "--namespace",
        default="",
        metavar="NAME",
        help="ask kubectl whether this namespace admits the pod",
    )
    add_keys(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make all checks and show them."""
    try:
        patient = _patient(arguments)
    except (SettingsError, Failure) as error:
        for problem in getattr(error, "problems", (error,)):
            complain("doctor", str(problem))
        return UNUSABLE
    results = examine(CHECKS, patient)
    errors = any(r.failed for r in results)
    if arguments.output == "json":
        told = {"healthy": not errors, "checks": [r.document() for r in results]}
        print_json(Schema.DOCTOR, told)
    else:
        show(*_shown(results))
    return ERRORS if errors else HEALTHY


def _patient(arguments: argparse.Namespace) -> readings.Readings:
    wanted, environ = settings(arguments, foreign=False)  # a check tells
    about = scope(arguments)
    if about.vpc is None:
        if arguments.namespace:
            raise Permanent("--namespace needs --vpc", "name the VPC too: --vpc vpc-...")
        must_be_a_pod("doctor", environ)
        return readings.here(wanted, environ)
    return readings.elsewhere(wanted, about.vpc, about.pairs(), arguments.namespace)


def _shown(results: Sequence[Result]) -> Iterator[Block]:
    """Give the verdict, what is wrong and what to do, and then every check."""
    yield _verdict(results)
    yield BLANK
    for result in sorted(results, key=_by_weight):
        yield from _findings(result)
    rows = []
    for result in results:
        word, style = _SHOWN[result.state]
        rows.append((result.check.code, Text(word, style), result.said))
    yield Table(title="Checks", columns=("check", "state", "what is so"), rows=rows)


def _verdict(results: Sequence[Result]) -> Words:
    counts = Counter(_SHOWN[r.state][0] for r in results)
    said = {
        "FAILED": f"{counts['FAILED']} of {len(results)} checks",
        "WARNING": f"{counts['WARNING']} warn",
        "ok": f"{counts['ok']} checks are right",
        "skipped": f"{counts['skipped']} skipped",
    }
    rest = ", ".join(text for word, text in said.items() if word != "FAILED" and counts[word])
    if counts["FAILED"]:
        return words(f"FAILED: {said['FAILED']}; {rest}", BAD)
    if counts["WARNING"]:
        return words(f"WARNING: nothing failed; {rest}", UNSURE)
    return words(f"HEALTHY: {rest}", GOOD)


def _by_weight(result: Result) -> int:
    order = (Severity.ERROR, Severity.WARNING, Severity.INFO)
    return order.index(result.severity) if result.severity is not None else len(order)


def _findings(result: Result) -> Iterator[Block]:
    for each in result.seen.issues:
        _, style = _SHOWN[each.severity.value]
        text = f"{each.severity.value}: {result.check.code}: {each.what}"
        yield words(text, style, hang=4)
        if result.check.remedy(each):
            yield remedy(result.check.remedy(each))
    if result.seen.issues:
        yield words(f"  why: {result.check.why}", QUIET, hang=7)
        yield BLANK
