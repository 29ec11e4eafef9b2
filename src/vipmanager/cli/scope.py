"""Which pod or VPC a command is about: the pod that it runs in, or what its options name."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from vipmanager.core.failures import Permanent
from vipmanager.core.values import Address, EniId, VpcId


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What `--vpc`, `--floating-ip` and `--eni` say."""

    vpc: VpcId | None
    addresses: tuple[Address, ...]
    enis: tuple[EniId, ...]

    def pairs(self) -> Mapping[Address, EniId]:
        """Give each floating IP its ENI: the one of the same place, or the only one.

        Raises:
            Permanent: they don't fit together.
        """
        enis = self.enis * len(self.addresses) if len(self.enis) == 1 else self.enis
        if not self.addresses or len(enis) != len(self.addresses):
            raise Permanent(
                f"{len(self.addresses)} --floating-ip and {len(self.enis)} --eni are given",
                "outside of a pod, name each floating IP and its ENI, in the same order",
            )
        return dict(zip(self.addresses, enis, strict=True))


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group(
        "outside of a pod", "needs AWS_REGION and credentials; the pod is not looked at"
    )
    group.add_argument("--vpc", metavar="ID", help="the VPC to look at")
    group.add_argument(
        "--floating-ip", action="append", default=[], metavar="ADDRESS", help="may be repeated"
    )
    group.add_argument(
        "--eni", action="append", default=[], metavar="ID", help="of the floating IP of its place"
    )


def scope(arguments: argparse.Namespace) -> Scope:
    """Read the options.

    Raises:
        Permanent: an address is none, or --vpc is missing.
    """
    try:
        addresses = tuple(ip_address(a) for a in arguments.floating_ip)
    except ValueError as error:
        raise Permanent(f"--floating-ip: {error}", "give an address such as 192.168.0.1") from error
    if (addresses or arguments.eni) and not arguments.vpc:
        raise Permanent("--floating-ip and --eni need --vpc", "name the VPC: --vpc vpc-...")
    return Scope(
        vpc=VpcId(arguments.vpc) if arguments.vpc else None,
        addresses=tuple(dict.fromkeys(addresses)),
        enis=tuple(EniId(e) for e in arguments.eni),
    )
