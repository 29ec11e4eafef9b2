"""Steering by routes in a VPC's route tables: one call of EC2 for each route."""

from collections.abc import Sequence

from vipmanager.core.actions import CloudAction
from vipmanager.core.failures import Transient
from vipmanager.core.values import RouteTable, VpcId
from vipmanager.ports import Cloud, Fence


class RouteTables:
    """The `Steering` port."""

    def __init__(self, cloud: Cloud) -> None:
        """Read nothing yet."""
        self._cloud = cloud

    def read(self, vpcs: Sequence[VpcId]) -> tuple[RouteTable, ...]:
        """Read all route tables of these VPCs.

        Raises:
            Transient: EC2 shows a VPC without any table, which there is not.
        """
        found = self._cloud.route_tables(vpcs)
        for vpc in vpcs:
            # A VPC always has a main route table (VPC user guide, "Route table concepts").
            if not any(t.vpc == vpc for t in found):
                raise Transient(f"EC2 shows no route table of {vpc}, not even its main one")
        return found

    def write(self, action: CloudAction, fence: Fence) -> None:
        """Make one call."""
        self._cloud.write(action, fence)
