"""A container's environment, command and downward fields, of the pod's object: pure."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

Object = Mapping[str, Any]


class ConfigError(Exception):
    """A ConfigMap, Secret, key or field that a pod names is not there; the text names it."""


class Sources(Protocol):
    """ConfigMaps and Secrets of the pod's namespace."""

    def config_map(self, name: str) -> Object | None:
        """Give the object; None where there is none."""

    def secret(self, name: str) -> Object | None:
        """Give the object; None where there is none."""


def data(kind: str, found: Object | None) -> dict[str, bytes]:
    """Give the entries of a `configMap` or a `secret`."""
    if found is None:
        return {}
    binary = found.get("binaryData" if kind == "configMap" else "data") or {}
    plain = (found.get("data") or {}) if kind == "configMap" else {}
    return {key: value.encode() for key, value in plain.items()} | {
        key: base64.b64decode(value) for key, value in binary.items()
    }


def read(sources: Sources, kind: str, name: str, *, optional: bool) -> dict[str, bytes] | None:
    """Give the entries of a `configMap` or `secret`; None where it is optional and not there.

    Raises:
        ConfigError: it is not there, and not optional.
    """
    found = sources.config_map(name) if kind == "configMap" else sources.secret(name)
    if found is None and not optional:
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    return None if found is None else data(kind, found)


def field(pod: Object, path: str) -> str:
    """Give a field as the downward API does.

    Raises:
        ConfigError: the downward API of this kubelet has no such field.
    """
    metadata = pod["metadata"]
    subscript = re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path)
    if subscript is not None:
        return str((metadata.get(subscript[1]) or {}).get(subscript[2], ""))
    match path:
        case "metadata.name" | "metadata.namespace" | "metadata.uid":
            return str(metadata[path.removeprefix("metadata.")])
        case "metadata.labels" | "metadata.annotations":
            entries = metadata.get(path.removeprefix("metadata.")) or {}
            return "\n".join(f"{k}={json.dumps(v)}" for k, v in sorted(entries.items()))
        case "spec.nodeName" | "spec.serviceAccountName":
            return str(pod["spec"].get(path.removeprefix("spec."), ""))
        case "status.podIP" | "status.hostIP":
            return str(pod.get("status", {}).get(path.removeprefix("status."), ""))
        case "status.podIPs" | "status.hostIPs":
            entries = pod.get("status", {}).get(path.removeprefix("status."), ())
            return ",".join(one["ip"] for one in entries)
    raise ConfigError(f"fieldPath {path}: the lab's kubelet does not know it")


def variables(
    pod: Object, container: Object, sources: Sources, given: Mapping[str, str]
) -> dict[str, str]:
    """Give a container's environment.

    Args:
        pod: the pod's object, with its addresses in the status.
        container: its part of the spec.
        sources: what envFrom and valueFrom name.
        given: what every container has; its own variables override it.

    Raises:
        ConfigError: something that is not optional is not there.
    """
    found = dict(given)
    for source in container.get("envFrom") or ():
        found |= _all_of(source, sources)
    for entry in container.get("env") or ():
        if "valueFrom" not in entry:
            found[entry["name"]] = expand(entry.get("value") or "", found)
            continue
        value = _value_from(pod, entry["valueFrom"], sources)
        if value is not None:
            found[entry["name"]] = value
    return found


def _all_of(source: Object, sources: Sources) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for kind in ("configMap", "secret"):
        reference = source.get(f"{kind}Ref")
        if reference is not None:
            optional = bool(reference.get("optional"))
            entries = read(sources, kind, reference["name"], optional=optional) or {}
            return {f"{prefix}{key}": value.decode() for key, value in entries.items()}
    return {}


def _value_from(pod: Object, source: Object, sources: Sources) -> str | None:
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    for kind in ("configMap", "secret"):
        reference = source.get(f"{kind}KeyRef")
        if reference is not None:
            optional = bool(reference.get("optional"))
            entries = read(sources, kind, reference["name"], optional=optional) or {}
            value = entries.get(reference["key"])
            if value is None and not optional:
                name, key = reference["name"], reference["key"]
                raise ConfigError(f"couldn't find key {key} in {kind} {name}")
            return None if value is None else value.decode()
    raise ConfigError(f"valueFrom {', '.join(source)}: the lab's kubelet does not know it")


_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")


def expand(text: str, known: Mapping[str, str]) -> str:
    """Put values for `$(NAME)`; what is not known stays, and `$$` is a dollar."""

    def value(found: re.Match[str]) -> str:
        if found[1] is None:
            return "$"
        return known.get(found[1], found[0])

    return _REFERENCE.sub(value, text)


def words(container: Object, known: Mapping[str, str], part: str) -> Iterator[str]:
    """Give the words of `command` or `args`, expanded."""
    for word in container.get(part) or ():
        yield expand(word, known)
