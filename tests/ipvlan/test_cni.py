"""How the lab runs CNI plugins, with stand-ins for them; the real ones run in the scenario."""

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vipmanager_lab.cni import Cni, CniError, Definition, Delegate, read_definitions
from vipmanager_lab.netns import Netns

_worlds = itertools.count()
ECHO = """#!/bin/sh
cat > {folder}/$CNI_COMMAND-{kind}.json
ip -o link show dev node0 > /dev/null || exit 1
echo "$CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_PATH" > {folder}/environment
echo '{"cniVersion": "0.4.0", "ips": [{"address": "192.168.0.1/29"}]}'
"""
REFUSING = """#!/bin/sh
echo '{"code": 11, "msg": "no address left", "details": "in range 0"}'
exit 1
"""


@pytest.fixture
def node() -> Iterator[Netns]:
    with Netns(f"cni{os.getpid()}n{next(_worlds)}", "node") as netns:
        netns.ip_batch(["link add node0 type veth peer name node1"])
        yield netns


@pytest.fixture
def pod(node: Netns) -> Iterator[Netns]:
    with Netns(node.full_name.partition("-")[0], "pod") as netns:
        yield netns


def _plugin(folder: Path, kind: str, text: str) -> None:
    plugin = folder / kind
    plugin.write_text(text.replace("{folder}", str(folder)).replace("{kind}", kind))
    plugin.chmod(0o755)


def _delegate(*plugins: dict[str, object]) -> Delegate:
    return Delegate(definition=Definition(name="nad", version="0.4.0", plugins=plugins))


def test_a_definition_without_a_name_of_its_own_gets_the_object_s() -> None:
    found = read_definitions(Path(__file__).parent / "nad-dual-stack.yaml")
    assert list(found) == ["nad-dual1", "nad-dual2"]
    assert found["nad-dual1"].name == "nad-dual1"
    (plugin,) = found["nad-dual1"].plugins
    assert (plugin["type"], plugin["master"]) == ("ipvlan", "eth1")


def test_a_list_of_plugins_is_a_chain_and_other_kinds_are_skipped(tmp_path: Path) -> None:
    config = {"cniVersion": "0.4.0", "name": "x", "plugins": [{"type": "a"}, {"type": "b"}]}
    file = tmp_path / "nad.yaml"
    file.write_text(
        "kind: ConfigMap\n---\n---\nkind: NetworkAttachmentDefinition\n"
        f"metadata: {{name: nad}}\nspec: {{config: '{json.dumps(config)}'}}\n"
    )
    (definition,) = read_definitions(file).values()
    assert [plugin["type"] for plugin in definition.plugins] == ["a", "b"]


@pytest.mark.parametrize("spec", ["{}", "{config: ''}", "{config: '[]'}", "{config: '{}'}"])
def test_a_malformed_definition_is_named(tmp_path: Path, spec: str) -> None:
    file = tmp_path / "nad.yaml"
    file.write_text(f"kind: NetworkAttachmentDefinition\nmetadata: {{name: odd}}\nspec: {spec}\n")
    with pytest.raises(CniError, match=r"odd: spec\.config is no CNI"):
        read_definitions(file)


def test_plugins_run_on_the_node_in_order_each_with_the_result_before(
    node: Netns, pod: Netns, tmp_path: Path
) -> None:
    for kind in ("one", "two"):
        _plugin(tmp_path, kind, ECHO)
    cni = Cni(node, plugins=tmp_path)
    delegate = _delegate({"type": "one", "ipam": {"type": "host-local"}}, {"type": "two"})
    assert [str(a) for a in cni.add(pod, delegate)] == ["192.168.0.1/29"]
    first = json.loads((tmp_path / "ADD-one.json").read_text())
    assert (first["name"], first["cniVersion"]) == ("nad", "0.4.0")
    assert first["ipam"]["dataDir"] == f"/run/cni/{node.full_name}"
    second = json.loads((tmp_path / "ADD-two.json").read_text())
    assert second["prevResult"]["ips"] == [{"address": "192.168.0.1/29"}]
    environment = (tmp_path / "environment").read_text().split()
    assert environment == [pod.full_name, f"/run/netns/{pod.full_name}", "net1", str(tmp_path)]
    cni.delete(pod, delegate)
    assert (tmp_path / "DEL-two.json").exists()


def test_a_refusal_carries_the_plugin_s_message(node: Netns, pod: Netns, tmp_path: Path) -> None:
    _plugin(tmp_path, "no", REFUSING)
    with pytest.raises(CniError, match="plugin no, ADD of net1 in pod: no address left in range 0"):
        Cni(node, plugins=tmp_path).add(pod, _delegate({"type": "no"}))


def test_a_plugin_that_is_not_there_is_named(node: Netns, pod: Netns, tmp_path: Path) -> None:
    with pytest.raises(CniError, match="absent is not installed"):
        Cni(node, plugins=tmp_path).add(pod, _delegate({"type": "absent"}))
