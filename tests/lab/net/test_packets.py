"""Real packets through the lab's VPC."""

import threading
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from vipmanager_lab.netns import BatchError, Netns, NetnsError
from vipmanager_lab.network import Attachment, Network, Pod
from vipmanager_lab.router import IMDS_IPV4
from vipmanager_lab.vpc import VpcState

Way = Callable[[Netns, str, Netns, str], bool]
Steer = Callable[[str, str, str], None]
CLIENT = "10.0.3.10"
CLIENT6 = "2001:db8:0:3::10"


@pytest.mark.parametrize("last", ["10", "50"])
def test_hosts_and_pods_of_two_zones_reach_each_other(
    network: Network, exchange: Way, last: str
) -> None:
    a, b = network.host("a").netns, network.host("b").netns
    if last == "50":
        a = network.add_pod("a", "one", IPv4Address("10.0.1.50")).netns
        b = network.add_pod("b", "two", IPv4Address("10.0.2.50")).netns
    assert exchange(a, f"10.0.1.{last}", b, f"10.0.2.{last}")


def test_hosts_reach_each_other_over_ipv6(network: Network, exchange: Way) -> None:
    a, b = network.host("a").netns, network.host("b").netns
    assert exchange(a, "2001:db8:0:1::10", b, "2001:db8:0:2::10")


def test_neighbours_in_one_subnet_reach_each_other(
    now: list[VpcState], network: Network, exchange: Way
) -> None:
    sixth = replace(
        now[-1].enis[4],
        id="eni-d0",
        mac="02:00:00:00:03:20",
        ipv4=(IPv4Address("10.0.3.20"),),
        ipv6=(now[-1].enis[4].ipv6[0] + 16,),
        instance="i-d",
    )
    now.append(replace(now[-1], enis=(*now[-1].enis, sixth)))
    d, c = network.add_host("d", ["eni-d0"]).netns, network.host("c").netns
    assert exchange(c, CLIENT, d, "10.0.3.20")
    assert exchange(c, CLIENT6, d, "2001:db8:0:3::20")


@pytest.mark.parametrize(
    ("address", "client"),
    [("100.64.0.1/32", CLIENT), ("2001:db8:f::1/128", CLIENT6)],
)
def test_an_address_outside_the_vpc_follows_its_route_between_zones(  # noqa: PLR0917 - fixtures
    network: Network,
    steer: Steer,
    floating_pod: Callable[..., Pod],
    exchange: Way,
    arrives: Way,
    address: str,
    client: str,
) -> None:
    here, there = floating_pod("a", address).netns, floating_pod("b", address).netns
    c, host = network.host("c").netns, address.partition("/")[0]
    assert not arrives(c, client, here, host)
    steer("rtb-client", address, "eni-a1")
    assert exchange(c, client, here, host)
    steer("rtb-client", address, "eni-b1")
    assert exchange(c, client, there, host)
    assert not arrives(c, client, here, host)


def test_the_route_of_a_whole_subnet_beats_local(
    network: Network, steer: Steer, floating_pod: Callable[..., Pod], exchange: Way, arrives: Way
) -> None:
    pod, c, a = floating_pod("a", "10.0.2.77/32"), network.host("c").netns, network.host("a").netns
    b = network.host("b").netns
    assert exchange(c, CLIENT, b, "10.0.2.10")
    steer("rtb-client", "10.0.2.0/24", "eni-a1")
    assert exchange(c, CLIENT, pod.netns, "10.0.2.77")
    assert not arrives(c, CLIENT, b, "10.0.2.10"), "an ENI inside the subnet is covered"
    assert exchange(a, "10.0.1.10", b, "10.0.2.10"), "another table knows nothing of it"


def test_the_longest_prefix_wins(
    network: Network, steer: Steer, floating_pod: Callable[..., Pod], exchange: Way, arrives: Way
) -> None:
    here, there = (floating_pod(host, "100.64.0.1/32").netns for host in "ab")
    steer("rtb-client", "100.64.0.0/16", "eni-a1")
    assert exchange(network.host("c").netns, CLIENT, here, "100.64.0.1")
    steer("rtb-client", "100.64.0.1/32", "eni-b1")
    assert exchange(network.host("c").netns, CLIENT, there, "100.64.0.1")
    assert not arrives(network.host("c").netns, CLIENT, here, "100.64.0.1")


@pytest.mark.parametrize(
    "fields", [{"instance": None}, {"instance_running": False}], ids=["detached", "stopped"]
)
def test_a_route_to_an_eni_without_a_running_instance_is_a_blackhole(  # noqa: PLR0917 - fixtures
    network: Network,
    steer: Steer,
    change: Callable[..., None],
    floating_pod: Callable[..., Pod],
    arrives: Way,
    fields: dict[str, object],
) -> None:
    pod, c = floating_pod("a", "100.64.0.1/32").netns, network.host("c").netns
    steer("rtb-client", "0.0.0.0/0", "eni-b1")
    steer("rtb-client", "100.64.0.1/32", "eni-a1")
    assert arrives(c, CLIENT, pod, "100.64.0.1")
    change("eni-a1", **fields)
    assert not arrives(c, CLIENT, pod, "100.64.0.1")
    change("eni-a1", instance="i-a", instance_running=True)
    assert arrives(c, CLIENT, pod, "100.64.0.1")


def test_a_destination_no_route_covers_is_dropped(
    network: Network, floating_pod: Callable[..., Pod], arrives: Way
) -> None:
    pod = floating_pod("a", "100.64.0.1/32").netns
    assert not arrives(network.host("c").netns, CLIENT, pod, "100.64.0.1")


@pytest.mark.parametrize(
    ("address", "client"),
    [("100.64.0.1/32", CLIENT), ("2001:db8:f::1/128", CLIENT6)],
)
def test_the_source_dest_check_drops_both_ways(  # noqa: PLR0917 - fixtures
    network: Network,
    steer: Steer,
    change: Callable[..., None],
    floating_pod: Callable[..., Pod],
    arrives: Way,
    address: str,
    client: str,
) -> None:
    pod, c, host = (
        floating_pod("a", address).netns,
        network.host("c").netns,
        address.partition("/")[0],
    )
    steer("rtb-client", address, "eni-a1")
    change("eni-a1", source_dest_check=True)
    assert not arrives(c, client, pod, host), "a destination it does not own"
    assert not arrives(pod, host, c, client), "a source it does not own"
    change("eni-a1", source_dest_check=False)
    assert arrives(c, client, pod, host)
    assert arrives(pod, host, c, client)


def test_the_check_lets_what_the_eni_owns_pass(
    network: Network, steer: Steer, exchange: Way, arrives: Way
) -> None:
    a, c = network.host("a").netns, network.host("c").netns
    assert exchange(a, "10.0.1.10", c, CLIENT)
    a.ip_batch(["addr add 10.0.1.99/32 dev lo"])
    assert not arrives(a, "10.0.1.99", c, CLIENT)
    steer("rtb-client", "10.0.1.0/24", "eni-a0")
    assert exchange(c, CLIENT, a, "10.0.1.10")


def test_a_cut_host_falls_silent_without_losing_carrier(
    network: Network, steer: Steer, floating_pod: Callable[..., Pod], exchange: Way, arrives: Way
) -> None:
    pod, a, c = floating_pod("a", "100.64.0.1/32").netns, network.host("a"), network.host("c").netns
    steer("rtb-client", "100.64.0.1/32", "eni-a1")
    with network.vpc.socket() as service:
        service.bind((str(IMDS_IPV4), 80))
        service.listen()

        def served() -> bool:
            with a.netns.socket() as client:
                client.settimeout(0.3)
                return client.connect_ex((str(IMDS_IPV4), 80)) == 0

        assert served()
        network.cut("a")
        assert not arrives(c, CLIENT, pod, "100.64.0.1")
        assert not arrives(pod, "100.64.0.1", c, CLIENT)
        assert not arrives(a.netns, "10.0.1.10", c, CLIENT)
        assert not arrives(c, CLIENT, a.netns, "10.0.1.10")
        assert not served(), "nor does it reach the router's own services"
        assert {link["operstate"] for link in a.netns.ip_json("link", "show", "type", "veth")} >= {
            "UP"
        }
        network.restore("a")
        assert served()
        assert exchange(c, CLIENT, pod, "100.64.0.1")
        assert exchange(a.netns, "10.0.1.10", c, CLIENT)


def test_an_eni_moves_to_another_host(
    network: Network, change: Callable[..., None], steer: Steer, exchange: Way
) -> None:
    network.detach_eni("a", "eni-a1")
    change("eni-a1", instance=None)
    names = {link["ifname"] for link in network.host("a").netns.ip_json("link")}
    assert names == {"lo", "eth0"}
    change("eni-a1", instance="i-b", device_index=2)
    assert network.attach_eni("b", "eni-a1") == "eth2"
    pod = network.add_pod(
        "b",
        "late",
        IPv4Address("10.0.2.50"),
        [Attachment(master="eth2", addresses=(IPv4Interface("100.64.0.1/32"),))],
    ).netns
    pod.ip_batch(["route add 10.0.3.0/24 via 10.0.11.1 dev net1 onlink src 100.64.0.1"])
    steer("rtb-client", "100.64.0.1/32", "eni-a1")
    assert exchange(network.host("c").netns, CLIENT, pod, "100.64.0.1")


def test_a_killed_pod_leaves_its_eni_to_the_next_one(
    network: Network, steer: Steer, floating_pod: Callable[..., Pod], exchange: Way
) -> None:
    steer("rtb-client", "100.64.0.1/32", "eni-a1")
    for _ in range(3):
        pod = floating_pod("a", "100.64.0.1/32").netns
        assert exchange(network.host("c").netns, CLIENT, pod, "100.64.0.1")
        network.remove_pod("pod-a")


def test_a_removed_host_can_come_back(
    network: Network, floating_pod: Callable[..., Pod], exchange: Way
) -> None:
    floating_pod("a", "100.64.0.1/32")
    network.remove_host("a")
    a = network.add_host("a", ["eni-a0", "eni-a1"]).netns
    assert exchange(network.host("c").netns, CLIENT, a, "10.0.1.10")


def test_the_kernel_holds_what_a_fresh_rendering_would(
    network: Network, steer: Steer, change: Callable[..., None], now: list[VpcState]
) -> None:
    def held() -> list[list[str]]:
        return [
            sorted(map(str, network.vpc.ip_json(family, what, "show", *more)))
            for family in ("-4", "-6")
            for what, *more in (("rule",), ("route", "table", "all"), ("neigh", "proxy"))
        ]

    before = held()
    steer("rtb-client", "100.64.0.1/32", "eni-a1")
    steer("rtb-main", "2001:db8:f::1/128", "eni-a1")
    change("eni-b0", source_dest_check=False)
    network.cut("a", "b")
    assert held() != before
    network.restore("a", "b")
    now.append(now[0])
    network.refresh()
    assert held() == before


def test_concurrent_refreshes_end_at_the_newest_state(
    network: Network, steered: Callable[..., VpcState], now: list[VpcState]
) -> None:
    start = threading.Barrier(8)

    def storm(number: int) -> None:
        start.wait()
        now.append(steered(now[-1], "rtb-client", f"100.64.0.{number}/32", "eni-a1"))
        network.refresh()

    threads = [threading.Thread(target=storm, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [str(route) for route in network.vpc.ip_json("route", "show", "table", "all")]
    for route in now[-1].tables[0].routes:
        if route.target == "eni-a1":
            host = str(route.destination.network_address)
            assert any(f"'{host}'" in line for line in lines), host


def test_a_refresh_after_the_end_is_harmless(network: Network) -> None:
    network.close()
    network.refresh()


def test_after_a_refused_line_the_next_refresh_goes_on_from_the_truth(
    network: Network, steer: Steer, floating_pod: Callable[..., Pod], exchange: Way
) -> None:
    pod = floating_pod("a", "100.64.0.9/32").netns
    network.vpc.ip_batch(["link set enib1 down"])
    with pytest.raises(BatchError, match="enib1") as caught:
        steer("rtb-client", "100.64.0.1/32", "eni-b1")
    assert "ip route replace 100.64.0.1/32" in str(caught.value)
    steer("rtb-client", "100.64.0.1/32", "eni-a1")
    steer("rtb-client", "100.64.0.9/32", "eni-a1")
    assert exchange(network.host("c").netns, CLIENT, pod, "100.64.0.9")


def test_a_failed_command_says_which_and_why(network: Network) -> None:
    with pytest.raises(BatchError, match=r"ip link set nope up: .*Cannot find device") as caught:
        network.vpc.ip_batch(["link set lo up", "link set nope up", "link set lo up"])
    assert caught.value.applied == 1
    with pytest.raises(NetnsError, match="File exists"):
        network.add_host("a", [])
