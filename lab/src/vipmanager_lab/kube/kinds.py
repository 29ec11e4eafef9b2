"""What can be stored: a table of kinds, and the rules of theirs that a client can break."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Object = Mapping[str, Any]
"""A Kubernetes object as JSON values; what is stored is never changed, only replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object."""

    group: str
    """Empty for the core group."""
    version: str
    name: str
    plural: str
    namespaced: bool = True
    create_on_update: bool = False
    """Whether a PUT to a free name creates."""
    unconditional_update: bool = False
    """Whether a PUT without resourceVersion overwrites."""
    generation: bool = False
    """Whether metadata.generation counts changes of the spec."""
    micro_times: Sequence[tuple[str, ...]] = ()
    """Paths of its MicroTime fields, whose form is checked when the body is read."""
    spec: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The fields of its spec with their types in Go; empty where nobody looks at them."""
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


LARGEST: Final = 2**31
"""What an int32 does not reach."""
_MICRO_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)", re.ASCII)


def unreadable(kind: Kind, found: Object) -> str | None:
    """Say which field the API server can't read: of another type, or a time of another form.

    It insists on six digits of a second (MicroTime.UnmarshalJSON of apimachinery, RFC3339Micro),
    which other clients meet whenever they leave out a fraction that is zero.
    """
    spec = found.get("spec")
    for name, type_ in kind.spec.items() if isinstance(spec, Mapping) else ():
        value = spec.get(name) if isinstance(spec, Mapping) else None
        if value is not None and not _fits(value, type_):
            return (
                f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: '
                f"json: cannot unmarshal {json.dumps(value)} into Go struct field "
                f"{kind.name}Spec.spec.{name} of type {type_}"
            )
    for path in kind.micro_times:
        value = found
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None and not _MICRO_TIME.fullmatch(str(value)):
            return (
                f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: '
                f'parsing time "{value}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse'
            )
    return None


def _fits(value: object, type_: str) -> bool:
    if type_ == "string":
        return isinstance(value, str)
    return isinstance(value, int) and not isinstance(value, bool) and -LARGEST <= value < LARGEST


_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", re.ASCII)
_LONGEST: Final = 63


def bad_labels(metadata: Object) -> str | None:
    """Say which label is none (apimachinery, pkg/util/validation: IsQualifiedName and others)."""
    for key, value in (metadata.get("labels") or {}).items():
        name = key.rpartition("/")[2]
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            return f'metadata.labels: Invalid value: "{key}": name part must consist of letters'
        if value and (not _NAME.fullmatch(value) or len(value) > _LONGEST):
            return f'metadata.labels: Invalid value: "{value}": a valid label must be empty or'
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
    spec={
        "holderIdentity": "string",
        "leaseDurationSeconds": "int32",
        "acquireTime": "string",
        "renewTime": "string",
        "leaseTransitions": "int32",
        # A real one drops these two without CoordinatedLeaderElection, a feature gate.
        "strategy": "string",
        "preferredHolder": "string",
    },
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

NODES: Final = Kind(
    group="",
    version="v1",
    name="Node",
    plural="nodes",
    namespaced=False,
    unconditional_update=True,
    problem=lambda _node: None,
)

KINDS: Final[Mapping[tuple[str, str, str], Kind]] = {
    (kind.group, kind.version, kind.plural): kind for kind in (LEASES, EVENTS, PODS, NODES)
}
