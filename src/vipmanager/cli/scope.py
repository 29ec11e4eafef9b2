"""Which pod or VPC a command is about: the pod that it runs in, or what its options name."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.values import Address, EniId, VpcId
from vipmanager.edges.kernel import IpRoute


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


_GATEWAYS = {ip_address("169.254.1.1"), ip_address("fe80::1")}
"""Where the VPC CNI leads a pod's default routes (amazon-vpc-cni-k8s, docs/cni-proposal.md)."""

_ELSEWHERE = {
    "status": "--vpc ID",
    "cleanup": "--vpc ID --floating-ip ADDRESS",
    "plan": "--vpc ID --floating-ip ADDRESS --eni ID",
    "doctor": "--vpc ID --floating-ip ADDRESS --eni ID",
}
"""What each command needs outside of a pod."""


def must_be_a_pod(command: str, environ: Mapping[str, str]) -> None:
    """See whether this process runs in a pod, before anything is asked that only a pod can tell.

    Raises:
        Permanent: it does not.
    """
    if environ.get("KUBERNETES_SERVICE_HOST"):  # every container of a cluster has it
        return
    try:
        routes = IpRoute().read().routes
    except Failure:
        return  # what is broken is said by who needs it
    known = {r.gateway for r in routes} | {r.destination.network_address for r in routes}
    if known.isdisjoint(_GATEWAYS):
        raise Permanent(
            "this is no pod",
            f"use --vpc: AWS_REGION=REGION vipmanager {command} {_ELSEWHERE[command]}; or type it "
            f"in a pod: kubectl exec POD -c vipmanager -- vipmanager {command}",
        )


def add_scope(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options; give their group, for those of one command."""
    group = parser.add_argument_group(
        "outside of a pod", "These need AWS_REGION and credentials; no pod is looked at."
    )
    group.add_argument("--vpc", metavar="ID", help="the VPC to look at")
    group.add_argument(
        "--floating-ip", action="append", default=[], metavar="ADDRESS", help="may be repeated"
    )
    group.add_argument(
        "--eni",
        action="append",
        default=[],
        metavar="ID",
        help="the ENI for the matching --floating-ip",
    )
    return group


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
