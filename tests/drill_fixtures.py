"""Drills in a cluster on the loopback: the target is 127.0.0.1, and pods are objects alone."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clusters
from clusters import NAMESPACE
from vipmanager.core.pods import STATUS
from vipmanager_lab.kube.kinds import LEASES, NODES, PODS
from vipmanager_lab.kube.status import StatusError
from vipmanager_lab.kube.store import Key

HERE = "127.0.0.1"
NODE, OTHER = "node-a", "node-b"
LEASE = "group"
QUICK = ("--settle", "1s", "--timeout", "20s", "--yes")


def attached(address: str) -> dict[str, str]:
    """Give the annotations of a pod to which Multus attached an interface with an address."""
    return {STATUS: json.dumps([{"name": "net1", "ips": [address], "mac": "02:00:00:00:00:01"}])}


@dataclass(frozen=True)
class Site:
    """A cluster with a node, a holder on it, a standby on another, and a Lease."""

    pod: clusters.Pod

    @property
    def store(self) -> Any:  # noqa: ANN401 - of either cluster
        return self.pod.cluster.store

    def node(self, name: str = NODE) -> Any:  # noqa: ANN401 - as the API has it
        return self.store.get(Key(NODES, "", name))

    def untouched(self, name: str = NODE) -> bool:
        """Tell whether a node is in use, and nothing of a drill is on it."""
        found = self.node(name)
        marks = found["metadata"].get("annotations") or {}
        return not found["spec"].get("unschedulable") and "vipmanager/drill" not in marks

    def there(self, name: str) -> bool:
        """Tell whether a pod is there, and not about to end."""
        try:
            found = self.store.get(Key(PODS, NAMESPACE, name))
        except StatusError:
            return False
        return "deletionTimestamp" not in found["metadata"]

    def add_pod(self, name: str, node: str = NODE, address: str = HERE) -> str:
        """Create a pod that holds the address; give its UID."""
        body = {
            "metadata": {"name": name, "annotations": attached(address)},
            "spec": {"nodeName": node},
        }
        return str(self.store.create(PODS, NAMESPACE, body)["metadata"]["uid"])

    def hold(self, name: str, transitions: int = 1) -> None:
        """Let a pod hold the Lease."""
        uid = self.store.get(Key(PODS, NAMESPACE, name))["metadata"]["uid"]
        change = {
            "metadata": {"annotations": {"vipmanager/pod": f"{NAMESPACE}/{name}"}},
            "spec": {"holderIdentity": f"{uid}/1", "leaseTransitions": transitions},
        }
        self.store.patch(Key(LEASES, NAMESPACE, LEASE), change)

    def allow(self) -> None:
        """Grant all that any drill needs."""
        account = self.pod.account
        account.allow(PODS, ["get", "list", "delete"])
        account.allow(PODS, ["create"], subresource="eviction")
        account.allow(LEASES, ["get"])
        account.allow(PODS, ["list"], everywhere=True)
        account.allow(NODES, ["get", "list", "patch"])

    def start(self, *words: str, **more: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - Popen's
        """Start a drill."""
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG", "PYTHONPATH"}}
        given = {k: v for k, v in self.pod.environ.items() if k.startswith(("KUBER", "VIPM"))}
        return subprocess.Popen(
            [sys.executable, "-m", "vipmanager", "drill", *words],
            env={**kept, **given, "COLUMNS": "1000"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )

    def drill(self, *words: str) -> Done:
        """Play a drill to its end."""
        process = self.start(*words)
        out, err = process.communicate(timeout=90)
        return Done(process.returncode, out.decode(), err.decode())


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@contextlib.contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Make one; what is deleted ends at once, as by a kubelet, and a standby takes the Lease."""
    with clusters.pod_in_a_cluster(folder) as pod:
        made = Site(pod)
        for name in (NODE, OTHER):
            made.store.create(NODES, "", {"metadata": {"name": name}, "spec": {}})
        made.store.create(LEASES, NAMESPACE, {"metadata": {"name": LEASE}, "spec": {}})
        made.add_pod("holder")
        made.add_pod("standby", OTHER)
        made.hold("holder")
        over = threading.Event()
        kubelet = threading.Thread(target=_keep, args=(made, over, ["holder", "standby"]))
        kubelet.start()
        try:
            yield made
        finally:
            over.set()
            kubelet.join()


def _keep(made: Site, over: threading.Event, names: Sequence[str]) -> None:
    """End each pod that is told to, and let the other one take the Lease."""
    while not over.wait(0.02):
        for name in names:
            if made.there(name):
                continue
            with contextlib.suppress(StatusError):
                made.store.delete(Key(PODS, NAMESPACE, name))
            (other,) = (one for one in names if one != name)
            with contextlib.suppress(StatusError):
                made.hold(other, 2)


def await_end(process: subprocess.Popen[bytes], seconds: float = 60.0) -> tuple[str, str]:
    """Wait until it has ended, and with it everybody who holds its output; give what it said."""
    out, err = process.communicate(timeout=seconds)
    return out.decode(), err.decode()
