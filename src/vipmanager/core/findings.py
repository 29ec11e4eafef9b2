"""Everything that can be wrong, as a table: what a person reads, and what they do about it."""

from dataclasses import KW_ONLY, dataclass
from enum import Enum, auto
from functools import partial


class Kind(Enum):
    """Whose turn it is."""

    SKIPPED = auto()
    """Nothing is wrong; it is said so that nobody wonders."""
    DEGRADED = auto()
    """Traffic is right; what protects it is not."""
    ASKED = auto()
    """A person asked for it, and can ask for something else."""
    WAITING = auto()
    """Time heals it: try again."""
    REFUSED = auto()
    """This agent could, and does not, since it would do harm; a person can allow it. What an API
    refuses is FAILED or WAITING."""
    FAILED = auto()
    """A person has to change something."""


class FitnessPart(Enum):
    """A part of `core.election.values.Fitness`, by its name there."""

    KERNEL = "kernel"
    LINK = "link"
    ATTACHED = "attached"


# Rows may be alike, and equal ones would be one member of an Enum.
@dataclass(frozen=True, slots=True, eq=False)
class ConditionSpec:
    """One row: what a person reads, and all that the program makes of it.

    No other module has a list of conditions for one of these questions.
    """

    kind: Kind
    text: str
    """The sentence, with named fields."""
    remedy: str
    """What a person does about it, with named fields."""
    _: KW_ONLY
    blocks_ready: bool = False
    """It shows that traffic goes wrong: who carries floating IPs is not ready with it."""
    blocks_takeover: bool = False
    """A standby with it takes nothing over, and is not ready."""
    unfit: FitnessPart | None = None
    """What of the pod's fitness is missing with it."""
    yields: bool = False
    """A floating IP is left to another agent, which took it or is to take it."""
    loses: bool = False
    """A floating IP is lost: each has a Kubernetes Event of its own, not one for all of them."""
    timed: bool = False
    """Something else tells when to look again, so that no back-off is needed."""
    usual: bool = False
    """Each write of a route may meet it for a moment: once it is over it is not told."""
    checks: tuple[str, ...] = ()
    """The codes of the doctor's checks that tell it as the agent found it.

    Empty where a check looks by itself, and where only an agent that runs can find it.
    """


_skipped = partial(ConditionSpec, Kind.SKIPPED)
_degraded = partial(ConditionSpec, Kind.DEGRADED)
_asked = partial(ConditionSpec, Kind.ASKED)
_waiting = partial(ConditionSpec, Kind.WAITING)
_refused = partial(ConditionSpec, Kind.REFUSED)
_failed = partial(ConditionSpec, Kind.FAILED)


class Condition(Enum):
    """Every condition that a pass can find."""

    # the pod
    NO_FLOATING_IP = _waiting(
        "no interface of the pod ({interfaces}) has an address to steer",
        "give the pod a Multus attachment with an address (k8s.v1.cni.cncf.io/networks), "
        "or check Interfaces and FloatingIPs; if it has the annotation, Multus was not ready when "
        "the pod started: delete the pod",
        unfit=FitnessPart.KERNEL,
    )
    NOT_ATTACHED = _failed(
        "Multus attached nothing to this pod, which asks for {interfaces} "
        "(k8s.v1.cni.cncf.io/networks): it was not ready on the node when the pod started",
        "delete the pod: the next one gets its interfaces",
        unfit=FitnessPart.KERNEL,
    )
    NETWORKS_UNREAD = _skipped(
        "the pod's networks are not known from Kubernetes: {what}",
        "nothing to do: interfaces are told by their names and by the MACs of the node's ENIs",
        checks=("interfaces",),
    )
    ADDRESS_TENTATIVE = _waiting(
        "{address} on {interface} is still tentative (duplicate address detection)",
        "wait a second; it is steered once the kernel confirms it",
        unfit=FitnessPart.KERNEL,
        checks=("addresses",),
    )
    ADDRESS_LOST = _waiting(
        "{address} on {interface} went with its link",
        "it is put back when the link is up",
        unfit=FitnessPart.LINK,
        checks=("addresses",),
    )
    LOST = _failed(
        "{address} is lost: {why}, and {count} of {total} route tables still lead to {eni}",
        "{remedy}",
        blocks_ready=True,
        blocks_takeover=True,
        loses=True,
        checks=("lost-addresses",),
    )
    ADDRESS_DUPLICATE = _failed(
        "{address} on {interface} failed duplicate address detection",
        "find the other host with this address in the ENI's subnet; then restart the pod",
        unfit=FitnessPart.KERNEL,
        checks=("addresses",),
    )
    INTERFACE_DOWN = _waiting(
        "{interface} is {state}",
        "bring it up: {command}; its routes then return",
        unfit=FitnessPart.LINK,
        checks=("addresses",),
    )
    PEERS_WITHOUT_INTERFACE = _skipped(
        "{key} names peers, but the pod has no such interface (it has {interfaces})",
        "remove {key}, or add the attachment to k8s.v1.cni.cncf.io/networks",
        checks=("peers",),
    )
    PEERS_BY_DEVICE = _skipped(
        "{key} is for {interface}: it lies on {eni}, which is device {index} of the node",
        "nothing to do; by the pod's own numbers it would be {own}",
        checks=("peers",),
    )
    PEERS_MISNUMBERED = _failed(
        "{keys}: the pod has no such interface (it has {interfaces}), and can answer nobody",
        "write {instead}, or set UseSBR=True",
        checks=("peers",),
    )
    PEER_FAMILY = _failed(
        "{key}: peer {peer} is IPv{version}, and {interface} has no IPv{version} address",
        "give {interface} an IPv{version} address, or remove the peer",
        checks=("peers",),
    )
    PEER_TWICE = _skipped(
        "peer {peer} is named for {first} and {second}; it is answered through {first}",
        "set UseSBR=True to answer each floating IP through its own interface",
        checks=("peers",),
    )
    PEER_CUTS_OFF = _refused(
        "{key}: peer {peer} covers {protected}, which the pod needs through {primary}",
        "name smaller networks that leave {address} out",
        checks=("peers",),
    )
    UNANSWERED = _degraded(
        "{addresses} on {interface}: no client can be answered; {key} names no IPv{version} peer, "
        "UseSBR is off, and no other route leads out by {interface}",
        "name the clients' networks in {key}, or set UseSBR=True",
        checks=("peers",),
    )
    DIVERTED = _degraded(
        "another program's rule `{rule}` sends what {address} answers to {peer} {way}, instead of "
        "through {gateway} on {interface}: clients there may hear nothing",
        "remove it: ip -{version} rule del {rule}; or give it a priority above {priority}",
        checks=("peers",),
    )
    OVERTAKEN = _skipped(
        "another program's rule `{rule}` would send what {address} answers to {peer} {way}; ours "
        "comes before it",
        "nothing to do",
        checks=("peers",),
    )
    KERNEL_ROUTE_FOREIGN = _refused(
        "{destination} is already routed in the pod by another program ({route})",
        "remove that route, or take {destination} out of {key}",
        unfit=FitnessPart.KERNEL,
        checks=("peers",),
    )
    NO_GATEWAY = _failed(
        "{interface}: subnet {subnet} of {eni} has no IPv4 CIDR, so no IPv4 gateway for {peer}",
        "use IPv6 peers, or an ENI in a subnet with IPv4",
        checks=("peers",),
    )

    # the node
    MAC_UNKNOWN = _failed(
        "{interface}: its MAC {mac} belongs to no ENI of {instance}",
        "attach the pod by ipvlan (L2) or host-device to a secondary ENI; macvlan and bridges "
        "have MACs that the VPC drops",
        unfit=FitnessPart.ATTACHED,
    )
    ENI_NOT_YET = _waiting(
        "{interface}: neither IMDS nor EC2 has told the ENI of MAC {mac} yet",
        "it takes up to 30 s after an attachment",
        unfit=FitnessPart.ATTACHED,
    )
    ENI_UNVERIFIED = _skipped(
        "EC2 does not let us describe network interfaces ({what}), so IMDS alone tells which "
        "ENI is which and the source/dest check is not verified",
        "allow ec2:DescribeNetworkInterfaces",
        checks=("read-access",),
    )
    SOURCE_DEST_CHECK = _failed(
        "{eni} under {interface} has its source/dest check on, so the VPC drops traffic "
        "for {address}",
        "aws ec2 modify-network-interface-attribute --network-interface-id {eni} "
        "--no-source-dest-check, or set ManageSourceDestCheck=True",
        unfit=FitnessPart.KERNEL,
        checks=("source-dest-check",),
    )

    # the floating IP
    ADDRESS_OWNED = _skipped(
        "{address} on {interface} is {eni}'s own address in EC2 and needs no route",
        "nothing to do",
        checks=("addresses",),
    )
    ADDRESS_IN_VPC = _refused(
        "{address} on {interface} lies inside the VPC's {cidr}, which no /{length} route can "
        "override",
        "choose an address outside the VPC, or set SubnetBasedLoopbacks=True if it lies in a "
        "dummy subnet",
        checks=("addresses",),
    )
    ADDRESS_IN_NO_SUBNET = _failed(
        "{address} on {interface} lies in no subnet of {vpc}",
        "create a dummy subnet around it, or set SubnetBasedLoopbacks=False",
        checks=("addresses",),
    )
    SUBNET_OCCUPIED = _refused(
        "subnet {subnet} ({destination}) of {address} has network interfaces in it: {enis}",
        "use a subnet that nothing else lives in: all of it is routed to the pod",
        checks=("dummy-subnets",),
    )
    SUBNET_UNREAD = _waiting(
        "subnet {subnet} ({destination}) of {address} is routed nowhere yet, and EC2 does not tell "
        "who lives in it",
        "it is routed once EC2 answers: all of it goes to the pod",
    )
    SUBNET_OCCUPIED_HELD = _skipped(
        "subnet {subnet} ({destination}) is routed to {eni}, and {enis} in it lost its traffic",
        "move that ENI to another subnet",
    )
    DESTINATION_TWICE = _refused(
        "{destination} is wanted by {claimants}, and a route has one target",
        "give each interface an address of its own{subnet_hint}",
        checks=("addresses",),
    )
    DESTINATION_FORBIDDEN = _refused(
        "{destination} ({address} on {interface}) is {why}",
        "choose another address",
        checks=("addresses",),
    )

    # the application
    UNHEALTHY = _waiting(
        "the application has not passed its health check: {why}",
        "mend it, or correct HealthCheck; until then nothing is claimed, and what is held stays",
        blocks_ready=True,
        timed=True,
        checks=("application",),
    )

    # the route tables
    NO_TABLE = _failed(
        "{selector} selects none of the {count} route tables of {vpc}{known}",
        "tag the route tables, or change {key}",
        checks=("route-tables",),
    )
    TABLE_UNKNOWN = _failed(
        "VPCRTIds: {table} is no route table of {vpc}",
        "correct the id, or share the table with this account",
        checks=("route-tables",),
    )
    EDGE_TABLE = _skipped(
        "{table} is associated with {gateway}; such a table takes no route to outside the VPC",
        "nothing to do",
        checks=("edge-tables",),
    )
    EDGE_TABLE_NAMED = _refused(
        "{table} is associated with {gateway}; such a table takes no route to outside the VPC",
        "take {table} out of {key}",
        checks=("edge-tables",),
    )
    TOO_MANY_WRITES = _refused(
        "{count} routes in {tables} route tables are to be written, and MaxRouteWrites allows "
        "{limit}: none is written",
        "select fewer tables (VPCRTTag, VPCRTIds), or allow it: MaxRouteWrites={count}",
        blocks_ready=True,
        blocks_takeover=True,
        checks=("routes",),
    )
    ROUTE_FOREIGN = _refused(
        "{destination} in {table} is routed to {target}, {why}",
        "remove that route if nothing needs it, or take {table} out of the selection",
        checks=("routes",),
    )

    # what could not be read
    UNVERIFIED = _degraded(
        "EC2 can't be read: the routes are told as they were last read or written",
        "nothing to do while traffic flows; what others changed meanwhile is not seen",
    )
    BLIND = _degraded(
        "EC2 can't be read: {count} routes are written to {tables} (VPCRTIds) without a look at "
        "what they replace",
        "compare the tables with your own records once EC2 answers",
    )

    # the claim rule
    CONTESTED = _waiting(
        "{destination} points at {rival} in {count} of {total} route tables",
        "nothing to do: if it stays so for {seconds:.0f} s, a running sidecar repairs it",
        timed=True,
    )
    DISPLACED = _failed(
        "{destination} was taken over by {rival} in {count} of {total} route tables",
        "if two pods have this address, scale to one replica; to take it back: vipmanager claim",
        blocks_ready=True,
        yields=True,
        loses=True,
        checks=("routes",),
    )
    LATE = _failed(
        "{destination} points at {rival} in {count} of {total} route tables, and the claim could "
        "not begin within {seconds:.0f} s of this pod's start: another pod may have it by now",
        "if it is to be here: vipmanager claim; where no sidecar runs: delete the pod",
        blocks_ready=True,
        yields=True,
        checks=("routes",),
    )
    TERMINATING = _refused(
        "this pod is being deleted, and takes nothing from a living network interface ({targets})",
        "nothing to do: its successor claims",
        blocks_ready=True,
        yields=True,
    )
    PODS_UNREAD = _skipped(
        "whether a pod is behind {rivals} is not known: {what}",
        "allow get and list on pods in the Role of the pod's service account; without it: "
        "vipmanager claim takes them back",
    )
    RIVAL_UNREAD = _skipped(
        "whether {rivals} lives is not known, so it counts as alive: {what}",
        "it is asked again with each reading; to take its routes now: vipmanager claim",
    )
    YIELDED = _asked(
        "yielded, as asked: no route is written any more",
        "to take them again: vipmanager claim",
        blocks_ready=True,
        blocks_takeover=True,
        yields=True,
        checks=("routes", "fitness"),
    )
    CHANGED_BY_ANOTHER = _skipped(
        "{destination} in {tables} was {became} by somebody else between {after} and {before}",
        "who it was, some minutes later: {command}",
    )
    DRY_RUN = _skipped(
        "DryRun: this agent only says what it would do, and writes nothing",
        "to let it steer: DryRun=False",
    )
    WOULD_STEER = _refused(
        "DryRun: {destination} would be pointed at {eni} in {count} of {total} route tables: "
        "{routes}",
        "see what steers it now, and whether that is meant to; nothing is written",
        checks=("routes",),
    )
    WOULD_CHANGE_POD = _skipped(
        "DryRun: the pod would have {count} rules or routes changed: {changes}",
        "compare with what is there; nothing is written",
    )
    NOT_VISIBLE = _waiting(
        "{destination} in {table} was written, and EC2 still shows {target}",
        "EC2 is eventually consistent; it is read again",
        timed=True,
        usual=True,
    )

    # the standby
    LEASE_UNREAD = _skipped(
        "the Lease has not been read yet",
        "it is asked for; if this stays, see why the Kubernetes API does not answer",
        blocks_takeover=True,
        checks=("lease",),
    )
    LEASE_UNPROVEN = _degraded(
        "the Lease could not be renewed for LeaseSeconds: routes are kept as they are, and none is "
        "written",
        "nothing to do while traffic flows; see why the Kubernetes API does not answer",
        checks=("lease",),
    )
    RELIEVED = _degraded(
        "another pod has this one's routes, and the Lease can't be read: this pod writes none, "
        "and who holds is not known here",
        "nothing to do while traffic flows; see why the Kubernetes API does not answer",
        blocks_ready=True,
        checks=("lease",),
    )
    LEASE_SLOW = _degraded(
        "the Kubernetes API takes longer to answer than a proof of the Lease lasts "
        "({limit:.1f} s): no route is written under it",
        "see why the API is slow; a longer LeaseSeconds bears it",
        checks=("lease",),
    )
    LEASE_FOREIGN = _failed(
        "the Lease belongs to {holder}, whose floating IPs are others",
        "give each group of floating IPs a LeaseName of its own",
        blocks_takeover=True,
        checks=("replicas",),
    )
    LEASE_UNCLEAR = _degraded(
        "the Lease belongs to {holder}, whose floating IPs are {theirs}: none of this pod's. It is "
        "taken once it is released",
        "in a rollout that changes them, nothing to do; else give each group of floating IPs a "
        "LeaseName of its own",
        checks=("replicas",),
    )
    OTHER_ADDRESSES = _degraded(
        "{holder} steers {theirs}, this pod would steer {ours}",
        "in a rollout that changes them, nothing to do; else give all replicas the same addresses",
        checks=("replicas",),
    )
    LEASE_ABSENT = _degraded(
        "there is no Lease {lease}",
        "its last holder puts it back where it may create it; else apply it again",
        checks=("lease",),
    )
    LEASE_DURATION = _skipped(
        "the Lease says {written} s, LeaseSeconds {ours:.0f} s",
        "nothing to do: the holder writes its own again",
        checks=("lease",),
    )
    POD_UNTOLD = _skipped(
        "the Kubernetes API may not tell whether the holder's pod is there: if it is gone, its "
        "Lease is taken after LeaseSeconds",
        "allow get on pods in a Role bound to the pod's service account",
        checks=("lease",),
    )
    HEARTBEAT_NEVER_UP = _degraded(
        "{holder} renews the Lease and does not answer at {address}: its death would be noticed "
        "after LeaseSeconds only",
        "open HeartbeatPort (UDP) between the pods, and give both the same key",
        checks=("heartbeats",),
    )
    HEARTBEAT_FORGED = _degraded(
        "heartbeats from {address} are sealed with another key, and not heard",
        "give every replica the same HeartbeatKeyFile, and restart those that have an old one",
        checks=("heartbeats",),
    )
    HEARTBEAT_DISTRUSTED = _degraded(
        "heartbeats misled, and are not believed for a while: LeaseSeconds counts alone",
        "if it repeats: look for a network policy between the pods, or a pod short of CPU",
        checks=("heartbeats",),
    )
    ONE_ZONE = _degraded(
        "this pod and {holder} are both in {zone}: a lost zone takes both",
        "spread the replicas (topologySpreadConstraints by topology.kubernetes.io/zone)",
        checks=("replicas",),
    )
    UNFIT = _failed(
        "not fit to take the floating IPs: {lack}",
        "see the lines about it",
        blocks_takeover=True,
        checks=("fitness",),
    )
    OFFERED = _failed(
        "the floating IPs are offered to any fit standby: {lack}",
        "none has taken them yet; see the lines about it",
        checks=("fitness",),
    )
    LEAVING = _degraded(
        "this pod should leave where it runs: {why}",
        "nothing to do where another pod holds the floating IPs; if this one does, bring a replica "
        "to a node and zone that may stay",
        checks=("fitness",),
    )
    PLACE_UNKNOWN = _degraded(
        "whether this pod should leave its {place} can't be told: {what}",
        "{hint}",
        checks=("fitness",),
    )
    ZONE_UNKNOWN = _degraded(
        "PreferredZone={zone}: no subnet of the VPC is there; its zones are {zones}",
        "correct PreferredZone, or leave it out",
        checks=("preferred-zone",),
    )
    HEALING = _degraded(
        "this pod gave the floating IPs up: from a living holder it takes them once it has been "
        "fit for {seconds:.0f} s",
        "nothing to do, unless it repeats: see what makes the pod unfit again and again",
        checks=("fitness",),
    )
    TAKEOVER_BACKOFF = _waiting(
        "this pod could not point every route here, and leaves it to others for a while",
        "see the lines about the route tables",
        blocks_takeover=True,
        timed=True,
        checks=("fitness",),
    )

    # cleaning up
    LEFT_LIVE = _skipped(
        "{destination} in {table} points at {target}, which lives: left alone",
        "to remove it, run vipmanager cleanup in its own pod, or name its ENI",
    )
    LEFT_ORPHAN = _skipped(
        "{destination} in {table} points at {target}, which is gone: left alone",
        "vipmanager cleanup --orphans removes it",
    )

    # the edges
    UNREACHABLE = _skipped("{what}", "{hint}", checks=("lease",))
    TRANSIENT = _waiting("{what}", "{hint}")
    THROTTLED = _waiting("{what}", "it is tried again: all callers in the account share a bucket")
    ACCESS_DENIED = _failed("access denied: {what}", "{hint}")
    NO_CREDENTIALS = _failed("no credentials that AWS takes: {what}", "{hint}")
    ROUTE_QUOTA = _failed("a route table is full: {what}", "{hint}")
    TABLE_GONE = _failed("a route table is gone: {what}", "{hint}")
    PERMANENT = _failed("{what}", "{hint}", checks=("lease",))

    @property
    def kind(self) -> Kind:
        """Whose turn it is."""
        return self.value.kind


READING = "observe"
"""The subject of what is found about reading the worlds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition met on one object."""

    condition: Condition
    subject: str
    """The object: an interface, a route table, a destination, a configuration key."""
    fields: tuple[tuple[str, object], ...]

    @property
    def kind(self) -> Kind:
        """Whose turn it is."""
        return self.condition.kind

    @property
    def text(self) -> str:
        """The sentence, without its remedy."""
        return self.condition.value.text.format(**dict(self.fields))

    @property
    def remedy(self) -> str:
        """What a person does about it."""
        return self.condition.value.remedy.format(**dict(self.fields))

    def document(self) -> dict[str, object]:
        """Give it as JSON values."""
        return {
            "condition": self.condition.name,
            "kind": self.kind.name.lower(),
            "subject": self.subject,
            "text": self.text,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        """Show all of it in one line."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


def find(condition: Condition, subject: object, **fields: object) -> Finding:
    """Build a finding; `fields` fill the sentence and the remedy of its condition."""
    return Finding(condition, str(subject), tuple(fields.items()))
