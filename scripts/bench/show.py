"""The table, the JSON file and the plot."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import matplotlib as mpl
from plan import AGENT, FLOOR, REST_CPU, REST_MEMORY, Row
from rich.console import Console
from rich.table import Table

EVENT_CALLS = 2.0
"""A route written within less than two calls' time after the event was written by the first."""

_HEAD = (
    "EC2",
    "what",
    "tables",
    "who",
    "last route",
    "x floor",
    "writes",
    "reads",
    "memory",
    "CPU",
)


def cells(row: Row) -> tuple[str, ...]:
    """Write a row as text."""
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    if row.limit is not None:
        ratio += f" (limit {row.limit})"
    return (
        row.where,
        row.what,
        f"{row.tables} x {row.floating}",
        row.subject,
        f"{row.seconds * 1000:.0f} ms" if row.seconds < 10 else f"{row.seconds:.1f} s",  # noqa: PLR2004
        ratio,
        str(row.writes),
        str(row.reads),
        f"{row.memory / 2**20:.0f} MB",
        f"{row.cpu:.2f} s",
    )


def sidecar_lines(sidecar: Mapping[str, float]) -> list[str]:
    """Write the sidecar's figures as text."""
    share, memory = sidecar["cpu share"], sidecar["memory"] / 2**20
    event, calls = sidecar["event to last route"] * 1000, sidecar["event in calls"]
    rest = (
        f"A sidecar at rest for {sidecar['seconds']:.0f} s: {share:.2%} of a core "
        f"(limit {REST_CPU:.1%}), {memory:.0f} MB (limit {REST_MEMORY / 2**20:.0f}), "
        f"{sidecar['calls']:.0f} EC2 calls, no lasting child process."
    )
    woken = (
        f"From a new address on an interface to its last route: {event:.0f} ms, {calls:.2f} times "
        f"the time of one EC2 call (limit {EVENT_CALLS:.0f})."
    )
    return [rest, woken]


def missed(rows: Sequence[Row], sidecar: Mapping[str, float]) -> list[str]:
    """Name every budget that is missed."""
    lines = ["  ".join(cells(row)) for row in rows if row.missed]
    if sidecar:
        if sidecar["cpu share"] > REST_CPU:
            lines.append(f"a sidecar at rest takes {sidecar['cpu share']:.2%} of a core")
        if sidecar["memory"] > REST_MEMORY:
            lines.append(f"a sidecar at rest has {sidecar['memory'] / 2**20:.0f} MB")
        if sidecar["event in calls"] >= EVENT_CALLS:
            lines.append(f"an event takes {sidecar['event in calls']:.2f} calls' time")
    return lines


def table(rows: Sequence[Row], title: str) -> None:
    """Print the table for people."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, name in enumerate(_HEAD):
        shown.add_column(name, justify="left" if number in {0, 1, 3} else "right", no_wrap=True)
    for row in rows:
        shown.add_row(*cells(row), style="bold" if row.subject == AGENT.name else None)
    Console(width=150, highlight=False).print(shown)


def write(
    folder: Path, rows: Sequence[Row], sidecar: Mapping[str, float], *, title: str, command: str
) -> None:
    """Write bench.json, bench.md and bench.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = {"title": title, "rows": [asdict(r) for r in rows], "sidecar": dict(sidecar)}
    (folder / "bench.json").write_text(json.dumps(everything, indent=1) + "\n")
    today = dt.datetime.now(dt.UTC).date()
    lines = [
        "# The last table of `make bench`",
        "",
        f"{today}, `{command}`: {title}. Absolute times are this machine's; compare the ratios.",
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|" + "---|" * len(_HEAD),
        *("| " + " | ".join(cells(r)) + " |" for r in rows),
        "",
        *sidecar_lines(sidecar),
        "",
    ]
    (folder / "bench.md").write_text("\n".join(lines))
    plot(rows, folder / "bench.svg")


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw a failover of 10 tables x 2 floating IPs, everyone over plain HTTP."""
    chosen = [
        r for r in rows if (r.where, r.what, r.tables, r.floating) == ("HTTP", "failover", 10, 2)
    ]
    if not chosen:
        return
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "vipmanager"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, axis = plt.subplots(figsize=(8, 0.8 + 0.45 * len(chosen)), layout="constrained")
    names = [r.subject for r in chosen][::-1]
    times = [r.seconds for r in chosen][::-1]
    colours = ["#2a7f3f" if n == AGENT.name else "#8a8a8a" for n in names]
    bars = axis.barh(names, times, color=colours, height=0.6)
    floor = next(r.seconds for r in chosen if r.subject == FLOOR.name)
    axis.bar_label(bars, [f"{t:.2f} s   {t / floor:.1f} x" for t in times], padding=4, fontsize=9)
    axis.set_xscale("log")
    axis.set_xlim(right=max(times) * 4)
    axis.set_xlabel("seconds from the start of the process to the last of 20 routes (log scale)")
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
