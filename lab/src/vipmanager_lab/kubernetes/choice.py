"""Which Kubernetes the lab's pods call: the lab's own, or a real one."""

from collections.abc import Iterator
from contextlib import contextmanager

from vipmanager_lab.control_plane import NAMESPACE, MakeCluster
from vipmanager_lab.kube.cluster import Cluster


@contextmanager
def kubernetes(which: str) -> Iterator[MakeCluster]:
    """Give what makes a world's cluster; a real control plane runs meanwhile.

    Args:
        which: one of `assets.KUBERNETES`.

    Raises:
        AssetsError: there are no binaries.
        ProcessError: the control plane does not start.
    """
    if which == "own":
        yield Cluster
        return
    from vipmanager_lab.kubernetes.assets import find  # noqa: PLC0415 - starts something
    from vipmanager_lab.kubernetes.cluster import RealCluster  # noqa: PLC0415
    from vipmanager_lab.kubernetes.plane import Plane  # noqa: PLC0415

    with Plane(find()) as plane:
        yield RealCluster.maker(plane, NAMESPACE)
