"""A holder and a standby in a world, for the tests of the warm standby.

    with standing() as group:
        holder, standby = group.pair()
        group.world.network.cut("a")          # its node is gone, its process knows nothing of it
        standby.await_takeover()
        assert group.points_at("b")

What else can be done to it is in `lab/replicas.py`; `watched` measures what a client misses.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from clusters import make_cluster
from vipmanager_lab.client import Client
from vipmanager_lab.control_plane import MakeCluster
from vipmanager_lab.replicas import Replica, Replicas
from vipmanager_lab.vpc_cni import Layout
from vipmanager_lab.world import World


@contextmanager
def standing(
    config: Mapping[str, str] | None = None,
    *,
    tables: int = 4,
    pattern: int = 1,
    version: int = 4,
    layout: Layout = Layout.IPV4,
    cluster: MakeCluster = make_cluster,
) -> Iterator[Replicas]:
    """Make a group without a replica yet, in a world of its own; `config` is of the ConfigMap."""
    with World(tables=tables, layout=layout) as world:
        floating = world.floating(pattern=pattern, version=version)
        more = {"SubnetBasedLoopbacks": str(pattern == 2), "ResyncSeconds": "1"}
        settings = more | dict(config or {})
        with Replicas(world, floating=floating, config=settings, cluster=cluster) as group:
            yield group


@contextmanager
def watched(group: Replicas) -> Iterator[Client]:
    """Probe every floating IP meanwhile, once each answers; ask `longest` afterwards."""
    client = Client(group.world, group.floating)
    client.await_answers()
    yield client
    client.end()


def said(replica: Replica, event: str) -> list[Mapping[str, Any]]:
    """Give what its agent logged of one kind."""
    return [r for r in replica.agent.records if r["event"] == event]


def writes_of(group: Replicas, replica: Replica) -> int:
    """Count the route writes that EC2 got from a replica, whatever it answered."""
    return sum(
        c.action in {"CreateRoute", "ReplaceRoute"} and c.source == replica.address
        for c in group.world.endpoint.calls
    )
