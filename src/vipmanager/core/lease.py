"""A Kubernetes Lease, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from vipmanager.core.failures import Transient


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """One version of the Lease of one group.

    Times are text as the API has them, with six digits of a second: they are compared for a
    change and never with a clock, since they are from another machine's.
    """

    uid: str = ""
    """Another uid is another Lease, whatever its name; empty for one not created yet."""
    resource_version: str = ""
    """What a replacement is compared with; opaque."""
    holder: str | None = None
    transitions: int = 0
    duration: int | None = None
    """Seconds."""
    acquire_time: str | None = None
    renew_time: str | None = None
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    rest: str = "{}"
    """Whatever else the object has, as JSON, so that a replacement keeps it: labels, owners."""


def micro_time(wall: float) -> str:
    """Give seconds since 1970 as the API writes a MicroTime, with six digits of a second."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Gone(Transient):
    """A watch can't resume where it was.

    The changes since then are forgotten (HTTP 410), or the API ended it with another error.
    """
