"""How long the lab's APIs take: spreads to draw from, and two presets of them."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol


class Latency(Protocol):
    """A spread of durations."""

    def draw(self, luck: random.Random) -> float:
        """Give the seconds that one call takes."""
        ...


@dataclass(frozen=True, slots=True)
class Even:
    """Anything between two durations, in seconds, equally often."""

    least: float
    most: float

    def draw(self, luck: random.Random) -> float:
        """Give the seconds that one call takes."""
        return luck.uniform(self.least, self.most) if self.most > self.least else self.least

    def __str__(self) -> str:
        """Write it in words."""
        return f"{self.least * 1000:.0f} to {self.most * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Half of the calls within `median`, `share` of them `within`, in seconds; a long tail."""

    median: float
    share: float
    within: float

    def draw(self, luck: random.Random) -> float:
        """Give the seconds that one call takes."""
        sigma = math.log(self.within / self.median) / NormalDist().inv_cdf(self.share)
        return luck.lognormvariate(math.log(self.median), sigma)

    def __str__(self) -> str:
        """Write it in words."""
        return (
            f"{self.median * 1000:.0f} ms ({self.share * 100:.0f} % within "
            f"{self.within * 1000:.0f} ms)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """How long each kind of call takes."""

    reads: Latency
    """EC2's describes."""
    writes: Latency
    """Everything else that EC2 is asked for."""
    kubernetes: Latency

    @property
    def ec2(self) -> Mapping[str, Latency]:
        """By the names of EC2's actions, the first that matches."""
        return {"Describe*": self.reads, "*": self.writes}

    @property
    def said_of_ec2(self) -> str:
        """Write EC2's part in words."""
        return f"An EC2 describe takes {self.reads}, a route write {self.writes}"

    def __str__(self) -> str:
        """Write it in words."""
        return f"{self.said_of_ec2}, a call of Kubernetes {self.kubernetes}"


LATENCIES: Mapping[str, Latencies] = {
    "today": Latencies(
        reads=Even(0.08, 0.12), writes=Even(0.08, 0.12), kubernetes=Even(0.01, 0.03)
    ),
    # Reads and Leases: DataDog integrations-core#10143 and Kubernetes' scalability figures; writes
    # as its 250 to 500 ms of other ENI writes: for ReplaceRoute itself a guess.
    "real": Latencies(
        reads=Lognormal(0.08, 0.98, 0.25),
        writes=Lognormal(0.3, 0.95, 0.5),
        kubernetes=Lognormal(0.02, 0.99, 0.2),
    ),
}
"""`today` is what version 0.1.0 was measured with; `real` has the published spreads."""
