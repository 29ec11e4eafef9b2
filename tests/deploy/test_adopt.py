"""vipmanager beside an application that is not ours, as docs/adopt.md says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.adopted import APPLICATION, ATTACHMENTS, NAME, WAYS, block
from deploy.rendered import (
    KUBERNETES,
    MANIFESTS,
    Document,
    agent,
    check_schemas,
    components,
    environment,
    merged,
    of_kind,
    only,
    overlay,
    own,
    pod,
)
from vipmanager.core.settings import Mode
from vipmanager.edges.settings import load


@pytest.fixture(params=WAYS)
def adopted(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Document, ...]:
    return WAYS[request.param](tmp_path)


def test_the_application_stays_as_it_is(adopted: tuple[Document, ...]) -> None:
    check_schemas(adopted, KUBERNETES[-1])
    deployment, given = only(adopted, "Deployment"), APPLICATION
    assert deployment["metadata"]["name"] == NAME
    assert deployment["metadata"]["labels"] == given["metadata"]["labels"]
    template = deployment["spec"].pop("template")
    assert deployment["spec"] == {k: v for k, v in given["spec"].items() if k != "template"}
    assert template["metadata"] == given["spec"]["template"]["metadata"]
    before = given["spec"]["template"]["spec"]
    assert {key: template["spec"][key] for key in before} == before


def test_vipmanager_is_beside_it_with_all_that_it_needs(adopted: tuple[Document, ...]) -> None:
    spec, container = pod(adopted), agent(pod(adopted))
    assert container["restartPolicy"] == "Always"
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    settings = load(environment(adopted))
    assert (settings.mode, settings.leader_election) == (Mode.SIDECAR, True)
    assert sorted(settings.peers) == [1, 2]
    lease, account = only(adopted, "Lease"), only(adopted, "ServiceAccount")
    assert lease["metadata"]["name"] == settings.lease_name
    assert spec["serviceAccountName"] == account["metadata"]["name"]
    assert spec["automountServiceAccountToken"] is True
    names = {each["metadata"]["name"] for each in of_kind(adopted, "NetworkAttachmentDefinition")}
    assert names == set(ATTACHMENTS)


def test_by_hand_it_is_twenty_lines_at_most() -> None:
    assert len(block("in the pod's spec").splitlines()) <= 20


def test_the_component_gives_what_the_overlay_has() -> None:
    given = yaml.safe_load((MANIFESTS / "components" / "beside" / "sidecar.yaml").read_text())
    made, shipped = given["spec"]["template"]["spec"], pod(overlay("nonvpc-native-sidecar"))
    mine, theirs = agent({**made, "containers": []}), agent(shipped)
    of_the_config_map = {"RunAsSidecar", "LeaderElection"}
    env = [each for each in theirs["env"] if each["name"] not in of_the_config_map]
    assert mine == {**theirs, "env": env}
    assert made["volumes"] == shipped["volumes"]


STATEFUL: dict[str, Any] = {
    **APPLICATION,
    "kind": "StatefulSet",
    "spec": {
        **{k: v for k, v in APPLICATION["spec"].items() if k != "strategy"},
        "serviceName": NAME,
    },
}


def beside(
    folder: Path, *workloads: Document, more: Sequence[str] = (), **entries: object
) -> tuple[Document, ...]:
    """Render a kustomization of one's own with the component, and with `more` of them."""
    parts = components("beside", *more)
    whole = {"resources": ["application.yaml"], "components": parts, **entries}
    return own(folder, yaml.safe_dump(whole), *workloads)


def template(objects: tuple[Document, ...], kind: str) -> Document:
    spec: Document = only(objects, kind)["spec"]["template"]["spec"]
    return spec


def test_every_name_follows_a_prefix_also_of_a_stateful_set(tmp_path: Path) -> None:
    objects = beside(tmp_path, STATEFUL, namePrefix="amf-")
    check_schemas(objects, KUBERNETES[-1])
    assert all(each["metadata"]["name"].startswith("amf-") for each in objects)
    spec = template(objects, "StatefulSet")
    container = agent(spec)
    assert spec["serviceAccountName"] == "amf-vipmanager"
    assert container["envFrom"][0]["configMapRef"]["name"] == "amf-vipmanager-config"
    assert only(objects, "ConfigMap")["data"]["LeaseName"] == "amf-vipmanager"
    (rule,) = (
        r for role in of_kind(objects, "Role") for r in role["rules"] if "resourceNames" in r
    )
    assert rule["resourceNames"] == ["amf-vipmanager"]


def test_who_has_the_label_gets_no_sidecar(tmp_path: Path) -> None:
    without = {**APPLICATION, "metadata": {"name": "oam", "labels": {"vipmanager/beside": "no"}}}
    objects = beside(tmp_path, APPLICATION, without)
    oam, upf = of_kind(objects, "Deployment")
    assert "initContainers" not in oam["spec"]["template"]["spec"]
    assert agent(upf["spec"]["template"]["spec"])


def test_its_own_init_containers_and_volumes_stay_behind_vipmanager_s(tmp_path: Path) -> None:
    spec = APPLICATION["spec"]["template"]["spec"]
    prepare = {"name": "prepare", "image": "example.com/prepare:1.0.0"}
    more = {**spec, "initContainers": [prepare], "volumes": [{"name": "data", "emptyDir": {}}]}
    given = merged(APPLICATION, {"spec": {"template": {"spec": more}}})
    found = template(beside(tmp_path, given), "Deployment")
    assert [each["name"] for each in found["initContainers"]] == ["vipmanager", "prepare"]
    assert [each["name"] for each in found["volumes"]] == ["pod-networks", "data"]


def test_an_account_of_its_own_gets_the_rights(tmp_path: Path) -> None:
    patches = yaml.safe_load(block("patches for an account of its own"))
    objects = beside(tmp_path, APPLICATION, patches=patches, more=("cordon",))
    assert template(objects, "Deployment")["serviceAccountName"] == "upf"
    bound = [*of_kind(objects, "RoleBinding"), *of_kind(objects, "ClusterRoleBinding")]
    assert {each["subjects"][0]["name"] for each in bound} == {"upf"}
    assert len(bound) == 3


FOREIGN: Document = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "oam"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "oam"},
    "subjects": [{"kind": "ServiceAccount", "name": "oam"}],
}
PLAIN = {
    **APPLICATION["spec"],
    "template": merged(
        APPLICATION["spec"]["template"],
        {"spec": {"serviceAccountName": "oam", "initContainers": [{"name": "a", "image": "b:1"}]}},
    ),
}
OPTED_OUT: Document = {
    **APPLICATION,
    "metadata": {"name": "oam", "labels": {"vipmanager/beside": "no"}},
    "spec": PLAIN,
}


def test_what_is_not_vipmanager_s_stays_as_it_is(tmp_path: Path) -> None:
    patches = yaml.safe_load(block("patches for an account of its own"))
    more = ("cordon", "events", "heartbeat-key")
    objects = beside(tmp_path, APPLICATION, OPTED_OUT, FOREIGN, patches=patches, more=more)
    assert [each for each in objects if each["metadata"]["name"] == "oam"] == [FOREIGN, OPTED_OUT]


def test_two_replicas_are_what_the_page_has(tmp_path: Path) -> None:
    deployment, budget = yaml.safe_load_all(block("two replicas"))
    objects = beside(tmp_path, merged(APPLICATION, deployment), budget)
    check_schemas(objects, KUBERNETES[-1])
    made, shipped = (
        only(objects, "Deployment")["spec"],
        only(overlay("nonvpc-standby"), "Deployment"),
    )
    for key in ("replicas", "strategy"):
        assert made[key] == shipped["spec"][key]
    assert agent(made["template"]["spec"])
    (apart,) = made["template"]["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    labels = made["template"]["metadata"]["labels"]
    assert apart["labelSelector"] == budget["spec"]["selector"] == {"matchLabels": labels}
    assert budget["spec"]["maxUnavailable"] == 1


def test_the_heartbeat_key_fits_it(tmp_path: Path) -> None:
    objects = beside(tmp_path, STATEFUL, more=("heartbeat-key",))
    check_schemas(objects, KUBERNETES[-1])
    spec = template(objects, "StatefulSet")
    assert "heartbeat-key" in {each["name"] for each in spec["volumes"]}
    assert "heartbeat-key" in {each["name"] for each in agent(spec)["volumeMounts"]}


def test_what_is_for_the_overlays_is_refused_beside_it(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="busybox-deployment"):
        beside(tmp_path / "standby", APPLICATION, more=("standby",))
    with pytest.raises(AssertionError, match="prometheus"):
        beside(tmp_path / "init", APPLICATION, more=("initContainer",))
