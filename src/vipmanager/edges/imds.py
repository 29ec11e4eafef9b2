"""IMDS: one typed question per key; the error names the key."""

import http.client
import os
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeVar
from urllib.parse import urlsplit

from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.notice import TerminationNotice, departure, interruption
from vipmanager.core.values import (
    EniId,
    InstanceId,
    Mac,
    MetadataEni,
    NodeMetadata,
    SubnetId,
    VpcId,
)

T = TypeVar("T")

ENDPOINTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
TIMEOUT = 1.0
"""Seconds for one answer: IMDS is on the host."""

LONGEST = 64 * 1024
"""Bytes of an answer that are read; the longest real one is a list of MACs."""

TOKEN_SECONDS = 21_600
"""The longest life of a token (EC2 user guide, "Use IMDSv2")."""

_TOKEN = "/latest/api/token"  # noqa: S105 - a path
_DATA = "/latest/meta-data/"
_NOT_FOUND = 404
_UNAUTHORIZED = 401
_OK = 200
_REFUSALS = {403, 404, 405}


class Imds:
    """The `Metadata` port over HTTP."""

    def __init__(self, *, allow_v1: bool, environ: Mapping[str, str] = os.environ) -> None:
        """Take the endpoint from the variables that every SDK knows."""
        mode = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv4").lower()
        self._endpoint = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or ENDPOINTS.get(
            mode, ENDPOINTS["ipv4"]
        )
        self._disabled = environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        self._allow_v1 = allow_v1
        self._headers: dict[str, str] | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def read(self, macs: Iterable[Mac]) -> NodeMetadata:
        """Read the instance and these MACs; a MAC that IMDS does not list is left out.

        Raises:
            Transient: IMDS did not answer, or not yet.
            Permanent: IMDS refuses.
        """
        if self._disabled:
            raise Permanent("IMDS is switched off by AWS_EC2_METADATA_DISABLED", "set AWS_REGION")
        with self._lock:
            listed = self.macs()
            return NodeMetadata(
                instance=self.instance(),
                region=self.region(),
                enis=tuple(self.eni(mac) for mac in macs if mac in listed),
                macs=listed,
            )

    def notices(self) -> tuple[TerminationNotice, ...]:
        """Read whether AWS is about to take the instance away; 404 tells of nothing.

        Sources: EC2 user guide, "Spot Instance interruption notices"; EC2 Auto Scaling user
        guide, "Retrieve the target lifecycle state through instance metadata".

        Raises:
            Transient: IMDS did not answer.
            Permanent: IMDS refuses.
        """
        if self._disabled:
            raise Permanent("IMDS is switched off by AWS_EC2_METADATA_DISABLED")
        with self._lock:
            spot = self._key("spot/instance-action", interruption)
            state = self._key("autoscaling/target-lifecycle-state", str)
        return tuple(n for n in (spot, departure(state)) if n is not None)

    def zone_id(self) -> str:
        """Give the id of the Availability Zone, which is the same in every account: `use1-az1`.

        Raises:
            Transient: IMDS did not answer, or has no such key.
            Permanent: IMDS refuses.
        """
        if self._disabled:
            raise Permanent("IMDS is switched off by AWS_EC2_METADATA_DISABLED")
        with self._lock:
            found = self._key("placement/availability-zone-id", _zone_id)
        if found is None:
            raise Transient("IMDS has no placement/availability-zone-id")
        return found

    def instance(self) -> InstanceId:
        """Give the instance id."""
        return InstanceId(self._need("instance-id", _id("i")))

    def region(self) -> str:
        """Give the Region."""
        return self._need("placement/region", _region)

    def macs(self) -> frozenset[Mac]:
        """List the MACs of the instance's ENIs; stale in both directions."""
        text = self._need("network/interfaces/macs/", str)
        return frozenset(Mac(line.strip("/ ").lower()) for line in text.splitlines() if line)

    def eni(self, mac: Mac) -> MetadataEni:
        """Read what is told of one MAC; None for each key that is not there (yet)."""
        at = f"network/interfaces/macs/{mac}/"
        # Most ENIs have only some of the keys: the listing saves the questions about the others.
        there = {name.strip("/ ") for name in (self._key(at, str) or "").splitlines()}

        def key(name: str, parse: Callable[[str], T]) -> T | None:
            return self._key(at + name, parse) if name in there else None

        card = key("network-card", int)
        if card is None:
            card = key("network-card-index", int)
        return MetadataEni(
            mac=mac,
            id=key("interface-id", lambda text: EniId(_id("eni")(text))),
            vpc=key("vpc-id", lambda text: VpcId(_id("vpc")(text))),
            subnet=key("subnet-id", lambda text: SubnetId(_id("subnet")(text))),
            subnet_ipv4=key("subnet-ipv4-cidr-block", IPv4Network),
            device_index=key("device-number", int),
            card_index=card or 0,
            addresses=frozenset(
                (
                    *(key("local-ipv4s", _each(IPv4Address)) or ()),
                    *(key("ipv6s", _each(IPv6Address)) or ()),
                )
            ),
            prefixes=(
                *(key("ipv4-prefix", _each(IPv4Network)) or ()),
                *(key("ipv6-prefix", _each(IPv6Network)) or ()),
            ),
        )

    def _need(self, key: str, parse: Callable[[str], str]) -> str:
        found = self._key(key, parse)
        if found is None:
            raise Transient(
                f"IMDS has no {key}", "it may lag after a boot; set AWS_REGION to do without IMDS"
            )
        return found

    def _key(self, key: str, parse: Callable[[str], T]) -> T | None:
        status, body = self._get(_DATA + key)
        if status == _NOT_FOUND:
            return None
        if status != _OK:
            raise _refused(f"GET {key}", status)
        try:
            return parse(body.strip())
        except ValueError as error:
            raise Transient(f"IMDS {key} is {body[:60]!r}, which is not as expected") from error

    def _get(self, path: str) -> tuple[int, str]:
        if self._headers is None:
            self._headers = self._authorize()
        status, body = self._request("GET", path, self._headers)
        if status == _UNAUTHORIZED:
            self._headers = self._authorize()  # the token expired, or IMDS restarted
            status, body = self._request("GET", path, self._headers)
        return status, body

    def _authorize(self) -> dict[str, str]:
        ask = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        status, body = self._request("PUT", _TOKEN, ask)
        if status == _OK and re.fullmatch(r"[!-~]+", body.strip()):
            return {"X-aws-ec2-metadata-token": body.strip()}
        if status in _REFUSALS and self._allow_v1:
            return {}
        raise _refused("PUT token", status)

    def _request(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        for attempt in (1, 2):
            reused = self._connection is not None
            connection = self._connection or self._connect()
            try:
                connection.request(method, path, headers=headers)
                answer = connection.getresponse()
                body = answer.read(LONGEST).decode("utf-8", "replace")
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._connection = None
                if reused and attempt == 1 and not isinstance(error, TimeoutError):
                    continue  # an idle connection was closed
                raise self._silent(method, error) from error
            whole = answer.isclosed() and not answer.will_close
            self._connection = connection if whole else None
            if not whole:
                connection.close()
            return answer.status, body
        raise AssertionError("unreachable: the second attempt is never on a reused connection")

    def _connect(self) -> http.client.HTTPConnection:
        try:
            url = urlsplit(self._endpoint)
            connection = http.client.HTTPConnection(
                url.hostname or "", url.port or 80, timeout=TIMEOUT
            )
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._silent("connect", error) from error
        return connection

    def _silent(self, method: str, error: Exception) -> Transient:
        if method == "PUT" and isinstance(error, TimeoutError):
            return Transient(
                "IMDS gives the pod no token: no answer to PUT",
                "set the instance's HttpPutResponseHopLimit to 2 (aws ec2 "
                "modify-instance-metadata-options), or set AWS_REGION and use Pod Identity",
            )
        return Transient(
            f"IMDS at {self._endpoint} does not answer ({error})",
            "check that the pod's default route leads to the node; set AWS_REGION to do "
            "without IMDS",
        )


def _each(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Parse one value a line."""
    return lambda text: tuple(parse(line.strip()) for line in text.splitlines() if line.strip())


def _id(kind: str) -> Callable[[str], str]:
    """Parse an id: a proxy's or a server's error page is none."""

    def parse(text: str) -> str:
        if not re.fullmatch(rf"{kind}-[0-9a-zA-Z]{{1,32}}", text):
            raise ValueError(text)
        return text

    return parse


def _region(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", text):
        raise ValueError(text)
    return text


def _zone_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", text):
        raise ValueError(text)
    return text


def _refused(what: str, status: int) -> Permanent | Transient:
    if status >= 500 or status == 429:  # noqa: PLR2004 - HTTP's own numbers
        return Transient(f"IMDS answered {what} with {status}")
    return Permanent(
        f"IMDS answered {what} with {status}",
        "enable IMDS on the instance (HttpEndpoint=enabled), or set AWS_REGION",
    )
