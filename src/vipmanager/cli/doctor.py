"""`vipmanager doctor`: what stands between a pod and its floating IPs, and what to do about it."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from vipmanager.cli.command import Commands, add_command, add_output
from vipmanager.cli.keys import add_keys, settings
from vipmanager.cli.scope import add_scope, scope
from vipmanager.cli.terminal import BAD, GOOD, QUIET, print_json, show, table
from vipmanager.core.failures import Failure
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

_STYLES = {
    "ok": GOOD,
    "skipped": QUIET,
    Severity.INFO.value: "",
    Severity.WARNING.value: "yellow",
    Severity.ERROR.value: BAD,
}


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
    add_scope(parser)
    add_keys(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make all checks and show them."""
    try:
        patient = _patient(arguments)
    except (SettingsError, Failure) as error:
        for problem in getattr(error, "problems", (error,)):
            print(f"vipmanager doctor: {problem}", file=sys.stderr)
        return UNUSABLE
    results = examine(CHECKS, patient)
    errors = any(r.failed for r in results)
    if arguments.output == "json":
        print_json({"healthy": not errors, "checks": [r.document() for r in results]})
    else:
        show(*_shown(results))
    return ERRORS if errors else HEALTHY


def _patient(arguments: argparse.Namespace) -> readings.Readings:
    wanted, environ = settings(arguments)
    about = scope(arguments)
    if about.vpc is None:
        return readings.here(wanted, environ)
    return readings.elsewhere(wanted, about.vpc, about.pairs())


def _shown(results: Sequence[Result]) -> list[RenderableType]:
    rows = [(r.check.code, Text(r.state, style=_STYLES[r.state]), _what(r)) for r in results]
    parts: list[RenderableType] = [table("Checks", ("check", "state", "what"), rows), ""]
    for result in results:
        parts += _findings(result)
    counts = Counter(r.state for r in results)
    order = (*(s.value for s in reversed(Severity)), "skipped", "ok")
    summary = ", ".join(f"{state} {counts[state]}" for state in order if counts[state])
    errors = any(r.failed for r in results)
    return [*parts, Text(f"{len(results)} checks: {summary}", style=BAD if errors else GOOD)]


def _what(result: Result) -> str:
    if result.skipped:
        return result.skipped
    if result.state == "ok" and result.seen.note:
        return result.seen.note
    return result.check.title


def _findings(result: Result) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for each in result.seen.troubles:
        text = f"{each.severity.value}: {result.check.code}: {each.what}"
        lines.append(Text(text, style=_STYLES[each.severity.value]))
        remedy = result.check.remedy(each)
        if remedy:
            lines.append(Text(f"  -> {remedy}"))
    return [*lines, Text(f"  why: {result.check.why}", style=QUIET), ""] if lines else []
