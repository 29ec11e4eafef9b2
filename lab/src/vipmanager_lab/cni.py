"""Attaches pods by the real CNI plugins, as Multus' delegates do.

A NetworkAttachmentDefinition carries a CNI configuration; the plugin that it names runs in the
node's network namespace and puts an interface into the pod's (CNI specification, "Execution
Protocol": https://github.com/containernetworking/cni/blob/main/SPEC.md). Debian has the plugins
in `containernetworking-plugins`.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from vipmanager_lab.netns import Netns

PLUGINS = Path("/usr/lib/cni")
"""Where Debian puts them; EKS nodes have them in /opt/cni/bin."""
_SECONDS = 120
"""A plugin waits 10 s for duplicate address detection; the rest is for slow machines."""


class CniError(Exception):
    """A definition is malformed, or a plugin refused; the text carries the plugin's message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A NetworkAttachmentDefinition: its name, and its plugins in order."""

    name: str
    version: str
    plugins: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """What Multus does for one network of a pod: a definition, and the interface it becomes."""

    definition: Definition
    interface: str = "net1"


def read_definitions(path: Path) -> dict[str, Definition]:
    """Read every NetworkAttachmentDefinition of a YAML file, by name; skip other kinds.

    Raises:
        CniError: a definition has no usable `spec.config`.
    """
    documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    found = [read_definition(d) for d in documents if d and d.get("kind") == _KIND]
    return {definition.name: definition for definition in found}


_KIND = "NetworkAttachmentDefinition"


def read_definition(document: Mapping[str, Any]) -> Definition:
    """Read a NetworkAttachmentDefinition as the API has it.

    Raises:
        CniError: it has no usable `spec.config`.
    """
    name = document["metadata"]["name"]
    try:
        config = json.loads(document["spec"]["config"])
        plugins = config.get("plugins", [config])
        version = config["cniVersion"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CniError(f"{name}: spec.config is no CNI configuration: {error!r}") from error
    # Multus gives the definition's name to a configuration without one, as the seed's are.
    return Definition(name=config.get("name") or name, version=version, plugins=tuple(plugins))


def without_ipvlan(definition: Definition) -> Definition:
    """Give the definition with macvlan passthru for ipvlan, for kernels without ipvlan."""
    plugins = tuple(
        {**plugin, "type": "macvlan", "mode": "passthru"} if plugin["type"] == "ipvlan" else plugin
        for plugin in definition.plugins
    )
    return replace(definition, plugins=plugins)


class Cni:
    """The plugins of one node."""

    def __init__(self, node: Netns, *, plugins: Path = PLUGINS) -> None:
        """Take the node in whose namespace the plugins run.

        Nodes of the lab share a file system, so each has a directory of its own for the
        addresses that host-local has given out; a node of EKS keeps it in /var/lib/cni.
        """
        self._node = node
        self._plugins = plugins
        self._allocations = Path("/run/cni", node.full_name)

    def add(self, pod: Netns, delegate: Delegate) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """Attach a pod; return the interface's addresses.

        Raises:
            CniError: a plugin is missing or refused; the pod has to be removed.
        """
        result: dict[str, Any] = {}
        for config in self._configs(delegate.definition):
            previous = {"prevResult": result} if result else {}
            result = json.loads(self._run("ADD", pod, delegate, {**config, **previous}))
        return tuple(ip_interface(one["address"]) for one in result.get("ips", ()))

    def delete(self, pod: Netns, delegate: Delegate) -> None:
        """Undo `add`, and free the addresses; undoing it twice is allowed.

        Raises:
            CniError: a plugin is missing or refused.
        """
        for config in reversed([*self._configs(delegate.definition)]):
            self._run("DEL", pod, delegate, config)

    def _configs(self, definition: Definition) -> Iterator[dict[str, Any]]:
        for plugin in definition.plugins:
            config = {**plugin, "name": definition.name, "cniVersion": definition.version}
            ipam = config.get("ipam")
            if ipam and ipam.get("type") == "host-local":
                config["ipam"] = {**ipam, "dataDir": str(self._allocations)}
            yield config

    def _run(self, command: str, pod: Netns, delegate: Delegate, config: Mapping[str, Any]) -> str:
        kind = config["type"]
        argv = [str(self._plugins / kind)]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": pod.full_name,
            "CNI_NETNS": f"/run/netns/{pod.full_name}",
            "CNI_IFNAME": delegate.interface,
            "CNI_PATH": str(self._plugins),
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAME={pod.name}",
        }
        what = f"CNI plugin {kind}, {command} of {delegate.interface} in {pod.name}"
        try:
            done = self._node.call(lambda: _execute(argv, json.dumps(config), environment))
        except FileNotFoundError as error:
            raise CniError(f"{what}: {argv[0]} is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise CniError(f"{what}: no end within {_SECONDS} s") from error
        if done.returncode:
            raise CniError(f"{what}: {_message(done)}")
        return done.stdout


def _execute(
    argv: Sequence[str], text: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        input=text,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )


def _message(done: subprocess.CompletedProcess[str]) -> str:
    """What the plugin says: an error object on its standard output."""
    try:
        error = json.loads(done.stdout)
        return " ".join(str(error[key]) for key in ("msg", "details") if error.get(key))
    except (AttributeError, KeyError, ValueError):
        return " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
