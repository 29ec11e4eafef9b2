"""Somebody follows docs/deploy.md in a real cluster, from the first kubectl to the clean-up."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent_fixtures import wait_until
from guide.failover import FLOATING, follow
from guide.pages import Block, blocks
from guide.real import Real
from guide.walk import Walker
from vipmanager_lab.kubernetes.assets import AssetsError, find
from vipmanager_lab.world import TAG, World

LOST = 90.0
"""Seconds: the node controller's grace, the tolerations, and a new pod."""
RESTART = "kubectl rollout restart deployment/busybox-deployment"
ROLLED_OUT = "kubectl rollout status deployment/busybox-deployment --timeout=90s"


@pytest.fixture(autouse=True)
def binaries() -> None:
    try:
        find()
    except AssetsError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "overlay",
    ["nonvpc-native-sidecar", "vpc-sidecar", "nonvpc-initContainer"],
)
def test_the_guide_leads_to_a_failover_and_back_to_nothing(overlay: str, tmp_path: Path) -> None:
    follow(overlay, tmp_path, cluster=Real, seconds=LOST)


def test_the_page_of_the_standby_leads_to_a_hand_over_and_a_key(tmp_path: Path) -> None:
    """Type docs/standby.md, with the components of which it says how to add them."""
    shown: list[str] = []
    with World() as world, Walker(world, FLOATING["nonvpc"], tmp_path, cluster=Real) as walker:
        for table in world.tables:
            world.account.tag_route_table(table, dict([TAG]))

        def served() -> str:
            """Give the zone that all routes lead to."""
            targets = walker.targets()
            return next((z for z, n in world.nodes.items() if set(n.secondary) == targets), "")

        def add(component: str) -> None:
            file = tmp_path / "work" / "deploy" / "mine" / "kustomization.yaml"
            before = file.read_text()
            head, _, rest = before.partition("components: [")
            more = f"../manifests/components/{component}"
            file.write_text(
                f"{head}components: [{more}, {rest}" if rest else f"{before}components: [{more}]\n"
            )
            walker.terminal.type(f"kubectl apply -k deploy/mine\n{RESTART}\n{ROLLED_OUT}")

        def look(block: Block, printed: str) -> None:
            shown.append(printed)
            if "apply -k" in block.text:
                wait_until(lambda: served() != "")
                add("role-label")
            elif "vipmanager yield" in block.text:
                assert served() != held[-1]
            elif "create secret" in block.text and "dry-run" not in block.text:
                add("heartbeat-key")
            if served():
                held.append(served())

        held = [""]
        walker.follow([_with_a_node(block) for block in blocks("docs/standby.md")], look)
        walker.terminal.type(ROLLED_OUT)
        wait_until(lambda: served() != "")
        walker.terminal.type("kubectl delete -k deploy/mine")
    told = "".join(shown)
    assert [word for word in ("holderIdentity", "holder", "standby") if word not in told] == []


def _with_a_node(block: Block) -> Block:
    """Put a node's name where the page says NODE."""
    named = "cordon node-a\nkubectl uncordon node-a"
    return replace(block, text=block.text.replace("cordon NODE", named))
