"""A holder whose node is cordoned, or whose zone is shifted away, hands over before it is lost."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import pytest

from agent_fixtures import wait_until
from standby_fixtures import standing, watched
from steady import SHORT, await_renewals, await_words, holders, lines, moved_once, unmoved
from vipmanager.edges.aws.zonal import ZonePlace
from vipmanager.edges.kubernetes.nodes import NodePlace
from vipmanager_lab.replicas import Replicas

Deed = Callable[[Replicas], None]

TAINT = {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}
NODE: Mapping[str, tuple[Deed, str]] = {
    "cordoned": (lambda group: group.plane.cordon("a"), "node node-a is cordoned"),
    "drained": (
        lambda group: group.plane.edit_node("a", {"spec": {"taints": [TAINT]}}),
        "node node-a is taken away by Karpenter",
    ),
}
ZONE: Mapping[str, tuple[Deed, str]] = {
    "shifted": (
        lambda group: group.plane.shift("a"),
        "zone euc1-az2 is shifted away (zonal shift)",
    ),
    "shifted by AWS": (
        lambda group: group.plane.shift("a", "ZONAL_AUTOSHIFT"),
        "zone euc1-az2 is shifted away (autoshift)",
    ),
}


@contextmanager
def leaving(on: str, *, rights: bool = True, **config: str) -> Iterator[Replicas]:
    """Make a group that hands over before the loss."""
    with standing(SHORT | {"HandOverOn": on} | config) as group:
        if "zonal-shift" in on:
            group.config["ClusterArn"] = group.plane.arc.cluster
        if rights:
            group.plane.ship_nodes()
        yield group


def handed_over(group: Replicas, deed: Deed, words: str, every: float) -> None:
    """See that it is left within one poll and a second, without a lost probe, for good."""
    holder, standby = group.pair()
    with watched(group) as client, moved_once(group, to=standby):
        began = time.monotonic()
        deed(group)
        standby.agent.wait_for(lambda r: r["event"] == "role" and r["role"] == "holder", seconds=60)
        wait_until(lambda: group.points_at("b"))
        assert time.monotonic() - began < every + 1.0
        assert standby.await_takeover()["cause"] == "offered"
        await_words(holder, words)
        await_renewals(group, 6)
    assert client.longest(began) == 0
    assert holder.status()["election"]["leaving"] == words
    assert holder.status()["ready"]
    assert not standby.status()["election"]["leaving"]


@pytest.mark.parametrize(("deed", "words"), NODE.values(), ids=NODE)
def test_a_node_is_left_before_its_pods_are_evicted(deed: Deed, words: str) -> None:
    with leaving("cordon") as group:
        handed_over(group, deed, words, NodePlace.every)


@pytest.mark.parametrize(("deed", "words"), ZONE.values(), ids=ZONE)
def test_a_zone_is_left_that_is_shifted_away(deed: Deed, words: str) -> None:
    with leaving("zonal-shift", rights=False) as group:
        handed_over(group, deed, words, ZonePlace.every)


def test_an_uncordoned_node_may_hold_again_and_takes_nothing_back() -> None:
    with leaving("cordon,zonal-shift") as group:
        holder, standby = group.pair()
        with moved_once(group, to=standby):
            group.plane.cordon("a")
            standby.await_takeover()
        with unmoved(group):
            group.plane.cordon("a", undo=True)
            await_words(holder, "no longer so: this pod should leave where it runs")
            await_renewals(group, 3)
        with moved_once(group, to=holder):
            mark = len(holder.agent.records)
            group.plane.cordon("b")
            holder.await_takeover(since=mark)


def test_who_is_alone_serves_on_from_a_cordoned_node() -> None:
    with leaving("cordon") as group:
        holder = group.start("a")
        holder.await_takeover()
        with watched(group) as client, unmoved(group):
            began = time.monotonic()
            group.plane.cordon("a")
            await_words(holder, "this pod should leave where it runs: node node-a is cordoned")
            await_renewals(group, 6)
        assert client.longest(began) == 0
        assert holder.status()["ready"]


def test_the_last_pod_takes_over_from_a_lost_node_though_its_own_is_cordoned() -> None:
    with leaving("cordon") as group:
        _, standby = group.pair()
        group.plane.cordon("b")
        await_words(standby, "this pod should leave where it runs: node node-b is cordoned")
        with moved_once(group, to=standby):
            group.world.fail_zone("a")
            assert standby.await_takeover()["cause"] == "silent"


def _no_arc(group: Replicas) -> None:
    group.plane.arc.refuse = (500, "InternalServerException")


def _denied(group: Replicas) -> None:
    group.plane.arc.refuse = (403, "AccessDeniedException")


def _unmanaged(group: Replicas) -> None:
    group.config["ClusterArn"] = group.plane.arc.cluster + "-other"


def _no_node(group: Replicas) -> None:
    group.config["NODE_NAME"] = "node-x"


def _nothing(_group: Replicas) -> None:
    """The Role is missing, as it is unless it is given."""


MISSING: Mapping[str, tuple[str, str, Deed, str]] = {
    "ClusterRole": ("cordon", "", _nothing, "allow get on nodes"),
    "Node": ("cordon", "nodes", _no_node, "there is no Node node-x"),
    "ARC": ("zonal-shift", "", _no_arc, "InternalServerException"),
    "IAM": ("zonal-shift", "", _denied, "allow arc-zonal-shift:GetManagedResource"),
    "resource": ("zonal-shift", "", _unmanaged, "let ARC manage the cluster"),
}


@pytest.mark.parametrize(("on", "rights", "deed", "words"), MISSING.values(), ids=MISSING)
def test_what_can_t_be_asked_is_told_once_and_changes_nothing(
    on: str, rights: str, deed: Deed, words: str
) -> None:
    with leaving(on, rights=bool(rights)) as group:
        deed(group)
        holder, standby = group.pair()
        with unmoved(group):
            for replica in (holder, standby):
                await_words(replica, words)
            await_renewals(group, 6)
        for replica in (holder, standby):
            assert len(lines(replica, words)) == 1
            assert replica.status()["ready"]


def test_the_gauge_tells_who_should_leave() -> None:
    with leaving("cordon", HTTPPort="8080") as group:
        _, standby = group.pair()
        assert _gauge(standby) == "0.0"
        group.plane.cordon("b")
        wait_until(lambda: _gauge(standby) == "1.0")
        assert len(holders(group)) == 1


def _gauge(replica: Any) -> str:  # noqa: ANN401 - a replica
    def ask() -> str:
        with urlopen("http://127.0.0.1:8080/metrics", timeout=2) as answer:
            return str(answer.read().decode())

    text: str = replica.netns.call(ask)
    return next(
        line.split()[1] for line in text.splitlines() if line.startswith("vipmanager_leaving ")
    )
