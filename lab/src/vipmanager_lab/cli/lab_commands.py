"""What `vipmanager lab` can do in any world, and with pods of the lab's own."""

import shlex
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from vipmanager_lab.breakage.api import WORLD_FAULTS
from vipmanager_lab.breakage.pods import POD_FAULTS
from vipmanager_lab.breakage.scene import Active, Begun, NamedFault, Scene
from vipmanager_lab.cli.prompt import Command, fold
from vipmanager_lab.netns import Netns
from vipmanager_lab.replicas import Replica, Replicas
from vipmanager_lab.shell import execute
from vipmanager_lab.world import World

_PROGRAMS = {
    "ip": "its interfaces, routes and rules: ip route",
    "ping": "ping 10.0.100.10 asks the client",
    "curl": "curl 10.0.1.100:8080/readyz, with HTTPPort=8080",
}
_VIEWS = {
    "status": "where each floating IP points, and whether that is right",
    "doctor": "what is wrong, and what to do",
    "plan": "what vipmanager would do",
    "yield": "give the floating IPs up",
    "claim": "take them again",
}
_AGENT_SECONDS = 30.0
_STOP_SECONDS = 10.0


class WorldLab:
    """What can be done whatever runs in the world."""

    def __init__(self, world: World, scene: Scene, faults: Sequence[NamedFault]) -> None:
        self._world, self._scene, self._faults = world, scene, faults
        self._floating = scene.floating
        self._active = Active()

    def groups(self) -> Mapping[str, Sequence[Command]]:
        """Give the commands, by heading."""
        return {
            "look": [
                Command(usage="show", says="where every route table points", run=self._show),
                Command(
                    usage="probe [SECONDS]", says="ask the floating IPs as a client", run=self.probe
                ),
                Command(usage="calls", says="how many EC2 calls there were", run=self._calls),
                Command(
                    usage="in NAME COMMAND ...",
                    says="a command in a pod, client, node-a, node-b or router",
                    run=self._in,
                ),
                Command(usage="wait SECONDS", says="do nothing for a while", run=self._wait),
            ],
            "break": [
                Command(usage=f.usage, says=f.says, run=partial(self._break, f))
                for f in self._faults
            ],
            "heal": [
                Command(usage="what", says="what is broken now", run=self._what),
                Command(usage="undo", says="undo the last fault", run=self._undo),
                Command(
                    usage="heal [FAULT|ZONE|NUMBER]",
                    says="undo all faults, or those meant: heal steal, heal a, heal 2",
                    run=self._heal,
                ),
            ],
        }

    def names(self) -> Iterable[str]:
        """Give what may follow a command."""
        yield from self._places()
        yield from ("a", "b", "c", "net1", "net2", "vipmanager")

    def probe(self, words: list[str]) -> None:
        """Probe the floating IPs from the client."""
        seconds = _seconds(words, 3)
        prober = self._world.probe(self._floating)
        try:
            prober.wait_for(lambda r: r["event"] in {"answered", "lost"})  # it has started
            time.sleep(seconds)
        finally:
            prober.signal(signal.SIGTERM)
            prober.wait()
        for final in (r for r in prober.records if r["event"] == "final"):
            print(f"{final['address']}: {final['answered']} of {final['sent']} answered")

    def _places(self) -> Mapping[str, Netns]:
        """Give where commands can run, by name."""
        network = self._world.network
        nodes = {f"node-{zone}": network.host(zone).netns for zone in self._world.nodes}
        return {"client": self._world.client, **nodes, "router": network.vpc}

    def _environment(self, _place: str) -> Mapping[str, str]:
        return {}

    def _execute(self, place: str, argv: Sequence[str]) -> None:
        netns = self._places().get(place)
        if netns is None:
            raise ValueError(f"there is no {place}: expected {', '.join(self._places())}")
        environment = self._world.container_environment(self._environment(place))
        code = execute(netns.popen, argv, environment, interactive=sys.stdin.isatty())
        if code:
            print(f"(exit code {code})")

    def _in(self, words: list[str]) -> None:
        if len(words) < 2:  # noqa: PLR2004 - where and what
            raise ValueError("expected a place and a command")
        self._execute(words[0], words[1:])

    def _show(self, _: list[str]) -> None:
        zones = {e: n.zone for n in self._world.nodes.values() for e in n.secondary}
        for number, table in enumerate(self._world.tables):
            targets = (
                self._world.target(table, self._world.destination(f)) for f in self._floating
            )
            told = "  ".join(f"{t} (zone {zones.get(t, '?')})" if t else "none" for t in targets)
            print(fold(f"{number:>3} {table}  {told}", 6))

    def _calls(self, _: list[str]) -> None:
        for action, count in sorted(self._world.endpoint.counts().items()):
            print(f"{count:>5} {action}")

    def _wait(self, words: list[str]) -> None:
        time.sleep(_seconds(words, 1))

    def _break(self, fault: NamedFault, words: list[str]) -> None:
        begun = self._active.begin(fault, self._scene, words)
        print(fold(f"{begun.said}; `heal {begun.number}` undoes it"))

    def _what(self, _: list[str]) -> None:
        for one in self._active.list():
            age = time.monotonic() - one.since
            print(fold(f"{one.number:>3}  {one.line}: {one.said}, for {age:.0f} s", 5))
        if not self._active.list():
            print("nothing is broken")

    def _heal(self, words: list[str]) -> None:
        _healed(self._active.undo(words[0] if words else ""))

    def _undo(self, _: list[str]) -> None:
        _healed(self._active.undo_last())


class PodLab(WorldLab):
    """Pods of the lab's own, which are started one by one."""

    def __init__(self, world: World, group: Replicas) -> None:
        scene = Scene(
            world=world,
            arc=group.plane.arc,
            floating=group.floating,
            group=group,
            current=lambda: self._current,
        )
        super().__init__(world, scene, (*WORLD_FAULTS, *POD_FAULTS))
        self._group = group
        self._chosen: Replica | None = None

    def groups(self) -> Mapping[str, Sequence[Command]]:
        """Give the commands, by heading."""
        shared = super().groups()
        return {
            "pods (without POD: the newest, or the one of `use`)": [
                Command(usage="pod ZONE", says="start a pod, with the application", run=self._pod),
                Command(
                    usage="init [KEY=VALUE ...]", says="vipmanager as initContainer", run=self._init
                ),
                Command(
                    usage="sidecar [KEY=VALUE ...]", says="vipmanager as sidecar", run=self._sidecar
                ),
                Command(
                    usage="standby [KEY=VALUE ...]",
                    says="the same, with LeaderElection",
                    run=self._standby,
                ),
                Command(usage="stop [POD]", says="end its vipmanager by SIGTERM", run=self._stop),
                Command(usage="use POD", says="mean this pod from now on", run=self._use),
            ],
            "in the pod": [
                *(
                    Command(usage=f"{name} [POD] ...", says=says, run=partial(self._view, name))
                    for name, says in _VIEWS.items()
                ),
                Command(
                    usage="vipmanager ...",
                    says="any other command of it",
                    run=partial(self._program, "vipmanager"),
                ),
                *(
                    Command(usage=f"{name} ...", says=says, run=partial(self._program, name))
                    for name, says in _PROGRAMS.items()
                ),
                Command(
                    usage="sh [POD] [LINE]",
                    says="a shell, or one line of it: sh ip rule | wc -l",
                    run=self._sh,
                ),
            ],
            **shared,
            "heal": [
                *shared["heal"],
                Command(usage="uncordon ZONE", says="undo cordon", run=self._uncordon),
            ],
        }

    @property
    def _current(self) -> Replica | None:
        running = self._group.running
        if self._chosen in running:
            return self._chosen
        return running[-1] if running else None

    def _places(self) -> Mapping[str, Netns]:
        return {**{one.name: one.netns for one in self._group.running}, **super()._places()}

    def _environment(self, place: str) -> Mapping[str, str]:
        found = (one.environment for one in self._group.running if one.name == place)
        return next(found, {})

    def _pod(self, words: list[str]) -> None:
        zone = self._scene.zone(words or ["a"])
        pod = self._group.start_without_agent(zone)
        self._chosen = pod
        print(f"{pod.name} in zone {zone} with {', '.join(self._floating)}, itself {pod.address}")

    def _use(self, words: list[str]) -> None:
        if not words:
            raise ValueError("expected a pod")
        self._chosen = self._scene.pod(words)

    def _uncordon(self, words: list[str]) -> None:
        _healed(self._active.undo(f"cordon {self._scene.zone(words)}"))

    def _init(self, words: list[str]) -> None:
        pod = self._start_agent(words, RunAsSidecar="False")
        print(f"exit code {pod.agent.wait(120)}")

    def _sidecar(self, words: list[str], **config: str) -> None:
        pod = self._start_agent(words, RunAsSidecar="True", **config)
        pod.agent.wait_for(
            lambda r: r["event"] in {"converged", "finding"} or r.get("role") == "standby",
            seconds=_AGENT_SECONDS,
        )

    def _standby(self, words: list[str]) -> None:
        self._sidecar(words, LeaderElection="True")

    def _start_agent(self, words: list[str], **config: str) -> Replica:
        pod = self._scene.pod([])
        wrong = next((word for word in words if "=" not in word), None)
        if wrong is not None:
            raise ValueError(f"expected KEY=VALUE, not {wrong}")
        if pod.has_agent:
            self._end_agent(pod)
        pod.environment |= config | dict(word.split("=", 1) for word in words)
        if "zonal-shift" in pod.environment.get("HandOverOn", ""):
            pod.environment.setdefault("ClusterArn", self._group.plane.arc.cluster)
        pod.start_agent()
        return pod

    def _stop(self, words: list[str]) -> None:
        pod = self._scene.pod(words)
        self._end_agent(pod)
        print(f"{pod.name} has no agent")

    def _end_agent(self, pod: Replica) -> None:
        pod.agent.signal(signal.SIGTERM)
        pod.agent.wait(_STOP_SECONDS)

    def _view(self, name: str, words: list[str]) -> None:
        pod, rest = self._named(words)
        self._execute(pod.name, ["vipmanager", name, *rest])

    def _program(self, name: str, words: list[str]) -> None:
        self._execute(self._scene.pod([]).name, [name, *words])

    def _sh(self, words: list[str]) -> None:
        pod, rest = self._named(words)
        if rest:
            line = rest[0] if len(rest) == 1 else " ".join(map(_quoted, rest))
            self._execute(pod.name, ["sh", "-c", line])
        elif sys.stdin.isatty():
            print(f"a shell in {pod.name}; `exit` ends it")
            self._execute(pod.name, ["env", f"PS1={pod.name}# ", "sh"])
        else:
            raise ValueError("expected a line: nobody types here")

    def _named(self, words: list[str]) -> tuple[Replica, list[str]]:
        """Give the pod that the first word names, or the current one, and the words after it."""
        if words and words[0] in {one.name for one in self._group.running}:
            return self._scene.pod(words), words[1:]
        return self._scene.pod([]), words


def _seconds(words: Sequence[str], default: float) -> float:
    try:
        seconds = float(words[0]) if words else default
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:  # noqa: PLR2004 - an hour
        raise ValueError(f"expected seconds, 0 to 3600, not {words[0]}")
    return seconds


def _healed(undone: Sequence[Begun]) -> None:
    for one in undone:
        print(f"healed: {one.line}")
    if not undone:
        print("nothing is broken")


def _quoted(word: str) -> str:
    """Quote a word for a shell, unless it is one of its signs."""
    return word if word in {"|", "||", "&&", ";", ">", ">>", "<", "&"} else shlex.quote(word)
