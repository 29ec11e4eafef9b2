"""Judging one destination over some tables, told in words."""

from dataclasses import dataclass, field, replace

from vipmanager.core.claim import judge
from vipmanager.core.values import (
    CloudRoute,
    DesiredRoute,
    EniId,
    Network,
    RouteTable,
    Target,
    TargetKind,
)
from vipmanager.core.verdict import Decision, RouteHistory, Verdict
from worlds import networks, route, table

ADDRESS: Network = networks("192.168.0.1/32")[0]
OURS = EniId("eni-b1")

W, R, Y, T = Verdict.WRITE, Verdict.RIGHT, Verdict.YIELD, Verdict.WAIT


def shown(what: str) -> CloudRoute | None:
    """A route in words: "us", an ENI id, "none", "blackhole", "igw-1", "propagated"."""
    match what:
        case "none":
            return None
        case "us":
            return route(str(ADDRESS), OURS)
        case "blackhole":
            return route(str(ADDRESS), "eni-x1", blackhole=True)
        case "propagated":
            target = Target(kind=TargetKind.OTHER, id="vgw-1")
            return CloudRoute(destination=ADDRESS, target=target, propagated=True)
        case _:
            return route(str(ADDRESS), what)


def tables(*what: str) -> dict[str, RouteTable]:
    """One table for each word."""
    made = [table(n, [r for r in [shown(w)] if r is not None]) for n, w in enumerate(what)]
    return {t.id: t for t in made}


@dataclass
class Story:
    """One agent's passes over one destination."""

    held: bool = True
    eni: EniId = OURS
    memory: RouteHistory = field(default_factory=RouteHistory)
    gone: frozenset[EniId] = frozenset()
    orphaned: frozenset[EniId] = frozenset()
    opened: float | None = None
    last: Decision | None = None

    def see(self, now: float, *what: str, jitter: float = 0.5) -> list[Verdict]:
        """Judge what the tables show, and give the verdicts."""
        found = tables(*what)
        steers = [DesiredRoute(table=t, destination=ADDRESS, eni=self.eni) for t in found]  # type: ignore[arg-type]
        self.last = judge(
            steers,
            found,  # type: ignore[arg-type]
            held=frozenset({(ADDRESS, self.eni)}) if self.held else frozenset(),
            gone=self.gone,
            memory=self.memory,
            now=now,
            jitter=jitter,
            opened={} if self.opened is None else {ADDRESS: self.opened},
            orphaned={ADDRESS: self.orphaned},
        )
        self.memory = self.last.memory
        return [j.verdict for j in self.last.judged]

    def write(self, now: float) -> None:
        """Let EC2 accept every write that the last pass decided on."""
        assert self.last is not None
        for judged in self.last.judged:
            if judged.verdict is Verdict.WRITE:
                before = judged.route
                eni = before is not None and before.target.kind is TargetKind.ENI
                replaced = EniId(before.target.id) if eni and before is not None else None
                self.memory = self.memory.wrote(judged.steer, at=now, replaced=replaced)

    @property
    def said(self) -> list[str]:
        """The conditions that the last pass found."""
        assert self.last is not None
        return [f.condition.name for f in self.last.findings]

    @property
    def recheck(self) -> float | None:
        """When the last pass wants to look again."""
        assert self.last is not None
        return self.last.recheck


def with_lost(story: Story, *enis: str) -> Story:
    """The same story after these ENIs died."""
    return replace(story, gone=frozenset(map(EniId, enis)))
