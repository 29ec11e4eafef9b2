"""A pod with the agent in it, for the tests of the whole."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema

from vipmanager_lab.netns import Netns
from vipmanager_lab.process import Process
from vipmanager_lab.world import TAG, World

WIDE = "1000"
"""Columns in which no line is broken."""

SCHEMAS = Path(__file__).parents[1] / "docs" / "schema"


class Stage:
    """A pod with the agent in it, in one zone."""

    def __init__(self, world: World, *, pattern: int = 1, version: int = 4) -> None:
        self.world = world
        self.version = version
        self.floating = world.floating(pattern=pattern, version=version)
        self.config: dict[str, str] = {
            "VPCRTTag": "=".join(TAG),
            "SubnetBasedLoopbacks": str(pattern == 2),
            "InitTimeoutSeconds": "20",
            **world.peers(version),
        }

    def pod(self, zone: str = "a", name: str = "pod", **options: bool) -> Netns:
        return self.world.start_pod(name, zone, self.floating, **options)

    def init(self, pod: Netns, **config: str) -> Process:
        return self.world.agent(pod, {**self.config, **config})

    def sidecar(self, pod: Netns, **config: str) -> Process:
        return self.init(pod, RunAsSidecar="True", **{"ResyncSeconds": "1", **config})

    def destinations(self) -> list[str]:
        return [self.world.destination(f) for f in self.floating]

    def enis(self, zone: str) -> list[str]:
        return list(self.world.nodes[zone].secondary)

    def points_at(self, zone: str) -> bool:
        return all(
            self.world.targets(d) == {eni}
            for d, eni in zip(self.destinations(), self.enis(zone), strict=True)
        )

    def answers(self) -> None:
        """Probe from the client until every floating IP answers."""
        prober = self.world.probe(self.floating)
        for floating in self.floating:
            bare = floating.partition("/")[0]
            prober.wait_for(lambda r, a=bare: r["event"] == "answered" and r["address"] == a)  # type: ignore[misc]
        prober.close()


class Typed:
    """What a command printed, typed in a namespace, and its exit code."""

    def __init__(
        self,
        stage: Stage,
        where: Netns,
        *words: str,
        before: Sequence[str] = (),
        **config: str,
    ) -> None:
        process = where.popen(
            [*before, sys.executable, "-m", "vipmanager", *words],
            env=stage.world.container_environment({"COLUMNS": WIDE, **stage.config, **config}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = process.communicate(timeout=60)
        self.code, self.out, self.err = process.returncode, out.decode(), err.decode()

    def document(self, schema: str) -> Mapping[str, Any]:
        """Give the JSON that was printed, which is as its documentation says."""
        found: Mapping[str, Any] = json.loads(self.out)
        jsonschema.validate(found, json.loads((SCHEMAS / f"{schema}.json").read_text()))
        return found


def converged(record: Mapping[str, object]) -> bool:
    return record["event"] == "converged"


def wait_until(true: Callable[[], bool], *, seconds: float = 25) -> None:
    """Wait for a state of the world that no event tells of.

    Raises:
        AssertionError: it did not come.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("the world did not come to be as expected")
        time.sleep(0.05)
