"""Heartbeats over real sockets of one machine."""

import contextlib
import queue
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipmanager.core.election.values import Generation, Message, Probe, Reply
from vipmanager.core.failures import Permanent
from vipmanager.core.heartbeat import Datagram, DropReason, encode, endpoint
from vipmanager.edges.heartbeat import MAX_PEERS, Heartbeat, read_key

KEY = b"0123456789abcdef"
TIME = 5.0
GENERATION = Generation("lease-uid", 3)
FAMILIES = ["127.0.0.1", "::1"]


class End:
    """An agent's end, and what it heard."""

    def __init__(self, me: str, *, address: str = "127.0.0.1", key: bytes = KEY) -> None:
        self.me = me
        self.messages: queue.SimpleQueue[tuple[Message, str]] = queue.SimpleQueue()
        self.heartbeat = Heartbeat(
            address=ip_address(address),
            port=0,
            me=me,
            key=key,
            heard=lambda message, source: self.messages.put((message, source)),
        )
        self.heartbeat.start()
        self.address = self.heartbeat.address

    def probe(self, to: "End | str", number: int = 1, heard: int = 0) -> None:
        address = to if isinstance(to, str) else to.address
        self.heartbeat.send(address, Probe(sender=self.me, number=number, last_reply=heard))

    def reply(self, to: str, number: int = 1) -> None:
        told = Reply(sender=self.me, number=number, generation=GENERATION)
        self.heartbeat.send(to, told)

    def hears(self) -> tuple[Message, str]:
        return self.messages.get(timeout=TIME)

    def met(self, reason: DropReason) -> int:
        count = self.heartbeat.drops().get(reason)
        return 0 if count is None else count.number

    def catches_up_with(self, other: "End", number: int) -> None:
        """Wait until everything that was sent to it before has been looked at."""
        other.probe(self, number)
        while True:
            message, _ = self.hears()
            if message == Probe(sender=other.me, number=number, last_reply=0):
                return


Start = Callable[..., End]


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def started(me: str, **options: str | bytes) -> End:
            end = End(me, **options)  # type: ignore[arg-type]
            stack.callback(end.heartbeat.close)
            return end

        yield started


@contextlib.contextmanager
def stranger(end: End) -> Iterator[Callable[[bytes], int]]:
    """A socket that sends raw bytes to an agent."""
    address, port = endpoint(end.address)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        yield lambda data: one.sendto(data, (str(address), port))


@pytest.mark.parametrize("address", FAMILIES)
@pytest.mark.parametrize("key", [KEY, b""])
def test_a_probe_is_heard_and_its_reply_too(start: Start, address: str, key: bytes) -> None:
    standby = start("pod-1/a", address=address, key=key)
    holder = start("pod-2/b", address=address, key=key)
    standby.probe(holder, 7, heard=6)
    message, source = holder.hears()
    assert message == Probe(sender="pod-1/a", number=7, last_reply=6)
    assert source == standby.address
    holder.reply(source, 7)
    reply = Reply(sender="pod-2/b", number=7, generation=GENERATION)
    assert standby.hears() == (reply, holder.address)
    assert not standby.heartbeat.drops()
    assert not holder.heartbeat.drops()


def test_messages_under_another_key_or_none_are_counted_and_dropped(start: Start) -> None:
    holder, friend = start("pod-2/b"), start("pod-1/a")
    for number, key in enumerate((b"another key of 16", b""), 1):
        other = start(f"pod-3/{number}", key=key)
        other.probe(holder)
        holder.catches_up_with(friend, number)
        assert holder.met(DropReason.UNAUTHENTIC) == number
        assert holder.heartbeat.drops()[DropReason.UNAUTHENTIC].last == other.address


def test_a_replayed_datagram_is_dropped(start: Start) -> None:
    holder, friend = start("pod-2/b"), start("pod-1/a")
    message = Probe(sender="pod-3/c", number=1, last_reply=0)
    data = encode(Datagram(message=message, sequence=5), KEY)
    with stranger(holder) as send:
        send(data)
        assert holder.hears()[0] == message
        send(data)
    holder.catches_up_with(friend, 1)
    assert holder.met(DropReason.REPLAYED) == 1


@pytest.mark.parametrize("sender", ["pod-3/\x1b[2J", "pod-3\n2026 INFO", "pod-3/\u202e"])
def test_a_name_that_is_none_is_not_heard(start: Start, sender: str) -> None:
    holder, friend = start("pod-2/b"), start("pod-1/a")
    with stranger(holder) as send:
        message = Probe(sender=sender, number=1, last_reply=0)
        send(encode(Datagram(message=message, sequence=5), KEY))
    holder.catches_up_with(friend, 1)
    assert holder.met(DropReason.MALFORMED) == 1


def test_a_reply_is_of_no_use_to_another_standby(start: Start) -> None:
    """Else a dead holder's old replies would make it seem alive to a standby that counts later."""
    holder, standby, other = start("pod-2/b"), start("pod-1/a"), start("pod-3/c")
    reply = Reply(sender="pod-2/b", number=4, generation=GENERATION)
    captured = encode(Datagram(message=reply, sequence=9, to="pod-1/a"), KEY)
    with stranger(other) as send:
        send(captured)
    other.catches_up_with(standby, 1)
    assert other.met(DropReason.MISDIRECTED) == 1
    standby.probe(holder, 4)
    holder.reply(holder.hears()[1], 4)
    assert standby.hears()[0] == reply


def test_a_probe_that_is_sent_back_is_no_sign_of_life(start: Start) -> None:
    standby, friend = start("pod-1/a"), start("pod-2/b")
    mine = encode(
        Datagram(message=Probe(sender="pod-1/a", number=1, last_reply=0), sequence=1), KEY
    )
    with stranger(standby) as send:
        send(mine)
    standby.catches_up_with(friend, 1)
    assert standby.met(DropReason.MISDIRECTED) == 1


def test_a_new_holder_tells_an_old_one_that_never_asked(start: Start) -> None:
    old, new = start("pod-1/a"), start("pod-2/b")
    new.reply(old.address, 0)
    assert old.hears()[0] == Reply(sender="pod-2/b", number=0, generation=GENERATION)


def test_a_pod_whose_agent_started_again_is_heard_and_answered(start: Start) -> None:
    holder, first = start("pod-2/b"), End("pod-1/a")
    with contextlib.closing(first.heartbeat):
        first.probe(holder)
        holder.hears()
        port = endpoint(first.address)[1]
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    again = Heartbeat(
        address=ip_address("127.0.0.1"),
        port=port,
        me="pod-1/b",
        key=KEY,
        heard=lambda message, _: messages.put(message),
    )
    with contextlib.closing(again):
        again.start()
        again.send(holder.address, Probe(sender="pod-1/b", number=1, last_reply=0))
        holder.reply(holder.hears()[1])
        assert messages.get(timeout=TIME).sender == "pod-2/b"


def test_many_senders_are_forgotten_one_by_one(start: Start) -> None:
    holder = start("pod-2/b")

    def data(sender: int) -> bytes:
        message = Probe(sender=f"pod/{sender}", number=1, last_reply=0)
        return encode(Datagram(message=message, sequence=1), KEY)

    with stranger(holder) as send:
        for sender in range(MAX_PEERS + 1):
            send(data(sender))
            assert holder.hears()[0].sender == f"pod/{sender}"
        send(data(0))  # forgotten
        assert holder.hears()[0].sender == "pod/0"
        send(data(MAX_PEERS))  # remembered
        send(data(1000))
        assert holder.hears()[0].sender == "pod/1000"
    assert holder.met(DropReason.REPLAYED) == 1


@pytest.fixture(scope="module")
def lasting() -> Iterator[tuple[End, End]]:
    ends = End("pod-2/b"), End("pod-1/a")
    yield ends
    for end in ends:
        end.heartbeat.close()


numbers = iter(range(1, 1_000_000))


@given(
    data=st.one_of(
        st.binary(max_size=1500),
        st.binary(max_size=80).map(b"vipm\x01".__add__),
        st.integers(0, 60).map(
            lambda cut: encode(
                Datagram(message=Probe(sender="pod-9/z", number=1, last_reply=0), sequence=1), KEY
            )[: -cut - 1]
        ),
    )
)
def test_whatever_arrives_the_next_heartbeat_is_heard(
    lasting: tuple[End, End], data: bytes
) -> None:
    end, friend = lasting
    before = end.met(DropReason.MALFORMED) + end.met(DropReason.UNAUTHENTIC)
    with stranger(end) as send:
        send(data)
    end.catches_up_with(friend, next(numbers))
    assert end.met(DropReason.MALFORMED) + end.met(DropReason.UNAUTHENTIC) == before + 1


def strange(key: bytes, sequence: int = 9) -> bytes:
    message = Probe(sender="pod-9/z", number=1, last_reply=0)
    return encode(Datagram(message=message, sequence=sequence), key)


FLOODS = {
    DropReason.MALFORMED: (b"", b"x" * 60, b"vipm" + b"\xff" * 60, b"vipm" * 300, b"\0" * 9000),
    DropReason.UNAUTHENTIC: (strange(b"w" * 16), strange(b"w" * 16, 10), strange(b"")),
    DropReason.REPLAYED: (strange(KEY),),
}


@pytest.mark.parametrize(("reason", "flood"), FLOODS.items(), ids=lambda x: getattr(x, "name", ""))
def test_a_flood_is_counted_and_a_friend_is_heard_again_after_it(
    start: Start, reason: DropReason, flood: tuple[bytes, ...]
) -> None:
    holder, friend = start("pod-2/b"), start("pod-1/a")
    with stranger(holder) as send:
        for data in flood * 500:
            send(data)
    heard = ""
    for number in range(1, 100):  # the kernel drops what its queue does not hold
        friend.probe(holder, number)
        with contextlib.suppress(queue.Empty):
            while heard != friend.me:
                heard = holder.messages.get(timeout=0.1)[0].sender
            break
    assert heard == friend.me
    assert holder.met(reason) > 100


@pytest.mark.parametrize("address", FAMILIES)
def test_a_closed_port_is_told_from_silence_and_troubles_nobody_else(
    start: Start, address: str
) -> None:
    standby, friend = start("pod-1/a", address=address), start("pod-2/b", address=address)
    with socket.socket(
        socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM
    ) as mute:
        mute.bind((address, 0))
        port = mute.getsockname()[1]
        silent = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        standby.probe(silent)
        standby.catches_up_with(friend, 1)
        assert standby.met(DropReason.REFUSED) == 0
    for number in range(1, 4):
        standby.probe(silent)
        standby.probe(friend, number)
        assert friend.hears()[0] == Probe(sender="pod-1/a", number=number, last_reply=0)
    standby.catches_up_with(friend, 2)
    assert standby.met(DropReason.REFUSED) == 3
    assert standby.heartbeat.drops()[DropReason.REFUSED].last == silent
    assert standby.met(DropReason.UNSENT) == 0


@pytest.mark.parametrize(
    "to",
    ["", "nonsense", "10.0.0.5", "name.example:1", "[::1]:7946", "203.0.113.1:7946"],
)
def test_what_can_not_be_sent_is_counted(start: Start, to: str) -> None:
    """The address is of an annotation that anybody may have edited; 203.0.113.1 has no route."""
    standby = start("pod-1/a")
    standby.probe(to)
    assert standby.met(DropReason.UNSENT) == 1
    assert standby.heartbeat.drops()[DropReason.UNSENT].last == to


def test_a_port_in_use_names_its_key() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Permanent, match=f"HeartbeatPort={port}: Address already in use"):
            Heartbeat(
                address=ip_address("127.0.0.1"), port=port, me="a/b", heard=lambda _m, _s: None
            )


def test_the_key_is_what_stands_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    assert read_key(str(file)) == KEY


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"", "0 bytes are too few"), (b"short\n", "5 bytes are too few")],
)
def test_a_missing_or_short_key_is_refused_by_name(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Permanent, match=f"HeartbeatKeyFile={file}: {said}"):
        read_key(str(file))
