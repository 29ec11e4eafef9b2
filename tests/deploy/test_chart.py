"""The Helm chart, rendered by Helm's own engine."""

import json
import shutil
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml  # type: ignore[import-untyped]

from deploy.rendered import (
    CHART,
    CHART_MODES,
    KUBERNETES,
    MODES,
    PATTERNS,
    SIDECARS,
    Document,
    agent,
    chart,
    check_schemas,
    components,
    composed,
    environment,
    of_kind,
    only,
    overlay,
    pattern_values,
    pod,
)
from vipmanager import __version__
from vipmanager.core.settings import Mode, Pattern, Rate
from vipmanager.edges.settings import KEYS, load
from vipmanager.lab.cni import read_definitions

COMBINATIONS = [(pattern, mode) for pattern in PATTERNS for mode in MODES]


def rendered(pattern: str, mode: str) -> tuple[Document, ...]:
    return chart({**pattern_values(pattern), "mode": CHART_MODES[mode]})


def test_helm_finds_nothing_to_say_about_the_chart() -> None:
    found = helm.lint(CHART, strict=True)
    assert not found["errors"]
    texts = [message["error"] for message in found["messages"]]
    assert texts == ["icon is recommended"]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize(("pattern", "mode"), COMBINATIONS)
def test_the_chart_is_valid_for_the_oldest_and_the_newest_kubernetes(
    pattern: str, mode: str, version: str
) -> None:
    check_schemas(rendered(pattern, mode), version)


@pytest.mark.parametrize(("pattern", "mode"), COMBINATIONS)
def test_the_chart_installs_what_the_overlay_applies(pattern: str, mode: str) -> None:
    assert _plain(rendered(pattern, mode)) == _plain(overlay(f"{pattern}-{mode}"))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mode", SIDECARS)
def test_the_chart_s_standby_is_what_the_components_make(
    pattern: str, mode: str, tmp_path: Path
) -> None:
    values = {
        **pattern_values(pattern),
        "mode": CHART_MODES[mode],
        "standby": {"enabled": True, "keySecret": "vipmanager-heartbeat"},
        "config": {"RoleLabel": True},
    }
    parts = components("standby", "heartbeat-key", "role-label")
    expected = composed(tmp_path, f"{pattern}-{mode}", components=parts)
    assert _plain(chart(values)) == _plain(expected)


def _plain(objects: tuple[Document, ...]) -> list[Document]:
    """Without Helm's labels and Kustomize's, with CNI configurations as values, in order."""
    found = json.loads(json.dumps(objects))
    for each in found:
        labels = each["metadata"].pop("labels", {})
        tools = ("app.kubernetes.io/", "helm", "vipmanager/mode")
        kept = {k: v for k, v in labels.items() if not k.startswith(tools)}
        if kept:
            each["metadata"]["labels"] = kept
        for subject in each.get("subjects", []):
            subject.pop("namespace", None)  # the binding's own by default
        if each["kind"] == "ConfigMap":
            each["data"] = {
                k: v.capitalize() if v == "true" else v for k, v in each["data"].items()
            }
        if each["kind"] == "NetworkAttachmentDefinition":
            each["spec"]["config"] = json.loads(each["spec"]["config"])
    return sorted(found, key=lambda o: (o["kind"], o["metadata"]["name"]))


RANGE = {"subnet": "192.168.0.0/29", "address": "192.168.0.1", "gateway": "192.168.0.6"}


def _network(**other: object) -> dict[str, object]:
    return {"networks": [{"name": "n", "master": "eth1", "ranges": [RANGE], **other}]}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"mode": "daemon"}, "/mode"),
    ({"mode": None}, "'mode'"),
    ({"pattern": "public"}, "/pattern"),
    ({"modes": "sidecar"}, "'modes'"),
    ({"image": {"registry": "here"}}, "'registry'"),
    ({"image": {"repository": ""}}, "/image/repository"),
    ({"image": {"tag": "0.1.0@sha256"}}, "/image/tag"),
    ({"image": {"digest": "sha256:12"}}, "/image/digest"),
    ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
    ({"configMap": "Upper Case"}, "/configMap"),
    ({"config": {"Intf1Peer": "10.0.0.1"}}, "'Intf1Peer'"),
    ({"config": {"Intf1Peers": "10.0.0.0/33"}}, "/config/Intf1Peers"),
    ({"config": {"Intf2Peers": "client.example"}}, "/config/Intf2Peers"),
    ({"config": {"FloatingIPs": "fd00::/129"}}, "/config/FloatingIPs"),
    ({"config": {"RunAsSidecar": "True"}}, "'RunAsSidecar'"),
    ({"config": {"UseSBR": "yes, please"}}, "/config/UseSBR"),
    ({"config": {"HTTPPort": 65536}}, "/config/HTTPPort"),
    ({"config": {"HTTPPort": "http"}}, "/config/HTTPPort"),
    ({"config": {"VPCRTIds": "vpc-0123456789abcdef0"}}, "/config/VPCRTIds"),
    ({"config": {"RouteRoleArn": "routes"}}, "/config/RouteRoleArn"),
    ({"config": {"ApiRate": "50"}}, "/config/ApiRate"),
    ({"config": {"ResyncSeconds": 0}}, "/config/ResyncSeconds"),
    ({"config": {"InitTimeoutSeconds": -1}}, "/config/InitTimeoutSeconds"),
    ({"config": {"LeaderElection": True}}, "'LeaderElection'"),
    ({"config": {"HeartbeatKeyFile": "/key"}}, "'HeartbeatKeyFile'"),
    ({"config": {"LeaseName": "Telco"}}, "/config/LeaseName"),
    ({"config": {"LeaseNamespace": "telco.prod"}}, "/config/LeaseNamespace"),
    ({"config": {"LeaseSeconds": 1}}, "/config/LeaseSeconds"),
    ({"config": {"HeartbeatMs": 19}}, "/config/HeartbeatMs"),
    ({"config": {"HeartbeatPort": "off"}}, "/config/HeartbeatPort"),
    ({"config": {"PreferredZone": "b"}}, "/config/PreferredZone"),
    ({"config": {"RoleLabel": "holder"}}, "/config/RoleLabel"),
    ({"standby": {"enabled": "yes"}}, "/standby/enabled"),
    ({"standby": {"replicas": 3}}, "'replicas'"),
    ({"standby": {"keySecret": "A Key"}}, "/standby/keySecret"),
    ({"config": {"LogLevel": "verbose"}}, "/config/LogLevel"),
    ({"config": {"LogFormat": "xml"}}, "/config/LogFormat"),
    ({"config": {"OnStop": "withdraw"}}, "/config/OnStop"),
    ({"serviceAccount": {"create": "yes"}}, "/serviceAccount/create"),
    ({"serviceAccount": {"annotations": {"a": 1}}}, "/serviceAccount/annotations"),
    (_network(ranges=[]), "/networks/0/ranges"),
    (_network(ranges=[{**RANGE, "address": "192.168.0.300"}]), "/networks/0/ranges/0/address"),
    (_network(ranges=[{**RANGE, "subnet": "192.168.0.0"}]), "/networks/0/ranges/0/subnet"),
    (_network(ranges=[{"subnet": "192.168.0.0/29"}]), "'address', 'gateway'"),
    (_network(dummyRoute="198.51.100.1"), "/networks/0/dummyRoute"),
    (_network(master="an interface"), "/networks/0/master"),
    (_network(mode="l3"), "'mode'"),
    ({"resources": {"limits": {"memory": "lots"}}}, "/resources/limits/memory"),
    ({"example": {"enabled": "false"}}, "/example/enabled"),
    ({"example": {"tolerationSeconds": -1}}, "/example/tolerationSeconds"),
]


@pytest.mark.parametrize(("values", "named"), BAD, ids=[json.dumps(v)[:70] for v, _ in BAD])
def test_a_wrong_value_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(helm.HelmValuesError) as refused:
        chart(values)
    assert named in str(refused.value)


def test_every_key_of_vipmanager_can_be_set() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    # These follow from `mode`, `pattern` and `standby`.
    follow = {"RunAsSidecar", "SubnetBasedLoopbacks", "LeaderElection", "HeartbeatKeyFile"}
    expected = {key.name for key in KEYS} - follow
    assert set(schema["properties"]["config"]["properties"]) == expected


def test_vipmanager_reads_what_the_values_say() -> None:
    values = {
        **pattern_values("vpc"),
        "config": {
            "Intf1Peers": "10.0.0.1, fd00::/64",
            "Intf12Peers": "10.9.0.0/16",
            "VPCRTIds": "rtb-0123456789abcdef0, rtb-01234567",
            "UseSBR": True,
            "ManageSourceDestCheck": False,
            "Interfaces": "net*",
            "FloatingIPs": "10.0.254.0/27",
            "ResyncSeconds": 7.5,
            "InitTimeoutSeconds": 86400,
            "ApiRate": "20/2.5",
            "LogFormat": "json",
            "RouteRoleArn": "arn:aws:iam::123456789012:role/routes",
        },
    }
    settings = load(environment(chart(values)))
    assert [len(settings.peers[n]) for n in (1, 2, 12)] == [2, 1, 1]
    assert (settings.mode, settings.pattern) == (Mode.SIDECAR, Pattern.SUBNET)
    assert (settings.source_routing, settings.manage_source_dest_check) == (True, False)
    assert len(settings.tables) == 2
    assert (settings.resync, settings.init_timeout) == (7.5, 86400)
    assert (settings.rate, settings.http_port) == (Rate(burst=20, refill=2.5), 9876)
    assert settings.log_json


def test_without_a_port_nothing_asks_at_one() -> None:
    objects = chart({"config": {"HTTPPort": 0}})
    assert not {k for k in agent(pod(objects)) if k.endswith("Probe") or k == "ports"}
    annotations = only(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert not [name for name in annotations if name.startswith("prometheus.io/")]


def test_the_image_is_this_version_unless_a_tag_or_a_digest_is_given() -> None:
    digest = "sha256:" + "0" * 64
    repository = "example.com/vipmanager"
    for image, expected in (
        ({}, f":{__version__}"),
        ({"tag": "edge"}, ":edge"),
        ({"tag": "edge", "digest": digest}, f"@{digest}"),
    ):
        objects = chart({"image": {"repository": repository, **image}})
        assert agent(pod(objects))["image"] == repository + expected


def test_the_service_account_can_have_a_role_or_be_somebody_else_s() -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/vipmanager"}
    account = only(chart({"serviceAccount": {"annotations": role}}), "ServiceAccount")
    assert account["metadata"]["annotations"] == role
    objects = chart({"serviceAccount": {"create": False, "name": "routes"}})
    assert not of_kind(objects, "ServiceAccount")
    assert pod(objects)["serviceAccountName"] == "routes"


def test_without_the_example_only_configuration_is_installed() -> None:
    kinds = {each["kind"] for each in chart({"example": {"enabled": False}})}
    assert kinds == {"ConfigMap", "ServiceAccount", "NetworkAttachmentDefinition"}


def test_an_interface_can_have_an_address_of_each_family(tmp_path: Path) -> None:
    six = {"subnet": "fd00:100::/64", "address": "fd00:100::1", "gateway": "fd00:100::ffff"}
    (nad,) = of_kind(chart(_network(ranges=[RANGE, six])), "NetworkAttachmentDefinition")
    file = tmp_path / "nad.yaml"
    file.write_text(yaml.safe_dump(nad))
    (plugin,) = read_definitions(file)["n"].plugins
    assert [one["rangeStart"] for (one,) in plugin["ipam"]["ranges"]] == [
        "192.168.0.1",
        "fd00:100::1",
    ]
    assert "routes" not in plugin["ipam"]


PARENT = """\
apiVersion: v2
name: application
version: 1.0.0
dependencies:
- {name: vipmanager, version: "*"}
"""
OWN_POD = """\
apiVersion: v1
kind: Pod
metadata: {name: application}
spec:
  initContainers:
  {{- include "vipmanager.container" .Subcharts.vipmanager | nindent 2 }}
  containers:
  - {name: application, image: example.com/application:1.0.0}
"""


def test_another_chart_can_put_the_container_into_its_own_pod(tmp_path: Path) -> None:
    shutil.copytree(CHART, tmp_path / "charts" / "vipmanager")
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text(PARENT)
    (tmp_path / "templates" / "pod.yaml").write_text(OWN_POD)
    values = {"vipmanager": {"example": {"enabled": False}, "config": {"HTTPPort": 8080}}}
    objects = chart(values, path=tmp_path)
    check_schemas(objects, KUBERNETES[0])
    container = agent(only(objects, "Pod")["spec"])
    assert container["restartPolicy"] == "Always"
    assert container["ports"][0]["containerPort"] == 8080
    (config,) = of_kind(objects, "ConfigMap")
    assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]


def test_events_bring_their_role_and_the_pods_token() -> None:
    assert not of_kind(chart(), "Role")
    objects = chart({"config": {"KubernetesEvents": True}})
    check_schemas(objects, KUBERNETES[-1])
    (rule,) = only(objects, "Role")["rules"]
    assert (rule["resources"], rule["verbs"]) == (["events"], ["create", "patch"])
    assert pod(objects)["automountServiceAccountToken"] is True
    assert load(environment(objects)).kubernetes_events


def test_with_a_health_check_the_application_does_not_wait_for_the_sidecar() -> None:
    assert "startupProbe" in agent(pod(chart()))
    objects = chart({"config": {"HealthCheck": "tcp://127.0.0.1:80"}})
    assert "startupProbe" not in agent(pod(objects))
    assert load(environment(objects)).health_check


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"mode": "initContainer", "standby": {"enabled": True}}, "an initContainer ends"),
    (
        {"standby": {"enabled": True, "keySecret": "key"}, "config": {"HeartbeatPort": 0}},
        "standby.keySecret: expected nothing with config.HeartbeatPort=0",
    ),
    ({"standby": {"keySecret": "key"}}, "standby.keySecret: expected nothing without"),
    ({"config": {"PreferredZone": "us-east-2b"}}, "config.PreferredZone: expected nothing without"),
    ({"config": {"RoleLabel": True}}, "config.RoleLabel: expected nothing without"),
]


@pytest.mark.parametrize(("values", "said"), CONTRADICTIONS)
def test_values_of_the_standby_that_contradict_each_other_are_refused(
    values: dict[str, Any], said: str
) -> None:
    with pytest.raises(helm.HelmRenderError, match=said):
        chart(values)


def test_a_standby_s_objects_follow_the_keys_of_the_lease() -> None:
    keys = {
        "LeaseName": "amf",
        "LeaseNamespace": "leases",
        "LeaseSeconds": 10,
        "HeartbeatMs": 200,
        "HeartbeatPort": 7947,
        "PreferredZone": "us-east-2b",
    }
    objects = chart({"standby": {"enabled": True}, "config": keys})
    check_schemas(objects, KUBERNETES[-1])
    settings = load(environment(objects))
    assert (settings.lease_seconds, settings.heartbeat) == (10, 0.2)
    assert settings.preferred_zone == "us-east-2b"
    for kind in ("Lease", "Role", "RoleBinding"):
        assert only(objects, kind)["metadata"]["namespace"] == settings.lease_namespace
    assert only(objects, "Lease")["metadata"]["name"] == settings.lease_name
    assert only(objects, "Role")["rules"][0]["resourceNames"] == [settings.lease_name]
    (subject,) = only(objects, "RoleBinding")["subjects"]
    assert subject["namespace"] == "telco", "the pods' own, wherever the Lease is"
    ports = {each["name"]: each["containerPort"] for each in agent(pod(objects))["ports"]}
    assert ports["heartbeat"] == settings.heartbeat_port


def test_without_heartbeats_no_port_is_told() -> None:
    objects = chart({"standby": {"enabled": True}, "config": {"HeartbeatPort": 0}})
    assert [each["name"] for each in agent(pod(objects))["ports"]] == ["http-vipmanager"]
