"""Which pod this is, and which networks it has, as the downward API tells its containers."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vipmanager.core.failures import Permanent
from vipmanager.core.text import printable
from vipmanager.core.values import Address, PodNetworks

DOWNWARD = {"POD_NAME": "metadata.name", "POD_UID": "metadata.uid"}
"""Environment variables that the manifest takes from the downward API, and the field of each."""


NODE = ("NODE_NAME", "spec.nodeName")
"""The same for the node, which `HandOverOn=cordon` needs."""


POD_IPS = "POD_IPS"
"""The same for the pod's own addresses, `status.podIPs`: they tell its primary interface."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodReference:
    """One pod; another uid is another pod, whatever its name."""

    namespace: str
    name: str
    uid: str
    revision: str = ""
    """Of the workload's template, where the manifest tells it; a Deployment's pods need not."""

    @property
    def workload(self) -> tuple[str, str]:
        """Give what made the pod, as `namespace/name`, and the revision of its template.

        The pod's name is all that tells it without a call of the API, and without rights to it.
        The revision is empty where neither the name nor the manifest tells it.
        """
        name, revision = _workload(self.name)
        return f"{self.namespace}/{name}", self.revision or revision


_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
"""What names are made of that Kubernetes draws (apimachinery, util/rand)."""
_MADE = (
    re.compile(rf"(?P<name>.+)-(?P<revision>{_SAFE}{{1,10}})-{_SAFE}{{5}}"),
    re.compile(rf"(?P<name>.+)-{_SAFE}{{5}}(?P<revision>)"),
    re.compile(r"(?P<name>.+)-[0-9]+(?P<revision>)"),
)
"""Names of pods: of a Deployment, whose ReplicaSet's name ends with a hash of the template in at
most ten characters; of a DaemonSet or a bare ReplicaSet; of a StatefulSet."""
_LONGEST = 63
"""Characters of a drawn name; a longer one is cut before its last five (apiserver, names)."""
_KEPT = 46
"""Characters that are the workload's own in a name that was cut: before a dash, eleven of hash and
dash, and five."""


def _workload(name: str) -> tuple[str, str]:
    for made in _MADE:
        found = made.fullmatch(name)
        if found is not None:
            return found["name"], found["revision"]
    return (name[:_KEPT] if len(name) == _LONGEST else name), ""


def this_pod(environ: Mapping[str, str], namespace: Callable[[], str]) -> PodReference:
    """Tell which pod this is.

    Args:
        environ: the container's environment; POD_NAMESPACE and POD_REVISION are used where
            they are set.
        namespace: the namespace of the pod's service account.

    Raises:
        Permanent: a variable is missing.
    """
    for name, field in DOWNWARD.items():
        if not environ.get(name):
            raise Permanent(
                f"{name} is not set",
                f"set it by the downward API: valueFrom.fieldRef.fieldPath: {field}",
            )
    return PodReference(
        namespace=environ.get("POD_NAMESPACE") or namespace(),
        name=environ["POD_NAME"],
        uid=environ["POD_UID"],
        revision=environ.get("POD_REVISION", ""),
    )


WANTED = "k8s.v1.cni.cncf.io/networks"
ATTACHED = "k8s.v1.cni.cncf.io/network-status"
"""Annotations: what Multus is asked for, and what it did (Network Plumbing Working Group,
"Kubernetes Network Custom Resource Definition De-facto Standard")."""


def pod_networks(
    addresses: Sequence[Address], wanted: str | None, attached: str | None
) -> PodNetworks:
    """Read what is told of the pod's networks; an annotation that is no good counts as not told.

    Args:
        addresses: the pod's own, if they are told.
        wanted: the annotation `networks`; None where it can't be read.
        attached: the annotation `network-status`, in the same way. Empty means "not yet".
    """
    problems = []

    def read(
        annotation: str, text: str | None, parse: Callable[[str], tuple[str, ...]]
    ) -> tuple[str, ...] | None:
        try:
            return tuple(map(printable, parse(text))) if text is not None else None
        except (AttributeError, KeyError, TypeError, ValueError):
            problems.append(f"annotation {annotation} is not as Multus has it")
            return None

    return PodNetworks(
        addresses=tuple(addresses),
        wanted=read(WANTED, wanted, _wanted),
        attached=read(ATTACHED, attached or None, _attached),
        problem="; ".join(problems),
    )


def _wanted(text: str) -> tuple[str, ...]:
    """Give the interfaces of `[NAMESPACE/]NAME[@INTERFACE], ...`, or of the same as JSON.

    The one at place N without a name of its own is `netN` (Multus, `getIfname`).
    """
    if any(c in text for c in '[{"'):
        named = [e.get("interface") or e.get("interfaceRequest") or "" for e in json.loads(text)]
    else:
        named = [e.partition("@")[2].strip() for e in text.split(",") if e.strip()]
    return tuple(name or f"net{number}" for number, name in enumerate(named, start=1))


def _attached(text: str) -> tuple[str, ...]:
    """Give the interfaces that are not the cluster network's.

    The cluster network's plugin may have made several, of which one is marked `default` and all
    have its name (network-attachment-definition-client, `CreateNetworkStatuses`).
    """
    entries: list[dict[str, Any]] = json.loads(text)
    cluster = {e["name"] for e in entries if e.get("default")}
    return tuple(
        str(e["interface"]) for e in entries if e["name"] not in cluster and e.get("interface")
    )


def holder_name(election: Mapping[str, Any]) -> str:
    """Give the pod and zone of the holder that a status's `election` tells; empty for nobody's."""
    return pod_in_zone(election.get("holderPod") or "", election.get("holderZone") or "")


def pod_in_zone(pod: str, zone: str) -> str:
    """Say where a pod is, `app-1 (eu-central-1a)`; empty where its name is not known.

    Args:
        pod: its name, also as `namespace/name`.
        zone: its Availability Zone, where that is known.
    """
    name = pod.rpartition("/")[2]
    return f"{name} ({zone})" if name and zone else name
