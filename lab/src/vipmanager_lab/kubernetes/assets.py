"""Where the binaries of a real Kubernetes are."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ASSETS = "KUBEBUILDER_ASSETS"
"""The folder that every test with a real control plane reads (controller-runtime, envtest)."""
BUILT = Path("vipmanager", "kubernetes")
"""Below the user's cache folder: where `make kubernetes` leaves what it built."""
VERSION = "v1.37"
"""Another one's flags may differ."""
NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


KUBERNETES = ("own", "real")
"""Whose Kubernetes the lab's pods call, in the words of the command line."""


class ProcessError(Exception):
    """A component did not start, or ended; the text has the last lines of its log."""


class AssetsError(Exception):
    """There are no binaries; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Assets:
    """A folder with all of them."""

    folder: Path

    def __getitem__(self, name: str) -> str:
        """Give the path of one."""
        return str(self.folder / name)


def find(environ: Mapping[str, str] = os.environ) -> Assets:
    """Find the binaries: those of KUBEBUILDER_ASSETS, or else what `make kubernetes` built last.

    Raises:
        AssetsError: there are none, or one is missing.
    """
    told = environ.get(ASSETS)
    folder = Path(told) if told else _built(environ)
    missing = [name for name in NEEDED if not os.access(folder / name, os.X_OK)]
    if not missing:
        return Assets(folder)
    if told:
        raise AssetsError(f"{ASSETS}={told} has no {', '.join(missing)}")
    raise AssetsError(
        f"there is no Kubernetes in {folder}: run `make kubernetes`, which builds it once in some "
        f"minutes, or point {ASSETS} at a folder with {', '.join(NEEDED)}"
    )


def _built(environ: Mapping[str, str]) -> Path:
    """Give the newest folder with the version that this lab is written for."""
    home = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/root')}/.cache"
    folders = (Path(home) / BUILT).glob(f"{VERSION}.*-*")
    return max(folders, key=lambda one: one.stat().st_mtime, default=Path(home) / BUILT)
