"""What stays true of a group of replicas whatever goes wrong, and when enough was seen of it.

with unmoved(group):
    group.sever(holder, standby)
    await_readings(group, 8)      # both agents look at their routes several times
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

from agent_fixtures import wait_until
from vipmanager_lab.kube.kinds import LEASES
from vipmanager_lab.replicas import Replica, Replicas

SHORT = {"LeaseSeconds": "2"}
"""The least that the agent allows, so that an expiry takes little time."""
ALONE = SHORT | {"HeartbeatPort": "0"}
"""Without heartbeats: LeaseSeconds decides alone."""


def lease_versions(group: Replicas) -> list[str | None]:
    """Give who held the Lease in each of its versions, as the Kubernetes API stored them."""
    changes = group.plane.cluster.store.changes(1)
    return [c.object["spec"].get("holderIdentity") for c in changes if c.kind is LEASES]


def holders(group: Replicas) -> list[str]:
    """Give the identities that held the Lease, one after the other."""
    return [identity for identity, _ in groupby(filter(None, lease_versions(group)))]


def await_readings(group: Replicas, number: int) -> None:
    """Wait until the route tables were read so many times more, by any of the agents."""
    seen = group.world.endpoint.counts()["DescribeRouteTables"]
    wait_until(lambda: group.world.endpoint.counts()["DescribeRouteTables"] >= seen + number)


def await_renewals(group: Replicas, number: int) -> None:
    """Wait until the Lease was written so many times more: a third of LeaseSeconds each."""
    seen = len(lease_versions(group))
    wait_until(lambda: len(lease_versions(group)) >= seen + number)


def await_words(replica: Replica, words: str, *, since: int = 0) -> None:
    """Wait until a line of its agent has these words."""
    replica.agent.wait_for(lambda r: words in str(r["text"]), since=since)


def lines(replica: Replica, words: str) -> list[str]:
    """Give the lines of its agent that have these words."""
    return [text for text in replica.agent.text if words in text]


@contextmanager
def unmoved(group: Replicas) -> Iterator[None]:
    """Let nobody write a route, or get the Lease, meanwhile."""
    before = group.world.writes(), holders(group)
    yield
    assert (group.world.writes(), holders(group)) == before


@contextmanager
def moved_once(group: Replicas, *, to: Replica) -> Iterator[None]:
    """Let one replica get the Lease meanwhile, and no other."""
    before = holders(group)
    yield
    since = holders(group)[len(before) :]
    assert [identity.partition("/")[0] for identity in since] == [to.uid]
    assert group.points_at(to.zone)


def await_one_holder(group: Replicas) -> Replica:
    """Wait until a living replica holds the Lease and every route points at it; give it."""
    wait_until(lambda: group.holder() is not None)
    holder = group.holder()
    assert holder is not None
    wait_until(lambda: group.points_at(holder.zone))
    assert group.holder() is holder
    return holder
