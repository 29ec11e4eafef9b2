"""What `vipmanager lab --kubernetes real` can do: its commands for a real cluster."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vipmanager_lab.breakage.api import WORLD_FAULTS
from vipmanager_lab.breakage.scene import Begun, NamedFault, Scene
from vipmanager_lab.cli.lab_commands import WorldLab
from vipmanager_lab.cli.prompt import Command
from vipmanager_lab.shell import execute
from vipmanager_lab.world import World

if TYPE_CHECKING:
    from vipmanager_lab.kubernetes.joined import Joined
    from vipmanager_lab.kubernetes.kubelet.slots import Slot


class ClusterLab(WorldLab):
    """A real cluster, whose nodes run what kubectl applies."""

    def __init__(self, world: World, joined: "Joined") -> None:
        scene = Scene(world=world, arc=joined.arc, floating=world.floating())
        super().__init__(world, scene, (*WORLD_FAULTS, self._power_cut()))
        self._joined = joined
        self._answering: set[str] = set()
        """Pods in which the lab's application was started beside what their image would be."""

    def groups(self) -> Mapping[str, Sequence[Command]]:
        """Give the commands, by heading."""
        return {
            "the cluster": [
                Command(
                    usage="kubectl ...",
                    says="ask it: kubectl get pods; for logs and exec, the next two",
                    run=self._kubectl,
                ),
                Command(
                    usage="logs POD [CONTAINER]",
                    says="what it printed; in another namespace it is NAMESPACE/POD",
                    run=self._logs,
                ),
                Command(
                    usage="exec POD COMMAND ...",
                    says="a command in a pod's vipmanager: exec POD vipmanager status",
                    run=self._exec,
                ),
                Command(
                    usage="run COMMAND ...",
                    says="your own tools, with a KUBECONFIG: run helm list, or a shell: run bash",
                    run=self._run,
                ),
            ],
            **super().groups(),
        }

    def probe(self, words: list[str]) -> None:
        """Let every pod answer, and probe the floating IPs from the client."""
        for name, pod in self._joined.pods.items():
            if name not in self._answering and pod.netns is not None:
                self._answering.add(name)
                self._world.application(pod.netns, self._floating)
        super().probe(words)

    def _power_cut(self) -> NamedFault:
        def begin(scene: Scene, words: Sequence[str]) -> Begun:
            zone = scene.zone(words)
            self._joined.lose(zone)
            return Begun(
                said=f"node-{zone} has no power, and nobody is told",
                undo=partial(self._joined.regain, zone),
            )

        return NamedFault(usage="fail ZONE", says="cut the power of a node", begin=begin)

    def _kubectl(self, words: list[str]) -> None:
        if words[:1] in (["exec"], ["logs"]):
            raise ValueError(f"the nodes have no port for it: type `{words[0]}` alone")
        done = self._joined.kubectl(*words)
        print(done.stdout, end="")
        print(done.stderr, end="", file=sys.stderr)
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}")

    def _logs(self, words: list[str]) -> None:
        if not words:
            raise ValueError("expected a pod")
        print(self._container(*words[:2]).logs())

    def _exec(self, words: list[str]) -> None:
        if len(words) < 2:  # noqa: PLR2004 - where and what
            raise ValueError("expected a pod and a command")
        done = self._container(words[0]).execute(words[1:])
        print(done.output, end="")

    def _container(self, pod: str, name: str = "") -> "Slot":
        """Give a container: the one of that name, or else vipmanager's, or else the only one."""
        found = self._joined.pod(pod).containers
        if not name:
            name = next(iter(found)) if len(found) == 1 else "vipmanager"
        if name not in found:
            raise ValueError(f"pod {pod} has no container {name}: it has {', '.join(found)}")
        return found[name]

    def _run(self, words: list[str]) -> None:
        if not words:
            raise ValueError("expected a command")
        # kubectl may lie beside Python.
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        environment = {**os.environ, "PATH": path, "KUBECONFIG": str(self._joined.kubeconfig())}
        code = execute(subprocess.Popen, words, environment, interactive=sys.stdin.isatty())
        if code:
            raise RuntimeError(f"exit code {code}")
