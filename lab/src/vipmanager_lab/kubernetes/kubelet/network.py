"""A pod's network: eth0 as the VPC CNI makes it, and what Multus attaches and writes down."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vipmanager_lab.cni import CniError, Delegate, read_definition
from vipmanager_lab.kubernetes.api import Api, ApiError
from vipmanager_lab.kubernetes.kubelet.environment import Object
from vipmanager_lab.netns import Netns, NetnsError
from vipmanager_lab.world import World

NETWORKS = "k8s.v1.cni.cncf.io/networks"
STATUS = "k8s.v1.cni.cncf.io/network-status"
DEFAULT = "aws-cni"
"""The cluster's network, as the VPC CNI names it."""
_SHORT = re.compile(r"(?:([a-z0-9.-]+)/)?([a-z0-9.-]+)(?:@([A-Za-z0-9_.-]{1,15}))?")


class SandboxError(Exception):
    """A pod's network can't be made now; the text says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A network that a pod's annotation asks for."""

    namespace: str
    name: str
    interface: str


def wanted(annotation: str, namespace: str) -> tuple[Wanted, ...]:
    """Read the annotation, in either form: `NAMESPACE/NAME@INTERFACE, ...`, or a JSON list.

    Raises:
        SandboxError: it is in neither.
    """
    text = annotation.strip()
    if text.startswith(("[", "{")):
        entries = _parsed(text)
    else:
        entries = [_short(one.strip()) for one in text.split(",") if one.strip()]
    return tuple(
        Wanted(
            one.get("namespace") or namespace, one["name"], one.get("interface") or f"net{number}"
        )
        for number, one in enumerate(entries, start=1)
    )


def _short(text: str) -> Mapping[str, str]:
    found = _SHORT.fullmatch(text)
    if found is None:
        raise SandboxError(f"annotation {NETWORKS}: {text!r} is no NAMESPACE/NAME@INTERFACE")
    return {"namespace": found[1], "name": found[2], "interface": found[3]}


def _parsed(text: str) -> list[Mapping[str, Any]]:
    known = {"name", "namespace", "interface"}
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise SandboxError(f"annotation {NETWORKS}: {error}") from error
    for one in entries if isinstance(entries, list) else [None]:
        if not isinstance(one, dict) or "name" not in one or one.keys() - known:
            raise SandboxError(f"annotation {NETWORKS}: expected a list of {', '.join(known)}")
    return list(entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A pod's network, up."""

    netns: Netns
    name: str
    """The pod's in the world."""
    address: str


def name(pod: Object) -> str:
    """Name a pod in the world: by its UID too, as a lost node's pod may live on."""
    return f"{pod['metadata']['name']}-{pod['metadata']['uid'][:8]}"


def start(world: World, zone: str, pod: Object, multus: Api) -> Sandbox:
    """Make a pod's network, and write the annotation that tells of it.

    Raises:
        SandboxError: a network is not there, a plugin refused, or the API did not answer.
    """
    metadata = pod["metadata"]
    annotation = (metadata.get("annotations") or {}).get(NETWORKS, "")
    networks = wanted(annotation, metadata["namespace"])
    try:
        delegates = [_delegate(one, multus) for one in networks]
        netns = world.start_pod(name(pod), zone, delegates)
    except (ApiError, CniError, NetnsError) as error:
        raise SandboxError(str(error)) from error
    try:
        told = _told(netns, networks)
        multus.patch(
            f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}",
            {
                "metadata": {
                    "uid": metadata["uid"],
                    "annotations": {STATUS: json.dumps(told, indent=4)},
                }
            },
        )
    except (ApiError, NetnsError) as error:
        world.kill_pod(name(pod))
        raise SandboxError(str(error)) from error
    return Sandbox(netns=netns, name=name(pod), address=str(world.address(name(pod))))


def _delegate(one: Wanted, multus: Api) -> Delegate:
    path = f"/apis/k8s.cni.cncf.io/v1/namespaces/{one.namespace}/network-attachment-definitions"
    return Delegate(
        definition=read_definition(multus.get(f"{path}/{one.name}")), interface=one.interface
    )


def _told(netns: Netns, networks: Sequence[Wanted]) -> list[dict[str, Any]]:
    """Give the network-status as Multus has it."""
    links = {link["ifname"]: link for link in netns.ip_json("addr")}
    names = {"eth0": DEFAULT} | {one.interface: f"{one.namespace}/{one.name}" for one in networks}
    return [
        {
            "name": network,
            "interface": interface,
            "ips": [
                one["local"] for one in links[interface]["addr_info"] if one["scope"] != "link"
            ],
            "mac": links[interface]["address"],
            **({"default": True} if interface == "eth0" else {}),
            "dns": {},
        }
        for interface, network in names.items()
    ]
