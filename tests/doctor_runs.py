"""`vipmanager doctor`, typed in a pod, and what it says."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from agent_fixtures import Stage, Typed
from vipmanager_lab.netns import Netns

VIPMANAGER = (sys.executable, "-m", "vipmanager")


class DoctorRun:
    """One run of doctor."""

    def __init__(
        self,
        stage: Stage,
        where: Netns,
        *words: str,
        before: Sequence[str] = (),
        **config: str,
    ) -> None:
        typed = Typed(stage, where, "doctor", "--output", "json", *words, before=before, **config)
        self.code, self.err = typed.code, typed.err
        self.document: Mapping[str, Any] = json.loads(typed.out) if typed.out else {"checks": []}
        self.checks = {c["check"]: c for c in self.document["checks"]}

    def state(self, check: str) -> str:
        """Give the state of a check."""
        return str(self.checks[check]["state"])

    def faults(self) -> dict[str, str]:
        """Give the checks that have an error or a warning, and which."""
        found = {code: str(c["state"]) for code, c in self.checks.items()}
        return {code: state for code, state in found.items() if state in {"error", "warning"}}

    def finding(self, check: str, *names: str) -> str:
        """Find what a check says of these objects; give its remedy.

        Raises:
            AssertionError: it says nothing of them.
        """
        for found in self.checks[check]["findings"]:
            if all(name in found["what"] for name in names):
                return str(found["fix"])
        raise AssertionError(f"{check} says nothing of {names}: {self.checks[check]}")


def follow(stage: Stage, pod: Netns, command: str, **config: str) -> None:
    """Type a `vipmanager` command of a remedy in the pod.

    Raises:
        AssertionError: it failed.
    """
    program, *words = command.split()
    assert program == "vipmanager"
    done = stage.world.agent(pod, {**stage.config, **config}, argv=[*VIPMANAGER, *words])
    assert done.wait(60) == 0, done.text
