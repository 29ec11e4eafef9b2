"""The published picture: a histogram for each case, with its budgets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cases import Case, budgets
from course import Run

RIGHT = 1.6
"""Seconds that the picture shows."""
_BIN = 0.02
_GREEN, _RED = "#2a7f3f", "#c0392b"


def plot(cases: Sequence[tuple[Case, list[Run]]], path: Path) -> None:
    """Draw it: a row for each kind of blow and number of tables, a column for each latency."""
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "vipmanager"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    columns = list(dict.fromkeys(case.latencies for case, _ in cases))
    lines = list(dict.fromkeys((case.blow, case.tables) for case, _ in cases))
    figure, axes = plt.subplots(
        len(lines),
        len(columns),
        figsize=(5 * len(columns), 0.8 + 1.1 * len(lines)),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set_yticks([])
        axis.spines[["top", "right", "left"]].set_visible(False)
    for axis in set(axes.flat) - {axes[-1, n] for n in range(len(columns))}:
        axis.set_visible(False)
    for case, mine in cases:
        axis = axes[lines.index((case.blow, case.tables)), columns.index(case.latencies)]
        axis.set_visible(True)
        _draw(axis, case, mine)
    for axis in axes[-1]:
        axis.set_xlim(0, RIGHT)
        axis.set_xlabel("seconds without an answer")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _draw(axis: Any, case: Case, mine: Sequence[Run]) -> None:  # noqa: ANN401 - matplotlib's
    edges = [n * _BIN for n in range(round(RIGHT / _BIN) + 1)]
    excess = [run.excess for run in mine]
    axis.hist([one for one in excess if one <= RIGHT], bins=edges, color=_GREEN)
    beyond = sum(one > RIGHT for one in excess)
    if beyond:
        axis.set_title(f"{beyond} longer", loc="right", fontsize=8, color=_RED)
    for number, budget in enumerate(budgets(case)):
        axis.axvline(budget.seconds, color=_RED, linewidth=1, linestyle=":")
        axis.annotate(
            str(budget),
            (budget.seconds, 0.85 - 0.25 * number),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=7,
            color=_RED,
        )
    axis.set_title(f"{case}: {len(mine)} runs", loc="left", fontsize=8)
