"""The demo as a slide: when each floating IP answered, in seconds since the failure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vipmanager_lab.story import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREEN, _RED, _GREY = "#2a7f3f", "#c0392b", "#555555"
_BAR, _BETWEEN = 0.72, 0.8
"""Heights of a bar, and of what is between two stories; a row has the height 1."""
_LEAST = 1.0
"""Seconds that are shown after the failure at the least."""
_LARGE, _SMALL, _MANY = 20, 13, 6
"""Size of letters, in points; the small ones with so many rows or more."""
_TIGHT = 0.12
"""The part of the axis that a figure needs: a shorter loss has it beside itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A floating IP in a story; times are seconds since the failure."""

    y: float
    story: str
    """Over the first row of a story."""
    address: str
    outage: float | None
    until: float
    lost: tuple[tuple[float, float | None], ...]


def plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw every floating IP of every outcome over one axis of time.

    Raises:
        OSError: the file can't be written.
    """
    import matplotlib as mpl  # noqa: PLC0415 - half a second, only where a plot is asked for

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    drawn = list(rows(outcomes))
    size = _SMALL if len(drawn) >= _MANY else _LARGE
    with plt.rc_context({"font.size": size}):
        engine = ConstrainedLayoutEngine(w_pad=0.4, h_pad=0.4)
        figure, axes = plt.subplots(figsize=(16, 9), layout=engine)
        _draw(axes, drawn, span(outcomes))
        axes.set_title(_title(outcomes), loc="left", fontsize=28, weight="bold", pad=20)
        handed = any("hand-over" in o.story.mode for o in outcomes)
        axes.set_xlabel(
            f"seconds since the failure{', or the hand-over' if handed else ''}", loc="left"
        )
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=120, facecolor="white", metadata=metadata)
        plt.close(figure)


def span(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Give the axis: from when every floating IP answers, to some time after the last loss."""
    left = max(o.answered_at - o.failed_at for o in outcomes)
    ends = [outage for o in outcomes for outage in o.outages.values()]
    longest = max(o.seconds - o.failed_at for o in outcomes)
    if None in ends:
        return left, longest
    shown = max(_LEAST, *(1.4 * end for end in ends if end is not None))
    shortest = min(o.seconds - o.failed_at for o in outcomes)
    return left, min(longest, max(0.75 * shown, min(shown, shortest)))


def rows(outcomes: Sequence[Outcome]) -> Iterator[Row]:
    """Give the rows, from the top; what was lost before the first answers is left out."""
    y = 0.0
    for outcome in outcomes:
        zero, story = outcome.failed_at, str(outcome.story)
        y -= _BETWEEN
        for address, gaps in outcome.probes.items():
            y -= 1.0
            yield Row(
                y=y,
                story=story,
                address=address,
                outage=outcome.outages[address],
                until=outcome.seconds - zero,
                lost=tuple(
                    # The failure loses a probe that was sent right before it, too.
                    (
                        max(0.0, since - zero) if until is None or until > zero else since - zero,
                        None if until is None else until - zero,
                    )
                    for since, until in gaps
                    if until is None or until > outcome.answered_at
                ),
            )
            story = ""


def _draw(axes: "Axes", rows: Sequence[Row], shown: tuple[float, float]) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415 - as above

    left, right = shown
    for row in rows:
        axes.barh(row.y, min(right, row.until) - left, _BAR, left=left, color=_GREEN)
        for since, until in row.lost:
            end = right if until is None else until
            axes.barh(row.y, end - since, _BAR, left=since, color=_RED)
        _figure(axes, row, right, room=_TIGHT * (right - left))
        axes.vlines(0, row.y - 0.58, row.y + 0.42, color="black", linewidth=2, linestyle="--")
        place = (left, row.y + _BAR / 2 + 0.1)
        axes.annotate(row.story, place, color=_GREY, va="bottom")
    axes.set_yticks([row.y for row in rows], [row.address for row in rows])
    axes.set_ylim(rows[-1].y - 0.6, rows[0].y + 1.0)
    axes.set_xlim(left, right)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    key = [Patch(color=_GREEN, label="answered"), Patch(color=_RED, label="lost")]
    below: dict[str, Any] = {"loc": "upper right", "bbox_to_anchor": (1.0, -0.06)}
    axes.legend(handles=key, ncols=2, frameon=False, borderaxespad=0, **below)


def _figure(axes: "Axes", row: Row, right: float, *, room: float) -> None:
    """Write how long the loss was: into it, or right behind it."""
    style: dict[str, Any] = {"color": "white", "weight": "bold", "va": "center"}
    if row.outage is None:
        axes.text(right / 2, row.y, "no answer again", ha="center", **style)
        return
    said = f"{row.outage * 1000:.0f} ms"
    if row.outage >= room:
        axes.text(row.outage / 2, row.y, said, ha="center", **style)
    else:
        axes.text(row.outage + room / 10, row.y, said, ha="left", **style)


def _title(outcomes: Sequence[Outcome]) -> str:
    outages = [outage for o in outcomes for outage in o.outages.values()]
    ended = [outage for outage in outages if outage is not None]
    if len(ended) < len(outages):
        return f"{len(outages) - len(ended)} of {len(outages)} floating IPs did not answer again"
    return f"Every floating IP answered again within {max(ended) * 1000:.0f} ms"
