"""What the pods of a node share, and what the containers of a pod share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vipmanager_lab.kubernetes.kubelet.calls import Calls
from vipmanager_lab.kubernetes.kubelet.environment import Sources
from vipmanager_lab.kubernetes.kubelet.images import Images
from vipmanager_lab.kubernetes.kubelet.network import Sandbox
from vipmanager_lab.kubernetes.kubelet.volumes import Volumes
from vipmanager_lab.world import World

Event = Callable[[str, str, str], None]
"""Posts an Event: type, reason, message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things take in the lab; seconds. Kubernetes' own values are in brackets."""

    back_off: float = 1.0
    """Before the second restart, then doubled [10]; the first is at once."""
    back_off_cap: float = 30.0
    """[300]"""
    back_off_reset: float = 60.0
    """A run so long is no crash loop [600]."""
    retry: float = 1.0
    """Between attempts at what failed: a sandbox, a volume, a call."""
    volumes: float = 1.0
    """Between looks at what volumes are made of [60 to 90]."""
    lease: float = 10.0
    """Between renewals of the node's Lease [10]."""
    status: float = 10.0
    """Between reports of the node's status [10, where it has changed]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the pods of a node share."""

    world: World
    zone: str
    address: str
    calls: Calls
    images: Images
    timing: Timing
    given: Mapping[str, str]
    """The environment of every container."""
    folder: Path
    heard: Callable[[str, str, dict[str, Any]], None]
    """Takes every record: the pod's name, the container's, the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the containers of a pod share."""

    host: Host
    sandbox: Sandbox
    folder: Path
    volumes: Volumes
    sources: Sources
    event: Event
    wake: Callable[[], None]
    """Lets the pod's worker look at once."""
