"""The guide of docs/deploy.md, followed from the first command to the last, in any cluster."""

from collections.abc import Callable
from pathlib import Path

from agent_fixtures import wait_until
from guide.pages import Block, blocks
from guide.walk import Cluster, StandIn, Walker
from vipmanager_lab.world import TAG, World

GUIDE = blocks("docs/deploy.md")
FLOATING = {
    "nonvpc": ("192.168.0.1/29", "192.168.0.2/29"),
    "vpc": ("10.0.254.1/28", "10.0.254.17/28"),
}
EVERYWHERE = (
    "RIGHT: 2 floating IPs",
    "eu-central-1b  live",
    "0% packet loss",
    "Nothing of ours is left",
)
"""What the guide says that one sees."""
SIDECARS = (*EVERYWHERE, "READY: 2 of 2 floating IPs", "NOTHING TO CHANGE")


def follow(
    overlay: str,
    folder: Path,
    *,
    cluster: Callable[[World], Cluster] = StandIn,
    seconds: float = 25.0,
) -> None:
    """Follow the guide with one overlay, and see a failover and nothing left.

    Args:
        overlay: which one.
        folder: to type in.
        cluster: makes what kubectl asks.
        seconds: that a lost node may cost.
    """
    floating = FLOATING[overlay.partition("-")[0]]
    zones: list[str] = []
    shown: list[str] = []
    with World() as world, Walker(world, floating, folder, cluster=cluster) as walker:
        before = world.account.state()

        def right() -> bool:
            zone = walker.stage.zone
            return bool(zone) and walker.targets() == set(world.nodes[zone].secondary)

        def look(block: Block, printed: str) -> None:
            shown.append(printed)
            if "OVERLAY=" in block.text:
                one, two = (address.partition("/")[0] for address in floating)
                walker.terminal.type(
                    f"OVERLAY={overlay} FLOATING_IP1={one} FLOATING_IP2={two} WATCH=2"
                )
            elif "stop-instances" in block.text:
                wait_until(
                    lambda: walker.stage.zone not in {"", zones[-1]} and right(), seconds=seconds
                )
            elif "ping -c" in block.text or "uncordon" in block.text:
                zones.append(walker.stage.zone)
                assert right(), printed

        walker.follow([block for block in GUIDE if _concerns(block, overlay)], look)
        assert zones[0] == zones[2] != zones[1]
        assert walker.targets() == {None}
        after = world.account.state()
        assert [subnet.id for subnet in after.subnets] == [it.id for it in before.subnets]
        assert not any(tag == TAG for table in after.tables for tag in table.tags)
        assert {it.name for it in walker.aws.stacks} == walker.aws.deleted
    promised = SIDECARS if "sidecar" in overlay else EVERYWHERE
    assert [words for words in promised if words not in "".join(shown)] == []


def _concerns(block: Block, overlay: str) -> bool:
    if "sidecars" in block.only and "initContainer" in overlay:
        return False
    return "pattern 2" not in block.only or overlay.startswith("vpc")
