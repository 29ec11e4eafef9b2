"""Which fields of a pod's spec this kubelet knows; a pod that uses another is refused.

A field with an empty value (null, false, "", 0, [] or {}) is not used. A path has `[]` for each
item of a list.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]

ACCEPTED: Mapping[str, str] = {
    # The scheduler's, the API server's and the controllers'.
    "affinity": "the scheduler obeys it",
    "nodeSelector": "the scheduler obeys it",
    "tolerations": "the scheduler and the taint eviction controller obey them",
    "topologySpreadConstraints": "the scheduler obeys them",
    "priority": "the scheduler obeys it",
    "priorityClassName": "the API server makes `priority` of it",
    "preemptionPolicy": "the scheduler obeys it",
    "schedulerName": "says which scheduler",
    "schedulingGates": "a pod with one is not bound to a node",
    "nodeName": "that is how the pod came here",
    "serviceAccount": "the old name of serviceAccountName",
    "automountServiceAccountToken": "the API server makes a volume of it",
    "imagePullSecrets": "no image is pulled",
    "enableServiceLinks": "there are no variables of Services but Kubernetes' own",
    "dnsPolicy": "containers have the lab's /etc/hosts and /etc/resolv.conf",
    "hostname": "containers share the lab's host name; HOSTNAME is the pod's name",
    "subdomain": "as hostname",
    "setHostnameAsFQDN": "as hostname",
    "securityContext": "every process is the lab's root",
    "resources": "there are no cgroups",
    "overhead": "there are no cgroups",
    "os": "it is Linux",
    # Of a container.
    "containers[].securityContext": "every process is the lab's root; its root is not read-only",
    "containers[].resources": "there are no cgroups",
    "containers[].resizePolicy": "there are no cgroups",
    "containers[].imagePullPolicy": "no image is pulled",
    "containers[].terminationMessagePath": "no message is read; see terminationMessagePolicy",
    # Of volumes.
    "containers[].volumeMounts[].recursiveReadOnly": "volumes have no mounts below them",
    "volumes[].emptyDir.medium": "every volume lies in memory",
    "volumes[].emptyDir.sizeLimit": "nothing is limited",
}
"""Fields that have no effect here, each with why."""

LEFT_OUT: Mapping[str, str] = {
    "hostNetwork": "every pod has a network namespace of its own",
    "hostPID": "every container has a process namespace of its own",
    "shareProcessNamespace": "every container has a process namespace of its own",
    "ephemeralContainers": "run a command in a container instead",
    "dnsConfig": "containers have the lab's /etc/resolv.conf",
    "hostAliases": "containers have the lab's /etc/hosts",
    "containers[].lifecycle.stopSignal": "it is SIGTERM",
    "containers[].volumeMounts[].subPath": "a volume is mounted as a whole",
    "containers[].volumeMounts[].subPathExpr": "a volume is mounted as a whole",
    "volumes[].hostPath": "a container must not change the machine",
    "volumes[].persistentVolumeClaim": "there is no storage",
}
"""What was left out on purpose, with why. Fields that are in no table are refused as well."""

_ACTIONS = "exec.command httpGet.path httpGet.port httpGet.host httpGet.scheme httpGet.httpHeaders"
_TIMES = "initialDelaySeconds periodSeconds timeoutSeconds failureThreshold successThreshold"
_PROBE = f"{_ACTIONS} {_TIMES} tcpSocket.port tcpSocket.host terminationGracePeriodSeconds"
_HOOK = f"{_ACTIONS} sleep.seconds"
_FIELD = "fieldRef.fieldPath fieldRef.apiVersion"
_ITEMS = "items[].key items[].path items[].mode"
_DOWNWARD = "items[].path items[].mode items[].fieldRef.fieldPath items[].fieldRef.apiVersion"
_PARTS: Mapping[str, str] = {
    "": "restartPolicy terminationGracePeriodSeconds serviceAccountName readinessGates",
    "containers[].": "name image command args workingDir ports restartPolicy"
    " terminationMessagePolicy env[].name env[].value envFrom[].prefix",
    "containers[].env[].valueFrom.": _FIELD,
    "containers[].env[].valueFrom.configMapKeyRef.": "key name optional",
    "containers[].env[].valueFrom.secretKeyRef.": "key name optional",
    "containers[].envFrom[].configMapRef.": "name optional",
    "containers[].envFrom[].secretRef.": "name optional",
    "containers[].volumeMounts[].": "name mountPath readOnly",
    "containers[].startupProbe.": _PROBE,
    "containers[].livenessProbe.": _PROBE,
    "containers[].readinessProbe.": _PROBE,
    "containers[].lifecycle.postStart.": _HOOK,
    "containers[].lifecycle.preStop.": _HOOK,
    "volumes[].": "name",
    "volumes[].configMap.": f"name optional defaultMode {_ITEMS}",
    "volumes[].secret.": f"secretName optional defaultMode {_ITEMS}",
    "volumes[].downwardAPI.": f"defaultMode {_DOWNWARD}",
    "volumes[].projected.": "defaultMode",
    "volumes[].projected.sources[].configMap.": f"name optional {_ITEMS}",
    "volumes[].projected.sources[].secret.": f"name optional {_ITEMS}",
    "volumes[].projected.sources[].downwardAPI.": _DOWNWARD,
    "volumes[].projected.sources[].serviceAccountToken.": "path audience expirationSeconds",
}
HANDLED = frozenset(head + one for head, fields in _PARTS.items() for one in fields.split())
"""Fields that this kubelet obeys, each with all that is in it."""


def unknown(spec: Object) -> tuple[str, ...]:
    """Give the fields of a pod's spec that are refused, each with why; init containers' as well."""
    return tuple(_walk(spec, "", ""))


def _walk(value: object, shown: str, path: str) -> Iterator[str]:
    """Look at a value.

    Args:
        value: what the spec has there.
        shown: the path as the spec has it.
        path: the same in the tables' terms: init containers are containers.
    """
    if not value or path in HANDLED or path in ACCEPTED:
        return
    if path in LEFT_OUT:
        yield f"{shown}: {LEFT_OUT[path]}"
    elif isinstance(value, list) and _is_branch(path):
        for number, one in enumerate(value):
            yield from _walk(one, f"{shown}[{number}]", f"{path}[]")
    elif isinstance(value, Mapping) and _is_branch(path):
        for key, one in value.items():
            name = "containers" if not path and key == "initContainers" else key
            here, there = (f"{shown}.{key}", f"{path}.{name}") if path else (key, name)
            yield from _walk(one, here, there)
    else:
        yield f"{shown}: the lab's kubelet does not know it"


_LEAVES = (*HANDLED, *ACCEPTED, *LEFT_OUT)


def _is_branch(path: str) -> bool:
    return not path or any(one.startswith((f"{path}.", f"{path}[]")) for one in _LEAVES)
