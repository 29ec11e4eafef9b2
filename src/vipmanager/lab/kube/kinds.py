"""What can be stored: a table of kinds, and the rules of theirs that a client can break."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Object = Mapping[str, Any]
"""A Kubernetes object as JSON values; what is stored is never changed, only replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of namespaced object."""

    group: str
    """Empty for the core group."""
    version: str
    name: str
    plural: str
    create_on_update: bool = False
    """Whether a PUT to a free name creates."""
    unconditional_update: bool = False
    """Whether a PUT without resourceVersion overwrites."""
    generation: bool = False
    """Whether metadata.generation counts changes of the spec."""
    micro_times: Sequence[tuple[str, ...]] = ()
    """Paths of its MicroTime fields, whose form is checked when the body is read."""
    problem: Callable[[Object], str | None]
    """What is wrong with an object, in the validation's own words; None for nothing."""

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Its name in messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_MICRO_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)", re.ASCII)


def unreadable(kind: Kind, found: Object) -> str | None:
    """Say which MicroTime the API server can't read: it insists on six digits of a second.

    Source: MicroTime.UnmarshalJSON of apimachinery (RFC3339Micro), which other clients meet
    whenever they leave out a fraction that is zero.
    """
    for path in kind.micro_times:
        value: Any = found
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None and not _MICRO_TIME.fullmatch(str(value)):
            return (
                f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: '
                f'parsing time "{value}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse'
            )
    return None


def _lease(lease: Object) -> str | None:
    """Check the numbers, as ValidateLeaseSpec of pkg/apis/coordination/validation does."""
    spec = lease.get("spec") or {}
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        return f"spec.leaseDurationSeconds: Invalid value: {seconds}: must be greater than 0"
    if transitions is not None and transitions < 0:
        return (
            f"spec.leaseTransitions: Invalid value: {transitions}: must be greater than or equal "
            "to 0"
        )
    return None


def _event(event: Object) -> str | None:
    """Compare the namespaces, as legacyValidateEvent of pkg/apis/core/validation does."""
    about = (event.get("involvedObject") or {}).get("namespace", "")
    if about != event["metadata"]["namespace"]:
        return f'involvedObject.namespace: Invalid value: "{about}": does not match event.namespace'
    return None


LEASES: Final = Kind(
    group="coordination.k8s.io",
    version="v1",
    name="Lease",
    plural="leases",
    # AllowCreateOnUpdate and AllowUnconditionalUpdate of each kind's registry strategy.
    create_on_update=True,
    micro_times=(("spec", "acquireTime"), ("spec", "renewTime")),
    problem=_lease,
)
EVENTS: Final = Kind(
    group="",
    version="v1",
    name="Event",
    plural="events",
    create_on_update=True,
    unconditional_update=True,
    micro_times=(("eventTime",),),
    problem=_event,
)
PODS: Final = Kind(
    group="",
    version="v1",
    name="Pod",
    plural="pods",
    unconditional_update=True,
    generation=True,
    problem=lambda _pod: None,
)

KINDS: Final[Mapping[tuple[str, str, str], Kind]] = {
    (kind.group, kind.version, kind.plural): kind for kind in (LEASES, EVENTS, PODS)
}
