"""What is wrong is said in one clear line that names the object and the remedy.

The other interfaces and tables still get their routes, and nothing that is not ours changes.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from agent_fixtures import Stage
from vipmanager_lab.ec2.faults import Unreachable
from vipmanager_lab.process import Process
from vipmanager_lab.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A mistake in the configuration, and what the operator reads."""

    config: dict[str, str]
    says: tuple[str, ...]
    code: int = 1
    right: tuple[int, ...] = field(default=(0, 1))
    """Which of the two floating IPs are steered all the same."""


MISTAKES = {
    "a wrong value": Wrong(
        config={"UseSBR": "perhaps"}, says=("UseSBR='perhaps'", "True or False"), code=2, right=()
    ),
    "a key that looks like ours": Wrong(
        config={"Intf1Peer": "10.0.0.1"}, says=("Intf1Peer", "Intf1Peers?"), code=2, right=()
    ),
    "host bits": Wrong(
        config={"Intf1Peers": "10.0.100.5/24"},
        says=("Intf1Peers='10.0.100.5/24'", "10.0.100.0/24", "10.0.100.5"),
        code=2,
        right=(),
    ),
    "shell metacharacters in peers": Wrong(
        config={"Intf1Peers": "10.0.0.1; touch /run/owned"}, says=("Intf1Peers=",), code=2, right=()
    ),
    "shell metacharacters in a tag": Wrong(
        config={"VPCRTTag": "$(touch /run/owned)"},
        says=("VPCRTTag=$(touch /run/owned)", "selects none"),
        right=(),
    ),
    "shell metacharacters in an interface": Wrong(
        config={"Interfaces": "net1`touch /run/owned`"}, says=("Interfaces=",), code=2, right=()
    ),
    "an unknown tag": Wrong(
        config={"VPCRTTag": "role=nobody"},
        says=("VPCRTTag=role=nobody selects none of the 4 route tables", "role=vip"),
        right=(),
    ),
    "an unknown table id": Wrong(
        config={"VPCRTIds": "rtb-0123456789abcdef0"},
        says=("VPCRTIds: rtb-0123456789abcdef0 is no route table",),
        right=(),
    ),
    "a peer of a family that does not fit": Wrong(
        config={"Intf1Peers": "2001:db8::/32"},
        says=("Intf1Peers: peer 2001:db8::/32 is IPv6", "net1 has no IPv6 address"),
    ),
    "a peer that covers the default gateway and IMDS": Wrong(
        config={"Intf1Peers": "169.254.0.0/16"},
        says=("Intf1Peers: peer 169.254.0.0/16 covers the pod's default gateway", "169.254.1.1"),
    ),
    "a peer that covers everything": Wrong(
        config={"Intf2Peers": "0.0.0.0/0"}, says=("Intf2Peers: peer 0.0.0.0/0", "default route")
    ),
    "a peer that covers the EC2 endpoint": Wrong(
        config={"Intf2Peers": "198.18.0.0/15", "AWS_ENDPOINT_URL": "http://198.18.0.1"},
        says=("Intf2Peers", "198.18.0.1"),
    ),
}


def steered(stage: Stage) -> list[int]:
    return [
        number
        for number, (destination, eni) in enumerate(
            zip(stage.destinations(), stage.enis("a"), strict=True)
        )
        if stage.world.targets(destination) == {eni}
    ]


def one_line_says(agent: Process, words: tuple[str, ...]) -> bool:
    return sum(all(word in text for word in words) for text in agent.text) >= 1


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_remedy(stage: Stage, name: str) -> None:
    wrong = MISTAKES[name]
    pod = stage.pod()
    agent = stage.init(pod, **wrong.config)
    assert agent.wait() == wrong.code, agent.text
    assert one_line_says(agent, wrong.says), agent.text
    assert steered(stage) == list(wrong.right)
    assert "owned" not in pod.run(["ls", "/run"])
    assert not any("Traceback" in text for text in agent.text)


def test_every_mistake_is_reported_at_once(stage: Stage) -> None:
    agent = stage.init(
        stage.pod(), UseSBR="x", ApiRate="y", Intf1Peers="z", ResyncSeconds="0", LogLevel="loud"
    )
    assert agent.wait() == 2
    for key in ("UseSBR", "ApiRate", "Intf1Peers", "ResyncSeconds", "LogLevel"):
        assert sum(text.startswith(f"vipmanager run: {key}=") for text in agent.text) == 1


@pytest.mark.parametrize("pattern", [1, 2])
def test_an_interface_whose_clients_can_not_be_answered_is_named_and_all_is_done(
    make_world: Callable[..., World], pattern: int
) -> None:
    stage = Stage(make_world(), pattern=pattern)
    agent = stage.init(stage.pod(), Intf2Peers="")
    assert agent.wait() == 0, agent.text
    assert one_line_says(agent, ("on net2: no client can be answered", "Intf2Peers", "UseSBR"))
    assert not one_line_says(agent, ("on net1: no client can be answered",))
    assert stage.points_at("a")


@pytest.mark.parametrize(
    ("pattern", "address", "says"),
    [
        (1, "10.0.200.1/24", ("10.0.200.1 on net1 lies inside the VPC's 10.0.0.0/16",)),
        (2, "192.168.0.1/24", ("192.168.0.1 on net1 lies in no subnet",)),
        (2, "10.0.100.77/24", ("10.0.100.0/24", "has network interfaces in it")),
    ],
)
def test_an_address_that_does_not_fit_the_pattern_is_refused_and_the_other_steered(
    make_world: Callable[..., World], pattern: int, address: str, says: tuple[str, ...]
) -> None:
    stage = Stage(make_world(), pattern=pattern)
    good = stage.floating[1]
    pod = stage.world.start_pod("pod", "a", [address, good])
    agent = stage.init(pod, Intf1Peers="")
    assert agent.wait() == 1
    assert one_line_says(agent, says), agent.text
    assert stage.world.targets(stage.world.destination(good)) == {stage.enis("a")[1]}
    assert stage.world.writes() == len(stage.world.tables)


def test_two_interfaces_in_one_dummy_subnet_are_both_refused(
    make_world: Callable[..., World],
) -> None:
    stage = Stage(make_world(), pattern=2)
    pod = stage.world.start_pod("pod", "a", ["10.0.254.1/28", "10.0.254.2/28"])
    agent = stage.init(pod)
    assert agent.wait() == 1
    assert one_line_says(agent, ("10.0.254.1 on net1 and 10.0.254.2 on net2",)), agent.text
    assert stage.world.writes() == 0


def test_an_interface_whose_mac_is_no_eni_is_named_and_the_other_steered(stage: Stage) -> None:
    pod = stage.pod()
    pod.ip_batch(["link set net1 down", "link del net1"])
    pod.ip_batch(
        [
            "link add net1 address 02:de:ad:00:00:01 type veth peer name other",
            "link set net1 up",
            "link set other up",
            "addr add 192.168.0.1/24 dev net1",
        ]
    )
    agent = stage.init(pod)
    assert agent.wait() == 1
    assert one_line_says(agent, ("net1: its MAC 02:de:ad:00:00:01 belongs to no ENI",))
    assert stage.world.targets("192.168.0.2/32") == {stage.enis("a")[1]}
    assert stage.world.targets("192.168.0.1/32") == {None}


def test_without_net_admin_nothing_is_steered_and_the_capability_is_named(stage: Stage) -> None:
    pod = stage.pod()
    drop = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    agent = stage.world.agent(
        pod, stage.config, argv=[*drop, sys.executable, "-m", "vipmanager", "run"]
    )
    assert agent.wait() == 1
    assert one_line_says(agent, ("Operation not permitted", "NET_ADMIN")), agent.text
    assert stage.world.writes() == 0


def test_without_imds_and_region_the_remedy_is_named(stage: Stage) -> None:
    world = stage.world
    instance = world.nodes["a"].instance
    world.imds.set_options(instance, replace(world.imds.options(instance), enabled=False))
    agent = stage.init(stage.pod())
    assert agent.wait() == 1
    assert one_line_says(
        agent, ("IMDS answered", "with 403", "HttpEndpoint=enabled", "AWS_REGION")
    ), agent.text


def test_without_credentials_the_ways_to_give_them_are_named(stage: Stage) -> None:
    world = stage.world
    world.no_role = True
    agent = stage.init(stage.pod())
    assert agent.wait() == 1
    assert one_line_says(agent, ("credentials", "EKS Pod Identity")), agent.text
    assert world.writes() == 0


def test_access_denied_on_one_of_ten_tables_leaves_nine_right_and_names_the_tenth(
    make_world: Callable[..., World],
) -> None:
    world = make_world(tables=10)
    stage = Stage(world)
    denied = world.tables[4]
    world.faults.deny("CreateRoute", denied)
    agent = stage.init(stage.pod())
    assert agent.wait() == 1
    others = [t for t in world.tables if t != denied]
    for destination, eni in zip(stage.destinations(), stage.enis("a"), strict=True):
        assert {world.target(t, destination) for t in others} == {eni}
        assert world.target(denied, destination) is None
    assert one_line_says(agent, (denied, "UnauthorizedOperation", "allow ec2:CreateRoute"))
    assert one_line_says(agent, ("1 of 10 route tables not right", denied))


def test_a_route_to_a_gateway_is_in_the_way_and_is_left_alone(stage: Stage) -> None:
    world = stage.world
    table = world.tables[1]
    world.account.put_route(table, "192.168.0.1/32", "igw-0123456789abcdef0")
    agent = stage.init(stage.pod())
    assert agent.wait() == 1
    assert one_line_says(agent, (f"192.168.0.1/32 in {table}", "igw-0123456789abcdef0"))
    assert world.target(table, "192.168.0.1/32") == "igw-0123456789abcdef0"
    assert world.targets("192.168.0.2/32") == {stage.enis("a")[1]}
    assert world.target(world.tables[0], "192.168.0.1/32") == stage.enis("a")[0]


def test_a_peer_route_of_another_program_is_left_alone(stage: Stage) -> None:
    pod = stage.pod()
    pod.ip_batch(["route add 10.0.100.10/32 via 169.254.1.1 dev eth0 proto static"])
    agent = stage.init(pod)
    assert agent.wait() == 1
    assert one_line_says(agent, ("10.0.100.10/32 is already routed in the pod",))
    assert "10.0.100.10 via 169.254.1.1 dev eth0" in pod.run(["ip", "route"])
    assert stage.points_at("a")


def test_an_edge_table_is_skipped_under_all_and_refused_when_named(stage: Stage) -> None:
    world = stage.world
    gateway = world.account.create_internet_gateway(world.vpc)
    edge = world.account.create_route_table(world.vpc, tags={"role": "edge"}, gateway=gateway)
    pod = stage.pod()
    assert stage.init(pod, VPCRTTag="ALL").wait() == 0
    assert world.target(edge, "192.168.0.1/32") is None
    agent = stage.init(pod, VPCRTTag="role=edge,role=vip")
    assert agent.wait() == 1
    assert one_line_says(agent, (f"{edge} is associated with {gateway}", "VPCRTTag"))


def test_the_source_dest_check_is_named_or_switched_off_when_asked(stage: Stage) -> None:
    world = stage.world
    eni = stage.enis("a")[0]
    world.account.set_source_dest_check(eni, enabled=True)
    pod = stage.pod()
    agent = stage.init(pod)
    assert agent.wait() == 1
    assert one_line_says(agent, (eni, "source/dest check", "--no-source-dest-check"))
    assert stage.init(pod, ManageSourceDestCheck="True").wait() == 0
    world.application(pod, stage.floating)
    stage.answers()


def test_at_the_deadline_each_table_that_is_not_right_is_named(stage: Stage) -> None:
    stage.world.faults.throttle("CreateRoute", 3, 0.01)
    agent = stage.init(stage.pod(), InitTimeoutSeconds="3")
    assert agent.wait() == 1
    assert one_line_says(agent, ("the deadline passed", "route tables not right", "rtb-"))


def test_an_ec2_api_that_can_not_be_reached_is_named(stage: Stage) -> None:
    stage.world.faults.unreachable = Unreachable.CLOSES
    agent = stage.init(stage.pod(), InitTimeoutSeconds="2")
    assert agent.wait() == 1
    assert one_line_says(agent, ("check the way from the pod to the EC2 endpoint",)), agent.text
