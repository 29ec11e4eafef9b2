"""How each condition comes about; its sentence and its remedy are in the table of conditions."""

from typing import Final

from vipmanager.core.findings import Condition

CAUSES: Final = {
    Condition.NO_FLOATING_IP: "the pod has no Multus attachment, its attachment gave no address, "
    "or Interfaces or FloatingIPs leaves all of them out",
    Condition.ADDRESS_TENTATIVE: "the kernel still asks the link whether another host has a new "
    "IPv6 address",
    Condition.ADDRESS_LOST: "the kernel drops IPv6 addresses when a link goes down",
    Condition.ADDRESS_DUPLICATE: "another host on the link answered for this IPv6 address: mostly "
    "a second pod on the same ENI with the same attachment",
    Condition.INTERFACE_DOWN: "somebody set it down, or its ENI was detached from the node",
    Condition.PEERS_WITHOUT_INTERFACE: "the ConfigMap was written for a pod with more attachments",
    Condition.PEER_FAMILY: "a peer list names IPv4 and IPv6 peers, and the attachment has one "
    "family",
    Condition.PEER_TWICE: "two peer lists name the same network, which the pod can reach by one "
    "interface only",
    Condition.PEER_CUTS_OFF: "a peer network covers the node, kubelet's probes, IMDS or the "
    "cluster's services, which would be answered through the wrong interface",
    Condition.KERNEL_ROUTE_FOREIGN: "the attachment definition or the application sets the same "
    "route",
    Condition.NO_GATEWAY: "the ENI lies in a subnet with IPv6 only",
    Condition.MAC_UNKNOWN: "the attachment is no ipvlan or host-device on a secondary ENI",
    Condition.ENI_NOT_YET: "the ENI was attached a moment ago, and IMDS and EC2 lag behind",
    Condition.ENI_UNVERIFIED: "the role lacks ec2:DescribeNetworkInterfaces",
    Condition.SOURCE_DEST_CHECK: "EC2 creates ENIs with the check on, and whoever made this one "
    "left it so",
    Condition.ADDRESS_OWNED: "the address is assigned to the ENI in EC2, so the VPC delivers it "
    "without a route",
    Condition.ADDRESS_IN_VPC: "pattern 1 is set (SubnetBasedLoopbacks=False), and the address is "
    "one of pattern 2",
    Condition.ADDRESS_IN_NO_SUBNET: "pattern 2 is set (SubnetBasedLoopbacks=True), and the address "
    "is one of pattern 1, or its dummy subnet was deleted",
    Condition.SUBNET_OCCUPIED: "the subnet of the address is in use; with pattern 2 all of it "
    "would be routed to the pod",
    Condition.SUBNET_OCCUPIED_HELD: "an ENI was created in the dummy subnet after it was routed to "
    "the pod",
    Condition.DESTINATION_TWICE: "two attachments have the same address, or, with pattern 2, two "
    "addresses in one subnet",
    Condition.DESTINATION_FORBIDDEN: "AWS keeps this range for itself, or the address is not "
    "unicast",
    Condition.UNHEALTHY: "the application has not started yet, or fails; or HealthCheck asks "
    "something that it does not answer",
    Condition.NO_TABLE: "no table has the tag: it was removed, or is spelled differently in "
    "VPCRTTag",
    Condition.TABLE_UNKNOWN: "the id has a slip, the table was deleted, or is of another VPC or "
    "account",
    Condition.EDGE_TABLE: "VPCRTTag=ALL selects the tables of internet and virtual private "
    "gateways too",
    Condition.EDGE_TABLE_NAMED: "VPCRTIds names the table of an internet or virtual private "
    "gateway, or the table has the tag",
    Condition.ROUTE_FOREIGN: "somebody else routes the same destination, on purpose as it seems",
    Condition.CONTESTED: "another ENI has the route in some tables: a drift, or the beginning of a "
    "takeover",
    Condition.DISPLACED: "another pod with the same floating IP claimed it: a rollout, a second "
    "replica, or another cluster",
    Condition.YIELDED: "vipmanager yield was typed, or is the pod's preStop hook",
    Condition.NOT_VISIBLE: "EC2 showed an older state to this reading",
    Condition.LEASE_UNREAD: "the agent has begun a moment ago, or the Kubernetes API has not "
    "answered it since",
    Condition.LEASE_UNPROVEN: "the Kubernetes API does not answer the holder: it is down, "
    "overloaded, or cut off from the node",
    Condition.LEASE_FOREIGN: "two groups of floating IPs have one LeaseName in one namespace, or a "
    "rollout gave the group other floating IPs",
    Condition.LEASE_ABSENT: "the Lease was not applied, or somebody deleted it; the Role of the "
    "manifests lets no agent create one",
    Condition.LEASE_DURATION: "the replicas have different LeaseSeconds, as during a rollout, or "
    "somebody edited the Lease",
    Condition.HEARTBEAT_SILENT: "a NetworkPolicy or a security group drops the datagrams, or the "
    "replicas have different HeartbeatPorts or keys",
    Condition.HEARTBEAT_FORGED: "the Secret was changed, and not every replica has read it since; "
    "or somebody else sends",
    Condition.HEARTBEAT_DISTRUSTED: "a holder that lived was taken for dead: it stood still for "
    "three heartbeats, or only the way between the pods was cut",
    Condition.ONE_ZONE: "the scheduler put both replicas into one zone: it was not told "
    "otherwise, or the other zone had no room",
    Condition.UNFIT: "what the line names is not so in this pod: its health check, its routes, its "
    "links, its ENIs or its way to EC2",
    Condition.OFFERED: "the holder became unfit, or could not write its routes for LeaseSeconds "
    "and 5 s; and no other replica is fit",
    Condition.LAME: "the pod has just given the Lease away because its route writes failed",
    Condition.LEFT_LIVE: "cleanup found a route of another pod",
    Condition.LEFT_ORPHAN: "cleanup found a route of a pod that is gone",
    Condition.UNREACHABLE: "IMDS does not answer, and what it said before is used",
    Condition.TRANSIENT: "EC2, IMDS or the kernel did not answer, throttled, or had a fault of its "
    "own",
    Condition.PERMANENT: "EC2, IMDS or the kernel refused: a missing permission or capability, a "
    "quota, a wrong argument",
}
"""A condition without a cause makes `scripts/docs` fail, with its name."""
