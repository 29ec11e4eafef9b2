"""Kubernetes Events on the pod: a reporter that never makes a pass wait.

It has a thread and a short queue of its own. Repeats are counted in one Event and the rate is
limited, as client-go's recorder does (client-go, tools/record/events_cache.go).
"""

import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from vipmanager.core.downward import PodReference, this_pod
from vipmanager.core.events import Event, Occurrence, Reason, Told, occurrences
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.report import Report
from vipmanager.core.retry import Bucket, backoff
from vipmanager.core.settings import Rate

RATE = Rate(burst=25, refill=1 / 300)
"""Events at once, then a second: client-go's default for one object."""
QUEUE = 64
"""Occurrences that wait while the API is away; the oldest go first."""
REMEMBERED = 256
"""Events that a repeat can still be counted in."""
SLOWEST = 30.0
"""Seconds between two attempts at the most."""

Key = tuple[Reason, str]
Say = Callable[[str, str, str], None]
"""Writes a log line: level, a word for machines, a sentence."""


class Api(Protocol):
    """Where Events go."""

    @property
    def namespace(self) -> str:
        """The pod's namespace; `Permanent` where nobody knows it."""
        ...

    def record(self, event: Event) -> None:
        """Make the Event with this name be so; `Transient` or `Permanent` where it is not."""
        ...


class PodEvents:
    """A `Reporter` that posts Events on the pod.

    The first refusal that repeating can't change ends it, with one line in the log: an agent
    without the permission steers as well as one with it.
    """

    def __init__(self, api: Api, environ: Mapping[str, str], *, say: Say) -> None:
        """Start nothing yet; the environment tells which pod this is."""
        self._api = api
        self._environ = environ
        self._say = say
        self._told: Told = frozenset()
        self._changed = threading.Condition()
        self._waiting: dict[Key, tuple[Occurrence, float]] = {}
        self._busy = False
        self._ended = False
        self._thread: threading.Thread | None = None
        self._posted: dict[Key, Event] = {}
        self._bucket = Bucket.full(RATE, time.monotonic())

    def report(self, report: Report) -> None:
        """Take one pass's report."""
        news, self._told = occurrences(report, self._told)
        for one in news:
            self.tell(one)

    def tell(self, one: Occurrence) -> None:
        """Post what no pass reports, such as a change of role; never blocks."""
        with self._changed:
            # What waits already is told once, in its newest words.
            key = (one.reason, one.subject)
            self._waiting.pop(key, None)
            self._waiting[key] = (one, time.time())
            if len(self._waiting) > QUEUE:
                del self._waiting[next(iter(self._waiting))]
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name="events", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until all is posted, for an initContainer that ends; False where it is not."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._ended or not (self._waiting or self._busy), seconds
            )

    def _live(self) -> None:
        try:
            pod = this_pod(self._environ, lambda: self._api.namespace)
            while True:
                self._deliver(pod, *self._next())
        except Permanent as failure:
            self._say("warning", "events", f"no Kubernetes Events from now on: {failure}")
        except Exception as bug:  # noqa: BLE001 - steering goes on without Events
            self._say("error", "events", f"no Kubernetes Events from now on: a bug: {bug!r}")
        finally:
            with self._changed:
                self._ended, self._busy = True, False
                self._waiting.clear()
                self._changed.notify_all()

    def _next(self) -> tuple[Occurrence, float]:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: bool(self._waiting))
            self._busy = True
            return self._waiting.pop(next(iter(self._waiting)))

    def _deliver(self, pod: PodReference, one: Occurrence, at: float) -> None:
        """Post, and again until it is posted; what happens meanwhile waits in the queue."""
        taken, wait = self._bucket.take(time.monotonic())
        if wait > 0:
            self._say("debug", "events", f"too many Events, not posted: {one.message}")
            return
        self._bucket = taken
        event = self._event(pod, one, at)
        attempt = 0
        while True:
            try:
                self._api.record(event)
                break
            except Transient as failure:
                if attempt == 0:
                    self._say("warning", "events", f"a Kubernetes Event has to wait: {failure}")
                luck = 0.5 + random.random() / 2  # noqa: S311 - jitter
                time.sleep(backoff(attempt, luck, base=1.0, cap=SLOWEST))
                attempt += 1
        if attempt:
            self._say("info", "events", "the Kubernetes API takes Events again")
        self._posted.pop((one.reason, one.subject), None)
        self._posted[one.reason, one.subject] = event
        if len(self._posted) > REMEMBERED:
            del self._posted[next(iter(self._posted))]

    def _event(self, pod: PodReference, one: Occurrence, at: float) -> Event:
        before = self._posted.get((one.reason, one.subject))
        return Event(
            # Unlike a time, it can't be that of another process in the same pod.
            name=before.name if before else f"{pod.name}.{secrets.token_hex(8)}",
            pod=pod,
            reason=one.reason,
            message=one.message,
            count=before.count + 1 if before else 1,
            first=before.first if before else at,
            last=at,
        )
