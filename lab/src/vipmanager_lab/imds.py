"""The instance metadata service: one server for every node, built from the lab's VPC.

It listens in the router's namespace, one hop from the node, as on AWS; which instance asks is
told by the source address, an address of one of its ENIs. Sources: EC2 user guide, "Use the
Instance Metadata Service" and "Instance metadata categories"; what goes stale, and `network-card`
beside `network-card-index`, are known from the issues and the source of the VPC CNI.
"""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv6Address, ip_address
from typing import Any, cast

from vipmanager_lab.closing import Closing
from vipmanager_lab.netns import Netns
from vipmanager_lab.router import IMDS_IPV4, IMDS_IPV6
from vipmanager_lab.vpc import Eni, VpcState

_TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
_TOKEN_SECONDS = range(1, 21601)
_DEFAULT_HOPS = 64
_META = "/latest/meta-data/"
_TEXT = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What an instance's role gives out; the times are in UTC."""

    role: str
    access_key: str
    secret_key: str
    token: str
    updated: datetime
    expiration: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataOptions:
    """How the service treats one instance: EC2's options first, then faults."""

    v1: bool = False
    """Whether a GET without a token is answered (HttpTokens `optional`)."""
    v2: bool = True
    """Whether tokens are given out; False refuses every PUT with 403."""
    enabled: bool = True
    """False answers everything with 403 (HttpEndpoint `disabled`)."""
    ipv6: bool = True
    """Whether the IPv6 endpoint answers (HttpProtocolIpv6)."""
    hop_limit: int = 2
    """The IP TTL of the answer that carries a token: 1 ends at the node, 1 to 64."""
    target_lifecycle_state: str | None = None
    """What the instance's Auto Scaling group wants of it, such as `Terminated`."""
    spot_action: tuple[str, datetime] | None = None
    """A Spot interruption: `terminate`, `stop` or `hibernate`, and when (UTC)."""

    down: bool = False
    """Connections are accepted, requests never answered."""
    latency: float = 0.0
    """Seconds before each answer."""
    lagging: frozenset[str] = frozenset()
    """MACs that are listed while every key below them is 404: ENIs attached a moment ago."""
    missing: frozenset[str] = frozenset()
    """MACs of attached ENIs that are not listed."""
    stale: tuple[Eni, ...] = ()
    """ENIs that were detached and are still shown as they were."""
    half_stale: tuple[Eni, ...] = ()
    """The same, with 404 for `device-number` and `interface-id`."""
    card_keys: frozenset[str] = frozenset({"network-card"})
    """Which of `network-card` and `network-card-index` exist: documentation and code differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    instance: str
    expires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; `hops` is its IP TTL where that is limited."""

    status: HTTPStatus
    body: str = ""
    kind: str = _TEXT
    headers: Mapping[str, str] = field(default_factory=dict)
    hops: int = _DEFAULT_HOPS


def metadata(
    state: VpcState,
    instance: str,
    options: MetadataOptions,
    *,
    account: str,
    region: str,
    credentials: Credentials | None,
) -> dict[str, str]:
    """Every item of an instance by its path; directories follow from the paths."""
    enis = [eni for eni in state.enis if eni.instance == instance]
    primary = min(enis, key=lambda eni: (eni.card_index, eni.device_index))
    zone = {subnet.id: subnet.zone for subnet in state.subnets}[primary.subnet]
    items = {
        "instance-id": instance,
        "mac": primary.mac,
        "placement/availability-zone": zone,
        "placement/availability-zone-id": zone_id(zone),
        "placement/region": region,
        **_notices(options),
    }
    if primary.ipv4:
        items["local-ipv4"] = str(primary.ipv4[0])
    if credentials is not None:
        items[f"iam/security-credentials/{credentials.role}"] = _role_document(credentials)
    shown = [eni for eni in enis if eni.mac not in options.missing]
    for eni in (*shown, *options.stale, *options.half_stale):
        below = f"network/interfaces/macs/{eni.mac}/"
        keys = _shown(state, eni, account, options)
        items |= {below + key: value for key, value in keys.items()}
    identity = {
        "accountId": account,
        "availabilityZone": zone,
        "instanceId": instance,
        "privateIp": items.get("local-ipv4"),
        "region": region,
        "version": "2017-09-30",
    }
    return {
        **{_META + key: value for key, value in items.items()},
        "/latest/dynamic/instance-identity/document": json.dumps(identity, indent=2),
    }


def _notices(options: MetadataOptions) -> dict[str, str]:
    """What tells that the instance is about to go."""
    items = {}
    if options.target_lifecycle_state is not None:
        items["autoscaling/target-lifecycle-state"] = options.target_lifecycle_state
    if options.spot_action is not None:
        action, when = options.spot_action
        items["spot/instance-action"] = json.dumps({"action": action, "time": _stamp(when)})
    return items


def _shown(state: VpcState, eni: Eni, account: str, options: MetadataOptions) -> dict[str, str]:
    """The items of an ENI, as far as they are there already or still."""
    if eni.mac in options.lagging:
        return {"": ""}
    keys = _interface(state, eni, account, options.card_keys)
    if eni in options.half_stale:
        del keys["device-number"], keys["interface-id"]
    return keys


def zone_id(zone: str) -> str:
    """Give a zone's id, which is the same in every account; the last letter of its name is not."""
    region, number = zone[:-1].split("-"), (ord(zone[-1]) - ord("a") + 1) % 3 + 1
    return f"{region[0]}{region[1][0]}{region[2]}-az{number}"


def _interface(state: VpcState, eni: Eni, account: str, card_keys: Iterable[str]) -> dict[str, str]:
    """The items of one MAC; what an ENI has none of is absent, so 404."""
    subnet = {one.id: one for one in state.subnets}[eni.subnet]
    vpc = {one.id: one for one in state.vpcs}[eni.vpc]
    lists = {
        "local-ipv4s": eni.ipv4,
        "ipv6s": eni.ipv6,
        "ipv4-prefix": tuple(p for p in eni.prefixes if p.version == 4),  # noqa: PLR2004
        "ipv6-prefix": tuple(p for p in eni.prefixes if p.version == 6),  # noqa: PLR2004
        "subnet-ipv4-cidr-block": (subnet.ipv4,) if eni.ipv4 else (),
        "subnet-ipv6-cidr-blocks": (subnet.ipv6,) if subnet.ipv6 else (),
        "vpc-ipv4-cidr-block": vpc.ipv4[:1],
        "vpc-ipv4-cidr-blocks": vpc.ipv4,
        "vpc-ipv6-cidr-blocks": vpc.ipv6,
    }
    return {
        "device-number": str(eni.device_index),
        "interface-id": eni.id,
        "mac": eni.mac,
        "owner-id": account,
        "subnet-id": eni.subnet,
        "vpc-id": eni.vpc,
        **dict.fromkeys(card_keys, str(eni.card_index)),
        **{key: "\n".join(map(str, values)) for key, values in lists.items() if values},
    }


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _role_document(credentials: Credentials) -> str:
    document = {
        "Code": "Success",
        "LastUpdated": _stamp(credentials.updated),
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials.access_key,
        "SecretAccessKey": credentials.secret_key,
        "Token": credentials.token,
        "Expiration": _stamp(credentials.expiration),
    }
    return json.dumps(document, indent=2)


def lookup(items: Mapping[str, str], path: str) -> str | None:
    """The item at a path, the listing of a directory, or None: one name a line, `/` after one."""
    if path in items and not path.endswith("/"):
        return items[path]
    folder = path.rstrip("/") + "/"
    names = set()
    for item in items:
        if item.startswith(folder) and (rest := item[len(folder) :]):
            name, slash, _ = rest.partition("/")
            names.add(name + slash)
    return "\n".join(sorted(names)) if names else None


class Imds(Closing):
    """The server, with its options and tokens per instance; stopped by `close`."""

    def __init__(
        self,
        namespace: Netns,
        state: Callable[[], VpcState],
        *,
        region: str,
        account: str = "123456789012",
        credentials: Callable[[str], Credentials | None] = lambda _instance: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen in the router's namespace.

        Args:
            namespace: where 169.254.169.254 and fd00:ec2::254 are local.
            state: what the VPC looks like now; read for every request.
            region: of every instance.
            account: of every ENI.
            credentials: of an instance's role, by instance id, or None for no role.
            clock: seconds, for the expiry of tokens.

        Raises:
            OSError: port 80 is taken there.
        """
        self._state = state
        self._region = region
        self._account = account
        self._credentials = credentials
        self._clock = clock
        self._options: dict[str, MetadataOptions] = {}
        self._tokens: dict[str, _Token] = {}
        self.stopped = threading.Event()
        self._connections: set[socket.socket] = set()
        self._listeners: list[socket.socket] = []
        for family, address in ((socket.AF_INET, IMDS_IPV4), (socket.AF_INET6, IMDS_IPV6)):
            listener = namespace.socket(family)
            self._listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((str(address), 80))
            listener.listen(128)
            threading.Thread(
                target=self._accept, args=(listener,), name=f"imds {address}", daemon=True
            ).start()

    def options(self, instance: str) -> MetadataOptions:
        """An instance's options; the defaults until they are set."""
        return self._options.get(instance, MetadataOptions())

    def set_options(self, instance: str, options: MetadataOptions) -> None:
        """Treat an instance differently from its next request on."""
        self._options[instance] = options

    def close(self) -> None:
        """Stop listening and end every connection."""
        self.stopped.set()
        for one in (*self._listeners, *tuple(self._connections)):
            _hang_up(one)
        for listener in self._listeners:
            listener.close()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], source: str
    ) -> Answer | None:
        """The answer to a request, or None for none.

        `headers` has lower-case names; `source` is the address that asks.
        """
        state = self._state()
        asking = ip_address(source)
        instance = next(
            (eni.instance for eni in state.enis if asking in eni.ipv4 or asking in eni.ipv6), None
        )
        if instance is None:
            return None
        options = self.options(instance)
        self.stopped.wait(options.latency)
        if options.down or (isinstance(asking, IPv6Address) and not options.ipv6):
            return None
        if not options.enabled:
            return _failure(HTTPStatus.FORBIDDEN)
        if method == "PUT":
            return self._issue(path, headers, instance, options)
        if not self._admits(headers, instance, options):
            return _failure(HTTPStatus.UNAUTHORIZED)
        items = metadata(
            state,
            instance,
            options,
            account=self._account,
            region=self._region,
            credentials=self._credentials(instance),
        )
        found = lookup(items, path)
        return _failure(HTTPStatus.NOT_FOUND) if found is None else _success(found)

    def _issue(
        self, path: str, headers: Mapping[str, str], instance: str, options: MetadataOptions
    ) -> Answer:
        """Answer a PUT: a token, or why not."""
        if path != _TOKEN_PATH or "x-forwarded-for" in headers or not options.v2:
            return _failure(HTTPStatus.FORBIDDEN)
        wish = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if not (wish.isascii() and wish.isdigit() and int(wish) in _TOKEN_SECONDS):
            return _failure(HTTPStatus.BAD_REQUEST)
        token = secrets.token_urlsafe(40)
        self._tokens[token] = _Token(instance=instance, expires=self._clock() + int(wish))
        return Answer(
            status=HTTPStatus.OK,
            body=token,
            headers={"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": wish},
            hops=options.hop_limit,
        )

    def _admits(self, headers: Mapping[str, str], instance: str, options: MetadataOptions) -> bool:
        """Whether a GET may be answered: a token must be good even where none is needed."""
        shown = headers.get("x-aws-ec2-metadata-token")
        if shown is None:
            return options.v1
        token = self._tokens.get(shown)
        return token is not None and token.instance == instance and token.expires > self._clock()

    def _accept(self, listener: socket.socket) -> None:
        while not self.stopped.is_set():
            try:
                connection, source = listener.accept()
            except OSError:  # hung up by close()
                return
            self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection, source), daemon=True).start()

    def _serve(self, connection: socket.socket, source: Any) -> None:  # noqa: ANN401 - as socket
        try:
            with connection:
                _Handler(connection, source, cast("Any", self))  # it asks nothing of a server
        except OSError:  # the client went away
            pass
        finally:
            self._connections.discard(connection)


class _Handler(BaseHTTPRequestHandler):
    """One connection: HTTP/1.1 with keep-alive, each answer one send."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: Any  # the Imds

    def log_message(self, *_words: object) -> None:
        """Keep no log: whoever asks knows what it was told."""

    def do_GET(self) -> None:
        """Answer; the names of the methods are http.server's."""
        self._reply()

    do_HEAD = do_PUT = do_GET  # noqa: N815 - as above

    def _reply(self) -> None:
        self._limit_hops(_DEFAULT_HOPS)
        self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.answer(self.command, self.path, headers, self.client_address[0])
        if answer is None:
            self.rfile.read(1)  # until the client gives up
            self.close_connection = True
            return
        # Limited until the next request arrives and not only for this call: what the kernel
        # sends again must not travel further than what it sent first.
        self._limit_hops(answer.hops)
        body = answer.body.encode()
        head = {
            "Content-Type": answer.kind,
            "Content-Length": str(len(body)),
            "Server": "EC2ws",
            **answer.headers,
        }
        lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in head.items()]
        text = "\r\n".join((*lines, "", "")).encode()
        self.wfile.write(text if self.command == "HEAD" else text + body)

    def _limit_hops(self, hops: int) -> None:
        if self.connection.family == socket.AF_INET6:
            self.connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        else:
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)


def _success(body: str) -> Answer:
    return Answer(status=HTTPStatus.OK, body=body)


def _failure(status: HTTPStatus) -> Answer:
    """An error, with a page as the service sends one."""
    text = f"{status.value} - {status.phrase}"
    page = f"<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>\n"
    return Answer(status=status, body=page, kind="text/html")


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # already closed by the other side
        connection.close()
