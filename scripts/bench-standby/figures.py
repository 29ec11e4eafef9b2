"""The figures: percentiles, budgets, a table, histograms, the published page and its picture."""

import datetime as dt
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from course import EC2_MS, HEALTH_FALL, HEALTH_SECONDS, PROBE_MS, TABLES, Kind, Run
from rich.console import Console
from rich.table import Table

from vipmanager.lab.control_plane import CALL_MS

_BIN = 0.02
"""Seconds of a bar in a histogram."""
_WIDE = 50
"""Characters of the longest bar."""
_RIGHT = 1.2
"""Seconds that the picture shows."""
_HEAD = (
    "what happens",
    "runs",
    "min",
    "median",
    "p90",
    "p99",
    "max",
    "budget",
    "read back",
    "taken as",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a figure may be at the most."""

    kind: Kind
    share: float
    """Of the runs, such as 0.99."""
    seconds: float

    def __str__(self) -> str:
        """Name it."""
        return f"{_name(self.share)} {self.seconds:.1f} s"


_GRACEFUL = (Kind.TERM, Kind.YIELD, Kind.HEALTH)
BUDGETS = (
    Budget(kind=Kind.LOSS, share=0.5, seconds=0.6),
    Budget(kind=Kind.LOSS, share=0.99, seconds=1.0),
    *(Budget(kind=kind, share=0.99, seconds=0.3) for kind in _GRACEFUL),
)
"""Of design.md; a health check's own time is not counted."""

SETTING = (
    f"{TABLES} route tables x 2 floating IPs; an EC2 call takes {EC2_MS[0]} to {EC2_MS[1]} ms, one "
    f"of Kubernetes {CALL_MS[0]} to {CALL_MS[1]} ms, and is applied halfway; heartbeats every 100 "
    f"ms; the client probes every {PROBE_MS} ms."
)
MEANING = (
    "An outage is the client's longest gap in answers, the greater one of both floating IPs. "
    f"Of that of a health check, its own {HEALTH_FALL} x {HEALTH_SECONDS * 1000:.0f} ms are taken "
    "off: the application is dead from the first of them on. All routes were read back, and right, "
    "so long after the Lease was asked for: median and longest."
)


def percentile(seconds: Iterable[float], share: float) -> float:
    """Give the smallest value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def missed(runs: Sequence[Run]) -> list[str]:
    """Name every figure that is over its budget."""
    lines = []
    for budget in BUDGETS:
        found = [run.excess for run in runs if run.kind is budget.kind]
        if found and (figure := percentile(found, budget.share)) > budget.seconds:
            lines.append(
                f"{budget.kind.value}: {_name(budget.share)} of {len(found)} runs: {_ms(figure)}, "
                f"expected at most {_ms(budget.seconds)}"
            )
    return lines


def rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Write a row for each kind."""
    found = []
    for kind, mine in _kinds(runs):
        excess = [run.excess for run in mine]
        causes = Counter(run.cause for run in mine)
        found.append(
            (
                kind.value,
                str(len(mine)),
                *(_ms(percentile(excess, share)) for share in (0, 0.5, 0.9, 0.99, 1)),
                ", ".join(str(budget) for budget in BUDGETS if budget.kind is kind),
                " ".join(_ms(percentile([r.settled for r in mine], share)) for share in (0.5, 1)),
                ", ".join(f"{cause} {count}" for cause, count in causes.most_common()),
            )
        )
    return found


def histogram(seconds: Sequence[float]) -> list[str]:
    """Draw a histogram in plain text."""
    last = round(_RIGHT / _BIN)
    bars = Counter(min(last, int(min(one, _RIGHT) / _BIN)) for one in seconds)
    tallest = max(bars.values())
    return [
        f"{bar * _BIN * 1000:6.0f} ms{'+' if bar == last else ' '} "
        f"{'#' * math.ceil(bars[bar] / tallest * _WIDE)} {bars[bar]}"
        for bar in range(min(bars), max(bars) + 1)
    ]


def show(runs: Sequence[Run]) -> None:
    """Print the table and the histograms."""
    table = Table(title="Outages", title_justify="left", box=None, pad_edge=False)
    for name in _HEAD:
        right = name not in {_HEAD[0], *_HEAD[-3:]}
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for row in rows(runs):
        table.add_row(*row)
    console = Console(width=150, highlight=False)
    console.print(table)
    for kind, mine in _kinds(runs):
        console.print(f"\n{kind.value}", style="bold")
        console.print("\n".join(histogram([run.excess for run in mine])))
    console.print(f"\n{SETTING}\n{MEANING}\n{pauses(runs)}", style="dim")


def pauses(runs: Sequence[Run]) -> str:
    """Tell how still the machine was."""
    pause = [run.pause for run in runs]
    return (
        f"The prober itself paused for {_ms(percentile(pause, 0.5))} at the longest in the median "
        f"run, for {_ms(max(pause))} in the worst."
    )


def write(folder: Path, runs: Sequence[Run], *, command: str, seed: int) -> None:
    """Write bench-standby.json, .md and .svg; seconds in JSON, null for an outage without end."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = [
        {
            "kind": r.kind.name.lower(),
            "number": r.number,
            "cause": r.cause,
            "outage": None if math.isinf(r.outage) else r.outage,
            "excess": None if math.isinf(r.outage) else r.excess,
            "settled": None if math.isinf(r.settled) else r.settled,
            "pause": r.pause,
        }
        for r in runs
    ]
    (folder / "bench-standby.json").write_text(json.dumps(everything, indent=1) + "\n")
    today = dt.datetime.now(dt.UTC).date()
    lines = [
        "# The last distribution of `make bench-standby`",
        "",
        f"{today}, `{command}`, seed {seed}: {SETTING}",
        "",
        MEANING,
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|" + "---|" * len(_HEAD),
        *("| " + " | ".join(row) + " |" for row in rows(runs)),
        "",
        "![How long the client waited](bench-standby.svg)",
        "",
        pauses(runs),
        "",
    ]
    (folder / "bench-standby.md").write_text("\n".join(lines))
    plot(runs, folder / "bench-standby.svg")


def plot(runs: Sequence[Run], path: Path) -> None:
    """Draw a histogram for each kind, with its budgets."""
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "vipmanager"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    kinds = _kinds(runs)
    figure, axes = plt.subplots(
        len(kinds),
        1,
        figsize=(8, 0.8 + 1.3 * len(kinds)),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, (kind, mine) in zip(axes[:, 0], kinds, strict=True):
        edges = [n * 0.02 for n in range(round(_RIGHT / 0.02) + 1)]
        axis.hist([r.excess for r in mine], bins=edges, color="#2a7f3f")
        beyond = sum(r.excess > _RIGHT for r in mine)
        if beyond:
            axis.set_title(f"{beyond} longer", loc="right", fontsize=9, color="#c0392b")
        for budget in (b for b in BUDGETS if b.kind is kind):
            axis.axvline(budget.seconds, color="#c0392b", linewidth=1, linestyle=":")
            axis.annotate(
                str(budget),
                (budget.seconds, 0.85),
                xycoords=("data", "axes fraction"),
                xytext=(3, 0),
                textcoords="offset points",
                fontsize=8,
                color="#c0392b",
            )
        axis.set_title(f"{kind.value}, {len(mine)} runs", loc="left", fontsize=10)
        axis.set_yticks([])
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1, 0].set_xlim(0, _RIGHT)
    axes[-1, 0].set_xlabel("seconds without an answer")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _kinds(runs: Sequence[Run]) -> list[tuple[Kind, list[Run]]]:
    found = [(kind, [run for run in runs if run.kind is kind]) for kind in Kind]
    return [(kind, mine) for kind, mine in found if mine]


def _name(share: float) -> str:
    return "median" if share == 0.5 else f"p{share * 100:.0f}"  # noqa: PLR2004 - its name


def said(run: Run) -> str:
    """Write a run in a few words."""
    return f"{_ms(run.outage)}, {run.cause}"


def _ms(seconds: float) -> str:
    return "no end" if math.isinf(seconds) else f"{seconds * 1000:.0f} ms"
