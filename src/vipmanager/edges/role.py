"""The pod label `vipmanager/role`: which replica steers, for `kubectl get pods -l` and Services.

It has a thread of its own, so that the election never waits for it.
"""

import random
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from vipmanager.core.downward import PodReference, this_pod
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.retry import backoff

SLOWEST = 30.0
"""Seconds between two attempts at the most."""

Say = Callable[[str, str, str], None]
"""Writes a log line: level, a word for machines, a sentence."""


class Api(Protocol):
    """Where the label is."""

    @property
    def namespace(self) -> str:
        """The pod's namespace; `Permanent` where nobody knows it."""
        ...

    def label_pod(self, pod: PodReference, role: str) -> None:
        """Make the label be so; `Transient` or `Permanent` where it is not, or nobody knows."""
        ...


class RoleLabel:
    """Keeps the label at the newest role.

    The first refusal that repeating can't change ends it, with one line in the log: a replica
    without the permission steers as well as one with it.
    """

    def __init__(self, api: Api, environ: Mapping[str, str], *, say: Say) -> None:
        """Start nothing yet; the environment tells which pod this is."""
        self._api, self._environ, self._say = api, environ, say
        self._changed = threading.Condition()
        self._wanted = ""
        self._thread: threading.Thread | None = None

    def show(self, role: str) -> None:
        """Make `holder` or `standby` the label, soon."""
        with self._changed:
            self._wanted = role
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name="role", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _live(self) -> None:
        try:
            pod = this_pod(self._environ, lambda: self._api.namespace)
            shown = ""
            while True:
                shown = self._deliver(pod, shown)
        except Permanent as failure:
            self._say("warning", "label", f"no role label from now on: {failure}")
        except Exception as bug:  # noqa: BLE001 - steering goes on without the label
            self._say("error", "label", f"no role label from now on: a bug: {bug!r}")

    def _deliver(self, pod: PodReference, shown: str) -> str:
        """Wait for another role than is shown, and show the newest; give that."""
        attempt = 0
        role = self._other_than(shown)
        while True:
            try:
                self._api.label_pod(pod, role)
                break
            except Transient as failure:
                if attempt == 0:
                    self._say("warning", "label", f"the role label has to wait: {failure}")
                luck = 0.5 + random.random() / 2  # noqa: S311 - jitter
                wait = backoff(attempt, luck, base=1.0, cap=SLOWEST)
                # Even a role that was shown before is written again: the lost call may have landed.
                role = self._other_than(role, wait)
                attempt += 1
        if attempt:
            self._say("info", "label", f"the role label is {role} now")
        return role

    def _other_than(self, role: str, seconds: float | None = None) -> str:
        """Wait until another role is wanted, or time is over; give the one that is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted != role, seconds)
            return self._wanted
