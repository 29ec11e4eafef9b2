"""`make bench-standby`: how long a client waits when a warm standby takes over.

Each run strikes a holder and measures from the client's side; the standby that took over is the
holder of the next one. Exits with 1 where a figure is over its budget.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from course import Course, Kind, Run
from figures import missed, said, show, write

from vipmanager.lab import sandbox

ROOT = Path(__file__).parents[2]
DOCS, BUILD = ROOT / "docs", ROOT / "build"
_SLOW = 5
"""So many of a kind's slowest runs leave their agents' logs in build/bench-standby: by outage,
and by when every route was read back."""
_FAILURES = 3
"""After so many runs in which nobody took over there is nothing to measure."""


def main() -> int:
    """Measure, print, write; non-zero where a budget is missed."""
    parser = argparse.ArgumentParser(prog="make bench-standby", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=300, help="of a lost node; of the others a fifth [300]"
    )
    parser.add_argument(
        "--kind",
        choices=[kind.name.lower() for kind in Kind],
        action="append",
        help="only this kind; may be given several times",
    )
    parser.add_argument("--seed", type=int, help="of the moments of the blows; default: drawn")
    parser.add_argument("--publish", action="store_true", help="write docs/bench-standby.* too")
    arguments = parser.parse_args()
    if not sandbox.inside():
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "src")], check=True)
        sandbox.enter([sys.executable, *sys.argv])
    seed = arguments.seed
    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}", flush=True)
    chosen = arguments.kind or [kind.name.lower() for kind in Kind]
    BUILD.mkdir(exist_ok=True)
    runs = [
        run
        for kind in Kind
        if kind.name.lower() in chosen
        for run in _measure(kind, seed=seed, runs=_share(kind, arguments.runs))
    ]
    show(runs)
    command = "make bench-standby" + (f" ARGS='{' '.join(sys.argv[1:])}'" if sys.argv[1:] else "")
    for target in [BUILD, *([DOCS] if arguments.publish else [])]:
        write(target, runs, command=command, seed=seed)
    _keep(runs)
    lines = missed(runs)
    for line in lines:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if lines else 0


def _share(kind: Kind, runs: int) -> int:
    return runs if kind is Kind.LOSS else max(1, runs // 5)


def _measure(kind: Kind, *, seed: int, runs: int) -> Iterator[Run]:
    """Run one kind, in a new world after each failure."""
    done, failures = 0, 0
    while done < runs and failures < _FAILURES:
        try:
            with Course(kind, seed + failures) as course:
                while done < runs:
                    began = time.monotonic()
                    done += 1
                    run = course.run(done)
                    took = time.monotonic() - began
                    print(f"{kind.value} {done}: {said(run)} ({took:.1f} s)", flush=True)
                    yield run
        except AssertionError as error:
            failures += 1
            print(f"{kind.value} {done}: {error}", file=sys.stderr, flush=True)
            evidence = BUILD / f"bench-standby-{kind.name.lower()}-{done}-failed.json"
            evidence.write_text("\n".join(getattr(error, "__notes__", [])))
            endless = float("inf")
            yield Run(
                kind=kind,
                number=done,
                outage=endless,
                cause="no takeover",
                settled=endless,
                pause=0,
            )


def _keep(runs: list[Run]) -> None:
    """Keep what the agents said in the slowest runs."""
    folder = BUILD / "bench-standby"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for kind in Kind:
        mine = [r for r in runs if r.kind is kind]
        slowest = sorted(mine, key=lambda r: r.outage)[-_SLOW:]
        for run in slowest + sorted(mine, key=lambda r: r.settled)[-_SLOW:]:
            name = f"{kind.name.lower()}-{run.number}.json"
            (folder / name).write_text(json.dumps(run.logs, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
