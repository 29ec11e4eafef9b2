"""The figures: percentiles, budgets, a table, histograms, the published page."""

import itertools
import json
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cases import RATIO, Case, Kind, budgets, order, share_name
from course import HEALTH_FALL, HEALTH_SECONDS, PROBE_MS, Run
from picture import RIGHT, plot
from rich.console import Console
from rich.table import Table

from vipmanager.core.measurement import percentile
from vipmanager_lab.latency import latencies

_BIN = 0.04
"""Seconds of a bar in a histogram."""
_WIDE = 50
"""Characters of the longest bar."""
_HEAD = (
    *("what happens", "tables", "calls", "runs"),
    *("min", "median", "p90", "p99", "max", "budget", "last route"),
)
_ON_PAPER_ONLY = {"min", "p90"}
"""Columns that 80 characters have no room for."""

SETTING = "Two floating IPs; heartbeats every 100 ms; the client probes every " + f"{PROBE_MS} ms."
MEANING = (
    "Milliseconds. An outage is the client's longest gap in answers, the greater one of both "
    f"floating IPs. Of that of a health check, its own {HEALTH_FALL} x "
    f"{HEALTH_SECONDS * 1000:.0f} ms are taken off: the application is dead from the first of them "
    "on. The last route was written so long after the blow: median and longest, by EC2's record. "
    "Where a zone is lost, describes fail, are refused or hang in turn, and of the standby's open "
    "connections to EC2 and to Kubernetes some, or all, fall silent with it. Back and forth: the "
    "holder yields, and claims once the other one has every route, with no describe answered in "
    "between; an outage without end means that a route was not right."
)


def missed(runs: Sequence[Run]) -> list[str]:
    """Name every figure that is over its budget, and each case that did not always end well."""
    lines = []
    for case, mine in by_case(runs):
        excess = [run.excess for run in mine]
        lines += [
            f"{case}: {share_name(budget.share)} of {len(mine)} runs: {_ms(figure)} ms, "
            f"expected at most {_ms(budget.seconds)} ms"
            for budget in budgets(case)
            if (figure := percentile(excess, budget.share)) > budget.seconds
        ]
        wrong = sum(math.isinf(run.last) for run in mine)
        if wrong:
            lines.append(f"{case}: {wrong} of {len(mine)} runs ended with a route that is wrong")
    low, high = RATIO
    lines += [
        f"{case}: {ratio:.2f} x the median with the lab's own API, expected {low} to {high}"
        for case, ratio in ratios(runs)
        if not low <= ratio <= high
    ]
    return lines


def ratios(runs: Sequence[Run]) -> list[tuple[Case, float]]:
    """Give each case with a real API server, by the median of the same with the lab's own."""
    medians = {case: percentile([r.excess for r in mine], 0.5) for case, mine in by_case(runs)}
    pairs = [(case, replace(case, kubernetes="own")) for case in medians]
    return [
        (case, medians[case] / medians[own])
        for case, own in pairs
        if case != own and medians.get(own)
    ]


def _compared(runs: Sequence[Run]) -> list[str]:
    return [
        f"{case}: {ratio:.2f} x the median with the lab's own API." for case, ratio in ratios(runs)
    ]


def rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Write a row for each case."""
    found = []
    for case, mine in by_case(runs):
        excess = [run.excess for run in mine]
        found.append(
            (
                case.blow,
                str(case.tables),
                case.latencies,
                str(len(mine)),
                *(_ms(percentile(excess, share)) for share in (0, 0.5, 0.9, 0.99, 1)),
                "/".join(f"{budget.seconds * 1000:.0f}" for budget in budgets(case)),
                " ".join(_ms(percentile([r.last for r in mine], share)) for share in (0.5, 1)),
            )
        )
    return found


def histogram(seconds: Sequence[float]) -> list[str]:
    """Draw a histogram in plain text."""
    last = round(RIGHT / _BIN)
    bars = Counter(min(last, int(min(one, RIGHT) / _BIN)) for one in seconds)
    tallest, before, lines = max(bars.values()), min(bars), []
    for bar in sorted(bars):
        if bar - before > 1:
            lines.append("       ...")
        length = math.ceil(bars[bar] / tallest * _WIDE)
        beyond = "+" if bar == last else " "
        lines.append(f"{bar * _BIN * 1000:6.0f} ms{beyond} {'#' * length} {bars[bar]}")
        before = bar
    return lines


def show(runs: Sequence[Run]) -> None:
    """Print the histograms and the table."""
    console = Console(highlight=False, soft_wrap=True)
    for case, mine in by_case(runs):
        console.print(f"\n{case}", style="bold")
        console.print("\n".join(histogram([run.excess for run in mine])))
    table = Table(
        title="\nOutages", title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    shown = [name not in _ON_PAPER_ONLY for name in _HEAD]
    for name in itertools.compress(_HEAD, shown):
        table.add_column(name, justify="left" if name == _HEAD[0] else "right", no_wrap=True)
    for row in rows(runs):
        table.add_row(*itertools.compress(row, shown))
    console.print(table)
    console.print()
    for line in (MEANING, pauses(runs), *_paces(runs), *_compared(runs), *causes(runs), SETTING):
        console.print(textwrap.fill(line, 80), style="dim")


def causes(runs: Sequence[Run]) -> list[str]:
    """Tell why the standby took over, by kind."""
    lines = []
    for kind in Kind:
        found = Counter(run.cause for run in runs if run.case.kind is kind)
        told = ", ".join(f"{cause} {count}" for cause, count in found.most_common())
        lines += [f"Taken after {kind.value} as: {told}."] if told else []
    return lines


def pauses(runs: Sequence[Run]) -> str:
    """Tell how still the machine was."""
    pause = [run.pause for run in runs]
    return (
        f"The prober itself paused for {_ms(percentile(pause, 0.5))} ms at the longest in the "
        f"median run, for {_ms(max(pause))} ms in the worst."
    )


def _paces(runs: Sequence[Run]) -> list[str]:
    names = dict.fromkeys(run.case.latencies for run in runs)
    return [f"{name}: {latencies(name)}; applied halfway." for name in names]


def write(folder: Path, runs: Sequence[Run], measured: str, *, keep: bool) -> None:
    """Write bench-standby.json, .md and .svg; seconds in JSON, null for an outage without end.

    Args:
        folder: where.
        runs: what was measured.
        measured: when and how.
        keep: the cases that are there already, but for those that were measured anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "bench-standby.json"
    new = {run.case for run in runs}
    told = [one for one in _read(known) if one[1].case not in new] if keep else []
    told = sorted(told + [(measured, run) for run in runs], key=lambda one: order(one[1].case))
    runs = [run for _, run in told]
    lines = [json.dumps(_document(how, run)) for how, run in told]
    known.write_text("[\n" + ",\n".join(lines) + "\n]\n")  # a line for each run
    ways = {how: [run.case for other, run in told if other == how] for how, _ in told}
    lines = [
        "# The last distributions of `make bench-standby`",
        "",
        SETTING,
        "",
        *(f"- {how}: {_names(cases)}." for how, cases in ways.items()),
        *(f"- {pace}" for pace in _paces(runs)),
        "",
        MEANING,
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|---|" + "---:|" * (len(_HEAD) - 1),
        *("| " + " | ".join(row) + " |" for row in rows(runs)),
        "",
        "![How long the client waited](bench-standby.svg)",
        "",
        *(f"- {line}" for line in (*_compared(runs), *causes(runs))),
        "",
        pauses(runs),
        "",
    ]
    (folder / "bench-standby.md").write_text("\n".join(lines))
    plot(by_case(runs), folder / "bench-standby.svg")


def _names(cases: Sequence[Case]) -> str:
    return "; ".join(map(str, dict.fromkeys(cases)))


def _document(measured: str, run: Run) -> dict[str, object]:
    return {
        "measured": measured,
        "kind": run.case.kind.word,
        "latencies": run.case.latencies,
        "tables": run.case.tables,
        "kubernetes": run.case.kubernetes,
        "number": run.number,
        "cause": run.cause,
        "outage": _finite(run.outage),
        "excess": _finite(run.excess),
        "last": _finite(run.last),
        "pause": run.pause,
        "silenced": run.silenced,
    }


def _read(file: Path) -> list[tuple[str, Run]]:
    """Read the runs of before, each with how it was measured."""
    kinds = {kind.word: kind for kind in Kind}
    return [
        (
            one["measured"],
            Run(
                case=Case(
                    kind=kinds[one["kind"]],
                    latencies=one["latencies"],
                    tables=one["tables"],
                    kubernetes=one["kubernetes"],
                ),
                number=one["number"],
                outage=_endless(one["outage"]),
                cause=one["cause"],
                last=_endless(one["last"]),
                pause=one["pause"],
                silenced=one["silenced"],
            ),
        )
        for one in json.loads(file.read_text())
    ]


def by_case(runs: Sequence[Run]) -> list[tuple[Case, list[Run]]]:
    """Give the runs of each case."""
    cases = dict.fromkeys(run.case for run in runs)
    return [(case, [run for run in runs if run.case == case]) for case in cases]


def said(run: Run) -> str:
    """Write a run in a few words."""
    words = [f"{_ms(run.outage)} ms", f"last route {_ms(run.last)} ms", run.cause, run.silenced]
    return ", ".join(word for word in words if word)


def _finite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds


def _endless(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


def _ms(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{seconds * 1000:.0f}"
