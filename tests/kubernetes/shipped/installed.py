"""The shipped manifests in a real cluster: what users type, and what they look at."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, Self

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.rendered import MANIFESTS
from vipmanager_lab.cni import PLUGINS
from vipmanager_lab.control_plane import NAMESPACE
from vipmanager_lab.kubernetes.assets import AssetsError, find
from vipmanager_lab.kubernetes.joined import Joined, is_ready, pods
from vipmanager_lab.kubernetes.kubelet import Image, usual
from vipmanager_lab.kubernetes.plane import await_true
from vipmanager_lab.process import Process
from vipmanager_lab.world import ZONES

DEPLOYMENT, BUSYBOX = "deployment/busybox-deployment", "app=busybox"
"""The shipped application, and by which its pods are selected."""
SPACE = f"/api/v1/namespaces/{NAMESPACE}"
PEERS = ("10.10.10.48", "192.168.1.204")
"""Of the first and of the second floating IP, as the shipped ConfigMap has them."""
NONVPC = ("192.168.0.1/32", "192.168.0.2/32")
VPC = ("10.0.254.1/28", "10.0.254.17/28")
OWN = {"serviceaccount/default", "configmap/kube-root-ca.crt"}
"""What Kubernetes itself puts into a namespace."""
_ECHO = (
    f"exec {sys.executable} -m vipmanager_lab.probe echo --port 7007 "
    r"$(ip -4 -o addr show | sed -n 's|.* net[0-9].* inet \([0-9.]*\)/.*|\1|p')"
)
_INSTALLED = (
    "PodDisruptionBudget",
    "ServiceAccount",
    "ConfigMap",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Deployment",
)
"""In which order Helm installs; other kinds come after (helm, pkg/releaseutil, InstallOrder)."""
_SECONDS = 60.0
_NOT_YET = ("FailedCreatePodSandBox", "network-attachment-definitions.k8s.cni.cncf.io")
"""kubectl and Helm create attachments last, so that a pod may be there before them."""
_UNREADY = "Unhealthy: Readiness probe failed"
"""A pod that is being deleted has yielded; and a busy machine may answer a probe late."""


def needed() -> None:
    """Skip where there is no Kubernetes, or no CNI."""
    try:
        find()
    except AssetsError as error:
        pytest.skip(str(error))
    if not PLUGINS.is_dir():
        pytest.skip("no CNI plugins are installed")


def floating(overlay: str) -> tuple[str, ...]:
    """Give the floating IPs that an overlay ships, with their prefix lengths."""
    return NONVPC if overlay.startswith("nonvpc") else VPC


def images(name: str) -> Image:
    """Give what stands for an image: the application answers on the pod's floating IPs."""
    if "/busybox:" in name:
        return Image(commands={"/bin/sh": ("/bin/sh", "-c", _ECHO)})
    return usual(name)


@dataclass(frozen=True)
class Site:
    """A cluster with a node in each of two zones, and its administrator."""

    joined: Joined

    # --- what an administrator types -----------------------------------------------------------

    def kubectl(self, *words: str, seconds: float = 120.0) -> str:
        """Run kubectl, which has to succeed; give what it prints."""
        done = self.joined.kubectl(*words, seconds=seconds)
        assert not done.returncode, f"kubectl {' '.join(words)}: {done.stderr}{done.stdout}"
        return done.stdout

    def apply(self, folder: Path, *words: str) -> str:
        return self.kubectl("apply", "-k", str(folder), *words)

    def apply_objects(self, folder: Path, objects: Iterable[Mapping[str, Any]]) -> Path:
        """Apply what a chart renders, in Helm's order, as a file in a folder; give the file."""
        path = folder / "objects.yaml"
        ordered = sorted(objects, key=lambda one: (*_INSTALLED, one["kind"]).index(one["kind"]))
        path.write_text(yaml.safe_dump_all(ordered))
        self.kubectl("apply", "-f", str(path))
        return path

    def rollout(self, name: str = DEPLOYMENT, *, seconds: int = 60) -> None:
        self.kubectl("rollout", "status", name, f"--timeout={seconds}s")

    # --- what is there -------------------------------------------------------------------------

    @cached_property
    def _kinds(self) -> str:
        told = self.kubectl("api-resources", "--namespaced", "--verbs=list,delete", "-o", "name")
        return ",".join(kind for kind in told.split() if not kind.startswith("events"))

    def objects(self) -> set[str]:
        """Name every object of the namespace, Events aside."""
        return set(self.kubectl("get", self._kinds, "-o", "name").split()) - OWN

    def grants(self) -> set[str]:
        """Name what vipmanager may do in the whole cluster."""
        told = self.kubectl("get", "clusterrole,clusterrolebinding", "-o", "name")
        return {one for one in told.split() if "vipmanager" in one}

    def is_empty(self) -> bool:
        return not self.objects() and not self.joined.pods

    def pods(self, selector: str = BUSYBOX) -> Sequence[Mapping[str, Any]]:
        return pods(self.joined.plane, selector)

    def living(self, selector: str = BUSYBOX) -> list[Mapping[str, Any]]:
        """Give the pods that are not being deleted."""
        return [one for one in self.pods(selector) if "deletionTimestamp" not in one["metadata"]]

    def ready(self, selector: str = BUSYBOX) -> list[str]:
        """Name the pods that are ready."""
        return sorted(one["metadata"]["name"] for one in self.living(selector) if is_ready(one))

    def await_ready(
        self, many: int = 1, *, selector: str = BUSYBOX, seconds: float = _SECONDS
    ) -> list[str]:
        """Wait until just so many pods are there, and all of them ready."""

        def seen() -> bool:
            return len(self.pods(selector)) == many == len(self.ready(selector))

        await_true(f"{many} pods are ready", seen, seconds=seconds)
        return self.ready(selector)

    def zone(self, pod: str) -> str:
        """Give the zone of a pod's node."""
        found = self.joined.plane.admin.get(f"{SPACE}/pods/{pod}")
        return str(found["spec"]["nodeName"]).removeprefix("node-")

    def events(self, kind: str = "") -> list[str]:
        """Give the Events, each with its reason first: all, or those of a type."""
        found = self.joined.plane.admin.get(f"{SPACE}/events")["items"]
        return [f"{e['reason']}: {e.get('message')}" for e in found if kind in {"", e["type"]}]

    def warnings(self) -> list[str]:
        """Give the Warnings, but for attachments that are about to come, and readiness."""
        return [
            one
            for one in self.events("Warning")
            if not all(w in one for w in _NOT_YET) and not one.startswith(_UNREADY)
        ]

    def lease(self, name: str = "vipmanager") -> Mapping[str, Any]:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{name}"
        found = self.joined.plane.admin.get(path)
        return found.get("spec") or {}

    def holder(self, name: str = "vipmanager") -> str | None:
        """Name the pod that holds a Lease; None where nobody does, or its pod is gone."""
        identity = self.lease(name).get("holderIdentity") or ""
        uid = identity.partition("/")[0]
        return next(
            (p["metadata"]["name"] for p in self.pods("") if p["metadata"]["uid"] == uid), None
        )

    def logs(self, pod: str, container: str = "vipmanager") -> list[str]:
        """Give a container's output as long as its pod is here."""
        found = self.joined.pods.get(f"{NAMESPACE}/{pod}")
        return [] if found is None else [*found.containers[container].lines]

    def status(self, pod: str) -> dict[str, Any]:
        """Give what `vipmanager status` tells in a pod."""
        words = ["vipmanager", "status", "--output", "json"]
        told = self.joined.pod(pod).containers["vipmanager"].execute(words)
        status: dict[str, Any] = json.loads(told.output)
        return status

    # --- where packets go ----------------------------------------------------------------------

    def steered(self, addresses: Sequence[str]) -> str | None:
        """Tell to which zone every table leads for all of these; None for no single one."""
        world = self.joined.world
        for zone in ZONES:
            enis = world.nodes[zone].secondary
            if all(
                world.targets(str(ip_interface(a).network)) == {eni}
                for a, eni in zip(addresses, enis, strict=False)
            ):
                return zone
        return None

    def await_steered(
        self, addresses: Sequence[str], zone: str | None = None, *, seconds: float = _SECONDS
    ) -> str:
        """Wait until floating IPs lead to one zone; give it."""

        def seen() -> bool:
            found = self.steered(addresses)
            return found is not None and zone in {None, found}

        await_true(f"{addresses} are steered to {zone or 'a zone'}", seen, seconds=seconds)
        return str(self.steered(addresses))

    def unsteer(self) -> None:
        """Remove the routes of every floating IP."""
        world = self.joined.world
        for destination in (str(ip_interface(a).network) for a in (*NONVPC, *VPC)):
            for table in world.tables:
                if world.target(table, destination) is not None:
                    world.account.drop_route(table, destination)

    def answers(self, addresses: Sequence[str], *, seconds: float = 20.0) -> None:
        """Let the client ask until every floating IP answers."""
        with Watch(self, addresses) as watch:
            watch.answered(seconds=seconds)

    # --- afterwards ----------------------------------------------------------------------------

    def clean(self) -> None:
        """Leave nothing of a test."""
        for zone in ZONES:
            if zone not in self.joined.kubelets:
                self.joined.regain(zone)
            self.joined.kubectl("uncordon", f"node-{zone}")
        found = self.objects()
        owners = {one for one in found if not one.startswith(("pod/", "replicaset.apps/"))}
        for names, how in ((owners, "--wait=false"), ({"pod"}, "--all")):
            if names:
                self.joined.kubectl(
                    "delete",
                    *sorted(names),
                    how,
                    "--force",
                    "--grace-period=0",
                    "--ignore-not-found",
                )
        grants = self.grants()
        if grants:
            self.kubectl("delete", *sorted(grants))
        await_true("nothing is left", self.is_empty, seconds=_SECONDS)
        self.joined.plane.admin.delete(f"{SPACE}/events")
        self.unsteer()


class Watch:
    """A client that asks every floating IP again and again."""

    def __init__(self, site: Site, addresses: Sequence[str], *, interval_ms: float = 20) -> None:
        self._addresses = [a.partition("/")[0] for a in addresses]
        self._prober: Process = site.joined.world.probe(self._addresses, interval_ms=interval_ms)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._prober.close()

    def answered(self, *, seconds: float = 20.0, since: float = 0.0) -> None:
        """Wait until each has answered a probe that was sent after a time."""
        for address in self._addresses:
            self._prober.wait_for(
                lambda r, a=address: (  # type: ignore[misc]
                    r["event"] == "answered" and r["address"] == a and r["sent"] >= since
                ),
                seconds=seconds,
            )

    def outage(self) -> float:
        """End it; give the longest time in seconds that an address did not answer."""
        self._prober.signal(signal.SIGTERM)
        self._prober.wait()
        finals = [one for one in self._prober.records if one["event"] == "final"]
        assert len(finals) == len(self._addresses)
        now = time.monotonic()
        gaps = [
            (now if gap["until"] is None else gap["until"]) - gap["since"]
            for final in finals
            for gap in final["gaps"]
        ]
        return max(gaps, default=0.0)


def mine(folder: Path, *resources: str, **entries: object) -> Path:
    """Write a kustomization of somebody's own beside the shipped ones; give its folder.

    Args:
        folder: an empty one, or the one that was given before.
        resources: shipped overlays by their names.
        entries: of the kustomization, beside its resources; `components` by their names.
    """
    if not (folder / "manifests").exists():
        (folder / "manifests").symlink_to(MANIFESTS)
    own = folder / "mine"
    own.mkdir(exist_ok=True)
    parts = entries.pop("components", ())
    assert isinstance(parts, Iterable)
    whole = {
        "resources": [f"../manifests/overlays/{one}" for one in resources],
        "components": [f"../manifests/components/{one}" for one in parts],
        "namespace": NAMESPACE,
        **entries,
    }
    (own / "kustomization.yaml").write_text(yaml.safe_dump(whole))
    return own


def settled(value: Callable[[], object], wanted: object, *, seconds: float = _SECONDS) -> None:
    """Wait until something has a value; what it has at last is told otherwise."""
    seen: list[object] = []

    def is_so() -> bool:
        seen[:] = [value()]
        return seen == [wanted]

    try:
        await_true(f"expected {wanted}", is_so, seconds=seconds)
    except AssertionError as late:
        raise AssertionError(f"{late}; seen at last: {seen}") from None


def say(figure: str) -> None:
    """Tell a figure to who runs pytest with -s."""
    sys.stdout.write(f"{figure}\n")
