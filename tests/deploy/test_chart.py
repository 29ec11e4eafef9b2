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
    DEPLOY,
    KUBERNETES,
    MODES,
    PATTERNS,
    REPOSITORY,
    SIDECARS,
    Document,
    agent,
    chart,
    check_schemas,
    components,
    composed,
    environment,
    installed,
    of_kind,
    only,
    overlay,
    pattern_values,
    pod,
)
from vipmanager import __version__
from vipmanager.cli.drill import read_order
from vipmanager.cli.main import parser
from vipmanager.core.settings import Mode, Pattern, Rate
from vipmanager.edges.settings import KEYS, load
from vipmanager.measure.leases import NAME as LEASE
from vipmanager.measure.removal import PATIENCE
from vipmanager_lab.cni import read_definitions

PLACEHOLDER = "xxxxxxxxxxxx.dkr.ecr.us-east-2.amazonaws.com/vipmanager"
"""What the overlays have for an image."""
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
    found = json.loads(json.dumps(objects).replace(PLACEHOLDER, REPOSITORY))
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
    ({"drill": {"addresses": ["192.168.0.1/32"]}}, "/drill/addresses/0"),
    ({"drill": {"atMost": "1"}}, "/drill/atMost"),
    ({"drill": {"probe": "http"}}, "/drill/probe"),
    ({"config": {"HeartbeatPort": "off"}}, "/config/HeartbeatPort"),
    ({"config": {"PreferredZone": "us-east-2a, us-east-2b"}}, "/config/PreferredZone"),
    ({"config": {"RoleLabel": "holder"}}, "/config/RoleLabel"),
    ({"leaderElection": "yes"}, "/leaderElection"),
    ({"config": {"HandOverOn": "drain"}}, "/config/HandOverOn"),
    ({"config": {"ClusterArn": "telco"}}, "/config/ClusterArn"),
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
    ({"example": {"replicas": 3}}, "'replicas'"),
    ({"fullnameOverride": "Telco"}, "/fullnameOverride"),
    ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0"),
    ({"extraEnv": [{"name": "A", "value": 1}]}, "/extraEnv/0/value"),
    ({"extraVolumeMounts": [{"name": "bundle"}]}, "'mountPath'"),
    ({"podMonitor": True}, "/podMonitor"),
    ({"prometheusRule": {"enabled": "True"}}, "/prometheusRule/enabled"),
    ({"example": {"tolerationSeconds": -1}}, "/example/tolerationSeconds"),
]


@pytest.mark.parametrize(("values", "named"), BAD, ids=[json.dumps(v)[:70] for v, _ in BAD])
def test_a_wrong_value_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(helm.HelmValuesError) as refused:
        chart(values)
    assert named in str(refused.value)


def test_a_key_can_be_set_unless_the_chart_sets_it_by_other_values() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    # These follow from `mode`, `pattern`, `leaderElection` and `standby`.
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


@pytest.mark.parametrize("none", [0, "0"])
def test_without_a_port_nothing_asks_at_one(none: object) -> None:
    objects = chart({"config": {"HTTPPort": none, "HeartbeatPort": none}})
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
    for given, expected in (("routes", "routes"), ("", "default")):
        objects = chart({"serviceAccount": {"create": False, "name": given}})
        assert not of_kind(objects, "ServiceAccount")
        assert pod(objects)["serviceAccountName"] == expected
        assert {b["subjects"][0]["name"] for b in of_kind(objects, "RoleBinding")} == {expected}


def test_without_the_example_only_configuration_is_installed() -> None:
    kinds = {each["kind"] for each in chart({"example": {"enabled": False}})}
    lease = {"Lease", "Role", "RoleBinding"}
    assert kinds == {"ConfigMap", "ServiceAccount", "NetworkAttachmentDefinition"} | lease


@pytest.mark.parametrize("mode", SIDECARS)
def test_the_lease_can_be_done_without(mode: str) -> None:
    objects = chart({"mode": CHART_MODES[mode], "leaderElection": False})
    check_schemas(objects, KUBERNETES[-1])
    assert not load(environment(objects)).leader_election
    assert not [
        each for kind in ("Lease", "Role", "RoleBinding") for each in of_kind(objects, kind)
    ]
    assert "automountServiceAccountToken" not in pod(objects)
    assert [each["name"] for each in agent(pod(objects))["ports"]] == ["http-vipmanager"]


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
    values = {
        "enabled": True,  # as of a `condition`
        "image": {"repository": REPOSITORY},
        "config": {"HTTPPort": 8080},
    }
    objects = installed({"vipmanager": values}, path=tmp_path, name="telco")
    check_schemas(objects, KUBERNETES[0])
    container = agent(only(objects, "Pod")["spec"])
    assert container["restartPolicy"] == "Always"
    assert container["ports"][0]["containerPort"] == 8080
    (config,) = of_kind(objects, "ConfigMap")
    assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]


def test_events_bring_their_role_and_the_pods_token() -> None:
    objects = chart({"mode": "initContainer", "config": {"KubernetesEvents": True}})
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


ONE: dict[str, Any] = {"addresses": ["192.168.0.1"], "deleteHolder": True}
"""A drill that can be."""
DRILLS: list[tuple[dict[str, Any], str]] = [
    ({"deleteHolder": True}, "expected drill.addresses"),
    ({"addresses": ["192.168.0.1"]}, "expected one cause, .* not 0"),
    ({**ONE, "drainNode": "n"}, "expected one cause, .* not 2"),
    ({**ONE, "allPods": True}, "drill.allPods: expected nothing without drill.drainNode"),
    ({**ONE, "port": 7}, "drill.port: expected nothing with drill.probe=icmp"),
    ({**ONE, "probe": "tcp"}, "drill.probe=tcp: expected drill.port"),
]
CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"mode": "initContainer", "standby": {"enabled": True}}, "an initContainer ends"),
    ({"leaderElection": False, "standby": {"enabled": True}}, "expected leaderElection=true"),
    (
        {"standby": {"enabled": True, "keySecret": "key"}, "config": {"HeartbeatPort": 0}},
        "standby.keySecret: expected nothing with config.HeartbeatPort=0",
    ),
    ({"standby": {"keySecret": "key"}}, "standby.keySecret: expected nothing without"),
    ({"config": {"PreferredZone": "us-east-2b"}}, "config.PreferredZone: expected nothing without"),
    ({"config": {"RoleLabel": True}}, "config.RoleLabel: expected nothing without"),
    ({"config": {"HandOverOn": "cordon"}}, "config.HandOverOn: expected nothing without"),
    *(({"drill": {"enabled": True, **values}}, said) for values, said in DRILLS),
    (
        {"podMonitor": {"enabled": True}, "config": {"HTTPPort": "0"}},
        "podMonitor.enabled: expected nothing with config.HTTPPort=0",
    ),
    ({"image": {"repository": ""}}, "image.repository: expected the repository"),
    ({"image": {"repository": PLACEHOLDER}}, "image.repository: expected the repository"),
]


@pytest.mark.parametrize(("values", "said"), CONTRADICTIONS)
def test_values_that_contradict_each_other_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=said):
        chart(values)


def test_a_node_whose_name_is_a_number_is_still_a_name() -> None:
    values = {"enabled": True, "addresses": ["192.168.0.1"], "drainNode": "123"}
    check_schemas(chart({"drill": values}), KUBERNETES[-1])


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
    lease = only(objects, "Lease")
    assert lease["metadata"]["name"] == settings.lease_name
    pods, steers = of_kind(objects, "Role")
    assert steers["rules"][0]["resourceNames"] == [settings.lease_name]
    assert pods["rules"][0]["resources"] == ["pods"]
    bound = of_kind(objects, "RoleBinding")
    for each in (lease, steers, bound[1]):
        assert each["metadata"]["namespace"] == settings.lease_namespace
    for each in (pods, bound[0]):
        assert "namespace" not in each["metadata"], "the pods' own, wherever the Lease is"
    for each in bound:
        assert each["subjects"][0]["namespace"] == "telco"
    ports = {each["name"]: each["containerPort"] for each in agent(pod(objects))["ports"]}
    assert ports["heartbeat"] == settings.heartbeat_port


def test_a_cordon_is_read_by_a_cluster_role_of_this_release_and_namespace() -> None:
    config = {"HandOverOn": "zonal-shift,cordon", "LeaseName": "amf"}
    config["ClusterArn"] = "arn:aws:eks:us-east-2:123456789012:cluster/telco"
    objects = chart({"standby": {"enabled": True}, "config": config})
    check_schemas(objects, KUBERNETES[-1])
    assert len(load(environment(objects)).hand_over_on) == 2
    role, binding = only(objects, "ClusterRole"), only(objects, "ClusterRoleBinding")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    assert role["metadata"]["name"] == binding["roleRef"]["name"] == "telco-amf-cordon"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "vipmanager", "namespace": "telco"}
    ]
    without = chart({"standby": {"enabled": True}, "config": config | {"HandOverOn": ""}})
    assert not of_kind(without, "ClusterRole")


def test_without_heartbeats_no_port_is_told() -> None:
    objects = chart({"standby": {"enabled": True}, "config": {"HeartbeatPort": 0}})
    assert [each["name"] for each in agent(pod(objects))["ports"]] == ["http-vipmanager"]


def test_releases_of_one_namespace_share_nothing() -> None:
    values = {
        "image": {"repository": REPOSITORY},
        "config": {"KubernetesEvents": "True"},
        "podMonitor": {"enabled": True},
        "example": {"enabled": True},
    }
    groups = [installed(values, name=name) for name in ("vipmanager", "amf", "smf")]
    names = [{(each["kind"], each["metadata"]["name"]) for each in group} for group in groups]
    assert not names[0] & names[1] | names[1] & names[2]
    leases = [load(environment(group)).lease_name for group in groups]
    assert leases == ["vipmanager", "amf-vipmanager", "smf-vipmanager"]
    apps = {only(group, "Deployment")["spec"]["selector"]["matchLabels"]["app"] for group in groups}
    assert len(apps) == 3
    (named,) = of_kind(installed({**values, "fullnameOverride": "upf"}), "ConfigMap")
    assert named["metadata"]["name"] == "upf-config"


def test_long_names_of_releases_do_not_meet() -> None:
    values = {"image": {"repository": REPOSITORY}}
    long = "telco-prod-eu-central-1-upf-session-anchor"
    leases = {
        only(installed(values, name=f"{long}-{letter}"), "Lease")["metadata"]["name"]
        for letter in "ab"
    }
    assert len(leases) == 2
    assert {len(name) for name in leases} == {40}


def test_by_default_there_is_no_pod_and_no_attachment() -> None:
    kinds = {each["kind"] for each in installed({"image": {"repository": REPOSITORY}})}
    assert kinds == {"ConfigMap", "ServiceAccount", "Lease", "Role", "RoleBinding"}


@pytest.mark.parametrize("written", ["True", "true", True])
def test_true_is_true_however_it_is_written(written: object) -> None:
    objects = chart({"config": {"KubernetesEvents": written, "UseSBR": written}})
    settings = load(environment(objects))
    assert (settings.kubernetes_events, settings.source_routing) == (True, True)
    assert "vipmanager-events" in {each["metadata"]["name"] for each in of_kind(objects, "Role")}


@pytest.mark.parametrize("written", ["False", "false", False])
def test_false_is_false_however_it_is_written(written: object) -> None:
    objects = chart({"config": {"KubernetesEvents": written, "RoleLabel": written}})
    settings = load(environment(objects))
    assert (settings.kubernetes_events, settings.role_label) == (False, False)
    assert not [r for r in of_kind(objects, "Role") if "events" in r["metadata"]["name"]]


def test_what_the_container_gets_besides() -> None:
    bundle = {"name": "bundle", "configMap": {"name": "ca-bundle"}}
    objects = chart(
        {
            "extraEnv": [{"name": "AWS_CA_BUNDLE", "value": "/etc/bundle/ca.pem"}],
            "extraEnvFrom": [{"secretRef": {"name": "proxy"}}],
            "extraVolumes": [bundle],
            "extraVolumeMounts": [{"name": "bundle", "mountPath": "/etc/bundle"}],
            "securityContext": {"seccompProfile": {"type": "Unconfined"}},
            "imagePullSecrets": [{"name": "registry"}],
        }
    )
    check_schemas(objects, KUBERNETES[-1])
    spec = pod(objects)
    container = agent(spec)
    assert {"name": "AWS_CA_BUNDLE", "value": "/etc/bundle/ca.pem"} in container["env"]
    assert container["envFrom"][-1] == {"secretRef": {"name": "proxy"}}
    assert bundle in spec["volumes"]
    assert {"name": "bundle", "mountPath": "/etc/bundle"} in container["volumeMounts"]
    assert container["securityContext"]["seccompProfile"] == {"type": "Unconfined"}
    assert container["securityContext"]["capabilities"]["add"] == ["NET_ADMIN"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]


def test_where_and_how_the_example_runs() -> None:
    term = {"topologyKey": "rack", "labelSelector": {"matchLabels": {"app": "other"}}}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    toleration = {"key": "telco", "operator": "Exists"}
    objects = chart(
        {
            "standby": {"enabled": True},
            "commonLabels": {"team": "core"},
            "example": {
                "affinity": {"podAntiAffinity": {required: [term]}},
                "tolerations": [toleration],
                "podAnnotations": {"a": "1"},
                "podLabels": {"b": "2"},
                "priorityClassName": "telco-critical",
            },
        }
    )
    check_schemas(objects, KUBERNETES[-1])
    template, spec = only(objects, "Deployment")["spec"]["template"], pod(objects)
    given, apart = spec["affinity"]["podAntiAffinity"][required]
    assert (given, apart["topologyKey"]) == (term, "kubernetes.io/hostname")
    assert spec["tolerations"][-1] == toleration
    assert template["metadata"]["annotations"]["a"] == "1"
    assert template["metadata"]["labels"] == {"app": "busybox", "b": "2"}
    assert spec["priorityClassName"] == "telco-critical"
    assert {each["metadata"]["labels"]["team"] for each in objects} == {"core"}


def test_the_operator_of_prometheus_is_told_of_pods_and_alerts() -> None:
    labels = {"enabled": True, "labels": {"release": "prometheus"}}
    objects = chart({"podMonitor": labels, "prometheusRule": labels})
    monitor, rule = only(objects, "PodMonitor"), only(objects, "PrometheusRule")
    for each in (monitor, rule):
        assert each["metadata"]["labels"]["release"] == "prometheus"
    names = {each["name"] for each in agent(pod(objects))["ports"]}
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in names
    shipped = yaml.safe_load((DEPLOY / "observability" / "vipmanager-rules.yaml").read_text())
    assert rule["spec"] == shipped


def drill(**values: object) -> tuple[Document, ...]:
    """Give what a drill adds to an installation."""
    given: dict[str, Any] = {"standby": {"enabled": True}, "config": {"LeaseName": "amf"}}
    without = chart(given)
    return tuple(
        o for o in chart({**given, "drill": {"enabled": True, **values}}) if o not in without
    )


def job(objects: tuple[Document, ...]) -> Any:  # noqa: ANN401 - a pod's spec, as YAML has it
    return only(objects, "Job")["spec"]["template"]["spec"]


def rights(objects: tuple[Document, ...], kind: str) -> dict[str, list[str]]:
    return {
        rule["resources"][0]: rule["verbs"]
        for role in of_kind(objects, kind)
        for rule in role["rules"]
    }


CAUSES: list[dict[str, Any]] = [
    {"deleteHolder": True, "atMost": "1s"},
    {"deletePod": "app-1", "probe": "udp", "port": 7, "hold": [5060]},
    {"drainNode": "ip-10-0-1-23.ec2.internal", "probe": "tcp", "port": 5060},
    {"drainNode": "ip-10-0-1-23.ec2.internal", "allPods": True},
]


@pytest.mark.parametrize("values", CAUSES)
def test_a_drill_is_a_job_whose_command_line_is_understood(values: dict[str, Any]) -> None:
    objects = drill(addresses=["192.168.0.1", "fd00::1"], **values)
    for version in KUBERNETES:
        check_schemas(objects, version)
    spec = job(objects)
    (container,) = spec["containers"]
    order = read_order(parser(container["args"]).parse_args(container["args"]))
    assert [str(a) for a in order.addresses] == ["192.168.0.1", "fd00::1"]
    assert order.lease == ("telco", "amf")
    assert order.probe.value == values.get("probe", "icmp")
    assert order.hold == tuple(values.get("hold", ()))
    assert order.pace.at_most == (1.0 if "atMost" in values else None)
    assert only(objects, "Job")["spec"]["backoffLimit"] == 0
    assert spec["restartPolicy"] == "Never"
    assert ("sysctls" in spec["securityContext"]) == (order.probe.value == "icmp")


def test_a_drill_may_do_what_its_cause_takes_and_no_more() -> None:
    reads = {"pods": ["get", "list", "delete"], "leases": ["get"]}
    deleted = drill(addresses=["192.168.0.1"], deleteHolder=True)
    assert rights(deleted, "Role") == reads
    assert not of_kind(deleted, "ClusterRole")
    drained = drill(addresses=["192.168.0.1"], drainNode="n")
    evicts = {"pods": ["get", "list"], "pods/eviction": ["create"], "leases": ["get"]}
    assert rights(drained, "Role") == evicts
    assert rights(drained, "ClusterRole") == {"nodes": ["get", "list", "patch"], "pods": ["list"]}
    terms = job(drained)["affinity"]["nodeAffinity"]
    (term,) = terms["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchFields"] == [{"key": "metadata.name", "operator": "NotIn", "values": ["n"]}]
    whole = drill(addresses=["192.168.0.1"], drainNode="n", allPods=True)
    assert rights(whole, "ClusterRole")["pods/eviction"] == ["create"]
    for objects in (deleted, drained, whole):
        (account,) = {b["subjects"][0]["name"] for b in objects if "subjects" in b}
        assert (
            account
            == job(objects)["serviceAccountName"]
            == only(objects, "Job")["metadata"]["name"]
        )


def test_a_drill_of_the_holder_takes_a_lease() -> None:
    values = {"leaderElection": False, "drill": {"enabled": True, **ONE}}
    with pytest.raises(helm.HelmRenderError, match="without a Lease nobody is known to hold"):
        chart(values)


def test_by_default_nothing_is_drilled() -> None:
    assert not of_kind(chart(), "Job")


MEASURE = {"enabled": True, "vpc": "vpc-1", "region": "eu-central-1"}


def test_what_measures_is_a_job_whose_command_line_is_understood() -> None:
    given = {**MEASURE, "times": 7, "rate": 0.5, "enis": ["eni-1", "eni-2"]}
    given["serviceAccountAnnotations"] = {"eks.amazonaws.com/role-arn": "arn"}
    without = chart()
    objects = tuple(o for o in chart({"measure": given}) if o not in without)
    for version in KUBERNETES:
        check_schemas(objects, version)
    spec = job(objects)
    (container,) = spec["containers"]
    found = parser(container["args"]).parse_args(container["args"])
    assert (found.vpc, found.times, found.rate, found.eni) == ("vpc-1", 7, 0.5, ["eni-1", "eni-2"])
    assert found.output == "json"
    assert {"name": "AWS_REGION", "value": "eu-central-1"} in container["env"]
    assert spec["terminationGracePeriodSeconds"] > PATIENCE
    account = only(objects, "ServiceAccount")["metadata"]
    assert account["annotations"] == given["serviceAccountAnnotations"]
    assert account["name"] == spec["serviceAccountName"]
    (subject,) = only(objects, "RoleBinding")["subjects"]
    assert subject["name"] == account["name"]
    assert [
        (rule["verbs"], rule.get("resourceNames")) for rule in only(objects, "Role")["rules"]
    ] == [(["create"], None), (["get", "update", "delete"], [LEASE])]
    assert only(objects, "Job")["spec"]["backoffLimit"] == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"vpc": ""}, "expected measure.vpc"),
        ({"region": ""}, "expected measure.region"),
        ({"enis": ["eni-1"]}, "measure.enis: expected 2 ENIs or none, not 1"),
    ],
)
def test_what_measures_says_what_it_misses(values: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=said):
        chart({"measure": {**MEASURE, **values}})
