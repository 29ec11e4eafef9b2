"""Heartbeat messages as datagrams: what is in them, who may have sent them, and how often.

    vipm | version | kind | sequence | number | third | sender | to | last | seal

    sequence   counts the sender's datagrams, whatever is in them
    number     of the probe
    third      of a probe: the greatest number whose reply was heard
               of a reply: the transitions of its generation
    sender     pod UID and nonce, as in the Lease
    to         whose probe is answered; empty in a probe
    last       of a probe: seconds between two of them; of a reply: the uid of its generation's
               Lease, and behind a space, where it answers a probe, the holder's clock
    seal       the first half of HMAC-SHA256 over all that is before it

Numbers have 8 bytes, in network order; texts have a byte of length before them. With the key of a
Secret the seal proves that the sender knows it. Without one the key is empty: then it tells
corruption and strangers' datagrams, and whoever can send to the port can forge it.

Version 0.1.0 sends no interval and no clock, and hears those who do: it does not look at a probe's
last text, and at a reply's only where the reply answers no probe. So it is one version still.

RFC 2104 allows an HMAC to be cut to half of its length; a window over sequences is how IPsec
tells a replayed packet from a late one (RFC 4303, section 3.4.3).
"""

import hmac
import struct
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from math import isfinite
from typing import Final

from vipmanager.core.election.values import Generation, Message, Probe, Reply
from vipmanager.core.values import Address

LONGEST: Final = 1024
"""Bytes; no datagram of ours is longer."""
WIDTH: Final = 64
"""Sequences by which a datagram may be late and still be taken."""

_HEAD = struct.Struct("!4sBBQQQ")
_MAGIC, _VERSION = b"vipm", 1
_PROBE, _REPLY = 1, 2
_SEAL = 16
_TEXT = 255


class DropReason(Enum):
    """Why something was not sent, not taken or not heard; the value is a metric's label."""

    MALFORMED = "malformed"
    """Something else sends to this port, or another version."""
    UNAUTHENTIC = "unauthentic"
    """Sealed with another key."""
    REPLAYED = "replayed"
    """Seen before, or too late to tell."""
    MISDIRECTED = "misdirected"
    """Meant for another agent, or sent by this one."""
    REFUSED = "refused"
    """The other side's kernel says that nobody listens: its agent is gone, its pod is not."""
    UNREACHABLE = "unreachable"
    """A router, the other node or a firewall says that the way is closed."""
    UNSENT = "unsent"
    """This kernel did not send it, or the address is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How often something was dropped, or not sent, and with whom last."""

    number: int
    last: str


class Dropped(Exception):
    """A datagram that is not taken."""

    def __init__(self, reason: DropReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """A message on its way."""

    message: Message
    sequence: int
    to: str = ""
    """The identity that a reply is for: without it, it could be replayed to another standby."""


def encode(datagram: Datagram, key: bytes) -> bytes:
    """Give the bytes of a datagram.

    Raises:
        ValueError: a name in it is longer than 255 bytes, or a number than 8.
    """
    match datagram.message:
        case Probe(sender=sender, number=number, last_reply=third, interval=interval):
            kind, last = _PROBE, _seconds_text(interval)
        case Reply(sender=sender, number=number, generation=generation, clock=clock):
            kind, last, third = _REPLY, generation.uid, generation.transitions
            last += f" {_seconds_text(clock)}" if number else ""
    try:
        head = _HEAD.pack(_MAGIC, _VERSION, kind, datagram.sequence, number, third)
    except struct.error as error:
        raise ValueError(f"{datagram}: {error}") from error
    body = head + b"".join(map(_text, (sender, datagram.to, last)))
    return body + _seal(body, key)


def decode(data: bytes, key: bytes) -> Datagram:
    """Read a datagram.

    Raises:
        Dropped: as malformed or unauthentic.
    """
    body, seal = data[:-_SEAL], data[-_SEAL:]
    if not _HEAD.size <= len(body) < LONGEST or not body.startswith(_MAGIC):
        raise Dropped(DropReason.MALFORMED)
    if not hmac.compare_digest(seal, _seal(body, key)):
        raise Dropped(DropReason.UNAUTHENTIC)
    _, version, kind, sequence, number, third = _HEAD.unpack_from(body)
    try:
        sender, to, last = _texts(body[_HEAD.size :])
    except (ValueError, IndexError):
        raise Dropped(DropReason.MALFORMED) from None
    printed = (sender + to + last).isprintable()  # they are shown, and stand in the Lease
    if version != _VERSION or kind not in {_PROBE, _REPLY} or not sender or not printed:
        raise Dropped(DropReason.MALFORMED)
    if kind == _PROBE:
        probe = Probe(sender=sender, number=number, last_reply=third, interval=_seconds(last))
        return Datagram(message=probe, sequence=sequence)
    uid, space, clock = last.rpartition(" ") if number else (last, "", "")
    generation = Generation(uid if space else last, third)
    reply = Reply(sender=sender, number=number, generation=generation, clock=_seconds(clock))
    return Datagram(message=reply, sequence=sequence, to=to)


def _seconds_text(seconds: float | None) -> str:
    return "" if seconds is None else repr(seconds)


def _seconds(text: str) -> float | None:
    """Read what `_seconds_text` gives; anything else is another version's, and means nothing."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if isfinite(seconds) else None


def _seal(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_SEAL]


def _text(text: str) -> bytes:
    data = text.encode()
    if len(data) > _TEXT:
        raise ValueError(f"{text[:40]}... is longer than {_TEXT} bytes")
    return bytes([len(data)]) + data


def _texts(data: bytes) -> list[str]:
    found = []
    for _ in range(3):
        length, data = data[0], data[1:]
        text, data = data[:length], data[length:]
        if len(text) < length:
            raise ValueError("cut off")
        found.append(text.decode())
    if data:
        raise ValueError("too long")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The sequences of one sender that were taken lately."""

    highest: int = -1
    taken: int = 0
    """A bit for each sequence from the highest down."""

    def admit(self, sequence: int) -> "Window | None":
        """Give the window with one more sequence; None where it was taken, or is too old."""
        ahead = sequence - self.highest
        if ahead > 0:
            taken = (self.taken << min(ahead, WIDTH)) | 1
            return Window(highest=sequence, taken=taken & ((1 << WIDTH) - 1))
        if -ahead >= WIDTH:  # looked at first: a far one would make a number of gigabytes
            return None
        bit = 1 << -ahead
        if self.taken & bit:
            return None
        return Window(highest=self.highest, taken=self.taken | bit)


def endpoint(text: str) -> tuple[Address, int]:
    """Read `ADDRESS:PORT`, with an IPv6 address in brackets.

    Raises:
        ValueError: it is none.
    """
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    address = ip_address(bare)
    number = int(port) if port.isascii() and port.isdecimal() else 0
    bracketed = f"[{bare}]" if ":" in bare else bare
    if host != bracketed or "%" in host or not 0 < number < 65536:  # noqa: PLR2004 - 2^16
        raise ValueError(f"{text!r} is no ADDRESS:PORT")
    return address, number


def shown(address: object, port: int) -> str:
    """Give an address and a port as `endpoint` reads them."""
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"
