"""The documents' Deployment in the lab: one pod on one of two nodes, as Kubernetes runs it."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.granted import ship
from deploy.rendered import Document, agent, environment, of_kind, pod
from guide.terminal import Answer
from vipmanager_lab.control_plane import ControlPlane
from vipmanager_lab.netns import Netns
from vipmanager_lab.process import Process
from vipmanager_lab.world import World

VIPMANAGER = (sys.executable, "-m", "vipmanager")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A pod that runs."""

    name: str
    node: str
    netns: Netns
    environment: Mapping[str, str]
    process: Process


class LabStage:
    """Nodes, a Kubernetes API, a scheduler and a Deployment with one replica."""

    def __init__(self, world: World) -> None:
        """Take the world's nodes; a stopped instance is a lost node."""
        self._world = world
        self._plane = ControlPlane(world)
        self._zones = {f"ip-{zone}.ec2.internal": zone for zone in world.nodes}
        self._closed_to_pods: set[str] = set()
        self._objects: Sequence[Document] = ()
        self._running: Running | None = None
        self._started = 0
        self._change = threading.RLock()
        self._news = threading.Event()
        self._over = False
        world.account.subscribe(self._news.set)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching."""
        self._over = True
        self._news.set()
        self._watcher.join(10)
        self._plane.close()

    @property
    def zone(self) -> str:
        """Where the pod runs."""
        return self._zones[self._present().node]

    def apply(self, objects: Sequence[Document]) -> None:
        with self._change:
            self._objects = objects
            ship(objects, self._plane.cluster, self._plane.account)
            self._start()

    def wait_ready(self) -> None:
        with self._change:
            process = self._present().process
        if self._lasting:
            process.wait_for(lambda record: "RIGHT: " in str(record.get("text")))
        else:
            assert process.wait() == 0, process.text

    def logs(self) -> str:
        return "\n".join(self._present().process.text) + "\n"

    def execute(self, words: Sequence[str]) -> Answer:
        present = self._present()
        if not self._lasting:
            return Answer(code=1, err="the container vipmanager has ended\n")
        assert words[0] == "vipmanager"
        return self._run(present, words[1:])

    def cordon(self, node: str, *, on: bool) -> None:
        (self._closed_to_pods.add if on else self._closed_to_pods.discard)(node)

    def replace_pod(self) -> None:
        with self._change:
            self._end()
            self._start()

    def delete(self) -> None:
        with self._change:
            self._end()

    def pod(self) -> Mapping[str, Any]:
        present = self._present()
        return {"metadata": {"name": present.name}, "spec": {"nodeName": present.node}}

    def nodes(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            name: {"spec": {"providerID": f"aws:///{zone}/{self._world.nodes[zone].instance}"}}
            for name, zone in self._zones.items()
        }

    # --- what a cluster does by itself ---------------------------------------------------------

    @property
    def _lasting(self) -> bool:
        return environment(self._objects)["RunAsSidecar"] == "True"

    def _present(self) -> Running:
        with self._change:
            assert self._running is not None, "no pod runs"
            return self._running

    def _start(self) -> None:
        node = next(n for n in self._zones if n not in self._closed_to_pods)
        self._started += 1
        name = f"busybox-deployment-{self._started}"
        definitions = of_kind(self._objects, "NetworkAttachmentDefinition")
        netns = self._world.start_pod(name, self._zones[node], [_address(d) for d in definitions])
        container = agent(pod(self._objects))
        # What kubelet adds to the manifests' own.
        told = environment(self._objects) | self._plane.create_pod(name)
        told |= {"POD_IPS": self._world.pod_ips(name)}
        env = self._world.container_environment(told)
        argv = [*VIPMANAGER, *container["args"]]
        process = self._world.run(netns, argv, env=env, stream="stderr")
        self._running = Running(name=name, node=node, netns=netns, environment=env, process=process)

    def _end(self) -> None:
        ending = self._present()
        hook = agent(pod(self._objects)).get("lifecycle", {}).get("preStop")
        if hook is not None:
            done = self._run(ending, hook["exec"]["command"][1:])
            assert done.code == 0, done.err
            ending.process.signal(signal.SIGTERM)
            assert ending.process.wait() == 0, ending.process.text
        self._world.kill_pod(ending.name)
        self._plane.delete_pod(ending.name)
        self._running = None

    def _run(self, present: Running, words: Sequence[str]) -> Answer:
        process = present.netns.popen(
            [*VIPMANAGER, *words],
            env=present.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = process.communicate(timeout=60)
        return Answer(code=process.returncode, out=out.decode(), err=err.decode())

    def _watch(self) -> None:
        lost: set[str] = set()
        while True:
            self._news.wait()
            self._news.clear()
            if self._over:
                return
            state = {eni.id: eni.instance_running for eni in self._world.account.state().enis}
            for node, zone in self._zones.items():
                if node in lost or state.get(self._world.nodes[zone].primary):
                    continue
                lost.add(node)
                with self._change:
                    self._world.fail_zone(zone)
                    self._closed_to_pods.add(node)
                    if self._running is not None and self._running.node == node:
                        self._start()


def _address(definition: Document) -> str:
    ((only,),) = json.loads(definition["spec"]["config"])["ipam"]["ranges"]
    return f"{only['rangeStart']}/{only['subnet'].partition('/')[2]}"
