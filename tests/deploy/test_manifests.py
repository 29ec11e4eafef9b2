"""The shipped manifests, as `kubectl apply -k` would send them."""

import re
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.rendered import (
    BASE,
    DEPLOY,
    KUBERNETES,
    MANIFESTS,
    MODES,
    OVERLAYS,
    PATTERNS,
    STANDBYS,
    agent,
    check_schemas,
    components,
    composed,
    containers,
    documents,
    environment,
    of_kind,
    only,
    overlay,
    pod,
)
from vipmanager.core.downward import ATTACHED, WANTED
from vipmanager.core.settings import Mode, Pattern
from vipmanager.edges.downward import FOLDER
from vipmanager.edges.settings import load
from vipmanager_lab.cni import read_definitions

DEPLOYMENTS = [f"deployment-{mode}.yaml" for mode in MODES]
EVERY_OVERLAY = (*OVERLAYS, *STANDBYS)
READY = MANIFESTS.parent / "node" / "multus-ready.yaml"
ATTACHMENTS = ["nad-1.yaml", "nad-2.yaml"]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", EVERY_OVERLAY)
def test_every_overlay_is_valid_for_the_oldest_and_the_newest_kubernetes(
    name: str, version: str
) -> None:
    check_schemas(overlay(name), version)


def test_there_is_an_overlay_for_each_pattern_and_mode_and_the_readme_names_it() -> None:
    assert {folder.name for folder in (MANIFESTS / "overlays").iterdir()} == set(EVERY_OVERLAY)
    text = (MANIFESTS / "README.md").read_text()
    assert [name for name in EVERY_OVERLAY if f"`{name}`" not in text] == []


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mode", MODES)
def test_an_overlay_is_the_set_of_single_files(pattern: str, mode: str) -> None:
    objects = overlay(f"{pattern}-{mode}")
    assert [only(objects, "Deployment")] == documents(BASE / f"deployment-{mode}.yaml")
    shipped = [d for file in ATTACHMENTS for d in documents(BASE / pattern / file)]
    assert of_kind(objects, "NetworkAttachmentDefinition") == shipped


@pytest.mark.parametrize("name", EVERY_OVERLAY)
def test_every_sidecar_elects_by_lease_and_no_initcontainer_does(name: str) -> None:
    objects = overlay(name)
    elects = "initContainer" not in name
    assert load(environment(objects)).leader_election is elects
    assert ("automountServiceAccountToken" in pod(objects)) is elects
    for kind, number in (("Lease", 1), ("Role", 2), ("RoleBinding", 2)):
        assert len(of_kind(objects, kind)) == number * elects
    assert not only(objects, "ServiceAccount")["automountServiceAccountToken"]


@pytest.mark.parametrize("name", [it for it in EVERY_OVERLAY if "sidecar" in it])
def test_the_lease_of_an_overlay_is_the_single_file(name: str) -> None:
    shipped = documents(MANIFESTS / "account" / "lease.yaml")
    objects = overlay(name)
    for kind in {each["kind"] for each in shipped}:
        assert of_kind(objects, kind) == of_kind(shipped, kind)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mode", MODES)
def test_vipmanager_reads_the_pattern_and_the_mode_of_an_overlay(pattern: str, mode: str) -> None:
    settings = load(environment(overlay(f"{pattern}-{mode}")))
    assert settings.pattern is (Pattern.SUBNET if pattern == "vpc" else Pattern.HOST)
    assert settings.mode is (Mode.INIT if mode == "initContainer" else Mode.SIDECAR)
    assert settings.tags, "ALL route tables would be written"


@pytest.mark.parametrize("name", EVERY_OVERLAY)
def test_whatever_an_object_refers_to_is_there(name: str) -> None:
    objects = overlay(name)
    deployment = only(objects, "Deployment")
    template = deployment["spec"]["template"]
    attached = template["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"].split(", ")
    nads = of_kind(objects, "NetworkAttachmentDefinition")
    assert attached == [nad["metadata"]["name"] for nad in nads]
    account = only(objects, "ServiceAccount")["metadata"]["name"]
    assert template["spec"]["serviceAccountName"] == account
    labels = template["metadata"]["labels"].items()
    (spread,) = template["spec"]["topologySpreadConstraints"]
    for selector in (
        deployment["spec"]["selector"],
        only(objects, "PodDisruptionBudget")["spec"]["selector"],
        spread["labelSelector"],
    ):
        assert selector["matchLabels"].items() <= labels


@pytest.mark.parametrize("name", EVERY_OVERLAY)
def test_the_agent_is_told_the_pod_s_addresses_and_what_multus_attached(name: str) -> None:
    objects = overlay(name)
    assert load(environment(objects)).pod_addresses == (ip_address("10.0.1.100"),)
    mounts = {m["mountPath"]: m["name"] for m in agent(pod(objects))["volumeMounts"]}
    volumes = {v["name"]: v for v in pod(objects)["volumes"]}
    items = volumes[mounts[FOLDER]]["downwardAPI"]["items"]
    told = {i["path"]: i["fieldRef"]["fieldPath"] for i in items}
    assert told == {
        "networks": f"metadata.annotations['{WANTED}']",
        "network-status": f"metadata.annotations['{ATTACHED}']",
    }


@pytest.mark.parametrize("version", KUBERNETES)
def test_what_takes_the_taint_off_is_valid_and_takes_off_what_nodes_have(version: str) -> None:
    objects = documents(READY)
    check_schemas(objects, version)
    group = (DEPLOY / "cloudformation" / "eks-multiaz-nodegroup-multus.yaml").read_text()
    taint = re.search(r"--register-with-taints=(\w+)=\w+:(\w+)", group)
    assert taint is not None
    spec = only(objects, "DaemonSet")["spec"]["template"]["spec"]
    assert spec["tolerations"] == [{"operator": "Exists"}]
    last = spec["initContainers"][-1]["command"]
    assert last[1:] == ["taint", "node", "$(NODE_NAME)", f"{taint[1]}:{taint[2]}-"]


@pytest.mark.parametrize("file", DEPLOYMENTS)
def test_no_container_has_more_rights_than_it_needs(file: str) -> None:
    spec = pod(documents(BASE / file))
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    for container in containers(spec):
        context = container["securityContext"]
        added = context["capabilities"].get("add", [])
        assert added == (["NET_ADMIN"] if container is agent(spec) else [])
        assert context["capabilities"]["drop"] == ["ALL"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert not context.get("privileged")
    # File capabilities end at allowPrivilegeEscalation: false; a plain user would have none.
    assert agent(spec)["securityContext"]["runAsUser"] == 0


@pytest.mark.parametrize("file", DEPLOYMENTS)
def test_no_container_can_be_throttled_and_each_has_a_bound_of_memory(file: str) -> None:
    for container in containers(pod(documents(BASE / file))):
        assert set(container["resources"]["limits"]) == {"memory"}
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}


@pytest.mark.parametrize("file", DEPLOYMENTS)
def test_a_container_that_has_to_end_has_nothing_that_only_a_lasting_one_may_have(
    file: str,
) -> None:
    spec = pod(documents(BASE / file))
    lasting = {"livenessProbe", "readinessProbe", "startupProbe", "lifecycle"}
    for container in spec.get("initContainers", []):
        if container.get("restartPolicy") != "Always":
            assert not lasting & set(container)
    for container in spec["containers"]:
        assert "restartPolicy" not in container


@pytest.mark.parametrize("file", ["deployment-native-sidecar.yaml", "deployment-sidecar.yaml"])
def test_probes_and_scrapers_ask_at_the_port_that_vipmanager_opens(file: str) -> None:
    (config,) = documents(BASE / "vipmanager-cm.yaml")
    (deployment,) = documents(BASE / file)
    container = agent(pod([deployment]))
    port, heartbeat = container["ports"]
    assert heartbeat["name"] == "heartbeat"
    assert str(port["containerPort"]) == config["data"]["HTTPPort"]
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == config["data"]["HTTPPort"]
    probes = {k: v["httpGet"] for k, v in container.items() if k.endswith("Probe")}
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert probes["livenessProbe"]["path"] == "/healthz"
    assert probes["readinessProbe"]["path"] == "/readyz"


@pytest.mark.parametrize("file", DEPLOYMENTS)
def test_every_command_in_the_manifests_is_one_of_vipmanager_s(file: str) -> None:
    container = agent(pod(documents(BASE / file)))
    commands = [container["args"]]
    if "lifecycle" in container:
        program, *words = container["lifecycle"]["preStop"]["exec"]["command"]
        assert program == "vipmanager"
        commands.append(words)
    for words in commands:
        asked = [sys.executable, "-m", "vipmanager", *words, "--help"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr


@pytest.mark.parametrize("file", DEPLOYMENTS)
def test_a_dead_node_s_pod_is_evicted_within_seconds(file: str) -> None:
    (deployment,) = documents(BASE / file)
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    short = {
        t["key"]: t["tolerationSeconds"]
        for t in pod([deployment])["tolerations"]
        if t["effect"] == "NoExecute" and t["operator"] == "Exists"
    }
    assert set(short) == {f"node.kubernetes.io/{why}" for why in ("not-ready", "unreachable")}
    assert max(short.values()) <= 5


def test_the_disruption_budget_lets_a_node_be_drained() -> None:
    (budget,) = documents(BASE / "poddisruptionbudget.yaml")
    (deployment,) = documents(BASE / "deployment-native-sidecar.yaml")
    assert "minAvailable" not in budget["spec"]
    assert budget["spec"]["maxUnavailable"] >= deployment["spec"]["replicas"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_an_attachment_has_one_address_and_forgets_its_lease_at_a_reboot(pattern: str) -> None:
    vpc = ip_network("10.0.0.0/16")
    for file in ATTACHMENTS:
        (definition,) = read_definitions(BASE / pattern / file).values()
        (plugin,) = definition.plugins
        assert (plugin["type"], plugin["mode"]) == ("ipvlan", "l2")
        ipam = plugin["ipam"]
        assert ipam["dataDir"].startswith("/run/")
        ((one,),) = ipam["ranges"]
        assert one["rangeStart"] == one["rangeEnd"] != one["gateway"]
        subnet = ip_network(one["subnet"])
        assert {ip_address(one["rangeStart"]), ip_address(one["gateway"])} <= set(subnet.hosts())
        assert subnet.overlaps(vpc) is (pattern == "vpc")


def test_one_entry_changes_the_image_of_every_overlay(tmp_path: Path) -> None:
    (entry,) = _readme_block("images")["images"]
    for name in EVERY_OVERLAY:
        image = agent(pod(composed(tmp_path / name, name, images=[entry])))["image"]
        assert image == f"{entry['newName']}:{entry['newTag']}"


def _readme_block(key: str) -> dict[str, list[dict[str, str]]]:
    blocks = (MANIFESTS / "README.md").read_text().split("```yaml")[1:]
    loaded = [yaml.safe_load(block.partition("```")[0]) for block in blocks]
    return next(block for block in loaded if key in block)


@pytest.mark.parametrize("name", OVERLAYS)
def test_events_are_one_component_more_for_every_overlay(name: str, tmp_path: Path) -> None:
    objects = composed(tmp_path, name, components=components("events"))
    check_schemas(objects, KUBERNETES[-1])
    assert load(environment(objects)).kubernetes_events
    assert pod(objects)["automountServiceAccountToken"] is True
    names = {e["name"] for e in agent(pod(objects))["env"]}
    assert {"POD_NAME", "POD_NAMESPACE", "POD_UID"} <= names
    (role,) = (r for r in of_kind(objects, "Role") if r["metadata"]["name"] == "vipmanager-events")
    (rule,) = role["rules"]
    assert (rule["resources"], rule["verbs"]) == (["events"], ["create", "patch"])
    (subject,) = of_kind(objects, "RoleBinding")[0]["subjects"]
    assert subject["name"] == only(objects, "ServiceAccount")["metadata"]["name"]
