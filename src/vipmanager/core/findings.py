"""Everything that can be wrong, as a table: what a person reads, and what they do about it."""

from dataclasses import dataclass
from enum import Enum, auto


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
    """We could, but it would do harm; a person can allow it."""
    FAILED = auto()
    """A person has to change something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: the sentence and the remedy, both with named fields."""

    kind: Kind
    text: str
    remedy: str


def _skipped(text: str, remedy: str) -> Rule:
    return Rule(kind=Kind.SKIPPED, text=text, remedy=remedy)


def _degraded(text: str, remedy: str) -> Rule:
    return Rule(kind=Kind.DEGRADED, text=text, remedy=remedy)


def _asked(text: str, remedy: str) -> Rule:
    return Rule(kind=Kind.ASKED, text=text, remedy=remedy)


def _waiting(text: str, remedy: str) -> Rule:
    return Rule(kind=Kind.WAITING, text=text, remedy=remedy)


def _refused(text: str, remedy: str) -> Rule:
    return Rule(kind=Kind.REFUSED, text=text, remedy=remedy)


def _failed(text: str, remedy: str) -> Rule:
    return Rule(kind=Kind.FAILED, text=text, remedy=remedy)


class Condition(Enum):
    """Every condition that a pass can find."""

    # the pod
    NO_FLOATING_IP = _waiting(
        "no interface of the pod ({interfaces}) has an address to steer",
        "give the pod a Multus attachment with an address (k8s.v1.cni.cncf.io/networks), "
        "or check Interfaces and FloatingIPs",
    )
    ADDRESS_TENTATIVE = _waiting(
        "{address} on {interface} is still tentative (duplicate address detection)",
        "wait a second; it is steered once the kernel confirms it",
    )
    ADDRESS_LOST = _waiting(
        "{address} on {interface} went with its link", "it is put back when the link is up"
    )
    ADDRESS_DUPLICATE = _failed(
        "{address} on {interface} failed duplicate address detection",
        "find the other host with this address in the ENI's subnet; then restart the pod",
    )
    INTERFACE_DOWN = _waiting(
        "{interface} is down", "bring it up: ip link set {interface} up; its routes then return"
    )
    PEERS_WITHOUT_INTERFACE = _skipped(
        "{key} names peers, but the pod has no such interface (it has {interfaces})",
        "remove {key}, or add the attachment to k8s.v1.cni.cncf.io/networks",
    )
    PEER_FAMILY = _failed(
        "{key}: peer {peer} is IPv{version}, and {interface} has no IPv{version} address",
        "give {interface} an IPv{version} address, or remove the peer",
    )
    PEER_TWICE = _skipped(
        "peer {peer} is named for {first} and {second}; it is answered through {first}",
        "set UseSBR=True to answer each floating IP through its own interface",
    )
    PEER_CUTS_OFF = _refused(
        "{key}: peer {peer} covers {protected}, which the pod needs through {primary}",
        "name smaller networks that leave {address} out",
    )
    KERNEL_ROUTE_FOREIGN = _refused(
        "{destination} is already routed in the pod by another program ({route})",
        "remove that route, or take {destination} out of {key}",
    )
    NO_GATEWAY = _failed(
        "{interface}: subnet {subnet} of {eni} has no IPv4 CIDR, so no IPv4 gateway for {peer}",
        "use IPv6 peers, or an ENI in a subnet with IPv4",
    )

    # the node
    MAC_UNKNOWN = _failed(
        "{interface}: its MAC {mac} belongs to no ENI of {instance}",
        "attach the pod by ipvlan (L2) or host-device to a secondary ENI; macvlan and bridges "
        "have MACs that the VPC drops",
    )
    ENI_NOT_YET = _waiting(
        "{interface}: neither IMDS nor EC2 has told the ENI of MAC {mac} yet",
        "it takes up to 30 s after an attachment",
    )
    ENI_UNVERIFIED = _skipped(
        "EC2 does not let us describe network interfaces ({what}), so IMDS alone tells which "
        "ENI is which and the source/dest check is not verified",
        "allow ec2:DescribeNetworkInterfaces",
    )
    SOURCE_DEST_CHECK = _failed(
        "{eni} under {interface} has its source/dest check on, so the VPC drops traffic "
        "for {address}",
        "aws ec2 modify-network-interface-attribute --network-interface-id {eni} "
        "--no-source-dest-check, or set ManageSourceDestCheck=True",
    )

    # the floating IP
    ADDRESS_OWNED = _skipped(
        "{address} on {interface} is {eni}'s own address in EC2 and needs no route",
        "nothing to do",
    )
    ADDRESS_IN_VPC = _refused(
        "{address} on {interface} lies inside the VPC's {cidr}, which no /{length} route can "
        "override",
        "choose an address outside the VPC, or set SubnetBasedLoopbacks=True if it lies in a "
        "dummy subnet",
    )
    ADDRESS_IN_NO_SUBNET = _failed(
        "{address} on {interface} lies in no subnet of {vpc}",
        "create a dummy subnet around it, or set SubnetBasedLoopbacks=False",
    )
    SUBNET_OCCUPIED = _refused(
        "subnet {subnet} ({destination}) of {address} has network interfaces in it: {enis}",
        "use a subnet that nothing else lives in: all of it is routed to the pod",
    )
    SUBNET_OCCUPIED_HELD = _skipped(
        "subnet {subnet} ({destination}) is routed to {eni}, and {enis} in it lost its traffic",
        "move that ENI to another subnet",
    )
    DESTINATION_TWICE = _refused(
        "{destination} is wanted by {claimants}, and a route has one target",
        "give each interface an address of its own{subnet_hint}",
    )
    DESTINATION_FORBIDDEN = _refused(
        "{destination} ({address} on {interface}) is {why}",
        "choose another address",
    )

    # the application
    UNHEALTHY = _waiting(
        "the application has not passed its health check: {why}",
        "mend it, or correct HealthCheck; until then nothing is claimed, and what is held stays",
    )

    # the route tables
    NO_TABLE = _failed(
        "{selector} selects none of the {count} route tables of {vpc}{known}",
        "tag the route tables, or change {key}",
    )
    TABLE_UNKNOWN = _failed(
        "VPCRTIds: {table} is no route table of {vpc}",
        "correct the id, or share the table with this account",
    )
    EDGE_TABLE = _skipped(
        "{table} is associated with {gateway}; such a table takes no route to outside the VPC",
        "nothing to do",
    )
    EDGE_TABLE_NAMED = _refused(
        "{table} is associated with {gateway}; such a table takes no route to outside the VPC",
        "take {table} out of {key}",
    )
    ROUTE_FOREIGN = _refused(
        "{destination} in {table} is routed to {target}, {why}",
        "remove that route if nothing needs it, or take {table} out of the selection",
    )

    # the claim rule
    CONTESTED = _waiting(
        "{destination} points at {rival} in {count} of {total} route tables",
        "nothing yet: if it stays so for {seconds:.0f} s, it is repaired",
    )
    DISPLACED = _failed(
        "{destination} was taken over by {rival} in {count} of {total} route tables",
        "if two pods have this address, scale to one replica; to take it back: vipmanager claim",
    )
    YIELDED = _asked(
        "yielded, as asked: no route is written any more", "to take them again: vipmanager claim"
    )
    NOT_VISIBLE = _waiting(
        "{destination} in {table} was written, and EC2 still shows {target}",
        "EC2 is eventually consistent; it is read again",
    )

    # the standby
    LEASE_UNREAD = _skipped(
        "the Lease has not been read yet",
        "it is asked for; if this stays, see why the Kubernetes API does not answer",
    )
    LEASE_UNPROVEN = _degraded(
        "the Lease could not be renewed for LeaseSeconds: routes are kept as they are, and none is "
        "written",
        "nothing to do while traffic flows; see why the Kubernetes API does not answer",
    )
    LEASE_FOREIGN = _failed(
        "the Lease belongs to {holder}, whose floating IPs are others",
        "give each group of floating IPs a LeaseName of its own",
    )
    LEASE_ABSENT = _degraded(
        "there is no Lease {lease}",
        "its last holder puts it back where it may create it; else apply it again",
    )
    LEASE_DURATION = _skipped(
        "the Lease says {written} s, LeaseSeconds {ours:.0f} s",
        "nothing to do: the holder writes its own again",
    )
    HEARTBEAT_SILENT = _degraded(
        "{holder} renews the Lease and does not answer at {address}: its death would be noticed "
        "after LeaseSeconds only",
        "open HeartbeatPort (UDP) between the pods, and give both the same key",
    )
    HEARTBEAT_FORGED = _degraded(
        "heartbeats from {address} are sealed with another key, and not heard",
        "give every replica the same HeartbeatKeyFile, and restart those that have an old one",
    )
    HEARTBEAT_DISTRUSTED = _degraded(
        "heartbeats misled, and are not believed for a while: LeaseSeconds counts alone",
        "if it repeats: look for a network policy between the pods, or a pod short of CPU",
    )
    ONE_ZONE = _degraded(
        "this pod and {holder} are both in {zone}: a lost zone takes both",
        "spread the replicas (topologySpreadConstraints by topology.kubernetes.io/zone)",
    )
    UNFIT = _failed("not fit to take the floating IPs: {lack}", "see the lines about it")
    OFFERED = _failed(
        "the floating IPs are offered to any fit standby: {lack}",
        "none has taken them yet; see the lines about it",
    )
    LAME = _waiting(
        "this pod could not point every route here, and leaves it to others for a while",
        "see the lines about the route tables",
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
    UNREACHABLE = _skipped("{what}", "{hint}")
    TRANSIENT = _waiting("{what}", "{hint}")
    PERMANENT = _failed("{what}", "{hint}")

    @property
    def kind(self) -> Kind:
        """Whose turn it is."""
        return self.value.kind

    @property
    def timed(self) -> bool:
        """Whether something else tells when to look again, so that no back-off is needed."""
        return self in {
            Condition.CONTESTED,
            Condition.LAME,
            Condition.NOT_VISIBLE,
            Condition.UNHEALTHY,
        }


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
