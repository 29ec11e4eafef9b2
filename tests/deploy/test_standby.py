"""Two replicas as shipped: what Kubernetes makes of them, and what the agent may do in them."""

import base64
import os
import queue
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml  # type: ignore[import-untyped]

from clusters import NAMESPACE, Pod, pod_in_a_cluster
from deploy.granted import granted, ship
from deploy.rendered import (
    KUBERNETES,
    PATTERNS,
    SIDECARS,
    STANDBYS,
    Document,
    agent,
    check_schemas,
    components,
    composed,
    containers,
    environment,
    only,
    overlay,
    pod,
)
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Condition
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.places import of_node
from vipmanager.core.settings import HandOver
from vipmanager.edges.heartbeat import read_key
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager.edges.settings import load
from vipmanager_lab.kube.kinds import LEASES, NODES
from vipmanager_lab.kube.store import Key

PAGE = Path(__file__).parents[2] / "docs" / "standby.md"
OVER = [f"{pattern}-{mode}" for pattern in PATTERNS for mode in SIDECARS]
PARTS = [
    (),
    ("heartbeat-key",),
    ("role-label",),
    ("cordon",),
    ("heartbeat-key", "role-label", "events", "cordon"),
]
ELECTING = [*OVER, *STANDBYS]
LONG = 20.0
"""Seconds that nothing here takes."""


@pytest.mark.parametrize("name", OVER)
@pytest.mark.parametrize("parts", PARTS, ids=" ".join)
def test_the_components_fit_both_kinds_of_sidecar(
    name: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    objects = composed(tmp_path, name, components=components("standby", *parts))
    for version in KUBERNETES:
        check_schemas(objects, version)
    settings = load(environment(objects))
    assert settings.leader_election
    assert settings.role_label is ("role-label" in parts)
    assert settings.hand_over_on == ((HandOver.CORDON,) if "cordon" in parts else ())
    assert (settings.heartbeat_key_file is not None) is ("heartbeat-key" in parts)
    ports = {each["name"]: each for each in agent(pod(objects))["ports"]}
    assert ports["heartbeat"]["containerPort"] == settings.heartbeat_port
    assert ports["heartbeat"]["protocol"] == "UDP"
    assert "http-vipmanager" in ports


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_overlay_is_the_native_sidecar_with_the_component(pattern: str, tmp_path: Path) -> None:
    made = composed(tmp_path, f"{pattern}-native-sidecar", components=components("standby"))
    assert _sorted(made) == _sorted(overlay(f"{pattern}-standby"))


def _sorted(objects: tuple[Document, ...]) -> list[Document]:
    return sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"]))


def test_an_initcontainer_can_t_have_a_standby(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="testing value"):
        composed(tmp_path, "nonvpc-initContainer", components=components("standby"))


@pytest.mark.parametrize("name", STANDBYS)
def test_one_replica_serves_while_the_other_is_replaced(name: str) -> None:
    objects = overlay(name)
    spec = only(objects, "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] < spec["replicas"]
    assert agent(pod(objects))["lifecycle"]["preStop"]["exec"]["command"] == ["vipmanager", "yield"]


@pytest.mark.parametrize("name", STANDBYS)
def test_two_replicas_never_share_a_node_and_share_a_zone_rather_than_wait(name: str) -> None:
    template = only(overlay(name), "Deployment")["spec"]["template"]
    rules = template["spec"]["affinity"]["podAntiAffinity"]
    (apart,) = rules["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    (spread,) = template["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "topology.kubernetes.io/zone"
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    for selector in (apart["labelSelector"], spread["labelSelector"]):
        assert selector["matchLabels"].items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize("name", ELECTING)
def test_the_lease_is_where_the_agent_looks_for_it(name: str) -> None:
    objects = overlay(name)
    settings = load(environment(objects))
    lease = only(objects, "Lease")
    assert lease["metadata"]["name"] == settings.lease_name
    assert settings.lease_namespace is None, "the pod's own"
    assert "namespace" not in lease["metadata"], "wherever the pod is applied"


@pytest.mark.parametrize("name", ELECTING)
def test_the_agent_may_do_to_the_lease_what_it_needs_and_nothing_else(name: str) -> None:
    objects = overlay(name)
    assert pod(objects)["automountServiceAccountToken"] is True
    pods, lease = sorted(granted(objects), key=str)
    assert pods == {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    assert lease == {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": [load(environment(objects)).lease_name],
        "verbs": ["get", "watch", "update"],
    }


def test_the_role_label_allows_to_patch_pods_and_nothing_else(tmp_path: Path) -> None:
    parts = components("standby", "role-label")
    objects = composed(tmp_path, "nonvpc-native-sidecar", components=parts)
    (rule,) = [each for each in granted(objects) if "patch" in each["verbs"]]
    assert rule == {"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}


def test_the_cordon_allows_to_get_nodes_and_nothing_else(lab: Pod, tmp_path: Path) -> None:
    parts = components("standby", "cordon")
    objects = composed(tmp_path, "nonvpc-native-sidecar", namespace=NAMESPACE, components=parts)
    role, binding = only(objects, "ClusterRole"), only(objects, "ClusterRoleBinding")
    (rule,) = role["rules"]
    assert rule == {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    account = pod(objects)["serviceAccountName"]
    (subject,) = binding["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    lab.cluster.store.create(NODES, "", {"metadata": {"name": "node-a"}, "spec": {}})
    kube = Kube(lab.environ)
    with pytest.raises(Permanent, match="allow get on nodes"):
        kube.get_node("node-a")
    lab.account.allow(NODES, rule["verbs"])
    assert of_node(kube.get_node("node-a") or {}) == ""
    assert kube.get_node("node-b") is None
    kube.close()


def _applied(pod: Pod, objects: tuple[Document, ...]) -> LeaseRecord:
    """Grant the shipped rules and create the shipped Lease; give it as the agent reads it."""
    ship(objects, pod.cluster, pod.account)
    kube = Kube(pod.environ)
    found = KubeLease(kube, namespace=NAMESPACE, name=only(objects, "Lease")["metadata"]["name"])
    record = found.read()
    kube.close()
    assert record is not None
    return record


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Pod]:
    with pod_in_a_cluster(tmp_path) as made:
        yield made


def test_with_the_shipped_role_the_shipped_lease_is_taken_watched_and_never_created(
    lab: Pod,
) -> None:
    objects = overlay("nonvpc-standby")
    free = _applied(lab, objects)
    assert free.holder is None
    name = load(environment(objects)).lease_name
    kube = Kube(lab.environ)
    lease = KubeLease(kube, namespace=NAMESPACE, name=name)
    heard: queue.SimpleQueue[LeaseRecord | None] = queue.SimpleQueue()
    failed: queue.SimpleQueue[Exception] = queue.SimpleQueue()
    lease.watch(heard.put, failed.put)
    lease.replace(_held(free))
    while (seen := heard.get(timeout=LONG)) is None or seen.holder is None:
        assert failed.empty(), failed.get()
    assert seen.holder == "pod-1/nonce"
    with pytest.raises(Permanent, match="cannot create"):
        lease.create(LeaseRecord())
    with pytest.raises(Permanent, match="cannot get"):
        KubeLease(kube, namespace=NAMESPACE, name="another").read()
    lease.close()
    kube.close()


def _held(record: LeaseRecord) -> LeaseRecord:
    return LeaseRecord(
        uid=record.uid,
        resource_version=record.resource_version,
        holder="pod-1/nonce",
        transitions=1,
        duration=5,
        annotations=MappingProxyType({"vipmanager/zone": "us-east-2a"}),
        rest=record.rest,
    )


def test_applying_the_lease_again_leaves_its_holder_alone(lab: Pod) -> None:
    objects = overlay("nonvpc-standby")
    free = _applied(lab, objects)
    shipped = only(objects, "Lease")
    kube = Kube(lab.environ)
    lease = KubeLease(kube, namespace=NAMESPACE, name=shipped["metadata"]["name"])
    lease.replace(_held(free))
    lab.cluster.store.patch(Key(LEASES, NAMESPACE, shipped["metadata"]["name"]), shipped)
    found = lease.read()
    kube.close()
    assert found is not None
    assert (found.holder, found.transitions) == ("pod-1/nonce", 1)
    assert found.annotations == {"vipmanager/zone": "us-east-2a"}


# --- the key -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", SIDECARS)
def test_the_key_is_mounted_where_the_agent_looks_for_it_and_only_it_can_read_it(
    mode: str, tmp_path: Path
) -> None:
    parts = components("standby", "heartbeat-key")
    objects = composed(tmp_path, f"nonvpc-{mode}", components=parts)
    path = load(environment(objects)).heartbeat_key_file
    assert path is not None
    (volume,) = (v for v in pod(objects)["volumes"] if "secret" in v)
    # User 0 has no CAP_DAC_OVERRIDE: the owner's bits are all that it reads by.
    assert volume["secret"]["defaultMode"] == 0o400
    assert agent(pod(objects))["securityContext"]["runAsUser"] == 0
    mounts = {each["name"]: each.get("volumeMounts", []) for each in containers(pod(objects))}
    (mount,) = (m for m in mounts.pop("vipmanager") if m["name"] == volume["name"])
    assert not any(mounts.values())
    assert mount["readOnly"]
    assert Path(path).parent == Path(mount["mountPath"])


def test_the_command_of_the_guide_makes_a_key_that_the_agent_takes(tmp_path: Path) -> None:
    parts = components("standby", "heartbeat-key")
    objects = composed(tmp_path, "nonvpc-native-sidecar", components=parts)
    (volume,) = (v for v in pod(objects)["volumes"] if "secret" in v)
    command = next(it for it in _blocks("sh") if it.rstrip().endswith("key=/dev/stdin"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"{command.rstrip()} --dry-run=client -o json"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    secret = yaml.safe_load(done.stdout)
    assert secret["metadata"]["name"] == volume["secret"]["secretName"]
    key_file = load(environment(objects)).heartbeat_key_file
    assert key_file is not None
    mounted = tmp_path / "key"
    mounted.write_bytes(base64.b64decode(secret["data"][Path(key_file).name]))
    assert len(read_key(str(mounted))) == 64


# --- docs/standby.md ---------------------------------------------------------------------------


def _blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE.read_text())


def test_what_the_page_adds_to_an_overlay_can_be_applied_all_at_once(tmp_path: Path) -> None:
    entries: Document = {}
    for block in map(yaml.safe_load, _blocks("yaml")):
        if "kind" not in block and "namePrefix" not in block:
            assert not entries.keys() & block.keys()
            entries |= block
    objects = composed(tmp_path, "nonvpc-standby", **entries)
    check_schemas(objects, KUBERNETES[-1])
    settings = load(environment(objects))
    assert settings.health_check
    assert settings.heartbeat_key_file
    assert "startupProbe" not in agent(pod(objects)), "it would wait for the application"


def test_the_network_policy_of_the_page_fits_the_pods() -> None:
    (policy,) = (it for it in map(yaml.safe_load, _blocks("yaml")) if "kind" in it)
    check_schemas([policy], KUBERNETES[0])
    objects = overlay("nonvpc-standby")
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    settings = load(environment(objects))
    heartbeat = {"protocol": "UDP", "port": settings.heartbeat_port}
    for way, end in (("ingress", "from"), ("egress", "to")):
        (peers,) = [rule[end] for rule in policy["spec"][way] if heartbeat in rule["ports"]]
        assert peers == [{"podSelector": policy["spec"]["podSelector"]}]
    asked = [port for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert {"protocol": "TCP", "port": settings.http_port} in asked


def test_the_findings_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`", PAGE.read_text())) - {
        "SIGTERM",
        "POD_REVISION",
    }
    assert named
    assert named <= {condition.name for condition in Condition}
