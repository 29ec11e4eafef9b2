"""How each condition comes about; its sentence and its remedy are in the table of conditions."""

from typing import Final

from vipmanager.core.findings import Condition

CAUSES: Final = {
    Condition.NO_FLOATING_IP: "the pod has no Multus attachment, its attachment gave no address, "
    "or Interfaces or FloatingIPs leaves all of them out",
    Condition.NOT_ATTACHED: "the pod was started on a node where Multus did not run yet, so it "
    "got its cluster interface alone; nothing is attached to a running pod. docs/deploy.md, step 4 "
    "has the taint that keeps pods away until then",
    Condition.NETWORKS_UNREAD: "an annotation of Multus was edited by hand, or another program "
    "wrote it",
    Condition.ADDRESS_TENTATIVE: "the kernel still asks the link whether another host has a new "
    "IPv6 address",
    Condition.ADDRESS_LOST: "the kernel drops IPv6 addresses when a link goes down",
    Condition.LOST: "its address, interface, link or ENI was taken away under a running pod, or "
    "the source/dest check was switched on; routes still lead here, so its packets are dropped",
    Condition.ADDRESS_DUPLICATE: "another host on the link answered for this IPv6 address: mostly "
    "a second pod on the same ENI with the same attachment",
    Condition.INTERFACE_DOWN: "somebody set it down, or the node's interface under it, or its ENI "
    "was detached from the node",
    Condition.PEERS_WITHOUT_INTERFACE: "the ConfigMap was written for a pod with more attachments",
    Condition.PEERS_BY_DEVICE: "the ConfigMap was written for the AWS sample, which counts the "
    "network interfaces of the node and not those of the pod",
    Condition.PEERS_MISNUMBERED: "the number in the key is neither the pod's nor the node's",
    Condition.PEER_FAMILY: "a peer list names IPv4 and IPv6 peers, and the attachment has one "
    "family",
    Condition.PEER_TWICE: "two peer lists name the same network, which the pod can reach by one "
    "interface only",
    Condition.PEER_CUTS_OFF: "a peer network covers the node, kubelet's probes, IMDS or the "
    "cluster's services, which would be answered through the wrong interface",
    Condition.UNANSWERED: "the peers of this interface, or of this family, were forgotten; where "
    "clients want no answer, nothing is wrong",
    Condition.DIVERTED: "the attachment is chained with the CNI plugin `sbr`, or a VPN or a script "
    "in the pod routes by source",
    Condition.OVERTAKEN: "the same, and its rule comes after ours",
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
    Condition.SUBNET_UNREAD: "EC2 answers no DescribeNetworkInterfaces, as in the loss of a zone",
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
    Condition.TOO_MANY_WRITES: "more tables are selected than meant (VPCRTTag=ALL in a large VPC, "
    "a tag with a wildcard), or the group is that large",
    Condition.ROUTE_FOREIGN: "somebody else routes the same destination, on purpose as it seems",
    Condition.CONTESTED: "another ENI has the route in some tables: a drift, or the beginning of a "
    "takeover",
    Condition.UNVERIFIED: "EC2's describes fail, hang or are throttled: for hours in a zone loss",
    Condition.BLIND: "the pod started while EC2's describes failed, and VPCRTIds named its tables",
    Condition.DISPLACED: "another pod with the same floating IP claimed it: a rollout, a second "
    "replica, or another cluster",
    Condition.LATE: "EC2 could not be reached, or refused every write, for a minute from the pod's "
    "start; whoever has the routes may have claimed them since, and this pod may be on its way out",
    Condition.TERMINATING: "the pod's object has a deletionTimestamp, or is gone",
    Condition.PODS_UNREAD: "the Role does not allow it, or the Kubernetes API does not answer",
    Condition.RIVAL_UNREAD: "EC2 does not describe that network interface: its subnet may lie in "
    "an impaired zone",
    Condition.YIELDED: "vipmanager yield was typed, or is the pod's preStop hook",
    Condition.CHANGED_BY_ANOTHER: "another pod with this address, a tool that keeps a list of its "
    "own (Terraform with inline routes), or a person",
    Condition.DRY_RUN: "DryRun is on",
    Condition.WOULD_STEER: "what steers today has not come to it, or leads elsewhere on purpose",
    Condition.WOULD_CHANGE_POD: "the pod's own routes and rules are another tool's, or nobody's",
    Condition.NOT_VISIBLE: "EC2 showed an older state to this reading",
    Condition.LEASE_UNREAD: "the agent has begun a moment ago, or the Kubernetes API has not "
    "answered it since",
    Condition.LEASE_UNPROVEN: "the Kubernetes API does not answer the holder: it is down, "
    "overloaded, or cut off from the node",
    Condition.RELIEVED: "this pod is cut off from the Kubernetes API, its Lease expired, and "
    "another one took it and the routes",
    Condition.LEASE_SLOW: "the answers of the Kubernetes API take seconds: it is overloaded, or an "
    "admission webhook is slow",
    Condition.LEASE_FOREIGN: "two workloads with different floating IPs have one LeaseName in one "
    "namespace, or the replicas of one workload got no floating IP in common",
    Condition.LEASE_UNCLEAR: "a rollout gave all floating IPs up for others, and the holder's "
    "version or kind of workload does not show that it is one; or two groups have one LeaseName",
    Condition.OTHER_ADDRESSES: "a rollout changes the floating IPs, and has come to one replica; "
    "or the replicas were given different ones",
    Condition.LEASE_ABSENT: "the Lease was not applied, or somebody deleted it; the Role of the "
    "manifests lets no agent create one",
    Condition.LEASE_DURATION: "the replicas have different LeaseSeconds, as during a rollout, or "
    "somebody edited the Lease",
    Condition.POD_UNTOLD: "the Role of the manifests of 0.1.0 allows the Lease alone",
    Condition.HEARTBEAT_NEVER_UP: "a NetworkPolicy or a security group drops the datagrams, or the "
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
    Condition.LEAVING: "the node is cordoned or about to be drained, or ARC shifts the zone away; "
    "HandOverOn has the agent look",
    Condition.PLACE_UNKNOWN: "the ClusterRole or the IAM statement is missing, the cluster is not "
    "enabled for zonal shifts, or the API does not answer; what it said last stands for an hour",
    Condition.ZONE_UNKNOWN: "the name has a slip, is a zone's id (euc1-az1), or is of another "
    "Region. An agent knows it where it reads subnets; `vipmanager doctor` always reads them",
    Condition.HEALING: "its application, its links or its ENIs were ill while it held the Lease, "
    "perhaps more than once lately",
    Condition.TAKEOVER_BACKOFF: "the pod has just given the Lease away because its route writes "
    "failed",
    Condition.LEFT_LIVE: "cleanup found a route of another pod",
    Condition.LEFT_ORPHAN: "cleanup found a route of a pod that is gone",
    Condition.UNREACHABLE: "IMDS does not answer, and what it said before is used",
    Condition.TRANSIENT: "EC2, IMDS or the kernel did not answer, throttled, or had a fault of its "
    "own",
    Condition.THROTTLED: "EC2's bucket for this call is empty: other agents and tools of the "
    "account in the Region draw on it too",
    Condition.ACCESS_DENIED: "the role lacks the action, or the route table lacks the tag that the "
    "policy asks for; or the trust policy of a role does not let this one assume it",
    Condition.NO_CREDENTIALS: "there are none, they are wrong, AWS takes them no more, or the "
    "node's clock is wrong",
    Condition.ROUTE_QUOTA: "the route table has as many routes as the quota allows",
    Condition.TABLE_GONE: "the route table was deleted since it was read",
    Condition.PERMANENT: "IMDS, the kernel or the Kubernetes API refused: a missing capability or "
    "permission; or EC2 did, by a code that is not in the table of [its refusals](#ec2s-refusals)",
}
"""A condition without a cause makes `scripts/docs` fail, with its name."""
