"""The node that the pod runs on, asked whether the pod may stay."""

from collections.abc import Mapping
from typing import Any, Protocol

from vipmanager.core import places
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.text import all_printable


class Nodes(Protocol):
    """Where Nodes are read."""

    def get_node(self, name: str) -> Mapping[str, Any] | None:
        """Read a Node; None where there is none."""
        ...


class NodePlace:
    """The `Place` port of the node."""

    name = "node"
    every = 5.0
    """Seconds. A standby reads the Lease twice as often."""

    def __init__(self, api: Nodes, node: str) -> None:
        """Ask nothing yet; `node` is the name of the Node."""
        self._api, self._node = api, node

    def why_leave(self) -> str:
        """Read the Node.

        Raises:
            Transient, Permanent: it could not be read; a Node that is not there can't.
        """
        node = self._api.get_node(self._node)
        if node is None:
            raise Permanent(f"there is no Node {self._node}", "set NODE_NAME to spec.nodeName")
        try:
            return places.of_node(all_printable(node))
        except ValueError as error:
            raise Transient(f"the Node {self._node} is not as expected ({error})") from error
