"""The pod's node, as the agent asks it whether the pod may stay."""

from collections.abc import Callable
from typing import Any

import pytest

from vipmanager.core.failures import Permanent, Transient
from vipmanager.edges.kubernetes.nodes import NodePlace


class Nodes:
    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    def get_node(self, name: str) -> Any:  # noqa: ANN401 - as the API has it
        assert name == "n1"
        return self._answer()


def test_a_node_that_is_not_there_or_is_none_is_said_so() -> None:
    with pytest.raises(Permanent, match="there is no Node n1; set NODE_NAME"):
        NodePlace(Nodes(lambda: None), "n1").why_leave()
    with pytest.raises(Transient, match="not as expected"):
        NodePlace(Nodes(dict), "n1").why_leave()
