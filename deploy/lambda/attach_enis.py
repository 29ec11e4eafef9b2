"""Attaches an ENI of each configured subnet to a new node, and lets a leaving node drain.

EventBridge calls `handler` with the lifecycle events of the node group's Auto Scaling groups.
Each step reads what is there before it acts, so an event may come twice, or again after a crash.
What time mends (throttling, an instance that boots) is tried until the time is up; what it does
not mend is named in the log, undone, and answered with ABANDON.
"""
# ruff: noqa: ANN401, INP001, TRY400 - clients have no types; one file; the errors' text says it all

import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

import boto3  # type: ignore[import-untyped]
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable

LAUNCH_SECONDS: Final = 480
"""Less than the launch hook's heartbeat."""
CLEANUP_SECONDS: Final = 60
"""Kept back from Lambda's own limit, to undo and to answer."""
DRAIN_MARGIN_SECONDS: Final = 60
"""What a node may take to notice that it leaves, and to power off."""
LONGEST_PAUSE: Final = 3.0

GROUP_TAG: Final = "vipmanager/node-group"
INSTANCE_TAG: Final = "vipmanager/instance"
INDEX_TAG: Final = "vipmanager/device-index"
NO_MANAGE_TAG: Final = "node.k8s.amazonaws.com/no_manage"
"""Keeps the VPC CNI's hands off the ENI (README of amazon-vpc-cni-k8s)."""

TRANSIENT: Final = {
    # src/vipmanager/core/refusals.py
    *("BandwidthLimitExceeded", "EC2ThrottledException", "IncorrectInstanceState"),
    *("IncorrectState", "InternalError", "InternalFailure", "InvalidAttachmentID.NotFound"),
    *("InvalidInstanceID.NotFound", "InvalidNetworkInterface.InUse"),
    *("InvalidNetworkInterfaceID.NotFound", "RequestLimitExceeded", "RequestTimeout"),
    *("ServerInternal", "ServiceUnavailable", "Throttling", "ThrottlingException", "Unavailable"),
    # end of src/vipmanager/core/refusals.py
}

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


class Broken(Exception):
    """What no retry mends; the text says what to change."""


class NotYet(Exception):
    """What time mends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the node group asks for; the n-th subnet and its security groups are device index n."""

    node_group: str
    subnets: tuple[str, ...]
    security_groups: tuple[tuple[str, ...], ...]
    static: bool
    """Addresses from the start of the subnet instead of EC2's choice."""
    tags: Mapping[str, str]


def wanted(environment: Mapping[str, str], group: str) -> Wanted:
    """What the environment asks for on nodes of a group; Broken if that makes no sense."""
    try:
        by_group = {name: _words(text) for name, text in json.loads(environment["SUBNETS"]).items()}
        subnets, security_groups = by_group[group], _words(environment["SECURITY_GROUPS"])
        extra = _words(json.loads(environment["EXTRA_SECURITY_GROUPS"])[group])
        node_group, addresses = environment["NODE_GROUP"], environment["ADDRESSES"]
        pairs = [pair.partition("=") for pair in _words(environment["TAGS"])]
    except (KeyError, ValueError) as error:
        raise Broken(f"the function's environment lacks {error}") from error
    if len({len(names) for names in by_group.values()}) > 1:
        raise Broken(f"SUBNETS must name as many subnets in each zone, not {by_group}")
    if len(security_groups) not in {1, len(subnets)}:
        raise Broken(
            f"SECURITY_GROUPS has {len(security_groups)} groups for {len(subnets)} subnets: "
            "give one for all of them, or one for each"
        )
    if addresses not in {"dhcp", "static"}:
        raise Broken(f"ADDRESSES is {addresses!r}: it must be dhcp or static")
    if bad := [key for key, equals, _ in pairs if not (key and equals)]:
        raise Broken(f"TAGS has {bad[0]!r}: write key=value,key=value")
    return Wanted(
        node_group=node_group,
        subnets=subnets,
        security_groups=tuple(
            tuple(dict.fromkeys((one, *extra)))
            for one in security_groups * (len(subnets) // len(security_groups))
        ),
        static=addresses == "static",
        tags={key: value for key, _, value in pairs},
    )


class Node:
    """One instance of the group, and the ENIs that are its own."""

    def __init__(self, ec2: Any, instance: str) -> None:
        self.instance = instance
        self._ec2 = ec2
        self._made: set[str] = set()

    def attach(self, wanted: Wanted) -> None:
        """Make device index n an ENI of the n-th subnet, for every subnet.

        Raises:
            Broken: it can't be.
            ClientError, HTTPClientError, Unreachable: a call failed.
        """
        described = self._describe()
        if (state := described["State"]["Name"]) in {"shutting-down", "terminated"}:
            raise Broken(f"{self.instance} is {state}")
        subnets = self._subnets(described, wanted)
        self._check_limit(described["InstanceType"], len(subnets))
        own = {
            int(tag["Value"]): eni
            for eni in self._tagged()
            for tag in eni["TagSet"]
            if tag["Key"] == INDEX_TAG
        }
        taken = {
            eni["Attachment"]["DeviceIndex"]: eni["NetworkInterfaceId"]
            for eni in described["NetworkInterfaces"]
            if not eni["Attachment"].get("NetworkCardIndex")
        }
        for index, subnet in enumerate(subnets, 1):
            eni = own.get(index)
            if taken.get(index) not in {None, eni and eni["NetworkInterfaceId"]}:
                raise Broken(
                    f"device index {index} of {self.instance} is {taken[index]}, which is not of "
                    f"this node group: it must be free for an ENI of {subnet['SubnetId']}"
                )
            self._settle(index, eni or self._create(index, subnet, wanted))

    def wait_for_power_off(self) -> None:
        """NotYet while the instance runs."""
        try:
            state = self._describe()["State"]["Name"]
        except ClientError as error:
            if _code(error) != "InvalidInstanceID.NotFound":
                raise
            return
        if state in {"pending", "running", "stopping"}:
            raise NotYet(f"{self.instance} is {state}")

    def release(self) -> None:
        """Delete the ENIs that would outlive the instance; what can't be deleted is logged."""

        def step() -> None:
            known = {eni["NetworkInterfaceId"]: eni for eni in self._tagged()}
            # A fresh ENI may be missing in what EC2 describes.
            refusals = [
                f"{name}: {refusal}"
                for name in sorted(self._made | known.keys())
                if (refusal := self._delete(name, known.get(name, {}).get("Attachment", {})))
            ]
            if refusals:
                raise NotYet("; ".join(refusals))

        try:
            released = _until(time.monotonic() + CLEANUP_SECONDS / 2, step)
        except ClientError as error:
            released = False
            log.error("%s: cleaning up: %s", self.instance, error)
        if not released:
            log.error("%s: delete the ENIs that have it in tag %s", self.instance, INSTANCE_TAG)

    def _delete(self, eni: str, attachment: Mapping[str, Any]) -> str | None:
        """Delete an ENI unless it goes with the instance; gives EC2's refusal."""
        if attachment.get("DeleteOnTermination"):
            return None
        try:
            if attachment.get("Status") in {"attaching", "attached"}:
                self._ec2.detach_network_interface(AttachmentId=attachment["AttachmentId"])
            self._ec2.delete_network_interface(NetworkInterfaceId=eni)
        except ClientError as error:
            if _code(error) != "InvalidNetworkInterfaceID.NotFound":
                return str(error)
        self._made.discard(eni)
        log.info("%s: deleted %s", self.instance, eni)
        return None

    def _describe(self) -> dict[str, Any]:
        answer = self._ec2.describe_instances(InstanceIds=[self.instance])
        found: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
        return found

    def _tagged(self) -> list[dict[str, Any]]:
        return _enis(self._ec2, f"tag:{INSTANCE_TAG}", self.instance)

    def _subnets(self, described: Mapping[str, Any], wanted: Wanted) -> list[dict[str, Any]]:
        """The subnets in order, each in the zone and the VPC of the instance."""
        answer = self._ec2.describe_subnets(SubnetIds=list(wanted.subnets))
        found = {subnet["SubnetId"]: subnet for subnet in answer["Subnets"]}
        zone, vpc = described["Placement"]["AvailabilityZone"], described["VpcId"]
        for name, subnet in found.items():
            if (subnet["AvailabilityZone"], subnet["VpcId"]) != (zone, vpc):
                raise Broken(
                    f"{name} is in {subnet['AvailabilityZone']} of {subnet['VpcId']}, "
                    f"{self.instance} in {zone} of {vpc}: an ENI stays in its zone, so give "
                    "this Auto Scaling group subnets of its own zone"
                )
        return [found[name] for name in wanted.subnets]

    def _check_limit(self, instance_type: str, subnets: int) -> None:
        """Whether the first network card takes all the ENIs beside the primary one."""
        answer = self._ec2.describe_instance_types(InstanceTypes=[instance_type])
        network = answer["InstanceTypes"][0]["NetworkInfo"]
        cards = {card["NetworkCardIndex"]: card for card in network.get("NetworkCards", [])}
        most = cards.get(0, network)["MaximumNetworkInterfaces"]
        if subnets + 1 > most:
            raise Broken(
                f"{instance_type} takes {most} ENIs on its first network card, and {subnets} "
                f"subnets need {subnets + 1}: choose a larger type or fewer subnets"
            )

    def _create(self, index: int, subnet: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
        name = f"{self.instance}-eth{index}"
        tags = {
            "Name": name,
            **wanted.tags,
            GROUP_TAG: wanted.node_group,
            INSTANCE_TAG: self.instance,
            INDEX_TAG: str(index),
            NO_MANAGE_TAG: "true",
        }
        for addresses in _addresses(self._ec2, subnet, static=wanted.static):
            try:
                answer = self._ec2.create_network_interface(
                    SubnetId=subnet["SubnetId"],
                    Groups=list(wanted.security_groups[index - 1]),
                    Description=name,
                    TagSpecifications=[
                        {
                            "ResourceType": "network-interface",
                            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                        }
                    ],
                    # A call that is repeated with the same token gives the same ENI.
                    ClientToken=f"{name}-{zlib.crc32(json.dumps(addresses).encode()):08x}",
                    **addresses,
                )
            except ClientError as error:
                if wanted.static and _code(error) == "InvalidIPAddress.InUse":
                    continue
                raise
            eni: dict[str, Any] = answer["NetworkInterface"]
            self._made.add(eni["NetworkInterfaceId"])
            log.info("%s: made %s in %s", name, eni["NetworkInterfaceId"], subnet["SubnetId"])
            return eni
        raise Broken(f"{subnet['SubnetId']} has no free address: use a larger subnet")

    def _settle(self, index: int, eni: Mapping[str, Any]) -> None:
        """Attach an ENI, without source/dest check, to go with the instance."""
        name, attachment = eni["NetworkInterfaceId"], eni.get("Attachment")
        modify = self._ec2.modify_network_interface_attribute
        if eni["SourceDestCheck"]:
            modify(NetworkInterfaceId=name, SourceDestCheck={"Value": False})
        if attachment and attachment["Status"] == "detaching":
            raise NotYet(f"{name} is being detached")
        if not attachment:
            attachment = self._ec2.attach_network_interface(
                NetworkInterfaceId=name, InstanceId=self.instance, DeviceIndex=index
            )
        if not attachment.get("DeleteOnTermination"):
            tie = {"AttachmentId": attachment["AttachmentId"], "DeleteOnTermination": True}
            modify(NetworkInterfaceId=name, Attachment=tie)


def _enis(ec2: Any, key: str, value: str) -> list[dict[str, Any]]:
    pages = ec2.get_paginator("describe_network_interfaces").paginate(
        Filters=[{"Name": key, "Values": [value]}], PaginationConfig={"PageSize": 100}
    )
    return [eni for page in pages for eni in page["NetworkInterfaces"]]


def _addresses(ec2: Any, subnet: Mapping[str, Any], *, static: bool) -> Iterator[dict[str, Any]]:
    """What to ask for, in each family that the subnet has: the free ones from its start on."""
    ipv6 = next(
        (
            block["Ipv6CidrBlock"]
            for block in subnet.get("Ipv6CidrBlockAssociationSet", [])
            if block["Ipv6CidrBlockState"]["State"] == "associated"
        ),
        None,
    )
    if not static:
        yield {"Ipv6AddressCount": 1} if ipv6 else {}
        return
    used = [
        ip_network(item[key])
        for eni in _enis(ec2, "subnet-id", subnet["SubnetId"])
        for kind, key in (
            ("PrivateIpAddresses", "PrivateIpAddress"),
            ("Ipv6Addresses", "Ipv6Address"),
            ("Ipv4Prefixes", "Ipv4Prefix"),  # delegated by the VPC CNI
            ("Ipv6Prefixes", "Ipv6Prefix"),
        )
        for item in eni.get(kind, [])
    ]
    fours = _free(ip_network(subnet["CidrBlock"]), used) if subnet.get("CidrBlock") else None
    sixes = _free(ip_network(ipv6), used) if ipv6 else None
    while True:
        try:
            choice: dict[str, Any] = {"PrivateIpAddress": next(fours)} if fours else {}
            if sixes:
                choice["Ipv6Addresses"] = [{"Ipv6Address": next(sixes)}]
        except StopIteration:
            return
        yield choice


def _free(
    network: IPv4Network | IPv6Network, used: list[IPv4Network | IPv6Network]
) -> Iterator[str]:
    # EC2 keeps a subnet's first four addresses, and the last (VPC user guide, "Subnet CIDR").
    for offset in range(4, network.num_addresses - 1):
        if not any(network[offset] in block for block in used):
            yield str(network[offset])


def handler(event: Mapping[str, Any], context: Any) -> str:
    """Answer one lifecycle event; gives CONTINUE or ABANDON, as Auto Scaling was told.

    Raises:
        ClientError, HTTPClientError, Unreachable: Auto Scaling can't be told. Lambda calls again.
    """
    detail = event["detail"]
    config = Config(retries={"mode": "standard"}, connect_timeout=5, read_timeout=20)
    node = Node(boto3.client("ec2", config=config), detail["EC2InstanceId"])
    end = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - CLEANUP_SECONDS
    result = "CONTINUE"
    if detail["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING":
        _leave(node, end)
    elif not _launch(node, detail["AutoScalingGroupName"], end):
        result = "ABANDON"
    _complete(boto3.client("autoscaling", config=config), detail, result)
    return result


def _launch(node: Node, group: str, end: float) -> bool:
    start = time.monotonic()
    attached = False
    try:
        plan = wanted(os.environ, group)
        attached = _until(min(end, start + LAUNCH_SECONDS), lambda: node.attach(plan))
    except (Broken, ClientError) as reason:
        log.error("%s: %s", node.instance, reason)
    except Exception:
        log.exception("%s can not get its ENIs", node.instance)
    if attached:
        log.info("%s has its ENIs after %.1f s", node.instance, time.monotonic() - start)
    else:
        node.release()
    return attached


def _leave(node: Node, end: float) -> None:
    """Wait for the node to power off, which it does once its pods have ended."""
    patience = int(os.environ.get("DRAIN_SECONDS", "0")) + DRAIN_MARGIN_SECONDS
    try:
        left = _until(min(end, time.monotonic() + patience), node.wait_for_power_off)
    except ClientError as reason:
        left = False
        log.error("%s: %s", node.instance, reason)
    if not left:
        log.warning("%s is terminated before it has powered off", node.instance)
    node.release()


def _complete(autoscaling: Any, detail: Mapping[str, Any], result: str) -> None:
    try:
        autoscaling.complete_lifecycle_action(
            LifecycleHookName=detail["LifecycleHookName"],
            AutoScalingGroupName=detail["AutoScalingGroupName"],
            LifecycleActionToken=detail["LifecycleActionToken"],
            InstanceId=detail["EC2InstanceId"],
            LifecycleActionResult=result,
        )
    except ClientError as error:
        # An event that comes again finds the action completed.
        if "No active Lifecycle Action" not in str(error):
            raise
        log.info("%s: the lifecycle action is already completed", detail["EC2InstanceId"])


def _until(deadline: float, step: Callable[[], None]) -> bool:
    """Repeat a step while time may mend what stops it; False when the time is up.

    Raises:
        Broken, ClientError: what time does not mend.
    """
    pause = 0.5
    while True:
        try:
            step()
        except (NotYet, ClientError, HTTPClientError, Unreachable) as error:
            if isinstance(error, ClientError) and _code(error) not in TRANSIENT:
                raise
            if time.monotonic() + pause > deadline:
                log.error("the time is up: %s", error)
                return False
            log.info("again in %.1f s: %s", pause, error)
        else:
            return True
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))
