"""One world with the agent in it, and every fault as something done to it and undone again."""

import sys
from collections.abc import Callable
from pathlib import Path

from chaos.clock import WallClock
from chaos.container import Container
from chaos.schedule import (
    ClockStep,
    Kind,
    Schedule,
)
from vipmanager_lab.netns import Netns
from vipmanager_lab.world import TAG, World

RATE = (20, 20)
"""Burst and refill of `ApiRate`: less than a schedule would like to spend."""

PORT = 8080
UNTIL_A_PERSON_ACTS = "86400"
BASE = 4
GATEWAY = "igw-0c0ffee0000000000"
DEAD = "eni-0000000000000dead"

Undo = Callable[[], None]


class Stage:
    """The world of one schedule."""

    def __init__(self, plan: Schedule, world: World, folder: Path) -> None:
        self.plan = plan
        self.world = world
        self.folder = folder
        self.floating = world.floating(pattern=plan.pattern, version=plan.version)
        self.destinations = [world.destination(f) for f in self.floating]
        self.extra = "192.168.0.{}/24" if plan.version == 4 else "fd00:100::{}/64"
        self.tables = list(world.tables)
        """The selected tables that exist."""
        self.selected = set(world.tables)
        """Every table that was ever selected."""
        self.present: dict[str, int] = dict(
            zip(self.floating, range(1, len(self.floating) + 1), strict=True)
        )
        """The floating IPs that shall be in pod a, with the number of their interface."""
        self.ever = set(self.destinations)
        """Every destination that was ever ours to write."""
        self.gateways: set[tuple[str, str]] = set()
        """(table, destination) of routes to a gateway that nobody may touch."""
        self.squatted: set[str] = set()
        """Destinations in which somebody else's ENI lives, so that nobody may capture them."""
        self.problems: list[str] = []
        self.clock = WallClock(folder / "clock")
        self._seed_vpc()
        self._pods = {
            zone: world.start_pod(f"pod-{zone}", zone, self.floating) for zone in plan.zones
        }
        for pod in self._pods.values():
            pod.ip_batch(["route add 10.200.0.0/16 via 169.254.1.1 dev eth0 proto static"])
            pod.ip_batch(["rule add from 10.77.0.1 lookup 100 priority 100"])
        self.containers = {
            zone: Container(world, pod, self._config(), zone=zone, argv=self._command())
            for zone, pod in self._pods.items()
        }

    def _command(self) -> list[str]:
        """Give the container's command: the agent's own, unless it has to be prepared."""
        if not any(self.plan.having(ClockStep)):
            return [sys.executable, "-m", "vipmanager", "run"]
        return [sys.executable, str(Path(__file__).with_name("agent.py")), "run"]

    def _config(self) -> dict[str, str]:
        kind = self.plan.kind
        config = {
            "VPCRTTag": "=".join(TAG),
            "SubnetBasedLoopbacks": str(self.plan.pattern == 2),
            "RunAsSidecar": str(kind is not Kind.INIT),
            "ResyncSeconds": UNTIL_A_PERSON_ACTS if kind is Kind.STARTUP else "1",
            "UseSBR": str(self.plan.source_routing),
            "ApiRate": f"{RATE[0]}/{RATE[1]}",
            "LogLevel": "debug",
        }
        if kind is not Kind.INIT:
            config["HTTPPort"] = str(PORT)
        if not self.plan.source_routing:
            config |= self.world.peers(self.plan.version)
        if any(self.plan.having(ClockStep)):
            config |= self.clock.environment()
        return config

    def _seed_vpc(self) -> None:
        """Put in what is not ours, and what was there before."""
        account, world = self.world.account, self.world
        others = account.create_route_table(world.vpc, tags={"role": "other"})
        alive = world.nodes["b"].secondary[1]
        for destination in self.destinations:
            account.put_route(others, destination, alive)
            for table in self.tables:
                match self.plan.before:
                    case "dead":
                        account.put_route(table, destination, DEAD)
                    case "live":
                        account.put_route(table, destination, alive)
        for table in self.tables:
            account.put_route(table, "10.99.0.0/16", GATEWAY)
            account.put_route(table, "192.168.0.200/32", alive)

    def foreign(self) -> dict[tuple[str, str], str]:
        """Give every route that is not ours to write, of all tables that are not deleted."""
        return {
            (table.id, str(route.destination)): route.target
            for table in self.world.account.state().tables
            for route in table.routes
            if table.id not in self.selected or str(route.destination) not in self.ever
        }

    def enis(self, zone: str) -> dict[str, str]:
        """Give the ENI for each destination that shall be, by the pod's zone."""
        carriers = self.world.nodes[zone].secondary
        return {
            self.world.destination(floating): carriers[number - 1]
            for floating, number in self.present.items()
        }

    def lost(self) -> dict[str, str]:
        """Give the ENIs of pod a to which routes lead whose address is there no more."""
        mine, gone = self.world.nodes["a"].secondary, self.ever - set(self.enis("a"))
        return {
            str(route.destination): route.target
            for table in self.world.account.state().tables
            for route in table.routes
            if table.id in self.tables and str(route.destination) in gone and route.target in mine
        }

    def heal(self) -> None:
        """End what ends by itself one day; faults that are counted end with their count."""
        self.world.faults.release_hangs()
        self.world.credentials_seconds = 3600.0

    def pod(self, zone: str) -> Netns:
        """Give a pod's namespace."""
        return self._pods[zone]

    def look(self) -> None:
        """See whether what the guard has to refuse was written."""
        for table, destination in sorted(self.gateways):
            if table in self.tables and self.world.target(table, destination) != GATEWAY:
                self.problems.append(f"a gateway lost {destination} in {table}")
        for destination in sorted(self.squatted):
            if any(self.world.target(t, destination) for t in self.tables):
                self.problems.append(f"{destination} was captured, and an ENI lives in it")
