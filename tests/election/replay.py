"""Shows one schedule: `PYTHONPATH=src:tests python -m election.replay SEED [PART]`."""

import sys

from election.parts import without
from election.play import play, schedule

if __name__ == "__main__":
    plan = schedule(int(sys.argv[1]))
    print(plan)  # noqa: T201
    make = without(sys.argv[2]) if len(sys.argv) > 2 else without("")
    problems = play(plan, make, trace=print)
    print("\n".join(problems) or "nothing was wrong")  # noqa: T201
