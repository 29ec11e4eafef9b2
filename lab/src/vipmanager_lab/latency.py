"""How long the lab's APIs take: spreads to draw from, presets, and what `measure` found."""

import argparse
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any, Protocol

from vipmanager.core.measurement import Quantity


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
    more: Mapping[str, Latency] = field(default_factory=dict)
    """Those of single actions of EC2, and of what it carries out after its answer."""
    renewals: Latency | None = None
    """Of `update leases`, where that is another one."""

    @property
    def ec2(self) -> Mapping[str, Latency]:
        """By the names of EC2's actions, the first that matches."""
        return {**self.more, "* carried out": _AT_ONCE, "Describe*": self.reads, "*": self.writes}

    @property
    def leases(self) -> Mapping[str, Latency]:
        """By the names of Kubernetes' actions, the first that matches."""
        return {"update leases": self.renewals or self.kubernetes, "*": self.kubernetes}

    @property
    def said_of_ec2(self) -> str:
        """Write EC2's part in words."""
        return f"An EC2 describe takes {self.reads}, a route write {self.writes}"

    def __str__(self) -> str:
        """Write it in words."""
        return f"{self.said_of_ec2}, a call of Kubernetes {self.kubernetes}"


_AT_ONCE = Even(0.0, 0.0)

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

NAMES = f"{', '.join(LATENCIES)}, or FILE of `vipmanager measure --output json`"
"""What `latencies` takes, for people."""


def latencies(name: str) -> Latencies:
    """Give a preset by its name, or what a file of `vipmanager measure` says.

    What was not measured is as in `real`.

    Raises:
        argparse.ArgumentTypeError: it is neither.
    """
    if name in LATENCIES:
        return LATENCIES[name]
    try:
        return measured(json.loads(Path(name).read_text(encoding="utf-8")))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name}: expected {NAMES}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise argparse.ArgumentTypeError(
            f"{name}: expected the JSON of `vipmanager measure --vpc ID --output json`: {error!r}"
        ) from error


def measured(document: Mapping[str, Any]) -> Latencies:
    """Give the latencies that `vipmanager measure` found.

    Raises:
        ValueError, KeyError, TypeError: it is no document of `measure`.
    """
    found = dict(_spreads(document["figures"]))
    if Quantity.REPLACE_ROUTE not in found:
        raise ValueError("it has no figure of replace_route")
    assumed = LATENCIES["real"]
    writes = found[Quantity.REPLACE_ROUTE]
    reads = found.get(Quantity.DESCRIBE_ROUTE_TABLES, assumed.reads)
    leases = found.get(Quantity.GET_LEASE, assumed.kubernetes)
    more = {action: found[of] for action, of in _ACTIONS.items() if of in found}
    accepted = found.get(Quantity.MODIFY_LIST)
    complete = found.get(Quantity.MODIFY_LIST_COMPLETE)
    if accepted is not None and complete is not None:
        more["ModifyManagedPrefixList carried out"] = _rest(complete, accepted)
    return Latencies(
        reads=reads,
        writes=writes,
        kubernetes=leases,
        more=more,
        renewals=found.get(Quantity.UPDATE_LEASE),
    )


_ACTIONS: Mapping[str, Quantity] = {
    "CreateRoute": Quantity.CREATE_ROUTE,
    "ModifyManagedPrefixList": Quantity.MODIFY_LIST,
    "DescribeNetworkInterfaces": Quantity.DESCRIBE_NETWORK_INTERFACES,
    "DescribeManagedPrefixLists": Quantity.DESCRIBE_PREFIX_LISTS,
}
"""ReplaceRoute and DescribeRouteTables stand for all others."""


def _spreads(figures: list[Mapping[str, Any]]) -> Iterator[tuple[Quantity, Lognormal]]:
    """Give the spread through p50 and p99 of each figure that there is."""
    for each in figures:
        if each["p50"] is not None:
            yield Quantity(each["name"]), _through(float(each["p50"]), float(each["p99"]))


def _through(p50: float, p99: float) -> Lognormal:
    if not 0 < p50 <= p99 < math.inf:
        raise ValueError(f"p50 {p50} and p99 {p99}: expected 0 < p50 <= p99")
    return Lognormal(p50, 0.99, p99)


def _rest(complete: Lognormal, accepted: Lognormal) -> Lognormal:
    """Give what is left of a time once its first part is over."""
    median = max(complete.median - accepted.median, 0.001)
    return Lognormal(median, 0.99, max(complete.within - accepted.median, median))
