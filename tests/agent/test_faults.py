"""Each fault of the lab is named by doctor with its object; the remedy, when followed, ends it."""

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from agent_fixtures import Stage, converged
from doctor_runs import DoctorRun, follow
from vipmanager_lab.netns import Netns
from vipmanager_lab.world import World

RUN = "vipmanager run --RunAsSidecar False"


@pytest.fixture
def well(stage: Stage) -> Netns:
    """Give a pod whose agent has done its work, and in which doctor finds nothing."""
    pod = stage.pod()
    assert stage.init(pod).wait() == 0
    visit = DoctorRun(stage, pod)
    assert (visit.code, visit.faults()) == (0, {}), visit.document
    return pod


def is_well(stage: Stage, pod: Netns, **config: str) -> None:
    visit = DoctorRun(stage, pod, **config)
    assert (visit.code, visit.faults()) == (0, {}), visit.document


def test_a_deleted_route(stage: Stage, well: Netns) -> None:
    table = stage.world.tables[2]
    stage.world.account.drop_route(table, "192.168.0.1/32")
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (1, {"routes": "error"})
    assert RUN in visit.finding("routes", "192.168.0.1/32", "1 of 4", f"{table} (no route)")
    follow(stage, well, RUN)
    is_well(stage, well)


def test_a_route_stolen_in_one_table(stage: Stage, well: Netns) -> None:
    table, thief = stage.world.tables[3], stage.enis("b")[0]
    stage.world.account.put_route(table, "192.168.0.1/32", thief)
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (1, {"routes": "error"})
    assert RUN in visit.finding("routes", "192.168.0.1/32", table, thief, stage.enis("a")[0])
    # A claim as young as this one waits up to 30 s for an ENI with a lesser id.
    follow(stage, well, RUN, InitTimeoutSeconds="40")
    is_well(stage, well)


def test_a_floating_ip_taken_over_in_every_table(stage: Stage) -> None:
    pod = stage.pod()
    stage.sidecar(pod, ResyncSeconds="3600").wait_for(converged)
    thief = stage.enis("b")[1]
    for table in stage.world.tables:
        stage.world.account.put_route(table, "192.168.0.2/32", thief)
    visit = DoctorRun(stage, pod)
    assert (visit.code, visit.faults()) == (1, {"routes": "error"})
    assert "vipmanager claim" in visit.finding("routes", "192.168.0.2/32", thief, "4 of 4")
    follow(stage, pod, "vipmanager claim")
    is_well(stage, pod)


def test_a_source_dest_check_that_is_on(stage: Stage, well: Netns) -> None:
    eni = stage.enis("a")[0]
    stage.world.account.set_source_dest_check(eni, enabled=True)
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (1, {"source-dest-check": "error"})
    remedy = visit.finding("source-dest-check", eni, "net1", "192.168.0.1")
    assert f"--network-interface-id {eni} --no-source-dest-check" in remedy
    stage.world.account.set_source_dest_check(eni, enabled=False)
    is_well(stage, well)


@pytest.mark.parametrize("action", ["CreateRoute", "ReplaceRoute"])
def test_a_write_that_is_denied_on_one_table(stage: Stage, well: Netns, action: str) -> None:
    table = stage.world.tables[1]
    stage.world.faults.deny(action, table)
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (1, {"write-access": "error"})
    remedy = visit.finding("write-access", table, "UnauthorizedOperation")
    assert f"allow ec2:{action} in the IAM policy" in remedy
    stage.world.faults.allow(action, table)
    is_well(stage, well)


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("DescribeRouteTables", "error"),
        ("DescribeNetworkInterfaces", "warning"),  # IMDS stands in
        ("DescribeSubnets", "warning"),  # pattern 1 needs them for the order of writes alone
    ],
)
def test_a_reading_that_is_denied(stage: Stage, well: Netns, action: str, state: str) -> None:
    stage.world.faults.deny(action)
    visit = DoctorRun(stage, well)
    assert visit.state("read-access") == state
    assert visit.code == int(state == "error")
    assert f"allow ec2:{action}" in visit.finding("read-access", f"ec2:{action}")
    stage.world.faults.allow(action)
    is_well(stage, well)


def test_a_hop_limit_of_1(stage: Stage, well: Netns) -> None:
    imds, instance = stage.world.imds, stage.world.nodes["a"].instance
    imds.set_options(instance, replace(imds.options(instance), hop_limit=1))
    visit = DoctorRun(stage, well)
    assert visit.code == 1
    remedy = visit.finding("imds", "no answer to PUT")
    assert "HttpPutResponseHopLimit to 2 (aws ec2 modify-instance-metadata-options)" in remedy
    assert visit.checks["routes"]["skipped"] == "imds failed"
    imds.set_options(instance, replace(imds.options(instance), hop_limit=2))
    is_well(stage, well)


def test_no_credentials(stage: Stage, well: Netns) -> None:
    stage.world.no_role = True
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (1, {"credentials": "error"})
    assert "create-pod-identity-association" in visit.finding("credentials", "no credentials")
    assert visit.checks["routes"]["skipped"] == "credentials failed"
    stage.world.no_role = False
    is_well(stage, well)


def test_a_tag_that_no_table_has(stage: Stage, well: Netns) -> None:
    visit = DoctorRun(stage, well, VPCRTTag="role=nobody")
    assert (visit.code, visit.faults()) == (1, {"route-tables": "error"})
    remedy = visit.finding("route-tables", "VPCRTTag=role=nobody selects none of the 4", "role=vip")
    assert "tag the route tables" in remedy
    for table in stage.world.tables:
        stage.world.account.tag_route_table(table, {"role": "nobody"})
    is_well(stage, well, VPCRTTag="role=nobody")


def test_an_edge_table_that_is_selected(stage: Stage, well: Netns) -> None:
    account = stage.world.account
    gateway = account.create_internet_gateway(stage.world.vpc)
    edge = account.create_route_table(stage.world.vpc, tags={"role": "vip"}, gateway=gateway)
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (1, {"edge-tables": "error"})
    assert f"take {edge} out of VPCRTTag" in visit.finding("edge-tables", edge, gateway)
    account.tag_route_table(edge, {"role": "edge"})
    is_well(stage, well)


def test_a_dummy_subnet_that_is_occupied(make_world: Callable[..., World]) -> None:
    stage = Stage(make_world(), pattern=2)
    account = stage.world.account
    tenant = account.create_eni(stage.world.subnets["dummy1"], ipv4=IPv4Address("10.0.254.9"))
    pod = stage.pod()
    assert stage.init(pod).wait() == 1
    visit = DoctorRun(stage, pod)
    assert visit.code == 1
    remedy = visit.finding("dummy-subnets", stage.world.subnets["dummy1"], tenant, "10.0.254.1")
    assert "use a subnet that nothing else lives in" in remedy
    account.delete_eni(tenant)
    follow(stage, pod, RUN)
    is_well(stage, pod)


def test_a_bucket_that_is_empty(stage: Stage, well: Netns) -> None:
    stage.world.faults.throttle("CreateRoute", 0.5, 0.01)
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (0, {"write-access": "warning"})
    remedy = visit.finding("write-access", "ec2:CreateRoute", "RequestLimitExceeded")
    assert "wait for EC2's bucket to fill" in remedy
    stage.world.faults.throttle("CreateRoute", 50, 5)
    is_well(stage, well)


def test_an_eni_that_was_detached(stage: Stage, well: Netns) -> None:
    eni = stage.enis("a")[0]
    stage.world.account.detach(eni)
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (1, {"interfaces": "error"})
    remedy = visit.finding("interfaces", eni, "net1", "attached to no instance")
    command = re.fullmatch(
        r"aws ec2 attach-network-interface --network-interface-id (\S+) "
        r"--instance-id (\S+) --device-index (\d+)",
        remedy,
    )
    assert command is not None, remedy
    stage.world.account.attach(command[1], command[2], int(command[3]))
    is_well(stage, well)


def test_a_container_without_net_admin(stage: Stage, well: Netns) -> None:
    drop = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    visit = DoctorRun(stage, well, before=drop)
    assert (visit.code, visit.faults()) == (1, {"net-admin": "error"})
    assert "capabilities.add: [NET_ADMIN]" in visit.finding("net-admin", "NET_ADMIN")
    is_well(stage, well)


def test_an_eni_that_the_vpc_cni_would_take(stage: Stage, well: Netns) -> None:
    eni = stage.enis("a")[1]
    stage.world.account.tag_route_table(eni, {"node.k8s.amazonaws.com/no_manage": "false"})
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (0, {"eni-tags": "warning"})
    command = visit.finding("eni-tags", eni)
    tag = re.search(rf"create-tags --resources {eni} --tags Key=(\S+),Value=(\S+)", command)
    assert tag is not None, command
    stage.world.account.tag_route_table(eni, {tag[1]: tag[2]})
    is_well(stage, well)


def test_a_strict_reverse_path_filter(stage: Stage, well: Netns) -> None:
    well.sysctl({"ipv4/conf/net1/rp_filter": 1})
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (0, {"rp-filter": "warning"})
    command = visit.finding("rp-filter", "net1").rpartition("at once: ")[2]
    well.run(command.split())
    is_well(stage, well)


def test_a_foreign_rule_among_ours(stage: Stage, well: Netns) -> None:
    well.ip_batch(["rule add from 192.168.0.1 lookup 100 priority 8650"])
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (0, {"policy-rules": "warning"})
    well.run(visit.finding("policy-rules", "lookup 100").split())
    is_well(stage, well)


def test_a_default_route_that_an_attachment_took_over(stage: Stage, well: Netns) -> None:
    well.ip_batch(
        [
            "route del default",
            "route add default via 169.254.1.1 dev eth0 metric 50",
            "route add default via 10.0.11.1 dev net1 onlink",
        ]
    )
    visit = DoctorRun(stage, well)
    assert visit.code == 1
    remedy = visit.finding("primary-route", "net1", "eth0")
    well.run(remedy.rpartition("in this pod: ")[2].split())
    follow(stage, well, RUN)
    is_well(stage, well)


def test_an_interface_that_is_not_on_its_eni(stage: Stage, well: Netns) -> None:
    [link] = well.ip_json("link", "show", "net1")
    well.ip_batch(
        [
            "link del net1",
            f"link add net1 address {link['address']} type veth peer name nowhere",
            "link set net1 up",
            "link set nowhere up",
            "addr add 192.168.0.1/24 dev net1",
        ]
    )
    assert stage.init(well).wait() == 0
    visit = DoctorRun(stage, well)
    assert (visit.code, visit.faults()) == (1, {"gateways": "error"})
    assert "ipvlan" in visit.finding("gateways", "10.0.11.1 does not answer on net1")
