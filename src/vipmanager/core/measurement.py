"""What `measure` takes the time of, what it says of the figures, and whose scratch things are."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum


class Quantity(Enum):
    """One row of the figures; the value is its name in the JSON."""

    CREATE_ROUTE = "create_route"
    CREATE_ROUTE_SEEN = "create_route_seen"
    REPLACE_ROUTE = "replace_route"
    REPLACE_ROUTE_SEEN = "replace_route_seen"
    MODIFY_LIST = "modify_list"
    MODIFY_LIST_COMPLETE = "modify_list_complete"
    REPLACE_ROUTE_MEANWHILE = "replace_route_meanwhile"
    DESCRIBE_ROUTE_TABLES = "describe_route_tables"
    DESCRIBE_NETWORK_INTERFACES = "describe_network_interfaces"
    DESCRIBE_PREFIX_LISTS = "describe_prefix_lists"
    GET_LEASE = "get_lease"
    UPDATE_LEASE = "update_lease"


SAID: Mapping[Quantity, str] = {
    Quantity.CREATE_ROUTE: "CreateRoute",
    Quantity.CREATE_ROUTE_SEEN: "CreateRoute until it is read back",
    Quantity.REPLACE_ROUTE: "ReplaceRoute",
    Quantity.REPLACE_ROUTE_SEEN: "ReplaceRoute until it is read back",
    Quantity.MODIFY_LIST: "ModifyManagedPrefixList",
    Quantity.MODIFY_LIST_COMPLETE: "the same until modify-complete",
    Quantity.REPLACE_ROUTE_MEANWHILE: "ReplaceRoute during a modification",
    Quantity.DESCRIBE_ROUTE_TABLES: "DescribeRouteTables",
    Quantity.DESCRIBE_NETWORK_INTERFACES: "DescribeNetworkInterfaces",
    Quantity.DESCRIBE_PREFIX_LISTS: "DescribeManagedPrefixLists",
    Quantity.GET_LEASE: "Lease, get",
    Quantity.UPDATE_LEASE: "Lease, update",
}
"""What a person reads; every time begins when the call is made."""

OF_LEASES = (Quantity.GET_LEASE, Quantity.UPDATE_LEASE)

WRITES_A_ROUND = 5
"""CreateRoute once, ReplaceRoute and ModifyManagedPrefixList twice each."""

RATES = (0.1, 5.0)
"""Writes a second, at the least and at the most: EC2 gives back 5 a second of each action
("Request throttling for the Amazon EC2 API"), which all agents of the account share."""
RATE = 1.0
ROUNDS = (2, 200)
"""A route for each round has room in a table."""
TIMES = 30


def percentile(values: Iterable[float], share: float) -> float:
    """Give the smallest value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is asked of EC2, and how long that takes."""

    rounds: int
    rate: float
    """Writes a second."""

    @property
    def seconds(self) -> float:
        """How long it takes where every call is fast."""
        return self.rounds * WRITES_A_ROUND / self.rate

    @property
    def longest(self) -> float:
        """Seconds after which it ends in any case, what it made removed."""
        return 3 * self.seconds + 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one quantity came to, in seconds; None where no call was answered."""

    quantity: Quantity
    count: int
    failed: int
    failure: str | None
    """What the last failed call said."""
    p50: float | None
    p99: float | None
    most: float | None

    def document(self) -> dict[str, object]:
        """Give it for JSON."""
        return {
            "name": self.quantity.value,
            "count": self.count,
            "failed": self.failed,
            "failure": self.failure,
            "p50": self.p50,
            "p99": self.p99,
            "most": self.most,
        }


@dataclass(slots=True)
class Samples:
    """The times that were taken, in seconds, and the calls that failed."""

    taken: dict[Quantity, list[float]] = field(default_factory=dict)
    failures: dict[Quantity, list[str]] = field(default_factory=dict)

    def add(self, quantity: Quantity, seconds: float) -> None:
        """Keep a time."""
        self.taken.setdefault(quantity, []).append(seconds)

    def fail(self, quantity: Quantity, said: str) -> None:
        """Keep a call without an answer that counts."""
        self.failures.setdefault(quantity, []).append(said)

    def figures(self, of: Iterable[Quantity]) -> tuple[Figures, ...]:
        """Sum up."""
        return tuple(self._figures(quantity) for quantity in of)

    def _figures(self, quantity: Quantity) -> Figures:
        taken, failures = self.taken.get(quantity, []), self.failures.get(quantity, [])
        return Figures(
            quantity=quantity,
            count=len(taken),
            failed=len(failures),
            failure=failures[-1] if failures else None,
            p50=percentile(taken, 0.5) if taken else None,
            p99=percentile(taken, 0.99) if taken else None,
            most=max(taken) if taken else None,
        )


OWNER_TAG, OWNER = "vipmanager", "measure"
RUN_TAG = "vipmanager-run"
UNTIL_TAG = "vipmanager-until"
"""When the run is over for certain; what is there later was left behind."""

SLACK = timedelta(minutes=10)
"""For removing things, twice, and for clocks that differ."""


def tags(run: str, now: datetime, plan: Plan) -> dict[str, str]:
    """Give the tags of all that a run makes.

    Args:
        run: its id.
        now: in UTC.
        plan: how long it may last.
    """
    until = now + timedelta(seconds=plan.longest) + SLACK
    return {
        "Name": "scratch of vipmanager measure",
        OWNER_TAG: OWNER,
        RUN_TAG: run,
        UNTIL_TAG: until.isoformat(timespec="seconds"),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """Something that a run made."""

    id: str
    tags: Mapping[str, str]
    going: bool = False
    """Whether it is being deleted."""

    @property
    def is_table(self) -> bool:
        """Tell a route table from a prefix list."""
        return self.id.startswith("rtb-")

    def of(self, run: str) -> bool:
        """Tell whether this run made it."""
        return self.tags.get(OWNER_TAG) == OWNER and self.tags.get(RUN_TAG) == run

    def left_behind(self, now: datetime) -> bool:
        """Tell whether it is of a run that is over; not without a sound tag of its end."""
        return self.tags.get(OWNER_TAG) == OWNER and over(self.tags.get(UNTIL_TAG, ""), now)


def over(until: str, now: datetime) -> bool:
    """Tell whether the time of a tag or an annotation is past; no time is never past."""
    try:
        return datetime.fromisoformat(until) < now
    except (ValueError, TypeError):  # none, or one without a time zone
        return False
