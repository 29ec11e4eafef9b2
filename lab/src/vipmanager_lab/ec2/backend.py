"""moto's EC2 and STS backends, corrected where a node or the agent would notice the difference.

Both the API and the lab's own seeding write through these methods.
"""

# ruff: noqa: ANN401 -- moto's signatures are untyped where these pass arguments through

from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidInstanceIdError,
    InvalidSecurityGroupNotFoundError,
    LastEniDetachError,
)
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import Attachment, NetworkInterface
from moto.ec2.models.instances import Instance, InstanceState, Reservation
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPC
from moto.ec2.utils import random_mac_address
from moto.sts.models import AssumedRole, STSBackend

from vipmanager.core.values import covers

_CARD_STRIDE: Final = 100
"""moto keeps an instance's ENIs by device index alone; card * 100 + index is unique."""

_RESERVED_ADDRESSES: Final = 4
"""EC2 keeps a subnet's first four addresses and the last one (VPC user guide, "Subnet CIDR")."""

_DELEGATED: Final = {4: 28, 6: 80}
"""How long a delegated prefix is, by family."""


class Tokens(STSBackend):
    """One account's STS state, which remembers the roles assumed through it."""

    def __init__(self, account: str) -> None:
        super().__init__("aws", account)

    def assume_role(self, *args: Any, **kwargs: Any) -> AssumedRole:
        """As moto, which files the role in its global registry only."""
        role = super().assume_role(*args, **kwargs)
        self.assumed_roles.append(role)
        return role


class Backend(EC2Backend):
    """One account's EC2 state, outside moto's global registry, without a default VPC."""

    def __init__(self, region: str, account: str) -> None:
        super().__init__(region, account)
        self._slots: dict[str, int] = {}
        self.created: dict[tuple[str, str], tuple[ActionResult, Mapping[str, Any]]] = {}
        """What each action answered to each client token, and the parameters."""
        self.prefixes: dict[str, tuple[IPv4Network | IPv6Network, ...]] = {}
        """What is delegated to each ENI; moto knows no such thing."""
        self.delete_vpc(self.default_vpc.id)

    def create_default_vpc(self) -> VPC:
        """Without default subnets, so that it can be deleted again."""
        return self.create_vpc("172.31.0.0/16", is_default=True)

    def card_index(self, eni: str) -> int:
        """The network card an ENI is attached to; moto always says 0."""
        return self._slots.get(eni, 0) // _CARD_STRIDE

    def create_subnet(self, *args: Any, **kwargs: Any) -> Subnet:
        """As moto, but never a default subnet, so its instances get no public address."""
        subnet = super().create_subnet(*args, **kwargs)
        subnet.default_for_az = False
        subnet.map_public_ip_on_launch = False
        return subnet

    def create_network_interface(
        self,
        subnet: Any,
        private_ip_address: str | list[str] | None,
        *args: Any,
        **kwargs: Any,
    ) -> NetworkInterface:
        """As moto, but the address is free, usable and inside the subnet, and the groups exist."""
        found = self.get_subnet(subnet) if isinstance(subnet, str) else subnet
        given = args[0] if args else kwargs.get("private_ip_addresses")
        for group in args[1] if len(args) > 1 else kwargs.get("group_ids") or []:
            if self.get_security_group_from_id(group) is None:
                raise InvalidSecurityGroupNotFoundError(group)
        if found.ipv6_native:
            return self._with_own_mac(self._ipv6_only(found, *args, **kwargs))
        address: Any = private_ip_address
        if not address and not given:
            address = self.free_address(found)
        elif isinstance(address, str):
            self._check_address(found, IPv4Address(address))
        return self._with_own_mac(super().create_network_interface(found, address, *args, **kwargs))

    def _with_own_mac(self, eni: NetworkInterface) -> NetworkInterface:
        """Draw again where moto gave an ENI the MAC of another one: it draws of 16 million."""
        taken = {other.mac_address for other in self.enis.values() if other is not eni}
        while eni.mac_address in taken:
            eni.mac_address = random_mac_address()
        return eni

    def free_address(self, subnet: Subnet) -> str:
        """The lowest address of the subnet that no ENI has."""
        network = IPv4Network(subnet.cidr_block)
        for offset in range(_RESERVED_ADDRESSES, network.num_addresses - 1):
            address = network[offset]
            if not self._taken(subnet, address):
                return str(address)
        raise EC2ClientError(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet.id}'.",
        )

    def assign_private_ip_addresses(
        self,
        eni_id: str,
        private_ip_addresses: list[str] | None = None,
        secondary_ips_count: int | None = None,
    ) -> NetworkInterface:
        """As moto, but the addresses are free, usable and inside the subnet."""
        eni = self.get_network_interface(eni_id)
        own = {item["PrivateIpAddress"] for item in eni.private_ip_addresses}
        for address in private_ip_addresses or []:
            if address not in own:
                self._check_address(eni.subnet, IPv4Address(address))
        for _ in range(secondary_ips_count or 0):
            super().assign_private_ip_addresses(eni_id, [self.free_address(eni.subnet)])
        if not private_ip_addresses:
            return eni
        return super().assign_private_ip_addresses(eni_id, private_ip_addresses)

    def assign_prefixes(
        self, eni_id: str, prefixes: Sequence[IPv4Network | IPv6Network]
    ) -> NetworkInterface:
        """Delegate prefixes to an ENI: /28 or /80, in its subnet, of addresses that are free.

        Source: EC2 user guide, "Prefix delegation for Amazon EC2 network interfaces".
        """
        eni = self.get_network_interface(eni_id)
        for prefix in prefixes:
            self._check_prefix(eni.subnet, prefix)
            self.prefixes[eni_id] = (*self.prefixes.get(eni_id, ()), prefix)
        return eni

    def attach_network_interface(
        self, eni_id: str, instance_id: str, device_index: int, network_card_index: int = 0
    ) -> Attachment:
        """Attach, refusing an ENI in use, another zone, a taken device index and one too many.

        Sources: EC2 error codes page; EC2 user guide, "Network interfaces" (same zone); the
        text of AttachmentLimitExceeded as pasted in cilium/cilium#8830.
        """
        eni, instance = self.get_network_interface(eni_id), self.get_instance(instance_id)
        if eni.instance is not None:
            raise EC2ClientError("InvalidNetworkInterface.InUse", f"Interface: [{eni_id}] in use.")
        if instance.state == "terminated":
            raise EC2ClientError(
                "IncorrectInstanceState",
                f"The instance '{instance_id}' is not in a state from which it can be attached.",
            )
        if eni.subnet.availability_zone != instance.availability_zone:
            raise EC2ClientError(  # GUESS at code and text
                "InvalidParameterCombination",
                "You may not attach a network interface to an instance if they are not in the "
                "same availability zone",
            )
        slot = network_card_index * _CARD_STRIDE + int(device_index)
        if slot in instance.nics:
            raise EC2ClientError(  # GUESS at code and text
                "InvalidParameterValue",
                f"Instance '{instance_id}' already has an interface attached at device index "
                f"'{device_index}'.",
            )
        if len(instance.nics) >= (most := self._most_enis(instance.instance_type)):
            raise EC2ClientError(
                "AttachmentLimitExceeded",
                f"Interface count {most + 1} exceeds the limit for {instance.instance_type}",
            )
        instance.attach_eni(eni, slot)
        eni.device_index = int(device_index)
        self._slots[eni_id] = slot
        attachment = eni.attachment
        if attachment is None:
            raise AssertionError(f"moto did not attach {eni_id}")
        attachment.network_card_index = network_card_index
        return attachment

    def detach_network_interface(self, attachment_id: str) -> None:
        """Detach any ENI but the primary one."""
        for eni in self.enis.values():
            if eni.attachment_id == attachment_id and attachment_id:
                slot = self._slots.get(eni.id, eni.device_index)
                if slot == 0:
                    raise LastEniDetachError
                eni.device_index = slot
                super().detach_network_interface(attachment_id)
                self._slots.pop(eni.id, None)
                return
        super().detach_network_interface(attachment_id)

    def delete_network_interface(self, eni_id: str) -> None:
        """Delete, refusing an ENI in use (text from gruntwork-io/cloud-nuke#1132)."""
        if self.get_network_interface(eni_id).instance is not None:
            raise EC2ClientError(
                "InvalidParameterValue", f"Network interface '{eni_id}' is currently in use."
            )
        super().delete_network_interface(eni_id)

    def run_instances(self, *args: Any, **kwargs: Any) -> Reservation:
        """As moto, but ENIs made at launch go with the instance unless the request says no."""
        before, specified = set(self.enis), kwargs.get("nics", [])
        self._refuse_busy(
            [spec["NetworkInterfaceId"] for spec in specified if "NetworkInterfaceId" in spec]
        )
        if kwargs.get("subnet_id") and not kwargs.get("private_ip"):
            kwargs["private_ip"] = self.free_address(self.get_subnet(kwargs["subnet_id"]))
        reservation = super().run_instances(*args, **kwargs)
        kept = {
            int(spec["DeviceIndex"])
            for spec in specified
            if spec.get("DeleteOnTermination") is False
        }
        for instance in reservation.instances:
            for index, eni in instance.nics.items():
                if eni.id not in before:
                    eni.delete_on_termination = index not in kept
        return reservation

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        """As moto, but ENIs that outlive their instance come free."""
        for instance in self.get_multi_instances_by_id(instance_ids):
            if not instance.disable_api_termination:
                self._release(instance)
        return super().terminate_instances(instance_ids)

    def set_delete_on_termination(self, attachment_id: str, *, value: bool) -> None:
        """What ModifyNetworkInterfaceAttribute does with an attachment; moto forgets it."""
        for eni in self.enis.values():
            if eni.attachment_id == attachment_id:
                eni.delete_on_termination = value
                return
        raise EC2ClientError(
            "InvalidAttachmentID.NotFound",
            f"The network interface attachment ID '{attachment_id}' does not exist",
        )

    def associate_route_table(
        self, route_table_id: str, gateway_id: str | None = None, subnet_id: str | None = None
    ) -> str:
        """As moto, but a subnet or gateway has one table at a time."""
        target = gateway_id or subnet_id
        for table in self.route_tables.values():
            for association, associated in table._associations.items():  # noqa: SLF001  # moto has no other way
                if associated == target:
                    if table.id == route_table_id:
                        return association
                    raise EC2ClientError(
                        "Resource.AlreadyAssociated",
                        f"the specified association for route table {route_table_id} "
                        "conflicts with an existing association",
                    )
        return super().associate_route_table(route_table_id, gateway_id, subnet_id)

    def remove_route_table(self, table_id: str) -> None:
        """Delete a table, refusing the main one; moto uses its own method to delete a VPC."""
        if self.get_route_table(table_id).main_association_id is not None:
            raise EC2ClientError(
                "DependencyViolation",
                f"The routeTable '{table_id}' has dependencies and cannot be deleted.",
            )
        self.delete_route_table(table_id)

    def instance(self, instance_id: str) -> Instance:
        """The instance.

        Raises:
            EC2ClientError: there is none.
        """
        found = self.get_instance_by_id(instance_id)
        if found is None:
            raise InvalidInstanceIdError(instance_id)
        return found

    def _most_enis(self, instance_type: str) -> int:
        [found] = self.describe_instance_types([instance_type])
        return int(found["NetworkInfo"]["MaximumNetworkInterfaces"])

    def _ipv6_only(self, subnet: Subnet, *args: Any, **kwargs: Any) -> NetworkInterface:
        """An ENI of an IPv6-only subnet, which moto gives an IPv4 address."""
        eni = super().create_network_interface(subnet, "192.0.2.1", *args, **kwargs)
        eni.private_ip_address = None
        eni.private_ip_addresses.clear()
        return eni

    def _release(self, instance: Instance) -> None:
        for slot, eni in list(instance.nics.items()):
            eni.instance = eni.attachment_id = eni.attach_time = eni.device_index = None
            eni.status = "available"
            self._slots.pop(eni.id, None)
            if slot != 0 and not eni.delete_on_termination:  # moto reads slot 0 ever after
                del instance.nics[slot]

    def _refuse_busy(self, enis: Collection[str]) -> None:
        for eni in enis:
            if self.get_network_interface(eni).instance is not None:
                raise EC2ClientError("InvalidNetworkInterface.InUse", f"Interface: [{eni}] in use.")

    def _taken(self, subnet: Subnet, address: IPv4Address) -> bool:
        delegated = self._delegated(subnet, address.version)
        return address in self._used(subnet) or any(address in prefix for prefix in delegated)

    def _used(self, subnet: Subnet) -> set[IPv4Address]:
        return {
            IPv4Address(item["PrivateIpAddress"])
            for eni in self.enis.values()
            if eni.subnet.id == subnet.id
            for item in eni.private_ip_addresses
        }

    def _check_prefix(self, subnet: Subnet, prefix: IPv4Network | IPv6Network) -> None:
        blocks = [subnet.cidr_block] if subnet.cidr_block else []
        blocks += [it["ipv6CidrBlock"] for it in subnet.ipv6_cidr_block_associations.values()]
        inside = any(covers(ip_network(block), prefix) for block in blocks)
        if not inside or prefix.prefixlen != _DELEGATED[prefix.version]:
            raise EC2ClientError(  # GUESS at the text
                "InvalidParameterValue",
                f"{prefix} is no /{_DELEGATED[prefix.version]} of the subnet's address range",
            )
        if any(address in prefix for address in self._used(subnet)) or any(
            prefix.overlaps(other) for other in self._delegated(subnet, prefix.version)
        ):
            raise EC2ClientError("InvalidIPAddress.InUse", f"Address {prefix} is in use.")

    def _delegated(self, subnet: Subnet, version: int) -> list[Any]:
        return [
            prefix
            for eni in self.enis.values()
            if eni.subnet.id == subnet.id
            for prefix in self.prefixes.get(eni.id, ())
            if prefix.version == version
        ]

    def _check_address(self, subnet: Subnet, address: IPv4Address) -> None:
        if address not in IPv4Network(subnet.cidr_block):
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Address {address} does not fall within the subnet's address range",
            )
        if self._taken(subnet, address):
            raise EC2ClientError("InvalidIPAddress.InUse", f"Address {address} is in use.")
