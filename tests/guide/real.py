"""A real cluster for somebody who follows a document: kubectl is the real one.

`exec` and `logs` go past the API server, which would ask a kubelet's port that the lab has not.
"""

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from guide.pages import Block
from guide.terminal import Answer, Program
from vipmanager_lab.control_plane import NAMESPACE
from vipmanager_lab.kubernetes.assets import find
from vipmanager_lab.kubernetes.joined import Joined, is_ready, pods
from vipmanager_lab.kubernetes.plane import Plane
from vipmanager_lab.world import World

EFFECTIVE = {"everywhere", "cluster"}
GRACE = "--node-monitor-grace-period=8s"
"""Kubernetes' default is 50 s."""
MULTUS = "multus-daemonset"
"""What installs Multus comes from the internet: the lab's nodes have it."""
_SECONDS = 110.0


class Real:
    """Two nodes in a real cluster; a stopped instance is a lost node."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._plane = Plane(find())
        try:
            self._plane.control_with(GRACE)
            self.joined = Joined(world, self._plane)
        except BaseException:
            self._plane.close()
            raise
        self._effective = False
        self.programs: Mapping[str, Program] = {"kubectl": self._kubectl}
        self._over = threading.Event()
        self._news = threading.Event()
        world.account.subscribe(self._news.set)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """End it."""
        self._over.set()
        self._news.set()
        self._watcher.join(60)
        self.joined.close()
        self._plane.close()

    @property
    def zone(self) -> str:
        """Where the pod runs that steers: the one that is ready and stays."""
        here = [
            p
            for p in pods(self._plane, "app=busybox")
            if "deletionTimestamp" not in p["metadata"] and is_ready(p)
        ]
        names = {f"node-{zone}": zone for zone in self._world.nodes}
        return names[here[0]["spec"]["nodeName"]] if here else ""

    def takes(self, block: Block) -> None:
        """Let commands for a cluster have an effect, but for Helm's: one installs once."""
        self._effective = block.needs in EFFECTIVE and "helm " not in block.text

    # --- its programs --------------------------------------------------------------------------

    def _kubectl(self, words: Sequence[str], folder: Path, piped: str) -> Answer:
        if not self._effective or any(MULTUS in word for word in words):
            return Answer()
        end = words.index("--") if "--" in words else len(words)
        match words[0]:
            case "exec":
                return self._execute(words[1], words[end + 1 :])
            case "logs":
                pod = self.joined.pod(self._newest(words[1]))
                return Answer(out=pod.containers["vipmanager"].logs() + "\n")
            case _:
                return self._ask(words, folder, piped)

    def _ask(self, words: Sequence[str], folder: Path, piped: str = "") -> Answer:
        done = subprocess.run(
            self._plane.kubectl(f"--namespace={NAMESPACE}", *words),
            cwd=folder,
            input=piped,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    def _execute(self, name: str, command: Sequence[str]) -> Answer:
        pod = self.joined.pod(self._newest(name))
        slot = pod.containers["vipmanager"]
        if slot.container is None or not slot.container.running:
            return Answer(code=1, err="the container vipmanager has ended\n")
        done = slot.execute(command, seconds=_SECONDS)
        return Answer(code=done.code, out=done.output)

    def _newest(self, name: str) -> str:
        """Give a pod's name: of `deployment/NAME` its newest pod that stays."""
        kind, _, bare = name.rpartition("/")
        if kind != "deployment":
            return bare
        here = [
            p for p in pods(self._plane, "app=busybox") if "deletionTimestamp" not in p["metadata"]
        ]
        here.sort(key=lambda p: str(p["metadata"]["creationTimestamp"]))
        return str(here[-1]["metadata"]["name"])

    # --- what happens by itself ----------------------------------------------------------------

    def _watch(self) -> None:
        while not self._over.is_set():
            self._news.wait()
            self._news.clear()
            state = {eni.id: eni.instance_running for eni in self._world.account.state().enis}
            for zone in tuple(self.joined.kubelets):
                if not state.get(self._world.nodes[zone].primary) and not self._over.is_set():
                    self.joined.lose(zone)
