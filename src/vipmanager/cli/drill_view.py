"""How a drill is shown: what a client saw, the timeline, a strip for each address, the verdict."""

from collections.abc import Iterator

from rich.text import Text

from vipmanager.cli.terminal import (
    BAD,
    BLANK,
    GOOD,
    QUIET,
    TITLE,
    UNSURE,
    Block,
    Table,
    Words,
    words,
)
from vipmanager.core.probes import Gap
from vipmanager.drill.order import Order, Probe, Way
from vipmanager.drill.outcome import Kept, Outcome, Seen, Verdict, strips
from vipmanager.drill.run import Drill

_WIDEST = 100
"""Columns of a strip."""
_BEFORE = 0.1
"""The part of a strip that is before the cause."""
_LEAST = 0.5
"""Seconds that a strip shows after the cause at the least."""
_STYLES = {"-": GOOD, "x": UNSURE, "X": BAD}
_LONG = 10.0
"""Seconds from which on tenths of a second are enough."""


def report(outcome: Outcome, drill: Drill, order: Order, *, undone: bool) -> Iterator[Block]:
    """Give all of it, the verdict last: that is where a person looks."""
    yield words("What the client saw", TITLE)
    for each in outcome.seen:
        yield from _of(each)
    for one in outcome.kept:
        yield words(f"  {_connection(one)}", "" if one.broken is None else UNSURE, hang=4)
    yield from _doubts(outcome)
    yield BLANK
    rows = [(_clock(m.at), m.text) for m in outcome.timeline()]
    yield Table(title="Timeline", columns=("since", "what happened"), rows=rows)
    yield BLANK
    yield _Strips(outcome, drill)
    yield BLANK
    if undone and order.way is Way.DRAIN_NODE:
        yield words(f"Node {order.about} is uncordoned.")
    yield _verdict(outcome)


def _of(each: Seen) -> Iterator[Words]:
    if each.outage is None:
        yield words(f"  {each.address}: NO ANSWER AGAIN; {_counted(each)}", BAD, hang=4)
    elif not each.gaps:
        yield words(f"  {each.address}: no outage; {_counted(each)}", GOOD, hang=4)
    else:
        said = f"  {each.address}: {_ms(each.outage)} without an answer; {_counted(each)}"
        yield words(said, hang=4)
        yield words(f"    {_when(each)}", hang=4)


def _when(each: Seen) -> str:
    first, until = each.first_loss, each.first_answer
    said = f"first loss {_clock(first or 0.0)}, answers again {_clock(until or 0.0)}"
    if len(each.gaps) == 1:
        return said
    longest = each.longest
    span = _ms(longest.until - longest.since) if longest is not None and longest.until else "?"
    return f"{said} (the longest of {len(each.gaps)} gaps: {span})"


def _counted(each: Seen) -> str:
    return f"{each.lost} of {each.sent} probes lost"


def _connection(one: Kept) -> str:
    where = f"the open connection to {one.address} port {one.port}"
    if one.broken is not None:
        return f"{where}: {one.how}, noticed at {_clock(one.broken)}"
    return f"{where}: {'kept' if one.known else 'not known: nothing was heard since'}"


def _doubts(outcome: Outcome) -> Iterator[Words]:
    """Say what else may be in the figures."""
    before = sum(s.before for s in outcome.seen)
    if before:
        yield words(
            f"  {before} probes were lost before the cause: the path loses some by itself.",
            UNSURE,
            hang=2,
        )
    if not outcome.noticed:
        yield words(
            "  Nothing shows that there was a failover: no probe was lost, and no --lease moved.",
            UNSURE,
            hang=2,
        )
    if outcome.pause > 5 * outcome.interval:
        yield words(
            f"  This machine paused for {_ms(outcome.pause)} once: an outage may look that much "
            "longer, or shorter.",
            UNSURE,
            hang=2,
        )


def _verdict(outcome: Outcome) -> Words:
    worst = outcome.worst
    said = "" if worst is None else _ms(worst)
    limit = "" if outcome.at_most is None else _ms(outcome.at_most)
    match outcome.verdict:
        case Verdict.FAILED:
            return words(f"FAILED: {outcome.cause}: {outcome.failed}", BAD, hang=2)
        case Verdict.UNANSWERED:
            silent = ", ".join(s.address for s in outcome.seen if s.outage is None)
            return words(f"NOT ANSWERED AGAIN: {silent}, {outcome.span:.0f} s after the cause", BAD)
        case Verdict.STAYED:
            handed = outcome.handed
            told = f"Lease {handed.lease} is held by {handed.after}" if handed else ""
            return words(f"NO FAILOVER: {told}, as before", BAD, hang=2)
        case Verdict.BEYOND:
            return words(f"BEYOND THE LIMIT: {said}, at most {limit} was asked for", BAD)
        case Verdict.WITHIN:
            return words(f"WITHIN THE LIMIT: {said}, at most {limit} was asked for", GOOD)
        case Verdict.ANSWERED:
            return words(f"ANSWERED AGAIN: {said} without an answer at the most", GOOD)


class _Strips:
    """Each address over one axis of time."""

    def __init__(self, outcome: Outcome, drill: Drill) -> None:
        self._outcome, self._drill = outcome, drill

    def lines(self, width: int) -> Iterator[Text]:
        """Draw as wide as there is room."""
        label = max(len(s.address) for s in self._outcome.seen) + 4
        columns = max(10, min(_WIDEST, width - label - 2))
        before = round(columns * _BEFORE)
        step = self._shown() / (columns - before)
        edges = [step * (n - before) for n in range(columns + 1)]
        key = "- answered, x some lost, X all lost"
        yield Text(key, style=QUIET)
        drawn = strips(self._drill.tallies, since=self._drill.began, edges=edges)
        for address, strip in drawn.items():
            line = Text(f"  {address:<{label - 2}}")
            for character in strip:
                line.append(character, _STYLES.get(character, ""))
            yield line
        scale = " " * (label + before) + "^ 0 s"
        end = f"{edges[-1]:.3g} s ^"
        gap = label + columns - len(scale) - len(end)
        yield Text(scale + " " * max(1, gap) + end, style=QUIET)

    def _shown(self) -> float:
        """Give the seconds after the cause: until some time after the last gap of some length."""
        outcome = self._outcome
        gaps = [g for s in outcome.seen for g in s.gaps]
        if any(g.until is None for g in gaps):
            return outcome.span
        worth = [g.until or 0.0 for g in gaps if g.lost > 1] or [g.until or 0.0 for g in gaps]
        return min(max(_LEAST, 1.3 * max(worth, default=0.0)), max(outcome.span, _LEAST))


def _clock(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds < _LONG else f"{seconds:.1f} s"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < _LONG else f"{seconds:.1f} s"


def document(outcome: Outcome, order: Order) -> dict[str, object]:
    """Give it as JSON values; docs/schema/drill.json describes them."""
    probe = order.probe.value if order.probe is Probe.ICMP else f"{order.probe.value}:{order.port}"
    return {
        "verdict": outcome.verdict.value,
        "good": outcome.verdict.good,
        "cause": outcome.cause,
        "failed": outcome.failed,
        "at_most": outcome.at_most,
        "outage": outcome.worst,
        "probe": probe,
        "interval": outcome.interval,
        "pause": outcome.pause,
        "seconds": outcome.span,
        "addresses": [_document(s) for s in outcome.seen],
        "connections": [
            {
                "address": k.address,
                "port": k.port,
                "state": "broken" if k.broken is not None else "kept" if k.known else "unknown",
                "at": k.broken,
                "how": k.how,
            }
            for k in outcome.kept
        ],
        "lease": None
        if outcome.handed is None
        else {
            "name": outcome.handed.lease,
            "before": outcome.handed.before,
            "after": outcome.handed.after,
            "moved": outcome.handed.moved,
        },
        "timeline": [{"at": m.at, "text": m.text} for m in outcome.timeline()],
    }


def _document(each: Seen) -> dict[str, object]:
    return {
        "address": each.address,
        "sent": each.sent,
        "lost": each.lost,
        "lost_before": each.before,
        "outage": each.outage,
        "first_loss": each.first_loss,
        "first_answer": each.first_answer,
        "gaps": [_gap(g) for g in each.gaps],
    }


def _gap(gap: Gap) -> dict[str, object]:
    return {"since": gap.since, "until": gap.until, "lost": gap.lost}
