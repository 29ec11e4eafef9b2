"""The demo's story of the warm standby: its zone fails, it takes over, and it hands back."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from vipmanager.lab.client import Client, bare
from vipmanager.lab.replicas import Replica, Replicas
from vipmanager.lab.story import LATENCY, Event, Outcome, Story, Telling
from vipmanager.lab.world import World

LOSS, HAND_OVER = "zone a fails", "hand-over"
"""The two parts of the story, each with an outcome of its own."""
_TAIL = 0.1
"""Seconds of probes after the last route: what is not answered now never will be."""
_TOLD = {"role", "takeover"}
"""What agents log that the story repeats."""


def stories(*, pattern: int | None = None, version: int | None = None) -> Iterator[Story]:
    """Give every story that the choices leave."""
    for p, v in itertools.product((1, 2), (4, 6)):
        if pattern in {None, p} and version in {None, v}:
            yield Story(pattern=p, mode="standby", version=v)


def tell(story: Story, hear: Callable[[Event], None] = lambda _: None) -> tuple[Outcome, ...]:
    """Play the story in a world of its own; `hear` is called with each event as it happens.

    It has two outcomes, or one where nobody took over.

    Raises:
        AssertionError: an agent or a probe did not do what the story needs.
    """
    with World(latency=LATENCY) as world:
        floating = world.floating(pattern=story.pattern, version=story.version)
        telling = Telling(world=world, floating=floating, hear=hear)

        def heard(replica: Replica, record: Mapping[str, Any]) -> None:
            if record.get("event") in _TOLD:
                telling.tell(f"{replica.name}: {record['text']}")

        config = {"SubnetBasedLoopbacks": str(story.pattern == 2)}  # noqa: PLR2004 - its name
        with Replicas(world, floating=floating, config=config, heard=heard) as group:
            group.plane.slow()
            return _Play(story, telling, group).parts()


class _Play:
    """One performance."""

    def __init__(self, story: Story, telling: Telling, group: Replicas) -> None:
        self._story, self._telling, self._group = story, telling, group
        self._first = 0
        """Number of the event with which the present part began."""

    def parts(self) -> tuple[Outcome, ...]:
        """Play both parts, the second one only after a takeover."""
        holder = self._start("a")
        holder.await_takeover()
        standby = self._start("b")
        standby.await_standby()
        self._telling.tell(f"{standby.name} could take over: warm standby")
        loss = self._part(LOSS, "b", lambda: self._lose("a"), standby)
        if not loss.answered:
            return (loss,)
        self._telling.calm()
        self._group.end(holder)
        self._group.world.network.restore("a")
        back = self._start("a")
        back.await_standby()
        self._telling.tell(f"{back.name} could take over: nothing moves back on its own")
        return loss, self._part(HAND_OVER, "a", lambda: self._yield(standby), back)

    def _start(self, zone: str) -> Replica:
        replica = self._group.start(zone)
        self._telling.tell(f"{replica.name} starts in zone {zone}, agent and application")
        return replica

    def _part(self, part: str, zone: str, blow: Callable[[], None], heir: Replica) -> Outcome:
        """Strike while the client probes, and see who answers."""
        telling = self._telling
        shown = ", ".join(map(bare, telling.floating))
        telling.tell(f"client in zone c probes {shown} every 5 ms")
        client = telling.probe()
        client.await_answers()
        telling.blow()
        seen, struck = client.seen, time.monotonic()
        blow()
        taken = self._answered(client, seen, zone) if part == LOSS else True
        taken = self._taken(heir, zone) and taken
        client.end()
        outcome = telling.outcome(
            replace(self._story, mode=f"{self._story.mode}, {part}"),
            client,
            struck=struck,
            answered=taken and client.longest(struck) < float("inf"),
        )
        if not outcome.answered:
            telling.tell(f"not every floating IP answers from zone {zone}")
        elif part == HAND_OVER:
            telling.tell(f"every floating IP answers from zone {zone}")
        first, self._first = self._first, len(telling.events)
        return replace(outcome, events=tuple(telling.events[first:]))

    def _answered(self, client: Client, seen: int, zone: str) -> bool:
        """Wait until every floating IP answers again."""
        try:
            client.await_answers(since=seen)
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

    def _lose(self, zone: str) -> None:
        failed = time.monotonic()
        self._group.world.fail_zone(zone)
        self._telling.tell(f"zone {zone} fails: no packet comes or goes", failed)

    def _yield(self, replica: Replica) -> None:
        self._telling.tell(f"{replica.name}: vipmanager yield")
        replica.order("yield")
