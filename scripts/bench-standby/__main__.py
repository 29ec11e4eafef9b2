"""`make bench-standby`: how long a client waits when a warm standby takes over.

Each run strikes a holder and measures from the client's side; the standby that took over is the
holder of the next one. Exits with 1 where a figure is over its budget.
"""

import argparse
import datetime as dt
import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from cases import TABLES, Case, Kind, chosen
from course import Course, Run
from figures import missed, said, show, write

from vipmanager.core.failures import Failure
from vipmanager_lab import sandbox
from vipmanager_lab.kubernetes.assets import KUBERNETES
from vipmanager_lab.kubernetes.choice import kubernetes
from vipmanager_lab.latency import LATENCIES, NAMES, latencies

ROOT = Path(__file__).parents[2]
DOCS, BUILD = ROOT / "docs", ROOT / "build"
_SLOW = 5
"""So many of a case's slowest runs leave their agents' logs in build/bench-standby: by outage, and
by when the last route was written."""
_FAILURES = 3
"""After so many runs in which nobody took over there is nothing to measure."""
_WORDS = [kind.word for kind in Kind]


def main() -> int:
    """Measure, print, write; non-zero where a budget is missed."""
    arguments = _arguments()
    if not sandbox.inside():
        sources = [ROOT / "src", ROOT / "lab/src"]
        subprocess.run([sys.executable, "-m", "compileall", "-q", *sources], check=True)
        sandbox.enter([sys.executable, *sys.argv])
    seed = arguments.seed
    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}", flush=True)
    BUILD.mkdir(exist_ok=True)
    cases = chosen(
        arguments.runs, arguments.only, arguments.latencies, arguments.tables, arguments.kubernetes
    )
    runs = list(_measure(cases, seed))
    show(runs)
    command = "make bench-standby" + (f" ARGS='{' '.join(sys.argv[1:])}'" if sys.argv[1:] else "")
    measured = f"{dt.datetime.now(dt.UTC).date()}, `{command}`, seed {seed}"
    for target in [BUILD, *([DOCS] if arguments.publish else [])]:
        write(target, runs, measured, keep=target is DOCS)
    _keep(runs)
    lines = missed(runs)
    for line in lines:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if lines else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-standby", description=__doc__)
    parser.add_argument(
        "--runs",
        type=int,
        default=300,
        help="of a lost node, and of a lost zone; of the rest a part [%(default)s]",
    )
    parser.add_argument(
        "--only",
        type=_words(_WORDS),
        default=_WORDS,
        metavar="KIND,...",
        help=f"only these of {', '.join(_WORDS)}",
    )
    parser.add_argument(
        "--latencies",
        type=_latencies,
        default=list(LATENCIES),
        metavar="NAME,...",
        help=f"only these: {NAMES} [{','.join(LATENCIES)}]",
    )
    parser.add_argument(
        "--tables",
        type=lambda text: [int(word) for word in text.split(",")],
        default=[],
        metavar="N,...",
        help=f"with so many route tables [{','.join(map(str, TABLES))}; with few runs {TABLES[0]}]",
    )
    parser.add_argument(
        "--kubernetes",
        type=_words(KUBERNETES),
        default=["own"],
        metavar="NAME,...",
        help="behind the lab's faults: own, or real, an API server of `make kubernetes`, or both",
    )
    parser.add_argument("--seed", type=int, help="of the moments of the blows; default: drawn")
    parser.add_argument(
        "--publish", action="store_true", help="put them into docs/bench-standby.*, too"
    )
    arguments = parser.parse_args()
    if arguments.publish and not set(arguments.latencies) <= set(LATENCIES):
        parser.error(f"--publish goes with {', '.join(LATENCIES)} alone: others have no such file")
    return arguments


def _latencies(text: str) -> list[str]:
    """Read names of latencies, and see that each is one."""
    names = text.split(",")
    for name in names:
        latencies(name)
    return names


def _words(known: Sequence[str]) -> "type[list[str]]":
    """Give a type of argument: some of these words, with commas between."""

    def read(text: str) -> list[str]:
        words = text.split(",")
        if unknown := [word for word in words if word not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]}: expected {', '.join(known)}")
        return words

    return read  # type: ignore[return-value]


def _measure(cases: Sequence[tuple[Case, int]], seed: int) -> Iterator[Run]:
    """Run the cases, those that can share a world in one, and in a new one after each failure."""
    worlds = itertools.groupby(cases, key=lambda each: _world(each[0]))
    for (tables, checked, which), group in worlds:
        with kubernetes(which) as cluster, ExitStack() as stack:
            course: Course | None = None
            for case, often in group:
                failures = 0
                for number in range(1, often + 1):
                    began = time.monotonic()
                    try:
                        if course is None:
                            course = Course(
                                seed + failures, tables=tables, checked=checked, cluster=cluster
                            )
                            stack.callback(course.close)
                        run = course.run(case, number)
                    except (AssertionError, Failure) as error:
                        failures += 1
                        run = _failed(case, number, error)
                        stack.close()
                        course = None
                    took = time.monotonic() - began
                    print(f"{case} {number}: {said(run)} ({took:.1f} s)", flush=True)
                    yield run
                    if failures == _FAILURES:
                        break


def _world(case: Case) -> tuple[int, bool, str]:
    return case.tables, case.kind is Kind.HEALTH, case.kubernetes


def _failed(case: Case, number: int, error: Exception) -> Run:
    print(f"{case} {number}: {error}", file=sys.stderr, flush=True)
    name = f"bench-standby-{case.kind.word}-{case.tables}-{case.pace}-{number}-failed.json"
    (BUILD / name).write_text("\n".join(getattr(error, "__notes__", [])))
    endless = float("inf")
    return Run(case=case, number=number, outage=endless, cause="none", last=endless, pause=0)


def _keep(runs: list[Run]) -> None:
    """Keep what the agents said in the slowest runs."""
    folder = BUILD / "bench-standby"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for case in dict.fromkeys(run.case for run in runs):
        mine = [r for r in runs if r.case == case]
        slowest = sorted(mine, key=lambda r: r.outage)[-_SLOW:]
        for run in slowest + sorted(mine, key=lambda r: r.last)[-_SLOW:]:
            name = f"{case.kind.word}-{case.tables}-{case.pace}-{run.number}.json"
            (folder / name).write_text(json.dumps(run.logs, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
