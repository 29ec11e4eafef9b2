"""Measures an outage: an UDP echo, and a prober that numbers and times every datagram.

    python -m vipmanager_lab.probe echo ADDRESS... --port P [--listen P]
    python -m vipmanager_lab.probe probe ADDRESS... --port P --interval-ms 5 [--count-ms C]

Both print one JSON object a line and end on SIGTERM, SIGINT, or when the pipe on stdin closes.
Every time is CLOCK_MONOTONIC in seconds, which all processes of a machine share.

The prober's live records say what it believed at the time: `answered` and `lost` (an answer is
LATE_MS overdue). At its end it prints one `final` record per address, in which a late answer
counts for its number: `sent`, `answered`, the longest time between two sends (`max_pause`, which
tells a paused prober from a lossy network) and the gaps. A gap runs from the send time of the
first lost probe to that of the next answered one (`until` is null when none followed).

With --count-ms it also prints a `count` record per address every so often: how many probes were
sent, answered and lost since the last SIGUSR1, or since it started, and for how long there was no
answer. A SIGUSR1 is answered by a `counting` record, after which every count begins anew.
"""

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import stat
import sys
import time
from collections.abc import Sequence
from typing import Any

from vipmanager.core.probes import Tally
from vipmanager.edges.probing import DRAIN, Datagrams, family, received

DEFAULT_PORT = 7007
_RETRY = 0.01


def echo_command(
    addresses: Sequence[object], *, port: int = DEFAULT_PORT, listen: int | None = None
) -> list[str]:
    """The command line of an echo for these addresses, which may listen on a TCP port too."""
    more = [] if listen is None else ["--listen", str(listen)]
    return [*_command("echo", addresses, port), *more]


def probe_command(
    addresses: Sequence[object],
    *,
    port: int = DEFAULT_PORT,
    interval_ms: float = 5,
    count_ms: float = 0,
) -> list[str]:
    """The command line of a prober of these addresses, with counts or, at 0, without."""
    pace = ["--interval-ms", str(interval_ms), "--count-ms", str(count_ms)]
    return [*_command("probe", addresses, port), *pace]


def _command(role: str, addresses: Sequence[object], port: int) -> list[str]:
    module = "vipmanager_lab.probe"
    return [sys.executable, "-m", module, role, *map(str, addresses), "--port", str(port)]


class Prober:
    """Sends to several addresses, accounts for each, and tells when one changes."""

    def __init__(self, addresses: Sequence[str], *, port: int, late: float) -> None:
        self._channels = {one: Datagrams(one, port) for one in map(_canonical, addresses)}
        self.tallies = {address: Tally() for address in self._channels}
        self._late = late
        self._up: dict[str, bool | None] = dict.fromkeys(self.tallies)

    @property
    def sockets(self) -> list[socket.socket]:
        """Where answers arrive."""
        return [channel.socket for channel in self._channels.values()]

    def send(self) -> None:
        """Send one probe to each address."""
        for address, tally in self.tallies.items():
            self._channels[address].send(tally.send(time.monotonic()))

    def receive(self) -> None:
        """Account for every answer that waits."""
        for address, channel in self._channels.items():
            tally = self.tallies[address]
            for number in channel.heard():
                if tally.answer(number) and not self._up[address]:
                    self._up[address] = True
                    tally.recovered(number)
                    _tell("answered", address, sequence=number, sent=tally.times[number])

    def tell_lost(self) -> None:
        """Look for probes whose answer is overdue."""
        before = time.monotonic() - self._late
        for address, tally in self.tallies.items():
            while (number := tally.overdue(before)) is not None:
                if self._up[address] is not False:
                    self._up[address] = False
                    _tell("lost", address, sequence=number, sent=tally.times[number])

    def mark(self) -> None:
        """Count from now on."""
        for tally in self.tallies.values():
            tally.mark()
        _say({"event": "counting"})

    def tell_counts(self) -> None:
        """Tell what became of the probes of each address."""
        for address, tally in self.tallies.items():
            _tell("count", address, **tally.count(time.monotonic())._asdict())

    @property
    def complete(self) -> bool:
        """Whether every probe was answered."""
        return not any(tally.gaps() for tally in self.tallies.values())


def echo(
    addresses: Sequence[str], *, port: int, stop: Sequence[int], listen: int | None = None
) -> None:
    """Send every datagram back from the address it was sent to, until `stop` is readable.

    An address that is not there yet, or still tentative, is tried again every 10 ms. With `listen`
    TCP connections are accepted on that port of any address, and held until the other end closes
    them: for health checks and drills.
    """
    waiting = list(addresses)
    door = None if listen is None else socket.create_server(("", listen))
    if door is not None:
        door.settimeout(0)
    bound: list[socket.socket] = []
    held: list[socket.socket] = []
    while True:
        for address in tuple(waiting):
            one = _udp(family(address))
            try:
                one.bind((address, port))
            except OSError:
                one.close()
                continue
            bound.append(one)
            waiting.remove(address)
            _tell("bound", _canonical(address))
        heard = bound if door is None else [*bound, door, *held]
        stopped, ready = _readable(stop, heard, _RETRY if waiting else None)
        if stopped:
            return
        for one in ready:
            if door is not None and one.type is socket.SOCK_STREAM:
                _converse(one, door, held)
                continue
            for data, sender in received(one):
                with contextlib.suppress(OSError):  # no way back: the prober sees a loss
                    one.sendto(data, sender)


def _converse(one: socket.socket, door: socket.socket, held: list[socket.socket]) -> None:
    """Accept a connection, or take in what one says; it is closed once the other end closed it."""
    with contextlib.suppress(OSError):  # the caller is gone again
        if one is door:
            held.append(door.accept()[0])
            return
        if one.recv(4096):
            return
    if one is not door:
        held.remove(one)
        one.close()


def probe(prober: Prober, *, interval: float, counts: float, stop: Sequence[int]) -> None:
    """Send every `interval` seconds until `stop` is readable, then wait shortly for answers.

    Counts are told every `counts` seconds, never for 0, and anew from each SIGUSR1 on.
    """
    marks: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: marks.append(number))
    due = count_due = time.monotonic()
    end = None
    while end is None or (not prober.complete and time.monotonic() < end):
        now = time.monotonic()
        if marks:
            marks.clear()
            prober.mark()
        if end is None and now >= due:
            prober.send()
            prober.tell_lost()
            due = max(due + interval, now)  # a pause is not made up for by a burst
        timeout = max(0.0, (due if end is None else end) - time.monotonic())
        stopped, ready = _readable(stop if end is None else (), prober.sockets, timeout)
        if ready:
            prober.receive()
        if counts and now >= count_due and end is None:
            prober.tell_counts()  # after what has arrived, also during a pause of ours
            count_due = now + counts
        if stopped:
            end = time.monotonic() + DRAIN
    for address, tally in prober.tallies.items():
        _say({"event": "final", "address": address, **_account(tally)})


def _account(tally: Tally) -> dict[str, Any]:
    gaps, sent = tally.gaps(), len(tally.times)
    return {
        "sent": sent,
        "answered": sent - sum(gap.lost for gap in gaps),
        "max_pause": tally.pause,
        "gaps": [gap._asdict() for gap in gaps],
    }


def _canonical(address: str) -> str:
    """The spelling in which the kernel names a sender."""
    return socket.inet_ntop(family(address), socket.inet_pton(family(address), address))


def _udp(family: socket.AddressFamily) -> socket.socket:
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.setblocking(False)  # noqa: FBT003 - positional-only in the standard library
    return one


def _readable(
    stop: Sequence[int], sockets: list[socket.socket], timeout: float | None
) -> tuple[bool, list[socket.socket]]:
    """Wait; whether it is time to stop, and which sockets have something."""
    ready, _, _ = select.select([*stop, *(one.fileno() for one in sockets)], [], [], timeout)
    return not set(stop).isdisjoint(ready), [one for one in sockets if one.fileno() in ready]


def _tell(event: str, address: str, **more: float) -> None:
    _say({"event": event, "address": address, "time": time.monotonic(), **more})


def _say(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def _stops() -> list[int]:
    """What becomes readable when it is time to end: a signal, or the pipe on stdin."""
    read_end, write_end = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(write_end, b"."))
    piped = stat.S_ISFIFO(os.fstat(0).st_mode) or stat.S_ISSOCK(os.fstat(0).st_mode)
    return [read_end, 0] if piped else [read_end]


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure an outage over UDP.")
    parser.add_argument("role", choices=("echo", "probe"))
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--listen", type=int, metavar="PORT", help="an echo accepts TCP too")
    parser.add_argument("--interval-ms", type=float, default=5)
    parser.add_argument("--late-ms", type=float, default=100)
    parser.add_argument("--count-ms", type=float, default=0, help="tell counts so often [never]")
    given = parser.parse_args()
    stop = _stops()
    if given.role == "echo":
        echo(given.addresses, port=given.port, stop=stop, listen=given.listen)
    else:
        prober = Prober(given.addresses, port=given.port, late=given.late_ms / 1000)
        pace = {"interval": given.interval_ms / 1000, "counts": given.count_ms / 1000}
        probe(prober, **pace, stop=stop)


if __name__ == "__main__":
    _main()
