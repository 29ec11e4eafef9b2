"""Every value of the chart, each with another one than its default, and with what it asks for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from deploy.rendered import CHART, Document, merged

Values = Mapping[str, Any]

DEFAULTS: Document = yaml.safe_load(Path(CHART / "values.yaml").read_text())
DIGEST = "sha256:" + "0" * 64
SECRET = {"name": "ca", "secret": {"secretName": "ca"}}
MOUNT = {"name": "ca", "mountPath": "/etc/ca"}
TOLERATION = {"key": "telco", "operator": "Exists"}

STANDBY = {"standby": {"enabled": True}}
DRILL = {"drill": {"enabled": True, "addresses": ["192.168.0.1"], "deleteHolder": True}}
DRAIN = {"drill": {"enabled": True, "addresses": ["192.168.0.1"], "drainNode": "node-a"}}
MEASURE = {"measure": {"enabled": True, "vpc": "vpc-0123456789abcdef0", "region": "eu-central-1"}}
MONITOR, RULE = {"podMonitor": {"enabled": True}}, {"prometheusRule": {"enabled": True}}
NETWORK = {
    "name": "nad-if9",
    "master": "vip-if9",
    "ranges": [{"subnet": "192.168.9.0/24", "address": "192.168.9.1", "gateway": "192.168.9.2"}],
}

OTHERS: dict[str, tuple[object, Values]] = {
    "fullnameOverride": ("floating", {}),
    "commonLabels": ({"team": "core"}, {}),
    "mode": ("sidecar", {}),
    "pattern": ("vpc", {}),
    "image.repository": ("example.com/other", {}),
    "image.tag": ("9.9.9", {}),
    "image.digest": (DIGEST, {}),
    "image.pullPolicy": ("Always", {}),
    "imagePullSecrets": ([{"name": "registry"}], {}),
    "configMap": ("settings", {}),
    "config.VPCRTTag": ("role=other", {}),
    "config.HTTPPort": (9877, {}),
    "leaderElection": (False, {}),
    "standby.enabled": (True, {}),
    "standby.keySecret": ("vipmanager-heartbeat", STANDBY),
    "serviceAccount.create": (False, {"serviceAccount": {"name": "other"}}),
    "serviceAccount.name": ("other", {}),
    "serviceAccount.annotations": ({"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r"}, {}),
    "networks": ([NETWORK], {}),
    "resources": ({"requests": {"cpu": "200m"}}, {}),
    "extraEnv": ([{"name": "NO_PROXY", "value": "169.254.169.254"}], {}),
    "extraEnvFrom": ([{"secretRef": {"name": "proxy"}}], {}),
    "extraVolumes": ([SECRET], {}),
    "extraVolumeMounts": ([MOUNT], {"extraVolumes": [SECRET]}),
    "securityContext": ({"seccompProfile": {"type": "RuntimeDefault"}}, {}),
    "podMonitor.enabled": (True, {}),
    "podMonitor.labels": ({"release": "prometheus"}, MONITOR),
    "prometheusRule.enabled": (True, {}),
    "prometheusRule.labels": ({"release": "prometheus"}, RULE),
    "drill.enabled": (True, {"drill": {"addresses": ["192.168.0.1"], "deleteHolder": True}}),
    "drill.addresses": (["192.168.0.2"], DRILL),
    "drill.probe": ("udp", merged(DRILL, {"drill": {"port": 5060}})),
    "drill.port": (5060, merged(DRILL, {"drill": {"probe": "udp"}})),
    "drill.hold": ([5060], DRILL),
    "drill.deleteHolder": (True, {"drill": {"enabled": True, "addresses": ["192.168.0.1"]}}),
    "drill.deletePod": ("app-0", {"drill": {"enabled": True, "addresses": ["192.168.0.1"]}}),
    "drill.drainNode": ("node-b", DRAIN),
    "drill.allPods": (True, DRAIN),
    "drill.atMost": ("1s", DRILL),
    "drill.timeout": ("5m", DRILL),
    "drill.nodeSelector": ({"client": "true"}, DRILL),
    "drill.tolerations": ([TOLERATION], DRILL),
    "measure.enabled": (True, {"measure": {**MEASURE["measure"], "enabled": False}}),
    "measure.vpc": ("vpc-0123456789abcdef1", MEASURE),
    "measure.region": ("eu-west-1", MEASURE),
    "measure.times": (10, MEASURE),
    "measure.rate": (2, MEASURE),
    "measure.enis": (["eni-0123456789abcdef0", "eni-0123456789abcdef1"], MEASURE),
    "measure.output": ("text", MEASURE),
    "measure.serviceAccountAnnotations": ({"eks.amazonaws.com/role-arn": "arn:x"}, MEASURE),
    "measure.nodeSelector": ({"client": "true"}, MEASURE),
    "measure.tolerations": ([TOLERATION], MEASURE),
    "example.enabled": (False, {}),
    "example.name": ("upf", {}),
    "example.app": ("upf", {}),
    "example.image": ("example.com/upf:1", {}),
    "example.nodeSelector": ({"multus": "other"}, {}),
    "example.tolerationSeconds": (7, {}),
    "example.tolerations": ([TOLERATION], {}),
    "example.affinity": ({"nodeAffinity": {}}, {}),
    "example.podAnnotations": ({"team": "core"}, {}),
    "example.podLabels": ({"team": "core"}, {}),
    "example.priorityClassName": ("system-node-critical", {}),
}
"""By path: the value, and the values without which it means nothing."""

OTHERWISE: dict[str, Values] = {
    "drill.probe": merged(DRILL, {"drill": {"probe": "tcp", "port": 5060}}),
    "drill.port": merged(DRILL, {"drill": {"probe": "udp", "port": 5061}}),
    "drill.deleteHolder": DRAIN,
    "drill.deletePod": DRAIN,
}
"""What they are compared with, where the rest alone is refused."""


def paths(values: Values = DEFAULTS, above: str = "") -> Iterator[str]:
    """Name every value of values.yaml; a map that is empty there is a value."""
    for key, value in values.items():
        if isinstance(value, dict) and value and above + key not in OTHERS:
            yield from paths(value, f"{above}{key}.")
        else:
            yield above + key


def given(path: str) -> Document:
    """Give the values that set this one."""
    value, others = OTHERS[path]
    return merged(others, _at(path, value))


def without(path: str) -> Document:
    """Give the values that do not: all the rest is the same."""
    return dict(OTHERWISE.get(path, OTHERS[path][1]))


def _at(path: str, value: object) -> Document:
    first, _, rest = path.partition(".")
    return {first: _at(rest, value) if rest else value}
