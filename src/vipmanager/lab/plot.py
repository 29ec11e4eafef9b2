"""The demo as a picture: when each floating IP answered, and what happened meanwhile."""

from collections.abc import Sequence
from pathlib import Path

from vipmanager.lab.story import Outcome

FORMATS = (".svg", ".png")


def plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw a timeline for each outcome, one below the other.

    Raises:
        OSError: the file can't be written.
    """
    import matplotlib as mpl  # noqa: PLC0415 - half a second, only where a plot is asked for

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    rows = len(outcomes)
    figure, axes = plt.subplots(
        rows, 1, figsize=(10, 1.2 + 2.4 * rows), squeeze=False, layout="constrained"
    )
    for axis, outcome in zip(axes[:, 0], outcomes, strict=True):
        _draw(axis, outcome)
    axes[-1, 0].set_xlabel("seconds since the blow")
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _draw(axis: object, outcome: Outcome) -> None:
    from matplotlib.axes import Axes  # noqa: PLC0415

    assert isinstance(axis, Axes)  # noqa: S101 - tells the type checker what subplots gave
    zero = outcome.failed_at
    left, right = -0.5, outcome.seconds - zero
    names = list(outcome.probes)
    for row, name in enumerate(names):
        axis.hlines(row, left, right, color="#2a7f3f", linewidth=7)
        for since, until in outcome.probes[name]:
            end = right if until is None else until - zero
            if end > left:
                axis.hlines(row, max(left, since - zero), end, color="#c0392b", linewidth=7)
        outage = outcome.outages.get(name)
        said = "no answer again" if outage is None else f"{outage * 1000:.0f} ms"
        axis.annotate(
            said, (right, row), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9
        )
    marks = [e for e in outcome.events if e.at - zero >= -0.01]  # noqa: PLR2004 - the failure itself
    for number, event in enumerate(marks):
        at = event.at - zero
        axis.axvline(at, color="#555555", linewidth=0.8, linestyle=":")
        axis.annotate(
            str(number + 1), (at, len(names) - 0.4), fontsize=8, ha="center", annotation_clip=False
        )
    legend = "\n".join(f"{n + 1}  {_short(e.text)}" for n, e in enumerate(marks))
    axis.text(1.09, 0.98, legend, transform=axis.transAxes, fontsize=7, va="top")
    axis.set_title(f"{outcome.story}: red is what the client lost", loc="left", fontsize=10)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_xlim(left, right)
    axis.spines[["top", "right"]].set_visible(False)


def _short(text: str, limit: int = 52) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
