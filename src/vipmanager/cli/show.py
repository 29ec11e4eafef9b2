"""How the demo looks in a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vipmanager.lab.control_plane import CALL_MS
from vipmanager.lab.story import LATENCY, Event, Outcome, Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """What is said before the first story, and after the last."""

    drawing: str
    before: str
    good: str
    bad: str
    mind: str
    """How a cluster differs from the lab."""


FAILOVER = Scenery(
    drawing="""\
   client (zone c) --- VPC router --- node a --- net1, net2: pod-1   zone a, which fails
                          |   |
              EC2, IMDS --+   +------ node b --- net1, net2: pod-2   zone b
""",
    before=f"Every EC2 call takes {LATENCY * 1000:.0f} ms here.",
    good="Every floating IP answered again, from zone b.",
    bad="Not every floating IP answered from zone b.",
    mind="The pod was started in zone b at once; in a cluster add the time that Kubernetes takes "
    "to notice.",
)

STANDBY = Scenery(
    drawing="""\
   client (zone c) --- VPC router --- node a --- net1, net2: app-1, then app-3   zone a
                          |   |                   heartbeats over UDP
   EC2, IMDS, Kubernetes -+   +------ node b --- net1, net2: app-2               zone b
""",
    before=f"Every EC2 call takes {LATENCY * 1000:.0f} ms here, every call of Kubernetes "
    f"{CALL_MS[0]} to {CALL_MS[1]} ms.",
    good="Every floating IP answered again, each time from the other zone.",
    bad="Not every floating IP answered again.",
    mind="No pod was started for it: Kubernetes kept the Lease, and nothing more.",
)


class Stage:
    """Prints stories as they are told, and a table at the end."""

    def __init__(self, scenery: Scenery, *, quiet: bool) -> None:
        self._scenery = scenery
        self._console = Console(quiet=quiet, highlight=False, emoji=False, soft_wrap=True)
        if not self._console.is_terminal:
            self._console.width = 120  # a file has no width that the table must fit in
        self._told = False

    def begin(self, story: Story) -> None:
        """Begin a story."""
        if not self._told:
            self._console.print(self._scenery.drawing, style="dim")
            self._console.print(self._scenery.before + "\n")
            self._told = True
        self._console.print(Text(str(story), style="bold"))

    def event(self, event: Event) -> None:
        """Show one line of the timeline."""
        line = Text(f"{event.at:7.3f} s  ", style="cyan")
        lost = sum(event.lost.values())
        line.append(f"{lost:>4} lost  ", style="red" if lost else "dim")
        line.append(f"{event.text:<66}  ")
        line.append(_pointing(event.pointing), style="green")
        self._console.print(line)

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """Show the table of all stories."""
        self._console.print()
        table = Table(title="What the client saw", title_justify="left", box=None, pad_edge=False)
        table.add_column("story", no_wrap=True)
        table.add_column("floating IP", overflow="fold")
        for name in ("outage", "probes lost", "EC2 writes", "reads"):
            table.add_column(name, justify="right")
        for outcome in outcomes:
            writes = sum(n for a, n in outcome.calls.items() if not a.startswith("Describe"))
            reads = sum(outcome.calls.values()) - writes
            for row, (address, outage) in enumerate(outcome.outages.items()):
                table.add_row(
                    str(outcome.story) if row == 0 else "",
                    address,
                    f"{outage * 1000:.0f} ms" if outage is not None else "no end",
                    str(outcome.lost[address]),
                    str(writes) if row == 0 else "",
                    str(reads) if row == 0 else "",
                )
        self._console.print(table)
        good = all(o.answered for o in outcomes)
        said = self._scenery.good if good else self._scenery.bad
        self._console.print(f"\n{said}", style="bold green" if good else "bold red")
        self._console.print(self._scenery.mind, style="dim")


def _pointing(pointing: Mapping[str, str]) -> str:
    groups: dict[str, list[str]] = {}
    for address, zone in pointing.items():
        groups.setdefault(zone, []).append(address)
    return "  ".join(f"{_common(a)} -> {z}" for z, a in groups.items())


def _common(addresses: Sequence[str]) -> str:
    """Shorten addresses that point at one place: the first, and the tails of the others."""
    first, *rest = addresses
    start = max(first.rfind("."), first.rfind(":")) + 1
    tails = [a[start:] if a.startswith(first[:start]) else a for a in rest]
    return ",".join([first, *tails])
