"""The same behaviour from the cloud in memory, the simulated one, and EC2 over HTTP."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network

import pytest

from simulation.aws import Ec2Client
from simulation.hub import Process
from simulation.world import World
from vipmanager.core.actions import (
    CloudAction,
    CreateRoute,
    DeleteRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
)
from vipmanager.core.failures import Conflict, Permanent, Transient
from vipmanager.core.findings import Condition, Kind
from vipmanager.core.values import (
    CloudRoute,
    CloudState,
    DesiredRoute,
    Eni,
    EniId,
    InstanceId,
    RouteTable,
    RouteTableId,
    SubnetId,
    TargetKind,
    VpcId,
    eni_target,
)
from vipmanager.edges.aws.ec2 import READ_TIMEOUT, Ec2
from vipmanager.edges.memory import MemoryCloud, MemoryFence
from vipmanager.ports import Cloud
from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.endpoint import Endpoint
from vipmanager_lab.ec2.faults import Break, Hang

ALWAYS = MemoryFence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpc:
    """A VPC with two instances that have an ENI for pods each."""

    cloud: Cloud
    vpc: VpcId
    instance: InstanceId
    one: EniId
    other: EniId
    table: RouteTableId
    dummy: SubnetId

    def read(self) -> RouteTable:
        return next(t for t in self.cloud.route_tables([self.vpc]) if t.id == self.table)

    def route(self, destination: str) -> CloudRoute:
        found = self.read().route_to(ip_network(destination))
        assert found is not None
        return found

    def create(self, destination: str, eni: EniId) -> None:
        self.cloud.write(
            CreateRoute(
                steer=DesiredRoute(table=self.table, destination=ip_network(destination), eni=eni),
                reason="test",
            ),
            ALWAYS,
        )

    def replace(self, destination: str, eni: EniId) -> None:
        before = self.route(destination).target if self.has(destination) else eni_target(self.other)
        self.cloud.write(
            ReplaceRoute(
                steer=DesiredRoute(table=self.table, destination=ip_network(destination), eni=eni),
                before=before,
                reason="test",
            ),
            ALWAYS,
        )

    def delete(self, destination: str) -> None:
        self.cloud.write(
            DeleteRoute(
                table=self.table,
                destination=ip_network(destination),
                before=eni_target(self.one),
                reason="test",
            ),
            ALWAYS,
        )

    def has(self, destination: str) -> bool:
        return self.read().route_to(ip_network(destination)) is not None

    def eni(self, name: EniId) -> Eni:
        (found,) = self.cloud.enis_by_id([name])
        return found


@pytest.fixture
def account() -> Account:
    return Account("210987654321")


@pytest.fixture
def endpoint(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    endpoint = Endpoint(account)
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint.listen(listener)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIALAB")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "lab")
    yield endpoint
    endpoint.close()


@pytest.fixture
def ec2(endpoint: Endpoint) -> Iterator[Ec2]:
    assert endpoint is not None
    cloud = Ec2()
    cloud.connect("eu-central-1")
    yield cloud
    cloud.close()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["in memory", "simulated", "over HTTP"])
def vpc(request: pytest.FixtureRequest, account: Account, ec2: Ec2, world: World) -> Vpc:
    ids = [VpcId(account.create_vpc(IPv4Network("10.0.0.0/16"), ipv6=True))]
    subnet = account.create_subnet(ids[0], "eu-central-1a", IPv4Network("10.0.1.0/24"), ipv6=1)
    dummy = account.create_subnet(ids[0], "eu-central-1a", IPv4Network("10.0.254.0/28"), ipv6=2)
    instances, enis = [], []
    for number in (1, 2):
        instances.append(account.run_instance(subnet))
        enis.append(account.create_eni(subnet, ipv4=IPv4Address(f"10.0.1.10{number}")))
        account.attach(enis[-1], instances[-1], 1)
    table = account.create_route_table(ids[0], tags={"role": "vip", "odd": "a=b"}, subnets=[subnet])
    cloud: Cloud = ec2
    if request.param != "over HTTP":
        everything = CloudState(
            tables=ec2.route_tables(ids),
            enis=tuple(e for i in instances for e in ec2.instance_enis(InstanceId(i))),
            subnets=ec2.subnets(ids),
        )
        cloud = MemoryCloud(everything)
    if request.param == "simulated":
        world.ec2.change(everything)
        cloud = Ec2Client(world.ec2, Process(world.hub, world.nodes["a"].host), "app")
    return Vpc(
        cloud=cloud,
        vpc=ids[0],
        instance=InstanceId(instances[0]),
        one=EniId(enis[0]),
        other=EniId(enis[1]),
        table=RouteTableId(table),
        dummy=SubnetId(dummy),
    )


def test_tables_tell_tags_associations_and_the_vpcs_own_networks(vpc: Vpc) -> None:
    table = vpc.read()
    assert dict(table.tags) == {"role": "vip", "odd": "a=b"}
    assert not table.main
    assert len(table.subnets) == 1
    assert ip_network("10.0.0.0/16") in table.local
    assert len(table.local) == 2
    assert sum(t.main for t in vpc.cloud.route_tables([vpc.vpc])) == 1
    assert vpc.cloud.route_tables([VpcId("vpc-00000000000000000")]) == ()


def test_what_people_wrote_into_ec2_is_escaped(
    account: Account, endpoint: Endpoint, ec2: Ec2
) -> None:
    """XML bears no ESC, and every other mark."""
    vpc = VpcId(account.create_vpc(IPv4Network("10.1.0.0/16")))
    account.create_route_table(vpc, tags={"Name": "two\nlines \u202e\x9b2J"})
    assert r"two\nlines \u202e\x9b2J" in {t.tags.get("Name") for t in ec2.route_tables([vpc])}
    endpoint.faults.fail_next("DescribeSubnets", "Odd\nCode", message="no\n\u2066way\u200b")
    with pytest.raises(Permanent, match=r"Odd\\nCode: no \\u2066way\\u200b; "):
        ec2.subnets([vpc])


@pytest.mark.parametrize("destination", ["192.168.0.1/32", "fd00:100::1/128"])
def test_a_created_route_points_at_the_eni_and_tells_its_instance(
    vpc: Vpc, destination: str
) -> None:
    vpc.create(destination, vpc.one)
    route = vpc.route(destination)
    assert route.target.kind is TargetKind.ENI
    assert (route.target.id, route.target.instance) == (vpc.one, vpc.instance)
    assert not route.blackhole
    assert not route.propagated


@pytest.mark.parametrize("destination", ["192.168.0.1/32", "fd00:100::1/128"])
def test_a_replaced_route_points_at_the_other_eni(vpc: Vpc, destination: str) -> None:
    vpc.create(destination, vpc.one)
    vpc.replace(destination, vpc.other)
    assert vpc.route(destination).target.id == vpc.other


def test_the_whole_cidr_of_a_subnet_can_be_routed(vpc: Vpc) -> None:
    vpc.create("10.0.254.0/28", vpc.one)
    assert vpc.route("10.0.254.0/28").target.id == vpc.one


def test_creating_the_same_route_again_succeeds(vpc: Vpc) -> None:
    vpc.create("192.168.0.1/32", vpc.one)
    vpc.create("192.168.0.1/32", vpc.one)


def test_creating_over_another_target_is_a_conflict_and_changes_nothing(vpc: Vpc) -> None:
    vpc.create("192.168.0.1/32", vpc.one)
    with pytest.raises(Conflict):
        vpc.create("192.168.0.1/32", vpc.other)
    assert vpc.route("192.168.0.1/32").target.id == vpc.one


def test_replacing_a_route_that_is_absent_is_a_conflict_and_changes_nothing(vpc: Vpc) -> None:
    with pytest.raises(Conflict):
        vpc.replace("192.168.0.1/32", vpc.one)
    assert not vpc.has("192.168.0.1/32")


@pytest.mark.parametrize("destination", ["192.168.0.1/32", "fd00:100::1/128"])
def test_a_deleted_route_is_gone(vpc: Vpc, destination: str) -> None:
    vpc.create(destination, vpc.one)
    vpc.delete(destination)
    assert not vpc.has(destination)


def test_deleting_a_route_that_is_absent_is_a_conflict(vpc: Vpc) -> None:
    with pytest.raises(Conflict):
        vpc.delete("192.168.0.1/32")


@pytest.mark.parametrize("action", ["create", "replace", "delete"])
def test_asking_for_permission_changes_nothing(vpc: Vpc, action: str) -> None:
    vpc.create("192.168.0.9/32", vpc.other)
    before = vpc.read()
    there, absent = ip_network("192.168.0.9/32"), ip_network("192.168.0.1/32")
    target = eni_target(vpc.other)
    asked: dict[str, CloudAction] = {
        "create": CreateRoute(
            steer=DesiredRoute(table=vpc.table, destination=absent, eni=vpc.one), reason="test"
        ),
        "replace": ReplaceRoute(
            steer=DesiredRoute(table=vpc.table, destination=there, eni=vpc.one),
            before=target,
            reason="test",
        ),
        "delete": DeleteRoute(table=vpc.table, destination=there, before=target, reason="test"),
    }
    vpc.cloud.permits(asked[action])
    assert vpc.read() == before


def test_a_table_that_does_not_exist_is_a_lasting_failure(vpc: Vpc) -> None:
    with pytest.raises(Permanent, match=r"InvalidRouteTableID\.NotFound"):
        vpc.cloud.write(
            CreateRoute(
                steer=DesiredRoute(
                    table=RouteTableId("rtb-00000000000000000"),
                    destination=ip_network("192.168.0.1/32"),
                    eni=vpc.one,
                ),
                reason="test",
            ),
            ALWAYS,
        )


def test_enis_are_found_by_instance_mac_id_and_subnet(vpc: Vpc) -> None:
    eni = vpc.eni(vpc.one)
    assert eni.attached
    assert eni.instance == vpc.instance
    assert eni.device_index == 1
    assert eni.zone == "eu-central-1a"
    assert eni.addresses == {IPv4Address("10.0.1.101")}
    assert eni in vpc.cloud.instance_enis(vpc.instance)
    assert vpc.cloud.enis_by_mac([eni.mac]) == (eni,)
    assert eni in vpc.cloud.enis_in([eni.subnet])
    assert vpc.cloud.enis_in([vpc.dummy]) == ()


def test_an_eni_that_does_not_exist_is_left_out(vpc: Vpc) -> None:
    found = vpc.cloud.enis_by_id([vpc.one, EniId("eni-00000000000000000")])
    assert [e.id for e in found] == [vpc.one]


def test_subnets_tell_both_families(vpc: Vpc) -> None:
    (dummy,) = [s for s in vpc.cloud.subnets([vpc.vpc]) if s.id == vpc.dummy]
    assert dummy.ipv4 == IPv4Network("10.0.254.0/28")
    assert sorted(n.version for n in dummy.networks) == [4, 6]


def test_the_source_dest_check_can_be_switched_off(vpc: Vpc) -> None:
    assert vpc.eni(vpc.one).source_dest_check
    vpc.cloud.write(DisableSourceDestCheck(eni=vpc.one, reason="test"), ALWAYS)
    assert not vpc.eni(vpc.one).source_dest_check


# --- what only an EC2 behind a network does ------------------------------------------------------


@pytest.mark.parametrize("vpc", ["simulated", "over HTTP"], indirect=True)
def test_a_call_without_an_answer_is_given_up_and_a_write_lands_all_the_same(
    vpc: Vpc, world: World, endpoint: Endpoint
) -> None:
    world.ec2.ills.reads, world.ec2.ills.next_writes = "hang", ["late"]
    endpoint.faults.inject("DescribeRouteTables", Hang(seconds=READ_TIMEOUT + 0.5))
    endpoint.faults.inject("CreateRoute", Hang())
    with pytest.raises(Transient, match=r"DescribeRouteTables.*Read timeout|ec2: no answer"):
        vpc.read()
    with pytest.raises(Transient, match=r"CreateRoute.*Read timeout|ec2: no answer"):
        vpc.create("192.168.0.9/32", vpc.one)
    world.ec2.ills.reads = ""
    endpoint.faults.release_hangs()
    while not vpc.has("192.168.0.9/32"):
        continue


# --- what only EC2 does ------------------------------------------------------------------------


@pytest.mark.parametrize("vpc", ["over HTTP"], indirect=True)
def test_a_detached_eni_leaves_a_blackhole(vpc: Vpc, account: Account) -> None:
    vpc.create("192.168.0.1/32", vpc.one)
    account.detach(vpc.one)
    route = vpc.route("192.168.0.1/32")
    assert route.blackhole
    assert route.target.instance is None
    assert not vpc.eni(vpc.one).attached


@pytest.mark.parametrize("vpc", ["over HTTP"], indirect=True)
@pytest.mark.parametrize(
    ("code", "status", "condition"),
    [
        ("RequestLimitExceeded", 503, Condition.THROTTLED),
        ("InternalError", 500, Condition.TRANSIENT),
        ("Whatever", 500, Condition.TRANSIENT),
        ("RequestExpired", 400, Condition.TRANSIENT),
        ("InvalidNetworkInterfaceID.NotFound", 400, Condition.TRANSIENT),
        ("UnauthorizedOperation", 403, Condition.ACCESS_DENIED),
        ("AuthFailure", 401, Condition.NO_CREDENTIALS),
        ("RouteLimitExceeded", 400, Condition.ROUTE_QUOTA),
        ("InvalidParameterValue", 400, Condition.PERMANENT),
        ("SomethingNew", 400, Condition.PERMANENT),
    ],
)
def test_every_error_code_is_somebodys_turn(
    vpc: Vpc, endpoint: Endpoint, code: str, status: int, condition: Condition
) -> None:
    endpoint.faults.fail_next("CreateRoute", code, status)
    with pytest.raises(Permanent if condition.kind is Kind.FAILED else Transient) as caught:
        vpc.create("192.168.0.1/32", vpc.one)
    assert code in caught.value.what
    assert caught.value.finding("rtb-1").condition is condition
    assert len(endpoint.calls_of("CreateRoute")) == 1


@pytest.mark.parametrize("vpc", ["over HTTP"], indirect=True)
@pytest.mark.parametrize("fault", Break)
def test_a_broken_answer_is_somebodys_turn_too(vpc: Vpc, endpoint: Endpoint, fault: Break) -> None:
    endpoint.faults.inject("DescribeRouteTables", fault)
    with pytest.raises(Transient, match="DescribeRouteTables"):
        vpc.read()
    endpoint.faults.inject("CreateRoute", fault)
    with pytest.raises(Transient, match="CreateRoute"):
        vpc.create("192.168.0.9/32", vpc.one)


@pytest.mark.parametrize("vpc", ["over HTTP"], indirect=True)
def test_a_denial_names_the_action_to_allow_and_hides_the_encoded_message(
    vpc: Vpc, endpoint: Endpoint
) -> None:
    endpoint.faults.deny("CreateRoute", vpc.table)
    with pytest.raises(Permanent) as caught:
        vpc.create("192.168.0.1/32", vpc.one)
    assert vpc.table in str(caught.value)
    assert "allow ec2:CreateRoute" in str(caught.value)
    assert "Encoded" not in str(caught.value)


@pytest.mark.parametrize("vpc", ["over HTTP"], indirect=True)
def test_tables_are_read_in_pages(vpc: Vpc, account: Account, endpoint: Endpoint) -> None:
    for _ in range(120):
        account.create_route_table(vpc.vpc)
    endpoint.clear_calls()
    assert len(vpc.cloud.route_tables([vpc.vpc])) == 122
    assert len(endpoint.calls_of("DescribeRouteTables")) == 2


def test_without_credentials_the_ways_to_give_them_are_named(
    monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint
) -> None:
    assert endpoint is not None
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    cloud = Ec2()
    cloud.connect("eu-central-1")
    with pytest.raises(Permanent, match="EKS Pod Identity"):
        cloud.route_tables([VpcId("vpc-1")])
    cloud.close()
