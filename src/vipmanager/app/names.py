"""Who is behind an ENI or an identity, as people know them: the pod, its node, its zone.

EC2 tells an ENI's instance and zone. Pods and nodes are told by the Kubernetes API, where it is at
hand and the pod's Role lets them be read; what it does not tell is left out, and nothing fails.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from vipmanager.app.election import role_of
from vipmanager.core.downward import PodReference, this_pod
from vipmanager.core.election.role import Role
from vipmanager.core.failures import Failure
from vipmanager.core.pods import PodObject, pod_object
from vipmanager.core.values import Eni, EniId, Network
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.pods import KubePods


def label(name: str, *details: str | None) -> str:
    """Say a name with what is known beside it: `app-1 (node-a, eu-central-1a)`."""
    known = ", ".join(d for d in details if d)
    return f"{name} ({known})" if known else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is known of the ENIs that routes lead to, and of the Lease's holder."""

    enis: Mapping[str, Eni] = field(default_factory=lambda: MappingProxyType({}))
    others: frozenset[str] = frozenset()
    """Those of them that are not this pod's."""
    pods: Mapping[str, PodObject] = field(default_factory=lambda: MappingProxyType({}))
    """By ENI."""
    identity: str = ""
    """Of the Lease's holder."""
    holder: str = ""
    """The same for people."""

    def zone(self, eni: str) -> str | None:
        """Give an ENI's Availability Zone."""
        return self.enis[eni].zone if eni in self.enis else None

    def behind(self, eni: str, *, short: bool = False) -> str:
        """Say who is behind an ENI: its pod, or else the ENI, with the node and the zone.

        Args:
            eni: which.
            short: whether the ENI is left out where the pod is known.
        """
        known, pod = self.enis.get(eni), self.pods.get(eni)
        instance, zone = (known.instance, known.zone) if known else (None, None)
        if pod is not None:
            return label(pod.name, pod.node or instance, zone, None if short else eni)
        return label(eni, instance, zone)

    def say(self, text: str) -> str:
        """Put names into a sentence that has ids."""
        for eni in self.others:
            long = f"{eni} ({self.enis[eni].instance})" if eni in self.enis else eni
            text = text.replace(long, "\0").replace(eni, "\0").replace("\0", self.behind(eni))
        if self.identity and self.holder:
            text = text.replace(self.identity, self.holder)
        return text


class Reader:
    """Asks for names; an API that failed once is left alone from then on."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Ask nothing yet."""
        self._environ = environ
        self._kube = Kube(environ) if environ.get("KUBERNETES_SERVICE_HOST") else None

    def read(
        self,
        enis: Iterable[Eni],
        rivals: Iterable[tuple[Network, EniId]],
        agent: Mapping[str, Any] | None,
    ) -> Names:
        """Give the names of what one look found.

        Args:
            enis: that routes lead to, as EC2 knows them.
            rivals: those of them that are not this pod's, by what they get.
            agent: the status of this pod's sidecar.
        """
        known = {e.id: e for e in enis}
        theirs = tuple(rivals)
        election = (agent or {}).get("election") or {}
        holder = self._holder(election)
        zone = election.get("holderZone")
        standby = role_of(agent) is Role.STANDBY and holder is not None
        # Whoever holds the Lease writes every route.
        held = {eni for _, eni in theirs if standby and eni in known and known[eni].zone == zone}
        others = self._others() if any(eni not in held for _, eni in theirs) else ()
        pods: dict[str, PodObject] = {}
        for destination, eni in theirs:
            found = holder if eni in held else _only(others, destination, known.get(eni))
            if found is not None:
                pods[eni] = found
        return Names(
            enis={str(e): known[e] for e in known},
            others=frozenset(eni for _, eni in theirs),
            pods=pods,
            identity=election.get("holder") or "",
            holder=label(holder.name, holder.node, zone) if holder is not None else "",
        )

    def _holder(self, election: Mapping[str, Any]) -> PodObject | None:
        """Give the Lease's holder; without the API, what the Lease tells."""
        namespace, _, name = (election.get("holderPod") or "").partition("/")
        if not name:
            return None
        uid = str(election.get("holder") or "").partition("/")[0]
        told = PodObject(uid=uid, name=name)
        if self._kube is None:
            return told
        try:
            document = self._kube.get_pod(namespace, name)
            found = told if document is None else pod_object(document)
        except (Failure, ValueError):
            self._kube = None
            return told
        return found if found.uid == uid else told

    def _others(self) -> tuple[PodObject, ...]:
        if self._kube is None:
            return ()
        kube = self._kube
        try:
            me: PodReference = this_pod(self._environ, lambda: kube.namespace)
            return tuple(p for p in KubePods(kube, me).all() if p.uid != me.uid and not p.going)
        except Failure:
            self._kube = None
            return ()


def _only(pods: Iterable[PodObject], destination: Network, eni: Eni | None) -> PodObject | None:
    """Give the one pod that can be behind an ENI; None where there are several."""
    found = [
        p
        for p in pods
        if p.addresses
        and p.may_have(destination)
        and (p.macs is None or eni is None or eni.mac in p.macs)
    ]
    return found[0] if len(found) == 1 else None
