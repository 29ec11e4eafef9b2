"""Kubernetes Events on the pod: a reporter that never makes a pass wait.

Repeats are counted in one Event and the rate is limited, as client-go's recorder does (client-go,
tools/record/events_cache.go).
"""

import secrets
import time
from collections.abc import Mapping

from vipmanager.core.downward import PodReference, this_pod
from vipmanager.core.events import Event, Occurrence, Posted, Reason, occurrences
from vipmanager.core.report import Report
from vipmanager.core.retry import Bucket
from vipmanager.core.settings import Rate
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.delivery import Delivery, Say

RATE = Rate(burst=25, refill=1 / 300)
"""Events at once, then a second: client-go's default for one object."""
REMEMBERED = 256
"""Events that a repeat can still be counted in."""

Told = tuple[Occurrence, float, str]
"""What happened, when (Unix seconds), and a name that no other process in the same pod draws."""


class PodEvents:
    """A `Reporter` that posts Events on the pod."""

    def __init__(self, api: Kube, environ: Mapping[str, str], *, say: Say) -> None:
        """Start nothing yet; the environment tells which pod this is."""
        self._api, self._say = api, say
        self._told: Posted = frozenset()
        self._posted: dict[tuple[Reason, str], Event] = {}
        self._bucket = Bucket.full(RATE, time.monotonic())
        self._delivery = Delivery(
            self._post,
            lambda: this_pod(environ, lambda: api.namespace),
            say=say,
            about="events",
            one="a Kubernetes Event",
            more="Kubernetes Events",
        )

    def report(self, report: Report) -> None:
        """Take one pass's report."""
        news, self._told = occurrences(report, self._told)
        for one in news:
            self.tell(one)

    def tell(self, one: Occurrence) -> None:
        """Post what no pass reports, such as a change of role; never blocks.

        What waits already is told once, in its newest words.
        """
        told: Told = (one, time.time(), secrets.token_hex(8))
        self._delivery.put(told, key=(one.reason, one.subject))

    def drain(self, seconds: float) -> bool:
        """Wait until all is posted, for an initContainer that ends; False where it is not.

        What is refused is not waited for.
        """
        return self._delivery.drain(seconds)

    def _post(self, pod: PodReference, told: Told) -> str:
        one, at, name = told
        taken, wait = self._bucket.take(time.monotonic())
        if wait > 0:
            self._say("debug", "events", f"too many Events, not posted: {one.message}")
            return ""
        before = self._posted.get((one.reason, one.subject))
        event = Event(
            name=before.name if before else f"{pod.name}.{name}",
            pod=pod,
            reason=one.reason,
            message=one.message,
            count=before.count + 1 if before else 1,
            first=before.first if before else at,
            last=at,
        )
        self._api.record(event)
        self._bucket = taken  # only now: an Event counts once, however often it is tried
        self._posted.pop((one.reason, one.subject), None)
        self._posted[one.reason, one.subject] = event
        if len(self._posted) > REMEMBERED:
            del self._posted[next(iter(self._posted))]
        return "the Kubernetes API takes Events again"
