"""What is shipped, as the lab plays it: image, ConfigMap, Deployments, attachments."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv4Network, ip_network
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from vipmanager_lab.cni import Definition, Delegate, read_definitions
from vipmanager_lab.container import Container, Image, ImageError

NAME = "vipmanager"
"""The container's, in every manifest."""
_DEPLOYMENTS = {"init": "deployment-initContainer.yaml", "sidecar": "deployment-sidecar.yaml"}
_ATTACHMENTS = {1: "nonvpc", 2: "vpc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """An image and a folder with the manifests under the names that they are shipped with."""

    image: Image
    folder: Path

    @classmethod
    def read(cls, image: Path, folder: Path) -> "Shipped":
        """Find both.

        Raises:
            ImageError: one of them is not there.
        """
        if not (folder / "vipmanager-cm.yaml").is_file():
            raise ImageError(f"{folder}: expected a folder with vipmanager-cm.yaml")
        return cls(image=Image.read(image), folder=folder)

    def container(self, mode: str) -> Container:
        """Give the container of the Deployment for a mode, `init` or `sidecar`.

        It elects nobody: the lab's containers have no volumes, so no service account's token.
        """
        found = Container.read(self.folder / _DEPLOYMENTS[mode], NAME)
        own = {k: v for k, v in found.environment.items() if k != "LeaderElection"}
        return replace(found, environment=own)

    def config(self) -> dict[str, str]:
        """Give the ConfigMap's keys."""
        text = (self.folder / "vipmanager-cm.yaml").read_text(encoding="utf-8")
        data: dict[str, str] = yaml.safe_load(text)["data"]
        return data

    def peers(self) -> list[str]:
        """Give one host of each interface's peers, in the order of the interfaces."""
        lists = [value for key, value in sorted(self.config().items()) if key.endswith("Peers")]
        networks = [[ip_network(one) for one in several.split(",")] for several in lists]
        return [
            str(next(one.network_address for one in several if one.num_addresses == 1))
            for several in networks
        ]

    def networks(self, pattern: int) -> list[Delegate]:
        """Give the pod's attachments: nad-1.yaml becomes net1."""
        delegates = []
        for number in (1, 2):
            file = self.folder / _ATTACHMENTS[pattern] / f"nad-{number}.yaml"
            (definition,) = read_definitions(file).values()
            delegates.append(Delegate(definition=definition, interface=f"net{number}"))
        return delegates


def only_address(definition: Definition) -> IPv4Interface:
    """Give the one address that a definition's host-local range has."""
    ipam: Mapping[str, Any] = definition.plugins[0]["ipam"]
    ((only,),) = ipam["ranges"]
    length = IPv4Network(only["subnet"]).prefixlen
    return IPv4Interface(f"{only['rangeStart']}/{length}")
