"""What is measured: blows, latencies, numbers of tables, how often, and what they may cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from vipmanager_lab.latency import LATENCIES

TABLES = (10, 1, 50)
"""Budgets are for the first, with two floating IPs."""
_FEW = 50
"""With fewer runs than this asked for, only the first number of tables is measured."""


class Kind(Enum):
    """What happens to the holder; the value is its name in the tables."""

    NODE_LOST = "node lost"
    """Every packet from and to its node vanishes. Its processes notice nothing."""
    ZONE_LOST = "zone lost"
    """The same, and EC2 answers no describe, and of the standby's open connections to each API
    some lead into the lost zone and are silent."""
    ALL_SILENT = "zone lost, all silent"
    """The same, and all of the standby's open connections are silent."""
    SIGTERM = "SIGTERM"
    """Agent and application get SIGTERM at the same moment."""
    YIELD = "vipmanager yield"
    """An operator's order; the application serves on."""
    HEALTH = "health check"
    """The application dies: neither clients nor the health check get an answer any more."""
    BACK_AND_FORTH = "back and forth"
    """While EC2 answers no describe the holder yields, and claims once the other one holds."""

    @property
    def word(self) -> str:
        """What it is called on the command line."""
        return self.name.lower().replace("_", "-")

    @property
    def impaired(self) -> bool:
        """Whether EC2 answers no describe."""
        return self in {Kind.ZONE_LOST, Kind.ALL_SILENT, Kind.BACK_AND_FORTH}


_LOSSES = (Kind.NODE_LOST, Kind.ZONE_LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table."""

    kind: Kind
    latencies: str
    """A name that `vipmanager_lab.latency.latencies` knows: a preset's, or a file's."""
    tables: int
    kubernetes: str = "own"
    """A name of `vipmanager_lab.kubernetes.assets.KUBERNETES`."""

    @property
    def blow(self) -> str:
        """Name what happens, and on which API where that is not the lab's own."""
        return self.kind.value + (", real API" if self.kubernetes == "real" else "")

    def __str__(self) -> str:
        """Name it."""
        return f"{self.blow}, {self.tables} table{'s'[: self.tables - 1]}, {self.pace}"

    @property
    def pace(self) -> str:
        """Name the latencies, without the folder of a file."""
        return Path(self.latencies).stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a figure may be at the most, with the first number of tables."""

    kind: Kind
    latencies: str
    share: float
    """Of the runs, such as 0.99."""
    seconds: float

    def __str__(self) -> str:
        """Name it."""
        return f"{share_name(self.share)} {self.seconds:.1f} s"


def _pairs(kind: Kind, latencies: str, median: float, most: float) -> Iterator[Budget]:
    for share, seconds in ((0.5, median), (0.99, most)):
        yield Budget(kind=kind, latencies=latencies, share=share, seconds=seconds)


BUDGETS = (
    *_pairs(Kind.NODE_LOST, "today", 0.6, 1.0),
    *_pairs(Kind.ZONE_LOST, "today", 0.6, 1.0),
    *_pairs(Kind.ALL_SILENT, "today", 0.9, 1.3),
    *_pairs(Kind.NODE_LOST, "real", 0.8, 1.2),
    *_pairs(Kind.ZONE_LOST, "real", 0.8, 1.2),
    *_pairs(Kind.ALL_SILENT, "real", 1.1, 1.5),
    *(
        Budget(kind=kind, latencies="today", share=0.99, seconds=0.3)
        for kind in (Kind.SIGTERM, Kind.YIELD, Kind.HEALTH, Kind.BACK_AND_FORTH)
    ),
)
"""A health check's own time is not counted. Of back and forth every run has to be right, too."""


RATIO = (0.8, 1.25)
"""Between which the medians with a real API server may be to those with the lab's own."""


def order(case: Case) -> tuple[int, ...]:
    """Give where a case stands in the table."""
    return (
        list(Kind).index(case.kind),
        [*LATENCIES, case.latencies].index(case.latencies),
        TABLES.index(case.tables) if case.tables in TABLES else case.tables,
        case.kubernetes == "real",
    )


def budgets(case: Case) -> Sequence[Budget]:
    """Give those of a case."""
    found = [b for b in BUDGETS if (b.kind, b.latencies) == (case.kind, case.latencies)]
    return found if case.tables == TABLES[0] else []


def chosen(
    runs: int,
    kinds: Sequence[str],
    latencies: Sequence[str],
    tables: Sequence[int],
    kubernetes: Sequence[str] = ("own",),
) -> list[tuple[Case, int]]:
    """Give the cases and how often each is run; cases that can share a world come together."""
    many = tables or (TABLES if runs >= _FEW else TABLES[:1])
    found = [
        (
            Case(kind=kind, latencies=each, tables=count, kubernetes=which),
            _share(kind, count, runs, bool(tables)),
        )
        for count in many
        for which in kubernetes
        for kind in Kind
        if kind.word in kinds
        for each in latencies
    ]
    return [(case, often) for case, often in found if often]


def _share(kind: Kind, tables: int, runs: int, asked: bool) -> int:  # noqa: FBT001 - one caller
    """Give fewer runs to what matters less, and to what takes longer."""
    if tables == TABLES[0]:
        part = 1 if kind in _LOSSES else 6 if kind is Kind.BACK_AND_FORTH else 5
    elif kind in _LOSSES or asked:
        part = 5 if tables < TABLES[0] else 10
    else:
        return 0
    return max(1, runs // part)


def share_name(share: float) -> str:
    """Name a percentile."""
    return "median" if share == 0.5 else f"p{share * 100:.0f}"  # noqa: PLR2004 - its name
