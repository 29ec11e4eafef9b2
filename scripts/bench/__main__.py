"""`make bench`: how fast and how frugal, as ratios in one run.

Machines differ and are noisy, so nothing here is compared with a time of another day: floor,
agent and peers take turns against the same endpoint with the same injected latency.
"""

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from plan import Options, full, measure, peers, sidecar
from rich.console import Console
from show import cells, missed, sidecar_lines, table, write

from vipmanager_lab import sandbox

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def main() -> int:
    """Measure, print, write; non-zero where a budget is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=80.0, help="of every EC2 call [80]")
    parser.add_argument("--runs", type=int, default=7, help="of floor and agent [7]")
    parser.add_argument("--tables", type=int, nargs="+", help="numbers of route tables [2 10 50]")
    parser.add_argument("--full", action="store_true", help="many more tables; takes long")
    parser.add_argument("--quick", action="store_true", help="floor and agent alone")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="one more program that takes the ConfigMap keys in its environment",
    )
    parser.add_argument("--publish", action="store_true", help="write docs/bench.* too")
    arguments = parser.parse_args()
    if not sandbox.inside():
        # The registries are out of reach once inside.
        sources = [ROOT / "src", ROOT / "lab/src"]
        subprocess.run([sys.executable, "-m", "compileall", "-q", *sources], check=True)
        if not arguments.quick:
            subprocess.run([Path(__file__).with_name("peers"), ROOT / "build/peers"], check=True)
        sandbox.enter([sys.executable, *sys.argv])
    options = _options(arguments)
    title = f"{arguments.latency_ms:.0f} ms per EC2 call, medians of {arguments.runs} runs"
    console = Console(width=150, highlight=False)
    rows = []
    for row in measure(options):
        rows.append(row)
        console.print("  ".join(cells(row)), style="dim")
    resting = {} if arguments.quick else sidecar(options)
    console.print()
    table(rows, title)
    for line in sidecar_lines(resting) if resting else ():
        console.print(line)
    command = "make bench" + (f" ARGS='{' '.join(sys.argv[1:])}'" if sys.argv[1:] else "")
    for target in [ROOT / "build", *([DOCS] if arguments.publish else [])]:
        if resting:
            write(target, rows, resting, title=title, command=command)
    lines = missed(rows, resting)
    for line in lines:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if lines else 0


def _options(arguments: argparse.Namespace) -> Options:
    folder = None if arguments.quick else str(ROOT / "build/peers")
    options = Options(
        latency=arguments.latency_ms / 1000,
        runs=arguments.runs,
        peers=peers(folder, arguments.peer),
    )
    if arguments.full:
        options = full(options)
    if arguments.quick:
        options = replace(options, bucket_tables=())
    if arguments.tables:
        options = replace(options, tables=tuple(arguments.tables))
    return options


if __name__ == "__main__":
    sys.exit(main())
