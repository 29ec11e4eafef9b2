"""Heartbeats as bytes: what is understood, and what is dropped and why."""

import contextlib
import hmac
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipmanager.core.election.values import Generation, Message, Probe, Reply
from vipmanager.core.heartbeat import (
    LONGEST,
    WIDTH,
    Datagram,
    Dropped,
    DropReason,
    Window,
    decode,
    encode,
    endpoint,
    shown,
)

KEY = b"0123456789abcdef"
PROBE = Datagram(message=Probe(sender="pod-1/n1", number=7, last_reply=6), sequence=9)
REPLY = Datagram(
    message=Reply(sender="pod-2/n2", number=7, generation=Generation("lease-uid", 3)),
    sequence=12,
    to="pod-1/n1",
)

OLD = {
    "7669706d010100000000000000090000000000000007000000000000000608706f642d312f6e310000741c21ea5f8a"
    "d83779099a4e361d4d18": PROBE,
    "7669706d0102000000000000000c0000000000000007000000000000000308706f642d322f6e3208706f642d312f6e"
    "31096c656173652d756964ff5708dd4148a4fdc84844d2a25b9942": REPLY,
}
"""Bytes that version 0.1.0 sent."""

seconds = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
numbers = st.integers(0, 2**64 - 1)
letters = st.characters(exclude_categories=("C", "Z"))
names = st.text(letters, max_size=60)
identities = st.text(letters, min_size=1, max_size=60)
datagrams = st.one_of(
    st.builds(
        Datagram,
        message=st.builds(
            Probe, sender=identities, number=numbers, last_reply=numbers, interval=seconds
        ),
        sequence=numbers,
    ),
    st.builds(
        Datagram,
        message=st.builds(
            Reply,
            sender=identities,
            number=numbers,
            generation=st.builds(Generation, names, numbers),
        ),
        sequence=numbers,
        to=names,
    ),
    st.builds(
        Datagram,
        message=st.builds(
            Reply,
            sender=identities,
            number=st.integers(1, 2**64 - 1),
            generation=st.builds(Generation, st.text(letters, max_size=50), numbers),
            clock=seconds,
        ),
        sequence=numbers,
        to=names,
    ),
)


@given(datagram=datagrams, key=st.binary(max_size=64))
def test_what_is_encoded_is_decoded_by_whoever_has_the_key(datagram: Datagram, key: bytes) -> None:
    data = encode(datagram, key)
    assert len(data) <= LONGEST
    assert decode(data, key) == datagram


@pytest.mark.parametrize("data", OLD)
def test_what_version_0_1_0_sends_is_heard(data: str) -> None:
    assert decode(bytes.fromhex(data), KEY) == OLD[data]


@pytest.mark.parametrize(
    "message",
    [
        Probe(sender="pod-1/n1", number=7, last_reply=6, interval=0.02),
        Reply(sender="pod-2/n2", number=7, generation=Generation("lease-uid", 3), clock=1234.5678),
        Reply(sender="pod-2/n2", number=0, generation=Generation("lease-uid", 3)),
    ],
)
def test_what_is_sent_is_heard_by_version_0_1_0(message: Message) -> None:
    """It takes version 1 with three texts; a reply's uid counts where nobody asked for it."""
    data = encode(Datagram(message=message, sequence=3, to="pod-1/n1"), KEY)
    magic, version, kind, _, number, _ = struct.unpack_from("!4sBBQQQ", data)
    body, texts = data[30:-16], []
    while body:
        length = body[0]
        texts.append(body[1 : 1 + length].decode())
        body = body[1 + length :]
    kinds = {Probe: 1, Reply: 2}
    assert (magic, version, kind, number) == (b"vipm", 1, kinds[type(message)], message.number)
    assert texts[:2] == [message.sender, "pod-1/n1"]
    assert len(texts) == 3
    assert number or texts[2] == "lease-uid"


@pytest.mark.parametrize("last", ["", "x", "nan", "inf", "-inf", "1e999", "0.1 and more"])
def test_an_interval_that_is_none_means_nothing(last: str) -> None:
    text = bytes([len(last)]) + last.encode()
    data = encode(PROBE, KEY)[: -16 - 1] + text
    data += hmac.digest(KEY, data, "sha256")[:16]
    assert decode(data, KEY) == PROBE


@given(data=st.one_of(st.binary(max_size=2 * LONGEST), st.binary(max_size=90).map(b"vipm".__add__)))
def test_any_bytes_are_dropped(data: bytes) -> None:
    for key in (b"", KEY):
        with pytest.raises(Dropped):
            decode(data, key)


@given(datagram=datagrams, at=st.integers(0, 500), bits=st.integers(1, 255))
def test_a_datagram_that_was_changed_anywhere_is_dropped(
    datagram: Datagram, at: int, bits: int
) -> None:
    data = bytearray(encode(datagram, KEY))
    data[at % len(data)] ^= bits
    with pytest.raises(Dropped):
        decode(bytes(data), KEY)


@given(body=st.binary(max_size=60), kind=st.integers(0, 255), version=st.integers(0, 3))
def test_even_a_sealed_datagram_may_be_anything(body: bytes, kind: int, version: int) -> None:
    """Another version may hold the same key."""
    data = b"vipm" + bytes([version, kind]) + bytes(24) + body
    data += hmac.digest(KEY, data, "sha256")[:16]
    with contextlib.suppress(Dropped):
        assert decode(data, KEY).message.sender


@pytest.mark.parametrize("key", [b"", b"another key of 16", KEY[:-1]])
def test_another_key_is_told_from_garbage(key: bytes) -> None:
    with pytest.raises(Dropped) as dropped:
        decode(encode(PROBE, KEY), key)
    assert dropped.value.reason is DropReason.UNAUTHENTIC
    with pytest.raises(Dropped) as dropped:
        decode(b"GET / HTTP/1.1\r\n\r\n" + bytes(100), key)
    assert dropped.value.reason is DropReason.MALFORMED


@pytest.mark.parametrize("cut", [1, 16, 40, len(encode(REPLY, KEY)) - 1])
def test_a_datagram_that_was_cut_is_dropped(cut: int) -> None:
    with pytest.raises(Dropped):
        decode(encode(REPLY, KEY)[:-cut], KEY)


@pytest.mark.parametrize(
    "datagram",
    [
        Datagram(message=Probe(sender="x" * 256, number=1, last_reply=0), sequence=1),
        Datagram(message=Probe(sender="x", number=2**64, last_reply=0), sequence=1),
        Datagram(message=Probe(sender="x", number=1, last_reply=-1), sequence=1),
    ],
)
def test_what_does_not_fit_is_not_encoded(datagram: Datagram) -> None:
    with pytest.raises(ValueError, match="x"):
        encode(datagram, KEY)


@given(st.permutations(range(WIDTH)), st.integers(0, 2**60))
def test_late_datagrams_are_taken_once_in_any_order(order: list[int], base: int) -> None:
    window = Window()
    for number in order:
        after = window.admit(base + number)
        assert after is not None
        window = after
    assert all(window.admit(base + number) is None for number in order)


@given(st.lists(st.integers(0, 200), max_size=300))
def test_no_sequence_is_taken_twice(sequences: list[int]) -> None:
    window, taken = Window(), []
    for sequence in sequences:
        after = window.admit(sequence)
        if after is not None:
            window = after
            taken.append(sequence)
    assert len(set(taken)) == len(taken)


def test_what_is_older_than_the_window_is_not_taken() -> None:
    window = Window().admit(1000)
    assert window is not None
    assert window.admit(1000 - WIDTH) is None
    assert window.admit(1000 - WIDTH + 1) is not None


@pytest.mark.parametrize("text", ["10.0.0.5:7946", "[fd00::5]:7946"])
def test_an_endpoint_is_read_and_shown(text: str) -> None:
    address, port = endpoint(text)
    assert port == 7946
    assert shown(address, port) == text


def test_an_endpoint_may_be_written_at_length() -> None:
    assert endpoint("[fd00:0:0:0::5]:1") == (ip_address("fd00::5"), 1)


@pytest.mark.parametrize(
    "text",
    ["", ":", "10.0.0.5", "10.0.0.5:", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:x", "fd00::5:7946",
     "[10.0.0.5]:1", "[fe80::1%eth0]:1", "name:1", "10.0.0.5:-1", "10.0.0.5:٣"],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ADDRESS:PORT|IPv4 or IPv6"):
        endpoint(text)


@given(st.text(max_size=60))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert endpoint(text)[1] > 0


@pytest.mark.parametrize("highest", [2**33, 2**64 - 1])
def test_a_sequence_that_is_far_behind_costs_nothing(highest: int) -> None:
    window = Window().admit(highest)
    assert window is not None
    assert window.admit(1) is None
