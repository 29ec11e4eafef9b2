"""A real cluster whose nodes are those of a world: what is applied to it runs in the lab's pods."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vipmanager_lab import arc
from vipmanager_lab.closing import Closing
from vipmanager_lab.control_plane import NAMESPACE, PORT
from vipmanager_lab.kubernetes.cluster import RealCluster
from vipmanager_lab.kubernetes.kubelet import Images, Kubelet, Pod, PodSettings, Timing, usual
from vipmanager_lab.kubernetes.plane import ADMINS, Plane, await_true
from vipmanager_lab.services import CLUSTER_IP
from vipmanager_lab.world import World

LABELS = {"multus": "true"}
"""What the shipped manifests' nodeSelector asks for."""
_SECONDS = 60.0
_ATTACHMENTS: Mapping[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "network-attachment-definitions.k8s.cni.cncf.io"},
    "spec": {
        "group": "k8s.cni.cncf.io",
        "scope": "Namespaced",
        "names": {
            "plural": "network-attachment-definitions",
            "singular": "network-attachment-definition",
            "kind": "NetworkAttachmentDefinition",
            "shortNames": ["net-attach-def"],
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"config": {"type": "string"}}}
                        },
                    }
                },
            }
        ],
    },
}
"""NetworkAttachmentDefinition, as far as Multus reads it
(https://github.com/k8snetworkplumbingwg/multi-net-spec)."""
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Joined(Closing):
    """The cluster and its nodes; it is closed before its world and its plane.

    Args:
        world: whose nodes join, one a zone.
        plane: the control plane.
        images: what stands for an image.
        environment: of every container, beside the world's.
        timing: how long things take on the nodes.
        heard: takes every record of every container, after its pod's and its own name.
    """

    def __init__(
        self,
        world: World,
        plane: Plane,
        *,
        images: Images = usual,
        environment: Mapping[str, str] = {},
        timing: Timing | None = None,
        heard: Callable[[str, str, dict[str, Any]], None] = lambda _pod, _container, _record: None,
    ) -> None:
        self.world, self.plane = world, plane
        self.kubelets: dict[str, Kubelet] = {}
        """By zone."""
        self.cluster = RealCluster(plane, [CLUSTER_IP], namespace=NAMESPACE)
        self.arc = arc.Arc.of(world)
        self._pods = PodSettings(
            service=(str(CLUSTER_IP), PORT),
            images=images,
            environment={**arc.ENVIRONMENT, **environment},
            timing=timing or Timing(),
            heard=heard,
        )
        try:
            for listener in world.services.listen(CLUSTER_IP, PORT):
                self.cluster.listen(listener)
            self.arc.serve(world.services)
            define_attachments(plane)
            for zone in world.nodes:
                self.join(zone)
            self._await_accounts()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every node with its pods, and remove what is in the namespace."""
        for kubelet in self.kubelets.values():
            kubelet.close()
        self.cluster.close()
        self.arc.close()

    def join(self, zone: str) -> None:
        """Let the node of a zone join; again, once it was lost.

        Raises:
            ApiError: the API refuses it.
            AssertionError: it does not become ready.
        """
        name = f"node-{zone}"
        kubelet = Kubelet(
            self.world,
            zone,
            api=self.plane.api(f"system:node:{name}", ["system:nodes"]),
            multus=self.plane.api("multus", ADMINS),
            pods=self._pods,
            labels=LABELS,
        )
        self.kubelets[zone] = kubelet
        kubelet.start()
        await_true(f"{name} is ready", lambda: self._is_ready(name), seconds=_SECONDS)

    def lose(self, zone: str) -> None:
        """Lose a node as a power cut does: every process ends, and nobody is told."""
        self.world.network.cut(zone)
        self.kubelets.pop(zone).power_off()

    def regain(self, zone: str) -> None:
        """Bring a lost node back, with nothing on it."""
        self.world.network.restore(zone)
        self.join(zone)

    def kubectl(self, *words: str, seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run an administrator's kubectl in the lab's namespace."""
        return subprocess.run(
            self.plane.kubectl(f"--namespace={NAMESPACE}", *words),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def kubeconfig(self) -> Path:
        """Write what an administrator's own tools need, in the lab's namespace."""
        return self.plane.kubeconfig("lab", ADMINS, namespace=NAMESPACE)

    def pod(self, name: str) -> Pod:
        """Give a pod that runs on one of the nodes, by its name, or by NAMESPACE/NAME.

        Raises:
            ValueError: there is none.
        """
        namespace, _, name = name.rpartition("/")
        namespace = namespace or NAMESPACE
        pod = self.pods.get(f"{namespace}/{name}")
        if pod is None:
            raise ValueError(
                f"no pod {name} of the namespace {namespace} is on a node; "
                "`kubectl get pods -A` lists all, and NAMESPACE/POD names one of another namespace"
            )
        return pod

    @property
    def pods(self) -> Mapping[str, Pod]:
        """The pods on all nodes, by NAMESPACE/NAME."""
        return {name: pod for one in self.kubelets.values() for name, pod in one.pods.items()}

    def _is_ready(self, name: str) -> bool:
        found = self.plane.admin.get(f"/api/v1/nodes/{name}")
        return is_ready(found) and not found["spec"].get("taints")

    def _await_accounts(self) -> None:
        """Wait for what the controller manager puts into a new namespace."""
        where = f"/api/v1/namespaces/{NAMESPACE}"

        def present() -> bool:
            self.plane.admin.get(f"{where}/serviceaccounts/default")
            self.plane.admin.get(f"{where}/configmaps/kube-root-ca.crt")
            return True

        await_true("the namespace is set up", present, seconds=_SECONDS)


def define_attachments(plane: Plane) -> None:
    """Let the API know NetworkAttachmentDefinitions; twice is allowed."""
    plane.admin.patch(f"{_DEFINITIONS}/{_ATTACHMENTS['metadata']['name']}", _ATTACHMENTS, "apply")


def is_ready(found: Mapping[str, Any]) -> bool:
    """Tell whether a pod or a node says that it is ready."""
    told = found["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in told)


def pods(plane: Plane, selector: str = "") -> Sequence[Mapping[str, Any]]:
    """Give the pods of the lab's namespace."""
    query = {"labelSelector": selector} if selector else {}
    found = plane.admin.get(f"/api/v1/namespaces/{NAMESPACE}/pods", **query)
    return [dict(one) for one in found["items"]]
