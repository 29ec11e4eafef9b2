"""What one agent is in its group, since when and why: for /status, metrics, logs and Events."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vipmanager.core.election.role import Role
from vipmanager.core.election.values import Generation, Why
from vipmanager.core.tally import Histogram

BOUNDS = (0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper bounds of the durations of takeovers, seconds."""

_SAID = {
    Why.ABSENT: "there was no Lease",
    Why.FREE: "the Lease was free",
    Why.OWN: "the Lease names this pod",
    Why.GONE: "the pod of its holder is gone",
    Why.OFFERED: "its holder offered it",
    Why.PREFERRED: "this is the preferred zone",
    Why.SILENT: "its holder fell silent",
    Why.EXPIRED: "its holder did not renew it",
    Why.CLAIMED: "it was claimed, as asked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStatus:
    """One agent's present role, and the takeovers it made."""

    role: Role = Role.STANDBY
    why: str = "since its start"
    """For a holder the word that stands in the Lease; for a standby a sentence."""
    generation: Generation | None = None
    """Of a holder."""
    since: float = 0.0
    """Monotonic seconds; of a holder from when its acquisition was sent."""
    leaving: str = ""
    """Why the pod should leave its node or zone (`HandOverOn`), for people."""
    settled: float | None = None
    """Seconds from then to the first reading that showed every route right."""
    takeovers: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """By why."""
    durations: Histogram = field(default_factory=lambda: Histogram.empty(BOUNDS))

    def became(
        self, role: Role, *, why: str, generation: Generation | None, since: float
    ) -> "RoleStatus":
        """Give it after a change of role."""
        counted = dict(self.takeovers)
        back = Role.RELIEVED in {role, self.role} and role is not Role.STANDBY
        if role is Role.HOLDER and not back:
            counted[why] = counted.get(why, 0) + 1
        return replace(
            self,
            role=role,
            why=why,
            generation=generation,
            since=since,
            settled=self.settled if back else None,
            takeovers=MappingProxyType(counted),
        )

    def read_right(self, now: float) -> "RoleStatus":
        """Give it after a reading that showed every route right."""
        if self.role is not Role.HOLDER or self.settled is not None:
            return self
        seconds = now - self.since
        return replace(self, settled=seconds, durations=self.durations.with_one(seconds))

    def __str__(self) -> str:
        """Say the role and its reason in one line."""
        if self.role is not Role.HOLDER:
            return f"{self.role.value}: {self.why}"
        said = _SAID.get(Why(self.why)) if self.why in {w.value for w in Why} else self.why
        number = self.generation.transitions if self.generation is not None else 0
        return f"holder, generation {number}: {said}"

    def document(self, now: float) -> dict[str, object]:
        """Give it as JSON values."""
        generation = self.generation
        return {
            "role": self.role.value,
            "why": self.why,
            "since": round(now - self.since, 1),
            "generation": generation.transitions if generation else None,
            "settled": None if self.settled is None else round(self.settled, 3),
            "takeovers": dict(self.takeovers),
            "leaving": self.leaving,
        }
