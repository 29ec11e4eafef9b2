"""The demo's story of the warm standby: its zone fails, it takes over, and it hands back.

The zone fails alone, or with what the loss of a zone does to EC2 and to connections.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from vipmanager_lab.client import bare
from vipmanager_lab.control_plane import MakeCluster
from vipmanager_lab.ec2.faults import Impairment
from vipmanager_lab.kube.cluster import Cluster
from vipmanager_lab.latency import LATENCIES, Latencies
from vipmanager_lab.replicas import Replica, Replicas
from vipmanager_lab.story import Audience, Nobody, Outcome, Story, Telling
from vipmanager_lab.world import World

LOSS, IMPAIRED, HAND_OVER = "zone a fails", "zone a is lost", "hand-over"
"""The parts of the story, one of the first two and the last, each with an outcome of its own."""
_AFTERMATH = 6.0
"""Seconds for which describes go on failing after the takeover, watched: several resyncs."""
_RESYNC = 2
_PATIENCE = 20.0
_LOOK = 0.2
_WORDS: Mapping[Impairment, str] = {
    "fail": "fail with InternalError",
    "throttle": "are refused with RequestLimitExceeded",
    "hang": "get no answer",
}
_TAIL = 0.1
"""Seconds of probes after the last route: what is not answered now never will be."""
_TOLD = {"role", "takeover"}
"""What agents log that the story repeats."""


def stories(*, pattern: int | None = None, version: int | None = None) -> Iterator[Story]:
    """Give every story that the choices leave."""
    for p, v in itertools.product((1, 2), (4, 6)):
        if pattern in {None, p} and version in {None, v}:
            yield Story(pattern=p, mode="standby", version=v)


def tell(
    story: Story,
    audience: Audience | None = None,
    *,
    latencies: Latencies = LATENCIES["today"],
    impaired: Impairment | None = None,
    cluster: MakeCluster = Cluster,
) -> tuple[Outcome, ...]:
    """Play the story in a world of its own; the audience is told each event as it happens.

    With `impaired` zone a is lost as AWS loses one, and describes end so until it heals.
    It has two outcomes, or one where nobody took over.

    Raises:
        AssertionError: an agent or a probe did not do what the story needs.
    """
    with World() as world:
        floating = world.floating(pattern=story.pattern, version=story.version)
        telling = Telling(world=world, floating=floating, audience=audience or Nobody())

        def heard(replica: Replica, record: Mapping[str, Any]) -> None:
            if record.get("event") in _TOLD:
                telling.tell(f"{replica.name}: {_said(record)}")

        config = {"SubnetBasedLoopbacks": str(story.pattern == 2)}  # noqa: PLR2004 - its name
        if impaired is not None:
            config["ResyncSeconds"] = str(_RESYNC)
        with Replicas(
            world, floating=floating, config=config, heard=heard, cluster=cluster
        ) as group:
            group.pace(latencies)
            return _Play(story, telling, group, impaired).parts()


def _said(record: Mapping[str, Any]) -> str:
    if record["event"] == "takeover":
        return f"every route is read back after {record['seconds']:.2f} s"
    return str(record["text"])


class _Play:
    """One performance."""

    def __init__(
        self, story: Story, telling: Telling, group: Replicas, impaired: Impairment | None
    ) -> None:
        self._story, self._telling, self._group = story, telling, group
        self._impaired = impaired
        self._first = 0
        """Number of the event with which the present part began."""

    def parts(self) -> tuple[Outcome, ...]:
        """Play both parts, the second one only after a takeover."""
        holder = self._start("a")
        holder.await_takeover()
        standby = self._start("b")
        standby.await_standby()
        self._telling.tell(f"{standby.name} could take over: warm standby")
        part, lose = LOSS, self._lose
        if self._impaired is not None:
            part, lose = IMPAIRED, partial(self._impair, self._impaired, standby)
        loss = self._part(part, "b", partial(lose, "a"), standby)
        if not loss.answered:
            return (loss,)
        self._group.end(holder)
        self._group.world.heal_zone("a")
        if self._impaired is not None:
            self._telling.tell("zone a is back, and EC2 answers describes")
        back = self._start("a")
        back.await_standby()
        self._telling.tell(f"{back.name} could take over: nothing moves back on its own")
        return loss, self._part(HAND_OVER, "a", lambda: self._yield(standby), back)

    def _start(self, zone: str) -> Replica:
        replica = self._group.start(zone)
        self._telling.tell(f"{replica.name} starts in zone {zone}, agent and application")
        return replica

    def _part(self, part: str, zone: str, blow: Callable[[], float], heir: Replica) -> Outcome:
        """Strike while the client probes, and see who answers."""
        telling = self._telling
        client = telling.probe()
        telling.await_answers()
        telling.tell(f"a client probes {' and '.join(map(bare, telling.floating))}")
        telling.calm()
        struck = blow()
        taken = self._answered(zone) if part != HAND_OVER else True
        if part == IMPAIRED:
            taken = self._holds_blind(heir, zone, struck) and taken
        else:
            taken = self._taken(heir, zone) and taken
        if taken and part == HAND_OVER:
            telling.tell(f"every floating IP answers from zone {zone}")
        taken = taken and telling.calm()
        client.end()
        outcome = telling.outcome(
            replace(self._story, mode=f"{self._story.mode}, {part}"),
            client,
            struck=struck,
            answered=taken and client.longest(struck) < float("inf"),
        )
        if not outcome.answered:
            telling.tell(f"not every floating IP answers from zone {zone}")
        telling.rest()
        first, self._first = self._first, len(telling.events)
        return replace(outcome, events=tuple(telling.events[first:]))

    def _answered(self, zone: str) -> bool:
        """Wait until every floating IP answers again."""
        try:
            self._telling.await_answers()
        except AssertionError:
            return False
        self._telling.tell(f"every floating IP answers from zone {zone}")
        return True

    def _taken(self, heir: Replica, zone: str) -> bool:
        """Wait until the heir says that all is right, and a little longer; tell whether it is."""
        try:
            heir.await_takeover()
        except AssertionError:
            return False
        self._group.world.settle()
        time.sleep(_TAIL)
        return self._group.points_at(zone)

    def _lose(self, zone: str) -> float:
        return self._telling.strike(
            lambda: self._group.world.fail_zone(zone), f"zone {zone} fails: no packet comes or goes"
        )

    def _impair(self, how: Impairment, heir: Replica, zone: str) -> float:
        world = self._group.world
        kept = world.services.connections(heir.address)
        struck = self._telling.strike(
            lambda: world.impair_zone(zone, how), f"zone {zone} is lost: no packet comes or goes"
        )
        lost = sum(one.zone == zone for one in kept)
        for said in (
            f"{lost} of {heir.name}'s {len(kept)} open connections lead there: silence",
            f"describes {_WORDS[how]}",
        ):
            self._telling.tell(said)
        return struck

    def _holds_blind(self, heir: Replica, zone: str, struck: float) -> bool:
        """Wait for the last route, then watch the heir while EC2 answers no describe."""
        group, end = self._group, time.monotonic() + _PATIENCE
        while not group.points_at(zone):
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK / 10)
        last = time.monotonic() - struck
        self._telling.tell(f"every route leads to zone {zone}, {last:.1f} s after the loss")
        unready, end = "", time.monotonic() + _AFTERMATH
        while time.monotonic() < end and not unready:
            status = heir.status()
            if not status["ready"]:
                unready = str(status["why"])
            time.sleep(_LOOK)
        asked = [c for c in group.world.endpoint.calls if c.action.startswith("Describe")]
        good = sum(c.error is None for c in asked)
        self._telling.tell(f"EC2 answered {good} of {len(asked)} describes since then")
        if unready:
            self._telling.tell(f"{heir.name} is not ready: {unready}")
            return False
        self._telling.tell(f"{heir.name} was ready all the time, for {_AFTERMATH:.0f} s")
        return group.points_at(zone)

    def _yield(self, replica: Replica) -> float:
        return self._telling.strike(
            lambda: replica.order("yield"), f"{replica.name}: vipmanager yield", deadly=False
        )
