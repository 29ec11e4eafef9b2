"""A real cluster whose nodes are the lab's; skipped where no Kubernetes is built."""

from collections.abc import Iterator

import pytest

from clusters import plane
from kubernetes.shipped.installed import PEERS, Site, images, needed
from vipmanager_lab.kubernetes.joined import Joined
from vipmanager_lab.world import World


@pytest.fixture(scope="module")
def cluster() -> Iterator[Site]:
    """One for the tests of a module."""
    needed()
    with World() as world, Joined(world, plane(), images=images) as joined:
        world.reach_from_outside(PEERS)
        yield Site(joined)


@pytest.fixture
def site(cluster: Site) -> Iterator[Site]:
    """The same, with nothing in it."""
    yield cluster
    cluster.clean()
