"""What the downward API tells of the pod's networks: read anew each time, as it comes late."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vipmanager.core.downward import pod_networks
from vipmanager.core.values import Address, PodNetworks

FOLDER = "/etc/vipmanager/pod"
"""Where the manifests mount the annotations, each as a file.

A volume and no variable: kubelet starts a pod's first containers with the annotations of before its
sandbox was made, and Multus writes `network-status` while it is made. It writes a volume again.
"""
FOLDER_KEY = "VIPMANAGER_POD_INFO"
"""The environment variable that names another folder."""


def networks(addresses: Sequence[Address], environ: Mapping[str, str]) -> Callable[[], PodNetworks]:
    """Give what reads it; a file that is not there tells nothing.

    Args:
        addresses: the pod's own, as `POD_IPS` has them.
        environ: of the container.
    """
    folder = Path(environ.get(FOLDER_KEY) or FOLDER)

    def read() -> PodNetworks:
        return pod_networks(addresses, _text(folder / "networks"), _text(folder / "network-status"))

    return read


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
