"""Which addresses float, and what is routed for each."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from vipmanager.core.findings import Condition, Finding
from vipmanager.core.floating import floating, forbidden, occupants
from vipmanager.core.pod import Attachment
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import AddressState, FloatingIP, PodAddress, VpcId
from worlds import SUBNETS, V4, V6, VPC, eni, enis, interface, networks

HOST, SUBNET = Settings(), Settings(pattern=Pattern.SUBNET)


def attachment(number: int, *addresses: str, up: bool = True) -> Attachment:
    return Attachment(
        number=number, interface=interface("a", number, *addresses, up=up), eni=eni("a", number)
    )


def decide(
    settings: Settings, *attachments: Attachment
) -> tuple[tuple[FloatingIP, ...], tuple[Finding, ...]]:
    return floating(attachments, settings=settings, vpc_networks={VPC: (V4, V6)}, subnets=SUBNETS)


@pytest.mark.parametrize(
    ("settings", "address", "destination"),
    [
        (HOST, "192.168.0.1", "192.168.0.1/32"),
        (HOST, "2001:db8:1::1", "2001:db8:1::1/128"),
        (HOST, "8.8.8.8", "8.8.8.8/32"),
        (HOST, "10.1.0.1", "10.1.0.1/32"),
        (SUBNET, "10.0.254.1", "10.0.254.0/28"),
        (SUBNET, "10.0.254.17", "10.0.254.16/28"),
        (SUBNET, "2001:db8:0:fe::5", "2001:db8:0:fe::/64"),
    ],
)
def test_an_address_is_routed_alone_or_as_its_whole_subnet(
    settings: Settings, address: str, destination: str
) -> None:
    (ip,), findings = decide(settings, attachment(1, address))
    assert findings == ()
    assert (ip.destination, ip.eni, ip.interface) == (ip_network(destination), "eni-a1", "net1")
    assert ip.ready


@pytest.mark.parametrize(
    ("settings", "address", "condition"),
    [
        (HOST, "10.0.11.10", Condition.ADDRESS_OWNED),
        (SUBNET, "10.0.11.10", Condition.ADDRESS_OWNED),
        (HOST, "10.0.11.77", Condition.ADDRESS_IN_VPC),
        (HOST, "2001:db8:0:11::7", Condition.ADDRESS_IN_VPC),
        (HOST, "10.0.254.1", Condition.ADDRESS_IN_VPC),
        (SUBNET, "10.0.200.1", Condition.ADDRESS_IN_NO_SUBNET),
        (SUBNET, "192.168.0.1", Condition.ADDRESS_IN_NO_SUBNET),
        (SUBNET, "2001:db8:1::1", Condition.ADDRESS_IN_NO_SUBNET),
        (HOST, "169.254.169.254", Condition.DESTINATION_FORBIDDEN),
        (HOST, "169.254.1.1", Condition.DESTINATION_FORBIDDEN),
        (HOST, "fd00:ec2::254", Condition.DESTINATION_FORBIDDEN),
        (HOST, "fe80::1", Condition.DESTINATION_FORBIDDEN),
    ],
)
def test_an_address_that_can_not_float_is_said(
    settings: Settings, address: str, condition: Condition
) -> None:
    ips, (finding,) = decide(settings, attachment(1, address))
    assert ips == ()
    assert finding.condition is condition
    assert address in finding.text


@pytest.mark.parametrize("settings", [HOST, SUBNET], ids=["pattern 1", "pattern 2"])
@pytest.mark.parametrize(
    ("prefix", "address"),
    [
        ("10.0.11.16/28", "10.0.11.21"),
        ("10.0.11.16/28", "10.0.11.16"),
        ("10.0.11.16/28", "10.0.11.31"),
        ("2001:db8:0:11:1::/80", "2001:db8:0:11:1::21"),
    ],
)
def test_an_address_of_a_delegated_prefix_is_the_eni_s_own(
    settings: Settings, prefix: str, address: str
) -> None:
    one = attachment(1, address, "192.168.0.1" if settings is HOST else "10.0.254.1")
    one = replace(one, eni=replace(one.eni, prefixes=networks(prefix)))
    (ip,), (finding,) = decide(settings, one)
    assert str(ip.address) in {"192.168.0.1", "10.0.254.1"}
    assert finding.condition is Condition.ADDRESS_OWNED
    assert address in finding.text


@pytest.mark.parametrize("address", ["10.0.11.15", "10.0.11.32"])
def test_an_address_beside_a_delegated_prefix_is_not(address: str) -> None:
    one = attachment(1, address)
    one = replace(one, eni=replace(one.eni, prefixes=networks("10.0.11.16/28")))
    assert [f.condition for f in decide(HOST, one)[1]] == [Condition.ADDRESS_IN_VPC]


def test_an_eni_with_a_delegated_prefix_lives_in_its_subnet() -> None:
    bare = replace(eni("a", 1), addresses=frozenset(), prefixes=networks("10.0.254.0/28"))
    assert occupants(ip_network("10.0.254.0/28"), [bare]) == (bare,)
    assert occupants(ip_network("10.0.254.0/24"), [bare]) == (bare,)
    assert occupants(ip_network("10.0.254.4/32"), [bare]) == (bare,)
    assert occupants(ip_network("10.0.254.16/28"), [bare]) == ()


def test_a_subnet_of_another_vpc_is_not_ours() -> None:
    strange = tuple(replace(s, vpc=VpcId("vpc-2")) for s in SUBNETS)
    ips, (finding,) = floating(
        [attachment(1, "10.0.254.1")], settings=SUBNET, vpc_networks={}, subnets=strange
    )
    assert ips == ()
    assert finding.condition is Condition.ADDRESS_IN_NO_SUBNET


@pytest.mark.parametrize(
    ("settings", "address", "hint"),
    [
        (HOST, "192.168.0.1", "an address of its own"),
        (SUBNET, "10.0.254.1", "an address of its own in a subnet of its own"),
    ],
)
def test_two_interfaces_on_two_enis_can_not_have_one_destination(
    settings: Settings, address: str, hint: str
) -> None:
    ips, (finding,) = decide(settings, attachment(1, address), attachment(2, address))
    assert ips == ()
    assert finding.condition is Condition.DESTINATION_TWICE
    assert finding.remedy.endswith(hint)


def test_two_addresses_of_one_subnet_on_one_eni_share_the_route() -> None:
    ips, findings = decide(SUBNET, attachment(1, "10.0.254.2", "10.0.254.1"))
    assert findings == ()
    assert [str(ip.address) for ip in ips] == ["10.0.254.1", "10.0.254.2"]
    assert {ip.destination for ip in ips} == set(networks("10.0.254.0/28"))


def test_a_dispute_leaves_other_addresses_alone() -> None:
    ips, findings = decide(
        HOST, attachment(1, "192.168.0.1", "192.168.0.5"), attachment(2, "192.168.0.1")
    )
    assert [str(ip.address) for ip in ips] == ["192.168.0.5"]
    assert [f.condition for f in findings] == [Condition.DESTINATION_TWICE]


def test_the_operator_s_list_decides_which_addresses_float() -> None:
    only = Settings(floating=networks("192.168.0.0/30", "2001:db8:1::/64"))
    ips, findings = decide(
        only, attachment(1, "192.168.0.1", "192.168.0.9", "2001:db8:1::1", "2001:db8:2::1")
    )
    assert [str(ip.address) for ip in ips] == ["192.168.0.1", "2001:db8:1::1"]
    assert findings == ()


@pytest.mark.parametrize(
    ("up", "state", "ready", "condition"),
    [
        (True, AddressState.READY, True, None),
        (False, AddressState.READY, False, Condition.INTERFACE_DOWN),
        (True, AddressState.TENTATIVE, False, Condition.ADDRESS_TENTATIVE),
    ],
)
def test_an_address_that_is_not_ready_is_kept_and_said(
    up: bool,  # noqa: FBT001 - a table's column
    state: AddressState,
    ready: bool,  # noqa: FBT001
    condition: Condition | None,
) -> None:
    one = attachment(1, up=up)
    address = PodAddress(address=ip_address("192.168.0.1"), prefix_length=32, state=state)
    one = replace(one, interface=replace(one.interface, addresses=(address,)))
    (ip,), findings = decide(HOST, one)
    assert ip.ready is ready
    assert [f.condition for f in findings] == ([condition] if condition else [])


def test_an_address_that_failed_duplicate_detection_does_not_float() -> None:
    one = attachment(1)
    address = PodAddress(
        address=ip_address("2001:db8:1::1"), prefix_length=64, state=AddressState.DUPLICATE
    )
    one = replace(one, interface=replace(one.interface, addresses=(address,)))
    ips, (finding,) = decide(HOST, one)
    assert ips == ()
    assert finding.condition is Condition.ADDRESS_DUPLICATE


@pytest.mark.parametrize(
    ("network", "refused"),
    [
        ("0.0.0.0/0", True),
        ("::/0", True),
        ("169.254.168.0/22", True),
        ("169.254.169.254/32", True),
        ("169.254.0.0/16", True),
        ("fd00:ec2::23/128", True),
        ("fe80::/64", True),
        ("169.0.0.0/8", False),
        ("192.168.0.1/32", False),
        ("fd00::/8", False),
    ],
)
def test_some_destinations_are_never_written(network: str, refused: bool) -> None:  # noqa: FBT001
    assert (forbidden(ip_network(network)) is not None) is refused


def test_the_inhabitants_of_a_subnet_are_those_with_an_address_in_it() -> None:
    assert [e.id for e in occupants(ip_network("10.0.11.0/24"), enis())] == ["eni-a1"]
    assert occupants(ip_network("10.0.254.0/28"), enis()) == ()
