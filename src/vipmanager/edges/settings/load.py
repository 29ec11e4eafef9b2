"""The environment and the flags, checked and made into `Settings`; every mistake at once."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from vipmanager.core.downward import DOWNWARD, NODE, POD_IPS
from vipmanager.core.settings import HandOver, Mode, Settings
from vipmanager.core.text import printable, quoted
from vipmanager.core.values import Address, Network
from vipmanager.edges.settings.keys import KEYS
from vipmanager.edges.settings.words import InvalidValue, addresses, networks

LONGEST = 2048
"""Characters of a problem."""


class SettingsError(Exception):
    """The configuration can't be used.

    Attributes:
        problems: one line each, with the key, its value and what is allowed.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(printable(p, LONGEST) for p in problems)
        super().__init__("\n".join(self.problems))


_PEERS = re.compile(r"Intf([1-9][0-9]?)Peers")
_KNOWN = [*(k.name for k in KEYS), *(f"Intf{n}Peers" for n in range(1, 10))]


def load(environ: Mapping[str, str]) -> Settings:
    """Build the settings from the environment, over which flags were laid.

    Raises:
        SettingsError: with every problem found.
    """
    fields: dict[str, Any] = {}
    problems: list[str] = []

    def take(name: str, text: str, field: str, parse: Callable[[str], Any]) -> None:
        try:
            value = parse(text.strip())
        except InvalidValue as bad:
            problems.append(f"{name}={quoted(text)}: expected {bad}")
        else:
            if field:
                fields[field] = value

    for key in KEYS:
        take(key.name, environ.get(key.name) or key.default, key.field, key.parse)
    fields["peers"] = _peers(environ, problems)
    take(POD_IPS, environ.get(POD_IPS, ""), "pod_addresses", addresses)
    problems += _contradictions(fields, environ)
    problems += _leaving(fields, environ)
    problems += _lookalikes(environ)
    if problems:
        raise SettingsError(problems)
    return Settings(
        **fields,
        protected=_protected(environ),
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
        imds_v1=environ.get("AWS_EC2_METADATA_V1_DISABLED", "").lower() != "true",
    )


SILENCE = 6
"""HeartbeatMs that LeaseSeconds has to hold at least: the three misses of a takeover, and as much
again for the holder's renewal to arrive before them."""


def _contradictions(fields: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Find keys whose values are right on their own, and wrong together."""
    given = partial(_given, environ)
    init = fields.get("mode") is Mode.INIT
    if fields.get("health_check") and init:
        yield given(
            "HealthCheck",
            "nothing with RunAsSidecar=False; the application starts after its initContainers",
        )
    if not fields.get("leader_election"):
        if fields.get("preferred_zone"):
            yield given("PreferredZone", "nothing without LeaderElection=True; nobody hands over")
        return
    if init:
        yield given(
            "LeaderElection",
            "False with RunAsSidecar=False; an initContainer ends, and holds no Lease",
        )
    for name, field in DOWNWARD.items():
        if not environ.get(name):
            yield given(name, f"the pod's {field} with LeaderElection=True (downward API)")
    heartbeat, lease = fields.get("heartbeat", 0.0), fields.get("lease_seconds", float("inf"))
    if fields.get("heartbeat_port") and heartbeat * SILENCE > lease:
        yield given(
            "HeartbeatMs",
            f"at most {lease / SILENCE * 1000:.0f} with LeaseSeconds={lease:g}: a sixth of it",
        )
    if fields.get("heartbeat_key_file") and not fields.get("heartbeat_port"):
        yield given("HeartbeatKeyFile", "nothing with HeartbeatPort=0; nothing is sent")


def _leaving(fields: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Find what `HandOverOn` lacks, or what lacks it."""
    given = partial(_given, environ)
    if "hand_over_on" not in fields or "cluster_arn" not in fields:
        return
    on, cluster = fields["hand_over_on"], fields["cluster_arn"]
    if on and fields.get("leader_election") is False:
        yield given("HandOverOn", "nothing without LeaderElection=True; nobody takes over")
    name, field = NODE
    if HandOver.CORDON in on and not environ.get(name):
        yield given(name, f"the pod's {field} with HandOverOn=cordon (downward API)")
    if HandOver.ZONAL_SHIFT in on and not cluster:
        yield given("ClusterArn", "the ARN of the EKS cluster with HandOverOn=zonal-shift")
    if cluster and HandOver.ZONAL_SHIFT not in on:
        yield given("ClusterArn", "nothing without HandOverOn=zonal-shift; nobody asks about it")


def kubelet(environ: Mapping[str, str]) -> Iterator[str]:
    """Find what kubelet's variables have that leads to no Kubernetes API."""
    given = partial(_given, environ)
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    if host and not re.fullmatch(r"[\w.:-]+", host, re.ASCII):
        yield given("KUBERNETES_SERVICE_HOST", "the address of the Kubernetes API, or its name")
    number = environ.get("KUBERNETES_SERVICE_PORT", "")
    if number and not (re.fullmatch(r"[0-9]{1,5}", number) and 0 < int(number) < 2**16):
        yield given("KUBERNETES_SERVICE_PORT", "the port of the Kubernetes API, such as 443")


def _given(environ: Mapping[str, str], name: str, expected: str) -> str:
    return f"{name}={quoted(environ.get(name, ''))}: expected {expected}"


def _peers(environ: Mapping[str, str], problems: list[str]) -> Mapping[int, tuple[Network, ...]]:
    peers: dict[int, tuple[Network, ...]] = {}
    for name in sorted(environ):
        match = _PEERS.fullmatch(name)
        if match:
            try:
                named = networks(environ[name])
            except InvalidValue as bad:
                problems.append(f"{name}={quoted(environ[name])}: expected {bad}")
            else:
                if named:
                    peers[int(match[1])] = named
    return MappingProxyType(dict(sorted(peers.items())))


def _lookalikes(environ: Mapping[str, str]) -> list[str]:
    """Find keys that were meant to be ours: a typing mistake must not pass in silence."""
    known = {name.lower(): name for name in _KNOWN}
    problems = []
    for name in sorted(environ):
        if name in _KNOWN or _PEERS.fullmatch(name) or "_" in name:
            continue
        close = get_close_matches(name.lower(), known, n=1, cutoff=0.85)
        if close:
            problems.append(
                f"{name}={quoted(environ[name])}: unknown key; did you mean {known[close[0]]}?"
            )
    return problems


_ENDPOINTS = (
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ARC_ZONAL_SHIFT",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_STS",
)


def _protected(environ: Mapping[str, str]) -> tuple[Address, ...]:
    """Collect the addresses that the pod talks to through its primary interface."""
    hosts = [environ.get("KUBERNETES_SERVICE_HOST", "")]
    hosts += [_host(environ.get(name, "")) for name in _ENDPOINTS]
    found: list[Address] = []
    for host in hosts:
        try:
            found.append(ip_address(host))
        except ValueError:
            continue  # a name, or nothing: its address can't be known here
    return tuple(dict.fromkeys(found))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
