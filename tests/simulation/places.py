"""What tells a pod that it should leave: the Nodes of the cluster, and ARC's zonal shifts."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simulation.calls import Client
from simulation.hub import Process
from vipmanager.core.failures import Failure

if TYPE_CHECKING:
    from simulation.pod import Node
    from simulation.world import World

CLUSTER = "arn:aws:eks:eu-central-1:123456789012:cluster/telco"
ZONE_IDS = {"a": "euc1-az2", "b": "euc1-az3"}


class Places:
    """The truth."""

    def __init__(self) -> None:
        self.cordoned: set[str] = set()
        """Nodes, by name."""
        self.shifted: set[str] = set()
        """Zones."""
        self.refusal: Failure | None = None
        """What is answered instead."""
        self.asked = Counter[str]()
        """Questions so far."""

    def ask(self, what: str) -> None:
        """Count a question, and refuse it where that is so."""
        self.asked[what] += 1
        if self.refusal is not None:
            raise self.refusal

    def condemned(self, node: "Node") -> bool:
        """Tell whether pods should leave a node."""
        return node.name in self.cordoned or node.zone in self.shifted


class Nodes:
    """One process's readings of Nodes."""

    def __init__(self, world: "World", process: Process) -> None:
        self._truth = world.places
        self._client = Client(world.network, world.kube.service, process)

    def get_node(self, name: str) -> Mapping[str, Any]:
        return self._client.call(lambda _: self._node(name), kind="node")

    def _node(self, name: str) -> Mapping[str, Any]:
        self._truth.ask("node")
        spec = {"unschedulable": True} if name in self._truth.cordoned else {}
        return {"metadata": {"name": name}, "spec": spec}


class Shifts:
    """One process's readings of zonal shifts; ARC ails as EC2 does."""

    def __init__(self, world: "World", process: Process) -> None:
        self._truth = world.places
        self._client = Client(world.network, world.ec2.service, process)

    def of(self, resource: str) -> Mapping[str, Any]:
        assert resource == CLUSTER
        return self._client.call(lambda _: self._resource(), kind="shifts")

    def _resource(self) -> Mapping[str, Any]:
        self._truth.ask("zone")
        shifts = [
            {"appliedStatus": "APPLIED", "awayFrom": ZONE_IDS[zone]}
            for zone in sorted(self._truth.shifted)
        ]
        return {"zonalShifts": shifts, "autoshifts": []}
