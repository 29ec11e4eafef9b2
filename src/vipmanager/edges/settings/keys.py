"""The configuration table: every key, what it sets, and what a person reads about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vipmanager.core.settings import Mode, Pattern
from vipmanager.edges.settings.words import (
    cluster,
    dns_label,
    dns_subdomain,
    flag,
    globs,
    hand_over,
    health_check,
    milliseconds,
    networks,
    number,
    one_of,
    path,
    port,
    rate,
    role,
    table_ids,
    tags,
    whole,
    zone,
)

Schema = Mapping[str, object]
"""A JSON schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One row of the configuration table."""

    name: str
    field: str
    parse: Callable[[str], Any]
    default: str
    schema: Schema | None = None
    """What a value of the Helm chart has to be; None where the chart sets it by other values."""
    meaning: str


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


def _choice(*words: str) -> Schema:
    return {"enum": words}


def _number(low: float, high: float) -> Schema:
    return _counted("number", low, high, r"^[0-9]+(\.[0-9]+)?$")


def _integer(low: int, high: int) -> Schema:
    return _counted("integer", low, high, "^[0-9]+$")


def _counted(kind: str, low: float, high: float, quoted: str) -> Schema:
    """Take it in quotes too, as a ConfigMap has it; the agent looks at its bounds then."""
    return {"type": (kind, "string"), "minimum": low, "maximum": high, "pattern": quoted}


STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"enum": [True, False, "True", "False", "true", "false"]}
PORT = _integer(0, 65_535)
NAME: Schema = {"$ref": "#/definitions/name"}
NETWORKS: Schema = {"$ref": "#/definitions/networks"}


KEYS = (
    Key(
        name="VPCRTTag",
        field="tags",
        parse=tags,
        default="ALL",
        schema=STRING,
        meaning="which route tables: ALL, key, or key=value; several separated by commas; "
        "* and ? match as in EC2's filters",
    ),
    Key(
        name="RunAsSidecar",
        field="mode",
        parse=lambda text: Mode.SIDECAR if flag(text) else Mode.INIT,
        default="False",
        meaning="False: converge, verify, exit (initContainer). True: keep it so (sidecar)",
    ),
    Key(
        name="SubnetBasedLoopbacks",
        field="pattern",
        parse=lambda text: Pattern.SUBNET if flag(text) else Pattern.HOST,
        default="False",
        meaning="False: floating IPs lie outside the VPC and are routed as /32 or /128. "
        "True: they lie in dummy subnets, whose whole CIDR is routed",
    ),
    Key(
        name="UseSBR",
        field="source_routing",
        parse=flag,
        default="False",
        schema=BOOLEAN,
        meaning="route by source: answers leave by the interface of their floating IP, "
        "without peer lists",
    ),
    Key(
        name="DryRun",
        field="dry_run",
        parse=flag,
        default="False",
        schema=BOOLEAN,
        meaning="True: say what would be done, and write nothing: no route, nothing in the pod, no "
        "Lease; the pod is ready whatever is found",
    ),
    Key(
        name="VPCRTIds",
        field="tables",
        parse=table_ids,
        default="",
        schema=_text(r"^(rtb-[0-9a-f]{8,17}(\s*,\s*|$))*$"),
        meaning="explicit route table ids instead of tags, in order of importance",
    ),
    Key(
        name="RouteRoleArn",
        field="route_role",
        parse=role,
        default="",
        schema=_text(r"^(arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+)?$"),
        meaning="role to assume for route tables (shared VPC); ENIs are read with the pod's own",
    ),
    Key(
        name="Interfaces",
        field="interfaces",
        parse=globs,
        default="",
        schema=_text(r"^[A-Za-z0-9_.*?\[\]!@:, -]*$"),
        meaning="glob patterns of pod interfaces to manage; default: what Multus attached, "
        "and what has the MAC of one of the node's ENIs",
    ),
    Key(
        name="FloatingIPs",
        field="floating",
        parse=networks,
        default="",
        schema=NETWORKS,
        meaning="networks that an address must lie in to be steered; default: any",
    ),
    Key(
        name="InitTimeoutSeconds",
        field="init_timeout",
        parse=number(0, 86_400, "seconds from 0 (no limit) to 86400"),
        default="600",
        schema=_number(0, 86_400),
        meaning="deadline of the initContainer; 0 is no limit",
    ),
    Key(
        name="ResyncSeconds",
        field="resync",
        parse=number(1, 86_400, "seconds from 1 to 86400"),
        default="30",
        schema=_number(1, 86_400),
        meaning="how often a sidecar reads everything again, +-25 %",
    ),
    Key(
        name="ApiRate",
        field="rate",
        parse=rate,
        default="50/5",
        schema=_text(r"^[1-9][0-9]{0,4}/[0-9]{1,5}(\.[0-9]+)?$"),
        meaning="burst/refill of route writes: EC2's bucket, which all pods share",
    ),
    Key(
        name="MaxRouteWrites",
        field="max_route_writes",
        parse=whole(1, 100_000),
        default="1000",
        schema=_integer(1, 100_000),
        meaning="routes that one plan may write: a larger one is a mistake in the selection until "
        "a person allows it, and none of it is written",
    ),
    Key(
        name="ManageSourceDestCheck",
        field="manage_source_dest_check",
        parse=flag,
        default="False",
        schema=BOOLEAN,
        meaning="switch the source/dest check off on the ENIs under floating IPs",
    ),
    Key(
        name="HTTPPort",
        field="http_port",
        parse=port,
        default="0",
        schema=PORT,
        meaning="port for /healthz, /readyz, /status and /metrics; 0 is off",
    ),
    Key(
        name="HealthCheck",
        field="health_check",
        parse=health_check,
        default="",
        schema=_text(r"^(|https?://.+|tcp://.+|exec:.+)$"),
        meaning="until it passes, a sidecar takes no floating IP over: http(s)://HOST:PORT/PATH, "
        "tcp://HOST:PORT or exec:COMMAND (no shell; in the agent's container, with its rights)",
    ),
    Key(
        name="HealthIntervalMs",
        field="health_interval",
        parse=milliseconds(100, 60_000),
        default="1000",
        schema=_integer(100, 60_000),
        meaning="milliseconds between health checks, and a check's time limit up to 10 s",
    ),
    Key(
        name="HealthRise",
        field="health_rise",
        parse=whole(1, 100),
        default="1",
        schema=_integer(1, 100),
        meaning="passed checks in a row that make the application healthy",
    ),
    Key(
        name="HealthFall",
        field="health_fall",
        parse=whole(1, 100),
        default="3",
        schema=_integer(1, 100),
        meaning="failed checks in a row that make it unhealthy",
    ),
    Key(
        name="KubernetesEvents",
        field="kubernetes_events",
        parse=flag,
        default="False",
        schema=BOOLEAN,
        meaning="post Kubernetes Events on the pod: moved, refused, lost, another role; needs a "
        "Role",
    ),
    Key(
        name="LeaderElection",
        field="leader_election",
        parse=flag,
        default="False",
        meaning="a Kubernetes Lease decides which sidecar steers, one of several or a lone one; "
        "needs Roles (docs/standby.md); the shipped sidecars have it",
    ),
    Key(
        name="LeaseName",
        field="lease_name",
        parse=dns_subdomain,
        default="vipmanager",
        schema=NAME,
        meaning="the Lease: one for each group of replicas with the same floating IPs",
    ),
    Key(
        name="LeaseNamespace",
        field="lease_namespace",
        parse=dns_label,
        default="",
        schema=_text(r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$"),
        meaning="its namespace; default: the pod's",
    ),
    Key(
        name="LeaseSeconds",
        field="lease_seconds",
        parse=number(2, 60, "seconds from 2 to 60"),
        default="5",
        schema=_number(2, 60),
        meaning="how long a silent holder keeps the Lease where heartbeats can't tell that it died",
    ),
    Key(
        name="HeartbeatMs",
        field="heartbeat",
        parse=milliseconds(20, 5_000),
        default="100",
        schema=_integer(20, 5_000),
        meaning="milliseconds between a standby's probes; three unanswered ones allow a takeover",
    ),
    Key(
        name="HeartbeatPort",
        field="heartbeat_port",
        parse=port,
        default="7946",
        schema=PORT,
        meaning="UDP port on the pods' primary addresses for the probes; 0 is off",
    ),
    Key(
        name="HeartbeatKeyFile",
        field="heartbeat_key_file",
        parse=path,
        default="",
        meaning="file with the key that all replicas share, from a Secret; without it anyone who "
        "reaches the port can delay a takeover",
    ),
    Key(
        name="PreferredZone",
        field="preferred_zone",
        parse=zone,
        default="",
        schema=_text(r"^[A-Za-z0-9-]*$"),
        meaning="Availability Zone to which the floating IPs return after a minute; default: they "
        "stay where they are",
    ),
    Key(
        name="HandOverOn",
        field="hand_over_on",
        parse=hand_over,
        default="",
        schema=_text(r"^( *(cordon|zonal-shift) *(,|$))*$"),
        meaning="hand over before anything is lost: cordon (the node is cordoned or drained; needs "
        "a ClusterRole), zonal-shift (ARC shifts the zone away; needs ClusterArn and IAM)",
    ),
    Key(
        name="ClusterArn",
        field="cluster_arn",
        parse=cluster,
        default="",
        schema=_text(
            r"^(arn:[a-z0-9-]+:eks:[a-z0-9-]+:[0-9]{12}:cluster/[0-9A-Za-z][0-9A-Za-z_-]{0,99})?$"
        ),
        meaning="the EKS cluster whose zonal shifts count, with HandOverOn=zonal-shift",
    ),
    Key(
        name="RoleLabel",
        field="role_label",
        parse=flag,
        default="False",
        schema=BOOLEAN,
        meaning="keep the pod label vipmanager/role (holder, standby or relieved); needs the right "
        "to patch pods, which is namespace-wide",
    ),
    Key(
        name="LogFormat",
        field="log_json",
        parse=lambda text: one_of("text", "json")(text) == "json",
        default="text",
        schema=_choice("text", "json"),
        meaning="text or json lines, on stderr",
    ),
    Key(
        name="LogLevel",
        field="log_level",
        parse=one_of("debug", "info", "warning", "error"),
        default="info",
        schema=_choice("debug", "info", "warning", "error"),
        meaning="debug, info, warning or error",
    ),
    Key(
        name="OnStop",
        field="",
        parse=one_of("keep"),
        default="keep",
        schema=_choice("keep"),
        meaning="what a stopping sidecar does with its cloud routes: keep them",
    ),
)
