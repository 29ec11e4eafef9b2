"""Attaching, detaching and deleting network interfaces, as a node group's Lambda does."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import TYPE_CHECKING

import pytest
from moto.core.exceptions import ServiceException

if TYPE_CHECKING:
    from lab.ec2.conftest import Client, Lab, Refused


def test_an_eni_in_use_can_not_be_attached_again(lab: Lab, ec2: Client, refused: Refused) -> None:
    assert refused(
        ec2.attach_network_interface,
        NetworkInterfaceId=lab.eni_a,
        InstanceId=lab.instance_a,
        DeviceIndex=2,
    ) == (400, "InvalidNetworkInterface.InUse", f"Interface: [{lab.eni_a}] in use.")


def test_a_device_index_holds_one_eni(lab: Lab, ec2: Client, refused: Refused) -> None:
    eni = lab.account.create_eni(lab.subnet_a)
    refusal = refused(
        ec2.attach_network_interface,
        NetworkInterfaceId=eni,
        InstanceId=lab.instance_a,
        DeviceIndex=1,
    )
    assert refusal[:2] == (400, "InvalidParameterValue")


def test_an_eni_stays_in_its_zone(lab: Lab, ec2: Client, refused: Refused) -> None:
    eni = lab.account.create_eni(lab.subnet_b)
    refusal = refused(
        ec2.attach_network_interface,
        NetworkInterfaceId=eni,
        InstanceId=lab.instance_a,
        DeviceIndex=2,
    )
    assert refusal[:2] == (400, "InvalidParameterCombination")


def test_the_network_card_is_kept_and_has_device_indexes_of_its_own(lab: Lab, ec2: Client) -> None:
    eni = lab.account.create_eni(lab.subnet_a)
    answer = ec2.attach_network_interface(
        NetworkInterfaceId=eni, InstanceId=lab.instance_a, DeviceIndex=1, NetworkCardIndex=1
    )
    assert answer["NetworkCardIndex"] == 1
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    assert found["Attachment"]["NetworkCardIndex"] == 1
    assert found["Attachment"]["DeviceIndex"] == 1
    ec2.detach_network_interface(AttachmentId=answer["AttachmentId"])
    assert lab.account.view.enis[eni].attachment is None
    assert lab.account.view.enis[lab.eni_a].attachment is not None


def test_an_instance_takes_no_more_enis_than_its_type(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    small = lab.account.run_instance(lab.subnet_a, instance_type="t3.micro")
    lab.account.attach(lab.account.create_eni(lab.subnet_a), small, 1)
    refusal = refused(
        ec2.attach_network_interface,
        NetworkInterfaceId=lab.account.create_eni(lab.subnet_a),
        InstanceId=small,
        DeviceIndex=2,
    )
    text = "Interface count 3 exceeds the limit for t3.micro"
    assert refusal == (400, "AttachmentLimitExceeded", text)


def test_a_call_repeated_with_its_client_token_gives_the_same_eni(lab: Lab, ec2: Client) -> None:
    first, second, other = (
        ec2.create_network_interface(SubnetId=lab.subnet_a, ClientToken=token)["NetworkInterface"]
        for token in ("one", "one", "two")
    )
    assert first["NetworkInterfaceId"] == second["NetworkInterfaceId"]
    assert other["NetworkInterfaceId"] != first["NetworkInterfaceId"]


def test_a_client_token_of_another_request_is_refused(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    wish = {"SubnetId": lab.subnet_a, "ClientToken": "once"}
    ec2.create_network_interface(**wish)
    status, code, _ = refused(ec2.create_network_interface, **wish, Description="another")
    assert (status, code) == (400, "IdempotentParameterMismatch")


def test_a_client_token_is_good_for_a_route_table_too(lab: Lab, ec2: Client) -> None:
    first, second, other = (
        ec2.create_route_table(VpcId=lab.vpc, ClientToken=token)["RouteTable"]["RouteTableId"]
        for token in ("one", "one", "two")
    )
    assert first == second
    assert other != first


def test_an_eni_has_security_groups_that_exist(lab: Lab, ec2: Client, refused: Refused) -> None:
    refusal = refused(
        ec2.create_network_interface, SubnetId=lab.subnet_a, Groups=["sg-0123456789abcdef0"]
    )
    assert refusal[:2] == (400, "InvalidGroup.NotFound")


def test_an_eni_of_an_ipv6_only_subnet_has_no_ipv4_address(lab: Lab, ec2: Client) -> None:
    subnet = lab.account.create_subnet(lab.vpc, "eu-central-1a", None, ipv6=9)
    [shown] = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert shown.get("CidrBlock") is None
    assert shown["Ipv6Native"]
    made = ec2.create_network_interface(SubnetId=subnet, Ipv6AddressCount=1)["NetworkInterface"]
    eni = lab.account.view.enis[made["NetworkInterfaceId"]]
    assert (eni.ipv4, len(eni.ipv6)) == ((), 1)


def test_an_attached_eni_can_not_be_deleted(lab: Lab, ec2: Client, refused: Refused) -> None:
    assert refused(ec2.delete_network_interface, NetworkInterfaceId=lab.eni_a) == (
        400,
        "InvalidParameterValue",
        f"Network interface '{lab.eni_a}' is currently in use.",
    )


def test_the_primary_eni_can_not_be_detached(lab: Lab, ec2: Client, refused: Refused) -> None:
    tie = lab.account.view.enis[lab.account.primary_eni(lab.instance_a)].attachment
    assert tie is not None
    refusal = refused(ec2.detach_network_interface, AttachmentId=tie.id)
    assert refusal[1] == "OperationNotPermitted"


def test_a_terminated_instance_frees_its_enis_and_takes_its_own_along(
    lab: Lab, ec2: Client
) -> None:
    primary = lab.account.primary_eni(lab.instance_a)
    ec2.terminate_instances(InstanceIds=[lab.instance_a])
    enis = lab.account.view.enis
    assert primary not in enis
    assert (enis[lab.eni_a].status, enis[lab.eni_a].attachment) == ("available", None)
    assert ec2.describe_instances(InstanceIds=[lab.instance_a])["Reservations"]


def test_delete_on_termination_is_applied(lab: Lab, ec2: Client) -> None:
    tie = lab.account.view.enis[lab.eni_a].attachment
    assert tie is not None
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=lab.eni_a,
        Attachment={"AttachmentId": tie.id, "DeleteOnTermination": True},
    )
    lab.account.terminate_instance(lab.instance_a)
    assert lab.eni_a not in lab.account.view.enis


def test_the_source_dest_check_is_switched_over_the_api(lab: Lab, ec2: Client) -> None:
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=lab.eni_a, SourceDestCheck={"Value": False}
    )
    assert lab.account.view.enis[lab.eni_a].source_dest_check is False


def test_an_eni_created_over_the_api_gets_a_free_usable_address(lab: Lab, ec2: Client) -> None:
    eni = ec2.create_network_interface(SubnetId=lab.subnet_a)["NetworkInterface"]
    assert eni["PrivateIpAddress"] == "10.0.1.6"  # after the instance and its second ENI
    ec2.assign_private_ip_addresses(
        NetworkInterfaceId=eni["NetworkInterfaceId"], SecondaryPrivateIpAddressCount=1
    )
    addresses = lab.account.view.enis[eni["NetworkInterfaceId"]].ipv4
    assert addresses == (IPv4Address("10.0.1.6"), IPv4Address("10.0.1.7"))


def test_an_address_has_one_owner(lab: Lab, ec2: Client, refused: Refused) -> None:
    taken = str(lab.account.view.enis[lab.eni_a].ipv4[0])
    refusal = refused(ec2.create_network_interface, SubnetId=lab.subnet_a, PrivateIpAddress=taken)
    assert refusal[:2] == (400, "InvalidIPAddress.InUse")


def test_an_instance_launched_over_the_api_gets_a_free_address(lab: Lab, ec2: Client) -> None:
    answer = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=lab.subnet_a
    )
    [instance] = answer["Instances"]
    assert instance["PrivateIpAddress"] == "10.0.1.6"
    assert lab.account.primary_eni(instance["InstanceId"]) in lab.account.view.enis


def test_seeding_is_refused_where_the_api_would_refuse(lab: Lab) -> None:
    with pytest.raises(ServiceException, match=r"InvalidNetworkInterface\.InUse"):
        lab.account.attach(lab.eni_a, lab.instance_a, 3)


def test_prefixes_are_delegated_over_the_api_and_described(lab: Lab, ec2: Client) -> None:
    six = next(lab.account.view.subnets[lab.subnet_a].ipv6[0][1].subnets(new_prefix=80))
    ec2.assign_private_ip_addresses(NetworkInterfaceId=lab.eni_a, Ipv4Prefixes=["10.0.1.16/28"])
    ec2.assign_ipv6_addresses(NetworkInterfaceId=lab.eni_a, Ipv6Prefixes=[str(six)])
    [shown] = ec2.describe_network_interfaces(NetworkInterfaceIds=[lab.eni_a])["NetworkInterfaces"]
    assert shown["Ipv4Prefixes"] == [{"Ipv4Prefix": "10.0.1.16/28"}]
    assert shown["Ipv6Prefixes"] == [{"Ipv6Prefix": str(six)}]
    assert lab.account.view.enis[lab.eni_a].prefixes == (ip_network("10.0.1.16/28"), six)


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        ("10.0.1.0/28", "InvalidIPAddress.InUse"),  # the instance's and the ENI's addresses
        ("10.0.1.32/28", "InvalidIPAddress.InUse"),  # another ENI's prefix
        ("10.0.2.16/28", "InvalidParameterValue"),  # another subnet's
        ("10.0.1.64/27", "InvalidParameterValue"),  # too wide
    ],
)
def test_a_prefix_is_free_and_of_the_subnet(
    lab: Lab, ec2: Client, refused: Refused, prefix: str, code: str
) -> None:
    lab.account.assign_prefix(lab.account.create_eni(lab.subnet_a), ip_network("10.0.1.32/28"))
    refusal = refused(
        ec2.assign_private_ip_addresses, NetworkInterfaceId=lab.eni_a, Ipv4Prefixes=[prefix]
    )
    assert refusal[:2] == (400, code)


def test_addresses_of_a_delegated_prefix_are_taken(lab: Lab, ec2: Client, refused: Refused) -> None:
    lab.account.assign_prefix(lab.eni_a, ip_network("10.0.1.16/28"))
    refusal = refused(
        ec2.create_network_interface, SubnetId=lab.subnet_a, PrivateIpAddress="10.0.1.17"
    )
    assert refusal[:2] == (400, "InvalidIPAddress.InUse")
