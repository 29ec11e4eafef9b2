"""How the demo looks: live in a terminal, plain lines in a file or a pipe."""

import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from vipmanager_lab.latency import Latencies
from vipmanager_lab.story import Answering, Event, Outcome, Seen, Sight, Story

_INDENT = 10
"""Columns of the seconds."""
_FIRST_TICK, _LONGEST_TICK = 0.1, 1.0
"""Seconds between the lines of a file that count a loss: twice as many after each."""
_FRAME = 0.08
"""Seconds between two pictures of what moves in a terminal."""
_STYLES: Mapping[Answering, str] = {
    Answering.WAITING: "dim",
    Answering.ANSWERED: "green",
    Answering.LOST: "bold red",
    Answering.AGAIN: "green",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """What is said before the first story, and after the last."""

    drawing: str
    zone: str
    """Where every floating IP answers in the end."""
    mind: str
    """How a cluster differs from the lab."""
    kubernetes: bool = True
    """Whether Kubernetes has a part in it."""


FAILOVER = Scenery(
    drawing="""\
                            .-- node a: pod-1    zone a
  client --- VPC router ---<
  zone c         |          '-- node b: pod-2    zone b
             EC2, IMDS
""",
    kubernetes=False,
    zone="zone b",
    mind="pod-2 was started at once; in a cluster add the time that Kubernetes takes to notice.",
)

STANDBY = Scenery(
    drawing="""\
                            .-- node a: app-1, app-3    zone a
  client --- VPC router ---<        heartbeats over UDP
  zone c         |          '-- node b: app-2           zone b
      EC2, IMDS, Kubernetes
""",
    zone="the other zone",
    mind="No pod was started for it: Kubernetes kept the Lease, and nothing more.",
)

IMPAIRED = Scenery(
    drawing="""\
                            .-- node a: app-1, app-3    zone a
  client --- VPC router ---<        heartbeats over UDP
  zone c         |          '-- node b: app-2           zone b
       EC2, Kubernetes: an address in each zone
""",
    zone=STANDBY.zone,
    mind="Connections into the lost zone got no answer and no reset; EC2 took writes, and no "
    "describe until it healed.",
)


class Stage:
    """Shows stories as they are told, and the verdict at the end; `with` gives the terminal back.

    It is the stories' audience, and called from several threads.
    """

    def __init__(self, scenery: Scenery, latencies: Latencies, *, quiet: bool) -> None:
        self._scenery, self._latencies, self._quiet = scenery, latencies, quiet
        self._console = Console(quiet=quiet, highlight=False, emoji=False, markup=False)
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal and not quiet:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._lock = threading.Lock()
        self._drawn = 0.0
        self._told = False
        self._shown: Mapping[str, tuple[str, Answering]] = {}
        """What the last line said of each floating IP."""
        self._due = _FIRST_TICK
        self._pause = _FIRST_TICK

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, story: Story) -> None:
        """Begin a story."""
        if not self._told:
            said = self._latencies
            text = str(said) if self._scenery.kubernetes else said.said_of_ec2
            self._line(Text(self._scenery.drawing, style="dim"))
            self._line(Text(text.replace(", a ", ",\na ") + ".\n"))
            self._told = True
        else:
            self._line(Text())
        self._line(Text(str(story), style="bold"))
        self._shown = {}

    def event(self, event: Event, sight: Sight) -> None:
        """Show what happened, and what the client sees now, where that changed."""
        with self._lock:
            if self._live is not None:
                # Lines are printed with the picture below them, and it is the last one.
                self._live.update(Text(), refresh=True)
            style = "bold red" if sight.since == 0 and _lost(sight) else ""
            self._line(self._at(sight.since, event.text, style))
            shown = {a: (s.zone, s.answering) for a, s in sight.seen.items()}
            if shown != self._shown:
                self._shown = shown
                for line in self._states(sight):
                    self._line(line)
            if sight.since == 0:
                self._due = self._pause = _FIRST_TICK
            self._picture(sight)

    def watch(self, sight: Sight) -> None:
        """Show the counters of this moment: in place, or in a line now and then while lost."""
        with self._lock:
            if self._live is not None:
                if time.monotonic() - self._drawn > _FRAME:
                    self._picture(sight)
            elif sight.since is not None and sight.since >= self._due and _counted(sight):
                self._pause = min(2 * self._pause, _LONGEST_TICK)
                self._due = sight.since + self._pause
                said = f"{Answering.LOST.value}  {_numbers(list(sight.seen.values()))}"
                self._line(self._at(sight.since, said, _STYLES[Answering.LOST]))

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """Show what the client saw in each story, and the verdict."""
        if self._live is not None:
            self._live.stop()
        self._line(Text("\nWhat the client saw", style="bold"))
        for outcome in outcomes:
            writes = sum(n for a, n in outcome.calls.items() if not a.startswith("Describe"))
            reads = sum(outcome.calls.values()) - writes
            head = f"{outcome.story} ({writes} EC2 writes, {reads} reads)"
            self._line(Text(self._wrapped(head, 4)))
            width = max(map(len, outcome.outages))
            for address, outage in outcome.outages.items():
                lost = f"{outcome.lost[address]} probes lost"
                said = "no answer again" if outage is None else f"{_ms(outage):>8}"
                style = "red" if outage is None else ""
                self._line(Text(f"  {address:<{width}}  {said}  {lost}", style=style))
        self._line(Text())
        self._line(Text(self._wrapped(self._scenery.mind), style="dim"))
        good = all(o.answered for o in outcomes)
        said = self._wrapped(_verdict(outcomes, self._scenery.zone))
        self._line(Text(said, style="bold green" if good else "bold red"))

    def _line(self, text: Text) -> None:
        """Print lines that fit already."""
        self._console.print(text, no_wrap=True, overflow="ignore", crop=False)

    def _picture(self, sight: Sight) -> None:
        """Draw what moves below the lines."""
        if self._live is not None:
            self._drawn = time.monotonic()
            lines = self._states(sight, numbers=True)
            self._live.update(Text("\n").join(lines), refresh=True)

    def _wrapped(self, text: str, indent: int = 0) -> str:
        """Wrap a text between words; the lines after the first are indented."""
        return textwrap.fill(
            text,
            max(self._console.width, indent + 20),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def _at(self, since: float | None, text: str, style: str = "") -> Text:
        """Put seconds before a text."""
        seconds = " " * _INDENT if since is None else f"{since:6.2f} s  "
        line = self._wrapped("x" * _INDENT + text, _INDENT)[_INDENT:]
        return Text.assemble((seconds, "cyan"), (line, style))

    def _states(self, sight: Sight, *, numbers: bool = False) -> Iterator[Text]:
        """Say of each floating IP where it leads and whether it answers, one line if it fits."""
        groups: dict[tuple[str, Answering], list[str]] = {}
        for address, seen in sight.seen.items():
            groups.setdefault((seen.zone, seen.answering), []).append(address)
        for (zone, answering), addresses in groups.items():
            for some in self._fitting(addresses, f" -> {zone}  {answering.value}"):
                line = f"{_common(some)} -> {zone}  {answering.value}"
                theirs = [sight.seen[a] for a in some]
                counted = _numbers(theirs)
                # A loss that is known before the client has missed a probe has no figure yet.
                known = answering is not Answering.LOST or any(s.lost for s in theirs)
                if known and (numbers or answering is Answering.AGAIN):
                    apart = "  " if self._fits(f"{line}  {counted}") else "\n" + " " * (_INDENT + 2)
                    line += apart + counted
                yield Text(" " * _INDENT + line, style=_STYLES[answering])

    def _fitting(self, addresses: list[str], rest: str) -> list[list[str]]:
        """Give the addresses together, or each alone where they don't fit in a line."""
        together = self._fits(_common(addresses) + rest)
        return [addresses] if together else [[one] for one in addresses]

    def _fits(self, line: str) -> bool:
        return _INDENT + len(line) <= self._console.width


def _lost(sight: Sight) -> bool:
    return any(s.answering is Answering.LOST for s in sight.seen.values())


def _counted(sight: Sight) -> bool:
    return any(s.answering is Answering.LOST and s.lost for s in sight.seen.values())


def _numbers(seen: Sequence[Seen]) -> str:
    sent, answered, lost = (
        sum(getattr(s, name) for s in seen) for name in ("sent", "answered", "lost")
    )
    return f"{sent} sent, {answered} answered, {lost} lost, {_ms(max(s.outage for s in seen))}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _verdict(outcomes: Sequence[Outcome], zone: str) -> str:
    outages = [outage for o in outcomes for outage in o.outages.values()]
    ended = [outage for outage in outages if outage is not None]
    if len(ended) < len(outages):
        return f"NOT ANSWERED AGAIN: {len(outages) - len(ended)} of {len(outages)} floating IPs"
    bad = [str(o.story) for o in outcomes if not o.answered]
    if bad:
        return f"FAILED: not every route leads to {zone} ({'; '.join(bad)})"
    return f"ANSWERED AGAIN from {zone} within {_ms(max(ended))}"


def _common(addresses: Sequence[str]) -> str:
    """Shorten addresses that point at one place: the first, and the tails of the others."""
    first, *rest = addresses
    start = max(first.rfind("."), first.rfind(":")) + 1
    tails = [a[start:] if a.startswith(first[:start]) else a for a in rest]
    return ",".join([first, *tails])
