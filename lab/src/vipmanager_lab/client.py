"""A client that probes floating IPs, and what it missed."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from vipmanager_lab.world import World


class Client:
    """The world's client, probing from now on; one at a time."""

    def __init__(
        self,
        world: World,
        floating: Sequence[str],
        *,
        interval_ms: float = 5,
        count_ms: float = 0,
        heard: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        """Start it.

        Args:
            world: whose client it is.
            floating: what it probes, with or without prefix lengths.
            interval_ms: between two probes of one address.
            count_ms: between two counts; 0 for none.
            heard: takes every record of the prober: see `lab/probe.py`.
        """
        self._addresses = [bare(one) for one in floating]
        self._prober = world.probe(
            floating, interval_ms=interval_ms, count_ms=count_ms, heard=heard
        )

    @property
    def seen(self) -> int:
        """How many records it has written so far, as a mark for `await_answers`."""
        return len(self._prober.records)

    def await_answers(self, *, since: int = 0, seconds: float = 20) -> None:
        """Wait until it says of every floating IP that it answers, after a mark.

        Raises:
            AssertionError: one does not.
        """
        for address in self._addresses:
            self._prober.wait_for(partial(_answers, address), since=since, seconds=seconds)

    def await_counted(self, *, newer: float, seconds: float = 20) -> None:
        """Wait until counts say of every floating IP that it answers probes sent after a moment.

        Raises:
            AssertionError: one does not.
        """
        deadline = time.monotonic() + seconds
        for address in self._addresses:
            self._prober.wait_for(
                partial(_answers_now, address, newer),
                since=max(0, self.seen - len(self._addresses)),
                seconds=max(0.0, deadline - time.monotonic()),
            )

    def count_anew(self) -> None:
        """Let counts begin at 0.

        Raises:
            AssertionError: the prober has ended.
        """
        seen = self.seen
        self._prober.signal(signal.SIGUSR1)
        self._prober.wait_for(lambda r: bool(r["event"] == "counting"), since=seen)

    def stop(self) -> None:
        """Send nothing more."""
        self._prober.signal(signal.SIGTERM)

    def end(self) -> None:
        """Send nothing more, and wait until what is on its way is counted."""
        if self._prober.running:
            self.stop()
        self._prober.wait()

    def finals(self) -> Mapping[str, Mapping[str, Any]]:
        """Give the account of each address: see `lab/probe.py`. Only after `end`."""
        return {r["address"]: r for r in self._prober.records if r["event"] == "final"}

    def longest(self, since: float) -> float:
        """Give the longest gap that ended after a moment: seconds, infinite without an end."""
        return max(
            (
                float("inf") if gap["until"] is None else gap["until"] - gap["since"]
                for final in self.finals().values()
                for gap in final["gaps"]
                if gap["until"] is None or gap["until"] > since
            ),
            default=0.0,
        )

    def pause(self) -> float:
        """Give the longest time between two probes: what a busy machine adds to a gap."""
        return max(float(final["max_pause"]) for final in self.finals().values())


def bare(floating: str) -> str:
    """Give an address without its prefix length."""
    return floating.partition("/")[0]


def _answers(address: str, record: Mapping[str, Any]) -> bool:
    return bool(record["event"] == "answered" and record["address"] == address)


def _answers_now(address: str, newer: float, record: Mapping[str, Any]) -> bool:
    return bool(
        record["event"] == "count"
        and record["address"] == address
        and record["up"]
        and record["newest"] > newer
    )
