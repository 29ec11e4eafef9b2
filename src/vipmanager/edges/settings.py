"""The environment and the flags, checked and made into `Settings`; every mistake at once."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address, ip_interface, ip_network
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from vipmanager.core.healthcheck import HealthCheck, parse
from vipmanager.core.settings import Mode, Pattern, Rate, Settings, TagSelector
from vipmanager.core.values import Address, Network, RouteTableId


class SettingsError(Exception):
    """The configuration can't be used.

    Attributes:
        problems: one line each, with the key, its value and what is allowed.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class _Bad(Exception):
    """A value that is not allowed; the text says what is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One row of the configuration table."""

    name: str
    field: str
    parse: Callable[[str], Any]
    default: str
    meaning: str


_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def _flag(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise _Bad("True or False")


def _words(text: str) -> list[str]:
    return [w for w in (part.strip() for part in text.split(",")) if w]


def _network(word: str) -> Network:
    if "%" in word:
        # Python takes any text for a zone, and it would reach `ip` as it is.
        raise _Bad(f"hosts or networks without a zone; {word} has one")
    try:
        return ip_network(word)
    except ValueError:
        pass
    try:
        loose = ip_interface(word)
    except ValueError:
        raise _Bad(
            f"hosts or networks such as 10.0.0.5 or 10.0.0.0/24; {word} is neither"
        ) from None
    raise _Bad(
        f"networks without host bits; {word} is either {loose.network} or the host {loose.ip}"
    )


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(dict.fromkeys(_network(w) for w in _words(text)))


def _tags(text: str) -> tuple[TagSelector, ...]:
    if text.strip() in {"", "ALL"}:
        return ()
    selectors = []
    for word in _words(text):
        key, equals, value = word.partition("=")
        if not key:
            raise _Bad(f"ALL, key or key=value; {word} has no key")
        selectors.append(TagSelector(key=key, value=value if equals else None))
    if TagSelector(key="ALL") in selectors:
        raise _Bad("ALL alone, or tags alone")
    return tuple(selectors)


def _table_ids(text: str) -> tuple[RouteTableId, ...]:
    for word in _words(text):
        if not re.fullmatch(r"rtb-[0-9a-f]{8,17}", word):
            raise _Bad(f"route table ids such as rtb-0123456789abcdef0; {word} is none")
    return tuple(dict.fromkeys(RouteTableId(w) for w in _words(text)))


def _role(text: str) -> str | None:
    if text and not re.fullmatch(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\w+=,.@/-]+", text):
        raise _Bad("a role such as arn:aws:iam::123456789012:role/routes")
    return text or None


def _globs(text: str) -> tuple[str, ...]:
    for word in _words(text):
        if not re.fullmatch(r"[\w.*?\[\]!@:-]+", word):
            raise _Bad(f"interface names with * and ?; {word} is none")
    return tuple(_words(text))


def _number(low: float, high: float, what: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise _Bad(what) from None
        if not low <= value <= high:
            raise _Bad(what)
        return value

    return parse


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:  # noqa: PLR2004 - 2^16-1
        raise _Bad("a port from 1 to 65535, or 0 for none")
    return int(text)


def _health_check(text: str) -> HealthCheck | None:
    try:
        return parse(text) if text else None
    except ValueError as error:
        raise _Bad(str(error)) from None


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise _Bad(f"a whole number from {low} to {high}")
        return int(text)

    return read


def _milliseconds(low: int, high: int) -> Callable[[str], float]:
    whole = _whole(low, high)
    return lambda text: whole(text) / 1000


def _rate(text: str) -> Rate:
    match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5}(?:\.[0-9]+)?)", text)
    if not match or int(match[1]) < 1 or float(match[2]) <= 0:
        raise _Bad("burst/refill a second, such as 50/5")
    return Rate(burst=int(match[1]), refill=float(match[2]))


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise _Bad(" or ".join(allowed))
        return text

    return parse


KEYS = (
    Key(
        name="VPCRTTag",
        field="tags",
        parse=_tags,
        default="ALL",
        meaning="which route tables: ALL, key, or key=value; several separated by commas; "
        "* and ? match as in EC2's filters",
    ),
    Key(
        name="RunAsSidecar",
        field="mode",
        parse=lambda text: Mode.SIDECAR if _flag(text) else Mode.INIT,
        default="False",
        meaning="False: converge, verify, exit (initContainer). True: keep it so (sidecar)",
    ),
    Key(
        name="SubnetBasedLoopbacks",
        field="pattern",
        parse=lambda text: Pattern.SUBNET if _flag(text) else Pattern.HOST,
        default="False",
        meaning="False: floating IPs lie outside the VPC and are routed as /32 or /128. "
        "True: they lie in dummy subnets, whose whole CIDR is routed",
    ),
    Key(
        name="UseSBR",
        field="source_routing",
        parse=_flag,
        default="False",
        meaning="route by source: answers leave by the interface of their floating IP, "
        "without peer lists",
    ),
    Key(
        name="VPCRTIds",
        field="tables",
        parse=_table_ids,
        default="",
        meaning="explicit route table ids instead of tags, in order of importance",
    ),
    Key(
        name="RouteRoleArn",
        field="route_role",
        parse=_role,
        default="",
        meaning="role to assume for route tables (shared VPC); ENIs are read with the pod's own",
    ),
    Key(
        name="Interfaces",
        field="interfaces",
        parse=_globs,
        default="",
        meaning="glob patterns of pod interfaces to manage; default: all but lo and the primary",
    ),
    Key(
        name="FloatingIPs",
        field="floating",
        parse=_networks,
        default="",
        meaning="networks that an address must lie in to be steered; default: any",
    ),
    Key(
        name="InitTimeoutSeconds",
        field="init_timeout",
        parse=_number(0, 86_400, "seconds from 0 (no limit) to 86400"),
        default="0",
        meaning="deadline of the initContainer; 0 is no limit",
    ),
    Key(
        name="ResyncSeconds",
        field="resync",
        parse=_number(1, 86_400, "seconds from 1 to 86400"),
        default="30",
        meaning="how often a sidecar reads everything again, +-25 %",
    ),
    Key(
        name="ApiRate",
        field="rate",
        parse=_rate,
        default="50/5",
        meaning="burst/refill of route writes: EC2's bucket, which all pods share",
    ),
    Key(
        name="ManageSourceDestCheck",
        field="manage_source_dest_check",
        parse=_flag,
        default="False",
        meaning="switch the source/dest check off on the ENIs under floating IPs",
    ),
    Key(
        name="HTTPPort",
        field="http_port",
        parse=_port,
        default="0",
        meaning="port for /healthz, /readyz, /status and /metrics; 0 is off",
    ),
    Key(
        name="HealthCheck",
        field="health_check",
        parse=_health_check,
        default="",
        meaning="until it passes, a sidecar takes no floating IP over: http(s)://HOST:PORT/PATH, "
        "tcp://HOST:PORT or exec:COMMAND (no shell; in the agent's container, with its rights)",
    ),
    Key(
        name="HealthIntervalMs",
        field="health_interval",
        parse=_milliseconds(100, 60_000),
        default="1000",
        meaning="milliseconds between health checks, and a check's time limit up to 10 s",
    ),
    Key(
        name="HealthRise",
        field="health_rise",
        parse=_whole(1, 100),
        default="1",
        meaning="passed checks in a row that make the application healthy",
    ),
    Key(
        name="HealthFall",
        field="health_fall",
        parse=_whole(1, 100),
        default="3",
        meaning="failed checks in a row that make it unhealthy",
    ),
    Key(
        name="KubernetesEvents",
        field="kubernetes_events",
        parse=_flag,
        default="False",
        meaning="post Kubernetes Events on the pod: moved, refused, lost; needs a Role",
    ),
    Key(
        name="LogFormat",
        field="log_json",
        parse=lambda text: _one_of("text", "json")(text) == "json",
        default="text",
        meaning="text or json lines, on stderr",
    ),
    Key(
        name="LogLevel",
        field="log_level",
        parse=_one_of("debug", "info", "warning", "error"),
        default="info",
        meaning="debug, info, warning or error",
    ),
    Key(
        name="OnStop",
        field="",
        parse=_one_of("keep"),
        default="keep",
        meaning="what a stopping sidecar does with its cloud routes: keep them",
    ),
)

RESERVED = {
    "LeaderElection": ("False", "warm standby"),
}
"""Keys of later versions: their default is accepted, anything else is refused."""

_PEERS = re.compile(r"Intf([1-9][0-9]?)Peers")
_KNOWN = [*(k.name for k in KEYS), *RESERVED, *(f"Intf{n}Peers" for n in range(1, 10))]


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
        except _Bad as bad:
            problems.append(f"{name}={text!r}: expected {bad}")
        else:
            if field:
                fields[field] = value

    for key in KEYS:
        take(key.name, environ.get(key.name) or key.default, key.field, key.parse)
    fields["peers"] = _peers(environ, problems)
    for name, (default, what) in RESERVED.items():
        text = (environ.get(name) or default).strip()
        if text.lower() != default.lower():
            problems.append(f"{name}={text!r}: expected {default or 'nothing'}; {what} come later")
    if fields.get("health_check") and fields.get("mode") is Mode.INIT:
        problems.append(
            f"HealthCheck={environ['HealthCheck']!r}: expected nothing with RunAsSidecar=False; "
            "the application starts after its initContainers"
        )
    problems += _lookalikes(environ)
    if problems:
        raise SettingsError(problems)
    return Settings(
        **fields,
        protected=_protected(environ),
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
        imds_v1=environ.get("AWS_EC2_METADATA_V1_DISABLED", "").lower() != "true",
    )


def _peers(environ: Mapping[str, str], problems: list[str]) -> Mapping[int, tuple[Network, ...]]:
    peers: dict[int, tuple[Network, ...]] = {}
    for name in sorted(environ):
        match = _PEERS.fullmatch(name)
        if match:
            try:
                networks = _networks(environ[name])
            except _Bad as bad:
                problems.append(f"{name}={environ[name]!r}: expected {bad}")
            else:
                if networks:
                    peers[int(match[1])] = networks
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
                f"{name}={environ[name]!r}: unknown key; did you mean {known[close[0]]}?"
            )
    return problems


_ENDPOINTS = (
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL",
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
