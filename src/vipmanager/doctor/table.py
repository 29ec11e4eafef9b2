"""Every check, in the order in which they are shown: causes before their effects."""

from vipmanager.core.findings import Condition
from vipmanager.doctor import aws, pod, standby, vpc
from vipmanager.doctor.check import Check

CHECKS = (
    Check(
        code="net-admin",
        title="the container has NET_ADMIN",
        why="without it the kernel refuses the routes and rules that the pod answers by",
        fix="securityContext.capabilities.add: [NET_ADMIN] in the pod's manifest",
        look=pod.net_admin,
        pod=True,
    ),
    Check(
        code="kernel",
        title="the pod's network namespace can be read",
        why="interfaces, routes and rules are read with iproute2",
        fix="install iproute2 in the image",
        look=pod.kernel,
        pod=True,
    ),
    Check(
        code="primary-route",
        title="the default route leaves by eth0",
        why="IMDS, the credentials, the cluster's DNS and the EC2 API are reached through it",
        fix="take default-route out of k8s.v1.cni.cncf.io/networks and the gateway out of the "
        "attachment's ipam; in this pod: ip -{version} route del default dev {device}",
        look=pod.primary_route,
        after=("kernel",),
        pod=True,
    ),
    Check(
        code="policy-rules",
        title="rule priorities 8600-8699 and tables 8600, 8601, 86000+ hold nothing foreign",
        why="a foreign entry there decides where the answers of a floating IP go",
        fix="{command}",
        look=pod.policy_rules,
        after=("kernel",),
        pod=True,
    ),
    Check(
        code="rp-filter",
        title="no interface filters strictly by reverse path",
        why="what a client sends is dropped unless its answer would leave by the same interface",
        fix='add {{"type": "tuning", "sysctl": {{"net.ipv4.conf.{interface}.rp_filter": "2"}}}} '
        "to the NetworkAttachmentDefinition; at once: "
        "sysctl -w net.ipv4.conf.{interface}.rp_filter=2",
        look=pod.rp_filter,
        after=("kernel",),
        pod=True,
    ),
    Check(
        code="imds",
        title="IMDSv2 answers the pod",
        why="it tells the instance, its Region and its ENIs, and has the node's credentials",
        fix="aws ec2 modify-instance-metadata-options --instance-id {instance} "
        "--http-tokens required --http-put-response-hop-limit 2",
        look=aws.imds,
        pod=True,
    ),
    Check(
        code="endpoint",
        title="EC2 answers",
        why="route tables are read and written through it",
        fix="let the pod out to the EC2 endpoint: DNS, NAT gateway or interface endpoint, its "
        "security group, HTTPS_PROXY, AWS_ENDPOINT_URL",
        look=aws.endpoint,
        after=("imds",),
    ),
    Check(
        code="clock",
        title="the clock is right",
        why="AWS refuses signatures that are more than five minutes old or early",
        fix="start chrony on the node: systemctl restart chronyd",
        look=aws.clock,
        after=("endpoint",),
    ),
    Check(
        code="credentials",
        title="there are credentials",
        why="every call to EC2 is signed with them",
        fix="give the pod a role: aws eks create-pod-identity-association, IRSA, or the node's "
        "role with hop limit 2",
        look=aws.credentials,
    ),
    Check(
        code="read-access",
        title="EC2 lets us read",
        why="what is there decides what has to be written",
        fix="allow ec2:DescribeRouteTables, ec2:DescribeNetworkInterfaces and ec2:DescribeSubnets",
        look=aws.read_access,
        conditions=frozenset({Condition.ENI_UNVERIFIED}),
        after=("kernel", "imds", "endpoint", "clock", "credentials"),
    ),
    Check(
        code="interfaces",
        title="each pod interface is carried by an ENI",
        why="the VPC routes a floating IP to the ENI under it",
        fix="aws ec2 attach-network-interface --network-interface-id {eni} "
        "--instance-id {instance} --device-index {index}",
        look=pod.interfaces,
        after=("read-access",),
        pod=True,
    ),
    Check(
        code="addresses",
        title="each address of these interfaces can be steered",
        why="an address that can't be steered is not reachable from its clients",
        conditions=frozenset(
            {
                Condition.ADDRESS_TENTATIVE,
                Condition.ADDRESS_LOST,
                Condition.ADDRESS_DUPLICATE,
                Condition.INTERFACE_DOWN,
                Condition.ADDRESS_OWNED,
                Condition.ADDRESS_IN_VPC,
                Condition.ADDRESS_IN_NO_SUBNET,
                Condition.DESTINATION_TWICE,
                Condition.DESTINATION_FORBIDDEN,
            }
        ),
        after=("read-access",),
    ),
    Check(
        code="floating-ips",
        title="there are floating IPs",
        why="without one there is nothing to do",
        fix="give the pod a Multus attachment with an address (k8s.v1.cni.cncf.io/networks), or "
        "do what interfaces and addresses say; outside of a pod: --vpc, --floating-ip and --eni",
        look=vpc.floating_ips,
        after=("read-access",),
    ),
    Check(
        code="source-dest-check",
        title="each ENI lets addresses through that are not its own",
        why="the VPC drops them on an ENI that checks",
        conditions=frozenset({Condition.SOURCE_DEST_CHECK}),
        after=("floating-ips",),
    ),
    Check(
        code="eni-tags",
        title="the VPC CNI leaves these ENIs alone",
        why="it would give their addresses to other pods and set them up as its own",
        fix=f"aws ec2 create-tags --resources {{eni}} --tags Key={vpc.NO_MANAGE},Value=true",
        look=vpc.eni_tags,
        after=("floating-ips",),
    ),
    Check(
        code="peers",
        title="each peer can be answered through its interface",
        why="an answer that leaves by another interface is lost",
        conditions=frozenset(
            {
                Condition.PEERS_WITHOUT_INTERFACE,
                Condition.PEER_FAMILY,
                Condition.PEER_TWICE,
                Condition.PEER_CUTS_OFF,
                Condition.KERNEL_ROUTE_FOREIGN,
                Condition.NO_GATEWAY,
            }
        ),
        after=("interfaces", "floating-ips"),
        pod=True,
    ),
    Check(
        code="pod-routes",
        title="the pod has its routes and rules",
        why="without them the pod hears its clients and can't answer",
        fix="vipmanager run --RunAsSidecar False; a running sidecar adds them by itself",
        look=pod.pod_routes,
        after=("floating-ips",),
        pod=True,
    ),
    Check(
        code="gateways",
        title="the gateway of each ENI's subnet answers",
        why="every answer leaves through it; if it is silent, the interface is not on its ENI",
        fix="attach the interface by ipvlan (L2) or host-device to the ENI's own link on the node, "
        "and bring that link up",
        look=pod.gateways,
        after=("floating-ips",),
        pod=True,
    ),
    Check(
        code="route-tables",
        title="route tables are selected",
        why="subnets whose table is not selected don't reach the floating IP",
        look=vpc.route_tables,
        conditions=frozenset({Condition.NO_TABLE, Condition.TABLE_UNKNOWN}),
        after=("floating-ips",),
    ),
    Check(
        code="edge-tables",
        title="no selected table belongs to a gateway",
        why="EC2 refuses routes to outside the VPC in such a table",
        conditions=frozenset({Condition.EDGE_TABLE, Condition.EDGE_TABLE_NAMED}),
        after=("floating-ips",),
    ),
    Check(
        code="write-access",
        title="EC2 lets us write",
        why="a failover writes every selected table",
        fix="allow ec2:CreateRoute and ec2:ReplaceRoute on the selected route tables",
        look=aws.write_access,
        after=("route-tables",),
    ),
    Check(
        code="application",
        title="the application passes its HealthCheck",
        why="until it does, the pod takes no floating IP over",
        conditions=frozenset({Condition.UNHEALTHY}),
        after=("floating-ips",),
        pod=True,
    ),
    Check(
        code="routes",
        title="each floating IP is routed to its ENI",
        why="subnets with another route, or none, don't reach the floating IP",
        fix="vipmanager run --RunAsSidecar False; where a sidecar runs it does so by itself, and "
        "at once by: vipmanager claim",
        look=vpc.routes,
        conditions=frozenset({Condition.DISPLACED, Condition.YIELDED, Condition.ROUTE_FOREIGN}),
        after=("route-tables",),
    ),
    Check(
        code="overlap",
        title="nothing else routes the same addresses",
        why="the longest prefix wins, so a part of the traffic goes elsewhere",
        fix="name networks in {key} that don't hold those of another interface, or set UseSBR=True",
        look=vpc.overlap,
        after=("floating-ips",),
    ),
    Check(
        code="dummy-subnets",
        title="nothing else lives in the floating IPs' subnets",
        why="with pattern 2 the traffic of the whole subnet goes to the pod",
        look=vpc.dummy_subnets,
        conditions=frozenset({Condition.SUBNET_OCCUPIED}),
        after=("floating-ips",),
    ),
    Check(
        code="route-quota",
        title="each route table has room",
        why="EC2 refuses a new route in a full table",
        fix="aws service-quotas request-service-quota-increase --service-code vpc "
        "--quota-code L-93826ACB --desired-value 1000",
        look=vpc.route_quota,
        after=("route-tables",),
    ),
    Check(
        code="failover-time",
        title="a failover fits into EC2's bucket",
        why="what does not fit into the burst waits, and its clients with it",
        fix="select fewer tables (VPCRTTag), name the important ones first (VPCRTIds), or ask AWS "
        "Support for a higher limit and set ApiRate to it",
        look=vpc.failover_time,
        after=("route-tables",),
    ),
    Check(
        code="pod-identity",
        title="the pod knows its name and its uid",
        why="with its uid a holder signs the Lease",
        fix="set POD_NAME and POD_UID by the downward API",
        look=standby.identity,
        pod=True,
        standby=True,
    ),
    Check(
        code="lease",
        title="the Lease can be read, and its holder renews it",
        why="whoever holds it steers; without it nobody takes over",
        fix="see the check fitness in each replica, and why it writes nothing: "
        "kubectl logs POD -c vipmanager",
        look=standby.lease,
        conditions=frozenset(
            {
                Condition.LEASE_UNREAD,
                Condition.LEASE_UNPROVEN,
                Condition.LEASE_ABSENT,
                Condition.LEASE_DURATION,
            }
        ),
        after=("pod-identity",),
        pod=True,
        standby=True,
    ),
    Check(
        code="replicas",
        title="the Lease is held for the same floating IPs, in another zone",
        why="a standby of another group takes nothing over, and a lost zone takes all that is in "
        "it",
        look=standby.group,
        conditions=frozenset({Condition.LEASE_FOREIGN, Condition.ONE_ZONE}),
        after=("lease", "floating-ips"),
        pod=True,
        standby=True,
    ),
    Check(
        code="heartbeats",
        title="heartbeats can be sealed, and are heard",
        why="without them a dead holder is noticed after LeaseSeconds only",
        look=standby.heartbeats,
        conditions=frozenset(
            {
                Condition.HEARTBEAT_SILENT,
                Condition.HEARTBEAT_FORGED,
                Condition.HEARTBEAT_DISTRUSTED,
            }
        ),
        pod=True,
        standby=True,
    ),
    Check(
        code="fitness",
        title="the sidecar takes part in the election, and is fit",
        why="a pod that is not fit takes nothing over, and offers what it holds",
        fix="see why it does not run: kubectl logs POD -c vipmanager --previous",
        look=standby.fitness,
        conditions=frozenset(
            {Condition.UNFIT, Condition.OFFERED, Condition.LAME, Condition.YIELDED}
        ),
        pod=True,
        standby=True,
    ),
)
"""`after` names earlier rows only."""
