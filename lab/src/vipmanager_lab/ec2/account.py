"""One lab account: typed seeding, through the same code as the API's own writes."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

from vipmanager_lab.ec2.credentials import Credentials
from vipmanager_lab.ec2.store import Store
from vipmanager_lab.ec2.view import Origin, Route

_IMAGE: Final = "ami-12c6146b"
"""One of moto's own images."""


class Account(Store):
    """An AWS account with methods to fill it and to break it.

    Methods that change something raise moto's `ServiceException` where the API would refuse,
    and tell the subscribers afterwards.
    """

    def issue_credentials(self, seconds: float) -> Credentials:
        """Temporary credentials that the endpoint accepts for `seconds`."""
        return self.credentials.issue(seconds)

    def create_vpc(self, ipv4: IPv4Network, *, ipv6: bool = False) -> str:
        """A VPC, on request with an IPv6 /56 of EC2's choice: see `view.vpcs[id].ipv6`."""
        with self._writing():
            vpc = self._backend.create_vpc(str(ipv4), amazon_provided_ipv6_cidr_block=ipv6)
        return vpc.id

    def create_subnet(
        self,
        vpc: str,
        zone: str,
        ipv4: IPv4Network | None,
        *,
        ipv6: IPv6Network | int | None = None,
    ) -> str:
        """A subnet; `ipv6` is a block, or n for the n-th /64 of the VPC's own.

        Without `ipv4` it has IPv6 alone.
        """
        if isinstance(ipv6, int):
            block = self._view.vpcs[vpc].ipv6[0]
            ipv6 = IPv6Network((int(block.network_address) + (ipv6 << 64), 64))
        with self._writing():
            subnet = self._backend.create_subnet(
                vpc,
                str(ipv4) if ipv4 else None,
                ipv6_cidr_block=str(ipv6) if ipv6 else None,
                availability_zone=zone,
                ipv6_native=ipv4 is None,
            )
        return str(subnet.id)

    def create_internet_gateway(self, vpc: str) -> str:
        """An internet gateway, attached to the VPC."""
        with self._writing():
            gateway = self._backend.create_internet_gateway()
            self._backend.attach_internet_gateway(gateway.id, vpc)
        return str(gateway.id)

    def run_instance(
        self, subnet: str, *, ipv4: IPv4Address | None = None, instance_type: str = "m5.4xlarge"
    ) -> str:
        """A running instance; its primary ENI is `primary_eni(id)` and goes with it."""
        with self._writing():
            reservation = self._backend.run_instances(
                _IMAGE,
                1,
                None,
                [],
                subnet_id=subnet,
                private_ip=str(ipv4) if ipv4 else None,
                region_name=self.region,
                instance_type=instance_type,
                is_instance_type_default=False,
                block_device_mappings=[],
            )
        return str(reservation.instances[0].id)

    def primary_eni(self, instance: str) -> str:
        """The ENI at device index 0 of card 0.

        Raises:
            KeyError: the instance has none.
        """
        for eni in self._view.enis.values():
            tie = eni.attachment
            if tie and (tie.instance, tie.card_index, tie.device_index) == (instance, 0, 0):
                return eni.id
        raise KeyError(instance)

    def stop_instance(self, instance: str) -> None:
        """Stop: the ENIs stay attached and their routes become blackholes."""
        with self._writing():
            self._backend.stop_instances([instance])

    def start_instance(self, instance: str) -> None:
        """Start a stopped instance."""
        with self._writing():
            self._backend.start_instances([instance])

    def terminate_instance(self, instance: str) -> None:
        """Terminate: ENIs with DeleteOnTermination go, the others come free."""
        with self._writing():
            self._backend.terminate_instances([instance])

    def create_eni(
        self,
        subnet: str,
        *,
        ipv4: IPv4Address | None = None,
        ipv6: IPv6Address | Sequence[IPv6Address] = (),
        source_dest_check: bool = True,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """A detached network interface; without `ipv4` it gets the lowest free address."""
        addresses = [ipv6] if isinstance(ipv6, IPv6Address) else ipv6
        with self._writing():
            eni = self._backend.create_network_interface(
                subnet,
                str(ipv4) if ipv4 else None,
                tags=dict(tags or {}),
                ipv6_addresses=[str(address) for address in addresses],
            )
            eni.source_dest_check = source_dest_check
        return eni.id

    def attach(self, eni: str, instance: str, device_index: int, card_index: int = 0) -> None:
        """Attach an ENI to an instance of the same zone."""
        with self._writing():
            self._backend.attach_network_interface(eni, instance, device_index, card_index)

    def detach(self, eni: str) -> None:
        """Detach an ENI; its routes become blackholes."""
        with self._writing():
            self._backend.detach_network_interface(
                str(self._backend.get_network_interface(eni).attachment_id)
            )

    def delete_eni(self, eni: str) -> None:
        """Delete a detached ENI; its routes stay, as blackholes."""
        with self._writing():
            self._backend.delete_network_interface(eni)

    def assign_private_ip(self, eni: str, ip: IPv4Address | IPv6Address) -> None:
        """Give an ENI one more address."""
        with self._writing():
            if isinstance(ip, IPv6Address):
                self._backend.assign_ipv6_addresses(eni, [str(ip)])
            else:
                self._backend.assign_private_ip_addresses(eni, [str(ip)])

    def assign_prefix(self, eni: str, prefix: IPv4Network | IPv6Network) -> None:
        """Delegate a prefix to an ENI: a /28 or /80 of its subnet."""
        with self._writing():
            self._backend.assign_prefixes(eni, [prefix])

    def set_source_dest_check(self, eni: str, *, enabled: bool) -> None:
        """Switch the source/dest check."""
        with self._writing():
            self._backend.modify_network_interface_attribute(eni, [], enabled)

    def create_route_table(
        self,
        vpc: str,
        *,
        tags: Mapping[str, str] | None = None,
        subnets: Sequence[str] = (),
        gateway: str | None = None,
    ) -> str:
        """A route table; with a `gateway` it is an edge table."""
        with self._writing():
            table = self._backend.create_route_table(vpc)
            self._backend.create_tags([table.id], dict(tags or {}))
            for subnet in subnets:
                self._backend.associate_route_table(table.id, subnet_id=subnet)
            if gateway:
                self._backend.associate_route_table(table.id, gateway_id=gateway)
        return table.id

    def main_route_table(self, vpc: str) -> str:
        """The table that subnets without an association use."""
        return next(it.id for it in self._view.tables.values() if it.vpc == vpc and it.main)

    def tag_route_table(self, table: str, tags: Mapping[str, str]) -> None:
        """Add or overwrite tags."""
        with self._writing():
            self._backend.create_tags([table], dict(tags))

    def delete_route_table(self, table: str) -> None:
        """Delete a table that has no associations."""
        with self._writing():
            self._backend.remove_route_table(table)

    def associate(self, table: str, subnet: str) -> None:
        """Let a subnet use this table."""
        with self._writing():
            self._backend.associate_route_table(table, subnet_id=subnet)

    def put_route(
        self,
        table: str,
        destination: IPv4Network | IPv6Network | str,
        target: str,
        *,
        propagated: bool = False,
    ) -> None:
        """Set a route without any of EC2's rules: what a rival, or a network team, left there.

        A gateway that does not exist is made up; an ENI that does not exist is a blackhole.
        """
        cidr = ip_network(destination)
        with self._change():
            if not target.startswith("eni-") and target not in self._view.gateways:
                self._seeded |= {target}
                self._refresh()
            present = self._view.tables[table]
            local = cidr in present.local
            static = Origin.TABLE if local else Origin.STATIC
            route = Route(
                destination=cidr,
                target=target,
                origin=Origin.PROPAGATED if propagated else static,
            )
            self._publish(self._view.with_table(present.with_route(route)))

    def drop_route(self, table: str, destination: IPv4Network | IPv6Network | str) -> None:
        """Remove a static route; a local route gets its own target back."""
        with self._change():
            present = self._view.tables[table]
            changed = present.without_route(ip_network(destination))
            self._publish(self._view.with_table(changed))
