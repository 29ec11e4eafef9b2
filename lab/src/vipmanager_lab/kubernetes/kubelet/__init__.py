"""The lab's kubelet: a node of the world joins a real cluster, and runs the pods bound to it.

| module | is |
|---|---|
| `spec.py` | which fields of a pod it knows; a pod that uses another one fails |
| `pod.py`, `host.py` | the worker of a pod: what is next; what pods and containers share |
| `slots.py` | a container over its runs: start, probes, restart, stop |
| `stopping.py` | in which order the containers of a pod stop |
| `containers.py`, `launch.py` | one run: processes, mounts, output |
| `probes.py` | probes and hooks |
| `environment.py`, `volumes.py`, `images.py` | what a container finds |
| `network.py` | network and attachments, and Multus' annotation |
| `status.py`, `telling.py` | a pod's status, and how the API gets it |
| `node.py`, `calls.py` | the node's object and heartbeats; the calls for pods |

It acts as `system:node:NAME`. Other than a kubelet, a pod's worker waits for the API: where that
hangs, and does not refuse, each look takes seconds longer.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vipmanager_lab.closing import Closing
from vipmanager_lab.kubernetes.api import Api, ApiError
from vipmanager_lab.kubernetes.kubelet import node
from vipmanager_lab.kubernetes.kubelet.calls import Calls
from vipmanager_lab.kubernetes.kubelet.environment import Object
from vipmanager_lab.kubernetes.kubelet.host import Host, Timing
from vipmanager_lab.kubernetes.kubelet.images import Image, Images, usual
from vipmanager_lab.kubernetes.kubelet.pod import Pod
from vipmanager_lab.kubernetes.kubelet.slots import Slot
from vipmanager_lab.world import REGION, World

__all__ = ["Image", "Images", "Kubelet", "Pod", "PodSettings", "Slot", "Timing", "usual"]

_PODS = "/api/v1/pods"
_WATCH_SECONDS = 2
"""A watch can't be broken off; `close` waits so long at most."""
_REGISTER_SECONDS = 30.0
_CALL_SECONDS = 5.0
"""An answer that takes longer is given up, as a pod's worker waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSettings:
    """How the pods of a node run."""

    service: tuple[str, int]
    """Address and port of the Service `kubernetes`."""
    images: Images = usual
    """Gives what stands for an image."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of every container, beside the world's."""
    timing: Timing = field(default_factory=Timing)
    """How long things take."""
    heard: Callable[[str, str, dict[str, Any]], None] = lambda _pod, _container, _record: None
    """Takes every record of every container, after its pod's and its own name."""


def _identity(world: World, zone: str, name: str, labels: Mapping[str, str]) -> node.Identity:
    here = world.network.host(zone).netns.ip_json("-4", "addr", "show", "eth0")
    return node.Identity(
        name=name,
        region=REGION,
        zone=f"{REGION}{zone}",
        instance=world.nodes[zone].instance,
        address=str(here[0]["addr_info"][0]["local"]),
        pods=len(world.nodes[zone].pod_addresses),
        labels=labels,
        since=datetime.now(UTC),
    )


def _given(world: World, pods: PodSettings) -> dict[str, str]:
    """Give the environment of every container."""
    address, port = pods.service
    return {
        "HOME": "/root",
        **world.container_environment({}),
        **pods.environment,
        "KUBERNETES_SERVICE_HOST": address,
        "KUBERNETES_SERVICE_PORT": str(port),
    }


class Kubelet(Closing):
    """The kubelet of the node in a zone, with Multus on it; it is closed before its world."""

    def __init__(
        self,
        world: World,
        zone: str,
        *,
        api: Api,
        multus: Api,
        pods: PodSettings,
        labels: Mapping[str, str] = {},
    ) -> None:
        """Start nothing yet.

        Args:
            world: where the node is.
            zone: the node's, `a` or `b`.
            api: as system:node:NAME, of the group system:nodes.
            multus: reads attachments, and patches pods, which a node may not.
            pods: how pods run here.
            labels: of the node, beside the usual ones.
        """
        self.name = f"node-{zone}"
        self._shut = threading.Event()
        self._over = threading.Event()
        self._pods: dict[str, Pod] = {}
        """By UID."""
        self._changing = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="kubelet-", dir="/run"))
        self._timing = pods.timing
        self._identity = _identity(world, zone, self.name, labels)
        self._api = api.gated(self._shut, seconds=_CALL_SECONDS)
        self._host = Host(
            world=world,
            zone=zone,
            address=self._identity.address,
            calls=Calls(self.name, self._api, multus.gated(self._shut, seconds=_CALL_SECONDS)),
            images=pods.images,
            timing=pods.timing,
            given=_given(world, pods),
            folder=self._folder,
            heard=pods.heard,
        )
        self._threads = [
            threading.Thread(target=one, name=f"{self.name} {one.__name__}", daemon=True)
            for one in (self._watch, self._renew, self._report)
        ]

    def start(self) -> None:
        """Register the node, and run its pods from now on.

        Raises:
            ApiError: the API refuses the node for 30 s.
        """
        deadline = time.monotonic() + _REGISTER_SECONDS
        while True:
            try:
                node.register(self._api, self._identity)
                node.renew(self._api, self.name)
                break
            except ApiError:
                if time.monotonic() > deadline:
                    raise
                self._over.wait(self._timing.retry)
        for thread in self._threads:
            thread.start()

    @property
    def pods(self) -> Mapping[str, Pod]:
        """The pods that have something here, by NAMESPACE/NAME; the newest of a name."""
        with self._changing:
            here = [one for one in self._pods.values() if not one.over.is_set()]
        return {f"{one.namespace}/{one.name}": one for one in here}

    def freeze(self) -> None:
        """Cut the kubelet off from the API: no heartbeat, no news; what runs here runs on."""
        self._shut.set()

    def thaw(self) -> None:
        """Undo `freeze`."""
        self._shut.clear()

    def power_off(self) -> None:
        """End every process and every pod at once; nobody is told."""
        self._shut.set()
        self._over.set()
        with self._changing:
            pods = tuple(self._pods.values())
        for one in pods:
            one.die()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        with self._changing:  # with one that the watch started meanwhile
            pods = tuple(self._pods.values())
            self._pods.clear()
        for one in pods:
            one.die()
        for one in pods:
            one.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """The same; the node's object stays."""
        self.power_off()

    # --- its threads ---------------------------------------------------------------------------

    def _watch(self) -> None:
        version = ""
        while not self._over.is_set():
            try:
                version = self._follow(version) if version else self._list()
            except ApiError:
                version = ""
                self._over.wait(self._timing.retry)

    def _list(self) -> str:
        found = self._api.get(_PODS, fieldSelector=f"spec.nodeName={self.name}")
        for one in found["items"]:
            self._take(one)
        present = {one["metadata"]["uid"] for one in found["items"]}
        with self._changing:
            gone = [one for uid, one in self._pods.items() if uid not in present]
        for one in gone:
            one.vanish()
        return str(found["metadata"]["resourceVersion"])

    def _follow(self, version: str) -> str:
        selector = f"spec.nodeName={self.name}"
        for event in self._api.watch(
            _PODS, version, seconds=_WATCH_SECONDS, fieldSelector=selector
        ):
            if self._over.is_set():
                break
            found = event["object"]
            version = found["metadata"]["resourceVersion"]
            if event["type"] == "DELETED":
                self._drop(found)
            elif event["type"] != "BOOKMARK":
                self._take(found)
        return version

    def _take(self, found: Object) -> None:
        with self._changing:
            for uid in [uid for uid, one in self._pods.items() if one.over.is_set()]:
                del self._pods[uid]
            known = self._pods.get(found["metadata"]["uid"])
            if known is None and not self._over.is_set():
                started = self._pods[found["metadata"]["uid"]] = Pod(self._host, found)
                started.start()
        if known is not None:
            known.update(found)

    def _drop(self, found: Object) -> None:
        with self._changing:
            known = self._pods.get(found["metadata"]["uid"])
        if known is not None:
            known.vanish(found)

    def _renew(self) -> None:
        self._now_and_then(self._timing.lease, lambda: node.renew(self._api, self.name))

    def _report(self) -> None:
        self._now_and_then(self._timing.status, lambda: node.report(self._api, self._identity))

    def _now_and_then(self, seconds: float, call: Callable[[], None]) -> None:
        """Call; at once again where the API does not answer, until this is over."""
        wait = seconds
        while not self._over.wait(wait):
            try:
                call()
                wait = seconds
            except ApiError:
                wait = self._timing.retry
