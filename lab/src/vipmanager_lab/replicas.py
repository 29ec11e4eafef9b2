"""Replicas of one application with the same floating IPs, for the warm standby: start and break.

What breaks alone: the wire between two pods in one direction, a pod's way to an API, a process,
a node's every packet. What a dead node's processes do meanwhile is up to who breaks it.
"""

import itertools
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from vipmanager.core.election.values import ElectionSettings
from vipmanager.core.failures import Failure
from vipmanager.edges import control
from vipmanager_lab.closing import Closing
from vipmanager_lab.control_plane import ControlPlane, MakeCluster
from vipmanager_lab.kube.cluster import Cluster
from vipmanager_lab.kube.faults import Faults as KubeFaults
from vipmanager_lab.latency import Latencies
from vipmanager_lab.netns import IPV4, IPV6
from vipmanager_lab.process import Process
from vipmanager_lab.world import TAG, World

HEALTH_PORT = 7000
"""Where the application accepts connections, for a HealthCheck."""
Heard = Callable[["Replica", Mapping[str, Any]], None]
TRUST = ElectionSettings().detect_multiplier
"""So many answers in a row make a standby believe in a silence."""
_LOOK = 0.01


class Replica:
    """One pod of the group, with the agent and the application in it."""

    def __init__(
        self,
        world: World,
        name: str,
        zone: str,
        *,
        floating: tuple[str, ...],
        environment: Mapping[str, str],
        heard: Heard,
        agent: bool = True,
    ) -> None:
        """Start the pod, then both containers; without `agent` the application alone."""
        self._world, self.name, self.zone = world, name, zone
        self.environment = dict(environment)
        """Of the agent's container."""
        self._floating, self._heard = floating, heard
        self.netns = world.start_pod(name, zone, floating)
        self.address = str(world.address(name))
        """The pod's primary address."""
        self.environment["POD_IPS"] = world.pod_ips(name)
        self._agent: Process | None = None
        if agent:
            self.start_agent()
        self.start_application()

    @property
    def uid(self) -> str:
        """The pod's UID, with which its identity in the Lease begins."""
        return self.environment["POD_UID"]

    def start_agent(self) -> None:
        """Start the agent's container; again, where it ended."""
        heard = partial(self._heard, self)
        self._agent = self._world.agent(self.netns, self.environment, heard=heard)

    @property
    def agent(self) -> Process:
        """The newest process of the agent.

        Raises:
            AssertionError: none was started.
        """
        if self._agent is None:
            raise AssertionError(f"{self.name} has no agent yet")
        return self._agent

    @property
    def has_agent(self) -> bool:
        """Whether an agent runs in it."""
        return self._agent is not None and self._agent.running

    def start_application(self) -> None:
        """Start the application's container; again, where it ended."""
        self.application: Process = self._world.application(
            self.netns, self._floating, listen=HEALTH_PORT
        )

    def status(self) -> Mapping[str, Any]:
        """Ask the agent for its status.

        Raises:
            Failure: there is no agent, or it does not answer.
        """
        return self.order("status")

    def order(self, word: str) -> Mapping[str, Any]:
        """Tell the agent to `yield` or to `claim`, as the command does; give its status.

        Raises:
            Failure: there is no agent, or it does not obey.
        """
        return self.netns.call(partial(control.ask, word))

    def await_role(self, role: str, *, seconds: float = 20, since: int = 0) -> Mapping[str, Any]:
        """Wait until the agent says that it is the `holder`, or a `standby`.

        Raises:
            AssertionError: it did not, or it ended.
        """
        return self.agent.wait_for(
            lambda r: r["event"] == "role" and r["role"] == role, seconds=seconds, since=since
        )

    def await_takeover(self, *, seconds: float = 20, since: int = 0) -> Mapping[str, Any]:
        """Wait until the agent has taken over, and read every route back.

        Raises:
            AssertionError: it did not, or it ended.
        """
        return self.agent.wait_for(lambda r: r["event"] == "takeover", seconds=seconds, since=since)

    def await_ready(self, *, seconds: float = 20) -> Mapping[str, Any]:
        """Wait until the agent is ready: it serves, or could take over. Give its status.

        Raises:
            AssertionError: it is not, with why.
        """
        return self.await_status(lambda s: bool(s["ready"]), seconds=seconds)

    def await_standby(self, *, seconds: float = 20) -> Mapping[str, Any]:
        """Wait until the agent could take over, also on silence alone; give its status.

        Raises:
            AssertionError: it can't, with the last status.
        """
        status = self.await_status(_warm, seconds=seconds)
        if self.environment.get("HeartbeatPort") != "0":
            self._await_replies(seconds)
        return status

    def await_status(
        self, wanted: Callable[[Mapping[str, Any]], bool], *, seconds: float = 20
    ) -> Mapping[str, Any]:
        """Wait for a state of the agent that no record tells of; give its status.

        Raises:
            AssertionError: it did not come, with the last status.
        """
        deadline = time.monotonic() + seconds
        last: object = "no status"
        while self.agent.running and time.monotonic() < deadline:
            try:
                last = status = self.status()
                if wanted(status):
                    return status
            except Failure as failure:
                last = failure
            time.sleep(_LOOK)
        said = "\n".join(self.agent.text)
        raise AssertionError(f"{self.name} is not as wanted after {seconds} s: {last}\n{said}")

    def _await_replies(self, seconds: float) -> None:
        """Wait for so many answered probes that the holder's silence would be believed."""
        # They are all that the pod of a standby hears over UDP.
        enough = self._datagrams() + TRUST + 1
        deadline = time.monotonic() + seconds
        while self._datagrams() < enough:
            if time.monotonic() > deadline:
                said = "\n".join(self.agent.text)
                raise AssertionError(f"{self.name} hears no heartbeat in {seconds} s\n{said}")
            time.sleep(_LOOK)

    def _datagrams(self) -> int:
        """Count the UDP datagrams that the pod took in (proc(5), /proc/net/snmp and snmp6)."""
        four, six = self.netns.call(
            lambda: [Path("/proc/thread-self/net", n).read_text() for n in ("snmp", "snmp6")]
        )
        names, values = (line.split() for line in four.splitlines() if line.startswith("Udp:"))
        (found,) = (line.split()[1] for line in six.splitlines() if "Udp6InDatagrams" in line)
        return int(dict(zip(names, values, strict=True))["InDatagrams"]) + int(found)

    def freeze(self) -> None:
        """Stop the agent's process without its noticing."""
        self.agent.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.agent.signal(signal.SIGCONT)


class Replicas(Closing):
    """The pods of one Deployment in a world, by zone, and the cluster that they are in."""

    def __init__(
        self,
        world: World,
        *,
        floating: tuple[str, ...] | None = None,
        config: Mapping[str, str] | None = None,
        heard: Heard = lambda _replica, _record: None,
        cluster: MakeCluster = Cluster,
        name: str = "app",
    ) -> None:
        """Make the cluster; start no pod yet.

        Args:
            world: where the pods run.
            floating: what each pod has on net1, net2, ...; default: those of pattern 1, IPv4.
            config: keys of the ConfigMap that differ from the defaults here.
            heard: takes every record of every agent, on a thread of its own.
            cluster: makes it, as `ControlPlane` has it.
            name: with which the pods' names begin.
        """
        self.world = world
        self.floating = floating or world.floating()
        self._heard, self._name = heard, name
        self.config: dict[str, str] = {
            "VPCRTTag": "=".join(TAG),
            "RunAsSidecar": "True",
            "LeaderElection": "True",
            **world.peers(6 if ":" in self.floating[0] else 4),
            **(config or {}),
        }
        self.plane = ControlPlane(world, cluster=cluster)
        self.plane.ship_lease()
        self.kube: KubeFaults = self.plane.cluster.faults
        """What goes wrong between pods and the Kubernetes API; EC2's are the world's."""
        self._numbers = itertools.count(1)
        self.running: list[Replica] = []

    def close(self) -> None:
        """End the cluster; the pods go with the world."""
        self.plane.close()

    def start(self, zone: str, **config: str) -> Replica:
        """Start one more replica in a zone."""
        return self._start(zone, config, agent=True)

    def start_without_agent(self, zone: str, **config: str) -> Replica:
        """Start one more replica in a zone, the application alone so far."""
        return self._start(zone, config, agent=False)

    def _start(self, zone: str, config: Mapping[str, str], *, agent: bool) -> Replica:
        name = f"{self._name}-{next(self._numbers)}"
        replica = Replica(
            self.world,
            name,
            zone,
            floating=self.floating,
            environment={**self.plane.create_pod(name, zone), **self.config, **config},
            heard=self._heard,
            agent=agent,
        )
        self.running.append(replica)
        return replica

    def end(self, replica: Replica) -> None:
        """Kill a replica at once, with its pod."""
        self.running.remove(replica)
        self.world.kill_pod(replica.name)
        if replica.has_agent:
            replica.agent.close()
        replica.application.close()
        self.plane.delete_pod(replica.name)

    def pair(self) -> tuple[Replica, Replica]:
        """Start a holder in zone a, then a standby in zone b, and wait until both are ready."""
        holder = self.start("a")
        holder.await_takeover()
        standby = self.start("b")
        standby.await_standby()
        return holder, standby

    def holder(self) -> Replica | None:
        """Give the replica that the Lease names."""
        identity = self.plane.lease()["spec"].get("holderIdentity") or ""
        return next((r for r in self.running if identity.startswith(f"{r.uid}/")), None)

    def points_at(self, zone: str) -> bool:
        """Tell whether every route of every floating IP points at its ENI in a zone."""
        enis = self.world.nodes[zone].secondary
        wanted = {
            (ip_network(self.world.destination(f)), eni)
            for f, eni in zip(self.floating, enis, strict=False)
        }
        tables = [t for t in self.world.account.state().tables if t.id in self.world.tables]
        return all(wanted <= {(r.destination, r.target) for r in t.routes} for t in tables)

    def pace(self, latencies: Latencies) -> None:
        """Let every call take its time."""
        self.world.faults.pace = latencies.ec2
        self.kube.pace = latencies.leases

    # --- breaking ------------------------------------------------------------------------------

    def sever(self, source: Replica, destination: Replica) -> None:
        """Lose every packet from one pod's primary address to the other's: one direction."""
        self._sever("add", source, destination)

    def mend(self, source: Replica, destination: Replica) -> None:
        """Undo `sever`."""
        self._sever("del", source, destination)

    def _sever(self, verb: str, source: Replica, destination: Replica) -> None:
        family = IPV6 if ":" in source.address else IPV4
        line = f"rule {verb} {_severed(source, destination)}"
        self.world.network.vpc.ip_batch([line], family=family)


def _warm(status: Mapping[str, Any]) -> bool:
    election = status.get("election", {})
    return bool(status["ready"] and election.get("role") == "standby")


def _severed(source: Replica, destination: Replica) -> str:
    """Write the router's rule: see the table in `lab/router.py`."""
    return f"pref 20 from {source.address} to {destination.address} blackhole"
