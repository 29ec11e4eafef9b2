"""Every check, in the order in which they are shown: causes before their effects."""

from vipmanager.doctor import aws, cluster, pod, standby, vpc
from vipmanager.doctor.check import Check
from vipmanager.doctor.readings import Readings
from vipmanager.edges.aws import sources


def without_election(readings: Readings) -> str:
    """Say why nothing of the election can be checked."""
    if readings.settings.dry_run:
        return "DryRun=True"
    return "" if readings.settings.leader_election else "LeaderElection=False"


def in_a_dry_run(readings: Readings) -> str:
    """Say why nothing that an agent writes can be there."""
    return "DryRun=True: vipmanager status has the differences" if readings.settings.dry_run else ""


def without_check(readings: Readings) -> str:
    """Say why nothing of the application can be checked."""
    return "" if readings.settings.health_check is not None else "no HealthCheck"


def without_namespace(readings: Readings) -> str:
    """Say why no cluster is asked."""
    return "" if readings.pod or readings.namespace else "no --namespace"


CHECKS = (
    Check(
        code="admission",
        title="the namespace admits the pod",
        failed="the namespace admits no pod with NET_ADMIN",
        why="no pod appears, and only the Events of its ReplicaSet say so",
        fix="kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=privileged "
        "--overwrite; or let the policy that is named admit NET_ADMIN",
        look=cluster.admission,
        idle=without_namespace,
    ),
    Check(
        code="net-admin",
        title="the container has NET_ADMIN",
        failed="the container lacks NET_ADMIN",
        why="without it the kernel refuses the routes and rules that the pod answers by",
        fix="securityContext.capabilities.add: [NET_ADMIN] in the pod's manifest",
        look=pod.net_admin,
        pod=True,
    ),
    Check(
        code="kernel",
        title="the pod's network namespace can be read",
        failed="the pod's network namespace can't be read",
        why="interfaces, routes and rules are read with iproute2",
        fix="install iproute2 in the image",
        look=pod.kernel,
        pod=True,
    ),
    Check(
        code="primary-route",
        title="the default route leaves by the pod's primary interface",
        failed="the default route leaves by another interface than the primary one",
        why="IMDS, the credentials, the cluster's DNS and the EC2 API are reached through it",
        fix="take default-route out of k8s.v1.cni.cncf.io/networks and the gateway out of the "
        "attachment's ipam; in this pod: ip -{version} route del default dev {device}",
        look=pod.primary_route,
        after=("kernel",),
        pod=True,
    ),
    Check(
        code="policy-rules",
        title="rule priorities 8600-8699 and tables 8600-8602, 86000+ hold nothing foreign",
        failed="foreign rules or routes stand where the agent's are",
        why="a foreign entry there decides where the answers of a floating IP go",
        fix="{command}",
        look=pod.policy_rules,
        after=("kernel",),
        pod=True,
    ),
    Check(
        code="rp-filter",
        title="no interface filters strictly by reverse path",
        failed="an interface filters strictly by reverse path",
        why="what a client sends is dropped unless its answer would leave by the same interface",
        fix='add {{"type": "tuning", "sysctl": {{"net.ipv4.conf.{interface}.rp_filter": "2"}}}} '
        "to the NetworkAttachmentDefinition; at once: "
        "sysctl -w net.ipv4.conf.{interface}.rp_filter=2",
        look=pod.rp_filter,
        after=("kernel",),
        pod=True,
    ),
    Check(
        code="environment",
        title="the variables of AWS's SDK and of kubelet are right",
        failed="a variable of AWS's SDK or of kubelet is wrong",
        why="with a wrong one the agent ends with exit code 2, before it does anything",
        fix="correct it in the pod's manifest",
        look=aws.environment,
    ),
    Check(
        code="proxy",
        title="what is inside the VPC is called without a proxy",
        failed="what is inside the VPC is called through a proxy",
        why="AWS's SDK knows no networks in NO_PROXY: it takes credentials from the metadata "
        "service through the proxy, which has none, or another machine's",
        fix="add {host} to NO_PROXY, by itself: NO_PROXY={host},...",
        look=aws.proxy,
        after=("environment",),
    ),
    Check(
        code="imds",
        title="IMDSv2 answers the pod",
        failed="IMDSv2 does not answer the pod",
        why="it tells the instance, its Region and its ENIs, and has the node's credentials",
        fix="aws ec2 modify-instance-metadata-options --instance-id {instance} "
        "--http-tokens required --http-put-response-hop-limit 2",
        look=aws.imds,
        pod=True,
    ),
    Check(
        code="endpoint",
        title="EC2 answers",
        failed="EC2 does not answer",
        why="route tables are read and written through it",
        fix="let the pod out to the EC2 endpoint: DNS, NAT gateway or interface endpoint, its "
        "security group, HTTPS_PROXY, AWS_ENDPOINT_URL",
        look=aws.endpoint,
        after=("imds",),
    ),
    Check(
        code="clock",
        title="the clock is right",
        failed="the clock is wrong",
        why="AWS refuses signatures that are more than five minutes old or early",
        fix="start chrony on the node: systemctl restart chronyd",
        look=aws.clock,
        after=("endpoint",),
    ),
    Check(
        code="credentials",
        title="there are credentials",
        failed="there are no credentials",
        why="every call to EC2 is signed with them",
        fix=sources.NONE,
        look=aws.credentials,
    ),
    Check(
        code="read-access",
        title="EC2 lets us read",
        failed="EC2 does not let us read",
        why="what is there decides what has to be written",
        fix="allow ec2:DescribeRouteTables, ec2:DescribeNetworkInterfaces and ec2:DescribeSubnets",
        look=aws.read_access,
        after=("kernel", "imds", "endpoint", "clock", "credentials"),
    ),
    Check(
        code="interfaces",
        title="each pod interface is carried by an ENI",
        failed="a pod interface is carried by no ENI",
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
        failed="an address of these interfaces can't be steered",
        why="an address that can't be steered is not reachable from its clients",
        after=("read-access",),
    ),
    Check(
        code="floating-ips",
        title="there are floating IPs",
        failed="there is no floating IP",
        why="without one there is nothing to do",
        fix="give the pod a Multus attachment with an address (k8s.v1.cni.cncf.io/networks), or "
        "do what interfaces and addresses say; outside of a pod: --vpc, --floating-ip and --eni",
        look=vpc.floating_ips,
        after=("read-access",),
    ),
    Check(
        code="source-dest-check",
        title="each ENI lets addresses through that are not its own",
        failed="an ENI drops what is for addresses that are not its own",
        why="the VPC drops them on an ENI that checks",
        after=("floating-ips",),
    ),
    Check(
        code="lost-addresses",
        title="what was steered here is still here",
        failed="what was steered here is gone, and routes still lead here",
        why="routes that lead to a pod without the address lose all packets for it",
        after=("interfaces", "addresses", "source-dest-check"),
        pod=True,
    ),
    Check(
        code="eni-tags",
        title="the VPC CNI leaves these ENIs alone",
        failed="the VPC CNI may take these ENIs for its own",
        why="it would give their addresses to other pods and set them up as its own",
        fix=f"aws ec2 create-tags --resources {{eni}} --tags Key={vpc.NO_MANAGE},Value=true",
        look=vpc.eni_tags,
        after=("floating-ips",),
    ),
    Check(
        code="peers",
        title="each peer can be answered through its interface",
        failed="a peer can't be answered through its interface",
        why="an answer that leaves by another interface is lost",
        after=("interfaces", "floating-ips"),
        pod=True,
    ),
    Check(
        code="pod-routes",
        title="the pod has its routes and rules",
        failed="the pod lacks routes or rules",
        why="without them the pod hears its clients and can't answer",
        fix="vipmanager run --RunAsSidecar False; a running sidecar adds them by itself",
        look=pod.pod_routes,
        after=("floating-ips",),
        pod=True,
        idle=in_a_dry_run,
    ),
    Check(
        code="gateways",
        title="the gateway of each ENI's subnet answers",
        failed="the gateway of an ENI's subnet does not answer",
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
        failed="no route table is selected, or one is unknown",
        why="subnets whose table is not selected don't reach the floating IP",
        look=vpc.route_tables,
        after=("floating-ips",),
    ),
    Check(
        code="edge-tables",
        title="no selected table belongs to a gateway",
        failed="a selected table belongs to a gateway",
        why="EC2 refuses routes to outside the VPC in such a table",
        after=("floating-ips",),
    ),
    Check(
        code="write-access",
        title="EC2 lets us write",
        failed="EC2 does not let us write",
        why="a failover writes every selected table",
        fix="allow ec2:CreateRoute and ec2:ReplaceRoute on the selected route tables",
        look=aws.write_access,
        after=("route-tables",),
    ),
    Check(
        code="application",
        title="the application passes its HealthCheck",
        failed="the application does not pass its HealthCheck",
        why="until it does, the pod takes no floating IP over",
        after=("floating-ips",),
        pod=True,
        idle=without_check,
    ),
    Check(
        code="routes",
        title="each floating IP is routed to its ENI",
        failed="a floating IP is not routed to its ENI in every table",
        why="subnets with another route, or none, don't reach the floating IP",
        fix="vipmanager run --RunAsSidecar False; where a sidecar runs it does so by itself, and "
        "at once by: vipmanager claim",
        look=vpc.routes,
        after=("route-tables",),
        idle=in_a_dry_run,
    ),
    Check(
        code="overlap",
        title="nothing else routes the same addresses",
        failed="something else routes the same addresses",
        why="the longest prefix wins, so a part of the traffic goes elsewhere",
        fix="name networks in {key} that don't hold those of another interface, or set UseSBR=True",
        look=vpc.overlap,
        after=("floating-ips",),
    ),
    Check(
        code="dummy-subnets",
        title="nothing else lives in the floating IPs' subnets",
        failed="something else lives in a floating IP's subnet",
        why="with pattern 2 the traffic of the whole subnet goes to the pod",
        look=vpc.dummy_subnets,
        after=("floating-ips",),
    ),
    Check(
        code="route-quota",
        title="each route table has room",
        failed="a route table is full, or nearly so",
        why="EC2 refuses a new route in a full table",
        fix="aws service-quotas request-service-quota-increase --service-code vpc "
        "--quota-code L-93826ACB --desired-value 1000",
        look=vpc.route_quota,
        after=("route-tables",),
    ),
    Check(
        code="failover-time",
        title="a failover fits into EC2's bucket",
        failed="a failover does not fit into EC2's bucket",
        why="what does not fit into the burst waits, and its clients with it",
        fix="select fewer tables (VPCRTTag), name the important ones first (VPCRTIds), or ask AWS "
        "Support for a higher limit and set ApiRate to it",
        look=vpc.failover_time,
        after=("route-tables",),
    ),
    Check(
        code="sidecar",
        title="the sidecar of this pod answers, and looks after its routes",
        failed="the sidecar of this pod hangs, or its loop is stuck",
        why="one that hangs repairs nothing, and gives nothing up to another pod",
        fix="kubectl delete pod POD, and report it with: kubectl logs POD -c vipmanager --previous",
        look=pod.sidecar,
        pod=True,
    ),
    Check(
        code="pod-identity",
        title="the pod knows its name and its uid",
        failed="the pod does not know its name or its uid",
        why="with its uid a holder signs the Lease",
        fix="set POD_NAME and POD_UID by the downward API",
        look=standby.identity,
        pod=True,
        standby=True,
        idle=without_election,
    ),
    Check(
        code="lease",
        title="the Lease can be read, and its holder renews it",
        failed="the Lease can't be read, or nobody renews it",
        why="whoever holds it steers; without it nobody takes over",
        fix="see the check fitness in each replica, and why it writes nothing: "
        "kubectl logs POD -c vipmanager",
        look=standby.lease,
        after=("pod-identity",),
        pod=True,
        standby=True,
        idle=without_election,
    ),
    Check(
        code="replicas",
        title="the Lease is held for the same floating IPs, in another zone",
        failed="the Lease is another group's, or its holder is too near",
        why="a standby of another group takes nothing over, and a lost zone takes all that is in "
        "it",
        look=standby.group,
        after=("lease", "floating-ips"),
        pod=True,
        standby=True,
        idle=without_election,
    ),
    Check(
        code="preferred-zone",
        title="the preferred zone is one of the VPC's",
        failed="the preferred zone is none of the VPC's",
        why="to a zone that does not exist nothing returns",
        look=vpc.preferred_zone,
        after=("floating-ips",),
        standby=True,
        idle=without_election,
    ),
    Check(
        code="heartbeats",
        title="heartbeats can be sealed, and are heard",
        failed="heartbeats can't be sealed, or are not heard",
        why="without them a dead holder is noticed after LeaseSeconds only",
        look=standby.heartbeats,
        pod=True,
        standby=True,
        idle=without_election,
    ),
    Check(
        code="fitness",
        title="the sidecar takes part in the election, and is fit",
        failed="the sidecar takes no part in the election, or is not fit",
        why="a pod that is not fit takes nothing over, and offers what it holds",
        fix="see why it does not run: kubectl logs POD -c vipmanager --previous",
        look=standby.fitness,
        pod=True,
        standby=True,
        idle=without_election,
    ),
)
"""`after` names earlier rows only."""
