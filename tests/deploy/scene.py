"""A sidecar under the eyes of Prometheus, and what can go wrong for it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

import pytest

from agent_fixtures import Stage, converged, wait_until
from deploy.prometheus import PORT, Prometheus, need, target
from vipmanager_lab.ec2.faults import Unreachable
from vipmanager_lab.netns import Netns
from vipmanager_lab.process import Process
from vipmanager_lab.world import TAG, World

ADDRESS = "192.168.0.1"


@dataclass(slots=True, kw_only=True)
class Scene:
    """A sidecar that has converged, and a Prometheus that scrapes it."""

    stage: Stage
    pod: Netns
    agent: Process
    prometheus: Prometheus

    @classmethod
    def built(cls, folder: Path) -> Self:
        stage = Stage(World())
        try:
            pod = stage.pod()
            prometheus = Prometheus(pod, folder, [target()])
            process = _sidecar(stage, pod)
            prometheus.wait_for_scrapes(3)
        except BaseException:
            stage.world.close()
            raise
        return cls(stage=stage, pod=pod, agent=process, prometheus=prometheus)

    def close(self) -> None:
        self.world.close()

    @property
    def world(self) -> World:
        return self.stage.world

    def command(self, *words: str) -> None:
        argv = [sys.executable, "-m", "vipmanager", *words]
        assert self.world.agent(self.pod, {}, argv=argv).wait() == 0

    def lose_a_route(self, table: int = 0) -> None:
        self.world.account.drop_route(self.world.tables[table], f"{ADDRESS}/32")


class Watched(Protocol):
    """What a Prometheus watches."""

    prometheus: Prometheus

    def close(self) -> None: ...


W = TypeVar("W", bound=Watched)


class Theatre(Generic[W]):
    """Keeps a scene while it is calm: Prometheus looks for targets every 5 s only."""

    def __init__(self, folders: pytest.TempPathFactory, build: Callable[[Path], W]) -> None:
        self._folders, self._build = folders, build
        self._scene: W | None = None

    def scene(self) -> W:
        if self._scene is not None and self._scene.prometheus.firing():
            self.close()
        if self._scene is None:
            need("prometheus")
            self._scene = self._build(self._folders.mktemp("prometheus"))
        return self._scene

    def close(self) -> None:
        if self._scene is not None:
            self._scene.close()
            self._scene = None


def _sidecar(stage: Stage, pod: Netns, **config: str) -> Process:
    process = stage.sidecar(pod, HTTPPort=str(PORT), ResyncSeconds="3", **config)
    process.wait_for(converged)
    return process


def sidecar_dies(scene: Scene) -> None:
    scene.agent.close()


def sidecar_starts(scene: Scene) -> None:
    scene.agent = _sidecar(scene.stage, scene.pod)


def dry_run_misses_a_route(scene: Scene) -> None:
    scene.agent.close()
    scene.agent = _sidecar(scene.stage, scene.pod, DryRun="True")
    scene.lose_a_route()


def dry_run_is_over(scene: Scene) -> None:
    scene.agent.close()
    sidecar_starts(scene)


def pod_yields(scene: Scene) -> None:
    scene.command("yield")


def pod_claims(scene: Scene) -> None:
    scene.command("claim")


def rival_takes_over(scene: Scene) -> None:
    for table in scene.world.tables:
        scene.world.account.put_route(table, f"{ADDRESS}/32", scene.stage.enis("b")[0])


def check_is_switched_on(scene: Scene) -> None:
    scene.world.account.set_source_dest_check(scene.stage.enis("a")[0], enabled=True)


def check_is_switched_off(scene: Scene) -> None:
    scene.world.account.set_source_dest_check(scene.stage.enis("a")[0], enabled=False)


def address_is_removed(scene: Scene) -> None:
    scene.pod.run(["ip", "address", "del", f"{ADDRESS}/24", "dev", "net1"])


def address_is_back(scene: Scene) -> None:
    scene.pod.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "net1"])


def tables_lose_their_tag(scene: Scene) -> None:
    for table in scene.world.tables:
        scene.world.account.tag_route_table(table, {TAG[0]: "other"})


def tables_are_tagged(scene: Scene) -> None:
    for table in scene.world.tables:
        scene.world.account.tag_route_table(table, dict([TAG]))


def ec2_is_cut_off(scene: Scene) -> None:
    scene.world.faults.unreachable = Unreachable.CLOSES


def ec2_is_back(scene: Scene) -> None:
    scene.world.faults.clear()


def writes_fail_for_a_while(scene: Scene) -> None:
    scene.world.faults.fail_next("CreateRoute", "InternalError", 500, times=10_000)
    scene.lose_a_route()


def writes_are_denied(scene: Scene) -> None:
    scene.world.faults.deny("CreateRoute")
    scene.lose_a_route()


def others_use_up_the_budget(scene: Scene) -> None:
    scene.world.faults.throttle("CreateRoute", 0, 0.1)
    for table in scene.world.tables:
        for destination in scene.stage.destinations():
            scene.world.account.drop_route(table, destination)


def ec2_is_slow(scene: Scene) -> None:
    scene.world.faults.latency = 2.0
    scene.lose_a_route()


def routes_vanish_again_and_again(scene: Scene) -> None:
    # In a table each: within 5 s of a write, its absence is taken for EC2's lag.
    for table in range(3):
        before = scene.prometheus.value("vipmanager_repairs_total")
        scene.lose_a_route(table)
        wait_until(lambda b=before: scene.prometheus.value("vipmanager_repairs_total") > b)  # type: ignore[misc]


def target_vanishes(scene: Scene) -> None:
    scene.prometheus.discover([])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Generic[W]):
    """What goes wrong, what ends it, and which alerts may come along."""

    strike: Callable[[W], None]
    mend: Callable[[W], None] | None = None
    """None where the alert looks back for a while, or something would remain of the fault."""
    company: frozenset[str] = frozenset()


UNWRITTEN = frozenset({"VipmanagerRoutesWrong", "VipmanagerStale"})

FAULTS: dict[str, Fault[Scene]] = {
    "VipmanagerNotReady": Fault(strike=pod_yields, mend=pod_claims),
    "VipmanagerDisplaced": Fault(strike=rival_takes_over, mend=pod_claims),
    "VipmanagerLost": Fault(
        strike=address_is_removed,
        mend=address_is_back,
        company=frozenset({"VipmanagerFinding"}),  # of the peer that can't be answered
    ),
    "VipmanagerSourceDestCheck": Fault(
        strike=check_is_switched_on,
        mend=check_is_switched_off,
        company=frozenset({"VipmanagerLost"}),
    ),
    "VipmanagerFinding": Fault(strike=tables_lose_their_tag, mend=tables_are_tagged),
    "VipmanagerStale": Fault(
        strike=ec2_is_cut_off, mend=ec2_is_back, company=frozenset({"VipmanagerDegraded"})
    ),
    "VipmanagerDryRunDiffers": Fault(
        strike=dry_run_misses_a_route,
        mend=dry_run_is_over,
        company=frozenset({"VipmanagerDown"}),
    ),
    "VipmanagerDown": Fault(strike=sidecar_dies, mend=sidecar_starts),
    "VipmanagerRoutesWrong": Fault(strike=writes_fail_for_a_while, company=UNWRITTEN),
    "VipmanagerRefused": Fault(
        strike=writes_are_denied,
        company=frozenset({"VipmanagerRoutesWrong", "VipmanagerNotReady"}),
    ),
    "VipmanagerThrottled": Fault(
        strike=others_use_up_the_budget, company=UNWRITTEN | {"VipmanagerFailoverSlow"}
    ),
    "VipmanagerFailoverSlow": Fault(strike=ec2_is_slow, company=UNWRITTEN),
    "VipmanagerFlapping": Fault(
        strike=routes_vanish_again_and_again, company=frozenset({"VipmanagerRoutesWrong"})
    ),
    "VipmanagerAbsent": Fault(strike=target_vanishes),
}
"""For each alert the fault that it is for; those that leave a calm scene behind come first."""
