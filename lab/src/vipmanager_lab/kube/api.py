"""Paths, verbs and bodies: a REST request becomes a call of the store, and its result an answer.

Source: kubernetes.io, "Kubernetes API Concepts". Left out: pagination, label selectors, field
selectors other than metadata.name and spec.nodeName, subresources other than pods/eviction,
server-side apply; each is refused, but `limit` is ignored. Where it differs from a real API server
(tests that run on both show the rest; `lab/kubernetes` has a real one):

- no request is slow, or waits its turn, but by a fault that is planned
- what a Role grants, a token that is revoked and a label that is written count at once
- a token can be good for less than ten minutes
- a watch has bookmarks as often as it is told, and knows of every change in between
- resourceVersion counts the changes of the lab's own; nobody else writes
- a strategic merge patch replaces lists
- of Leases alone it knows which fields there are; nothing gets a default, a Pod needs no container
- managedFields name who wrote, and not which fields
- there is no admission: neither webhooks nor Pod Security
- there is no PodDisruptionBudget: an eviction is a deletion
- there are no controllers: an object whose owner is gone stays, a namespace needs no object
- a deleted pod is gone at once
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from vipmanager_lab.kube import status
from vipmanager_lab.kube.access import Attributes
from vipmanager_lab.kube.kinds import KINDS, PODS, Kind, Object
from vipmanager_lab.kube.store import Key, Store
from vipmanager_lab.server import HttpAnswer, HttpRequest

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_EVICTED: Final = 6
"""Slashes in /api/v1/namespaces/NAMESPACE/pods/NAME."""
_ON: Final = "spec.nodeName"
_PATCHES: Final = ("application/merge-patch+json", "application/strategic-merge-patch+json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, understood."""

    attributes: Attributes
    parameters: Mapping[str, str]
    http: HttpRequest

    @property
    def action(self) -> str:
        """Its name for faults and counts."""
        return f"{self.attributes.verb} {self.attributes.resource}"

    @property
    def manager(self) -> str:
        """Who writes, for managedFields: as told, or else by the name of the program."""
        agent = self.http.headers.get("user-agent", "").partition("/")[0]
        return self.parameters.get("fieldManager") or agent or "unknown"

    def selects(self, found: Object) -> bool:
        """Whether a list or watch is about this object."""
        metadata, asked = found["metadata"], self.attributes
        field, _, value = self.parameters.get("fieldSelector", "").partition("=")
        if field == _ON and (found.get("spec") or {}).get("nodeName", "") != value:
            return False
        return asked.namespace in {None, metadata.get("namespace")} and asked.name in {
            "",
            metadata["name"],
        }


def understand(http: HttpRequest) -> Asked:
    """Read path and query.

    Raises:
        StatusError: 404 or 400.
    """
    parameters = dict(parse_qsl(http.query, keep_blank_values=True))
    path, _, last = http.path.rpartition("/")
    evicts = last == "eviction" and http.method == "POST" and path.count("/") == _EVICTED
    kind, namespace, name = _place(path if evicts else http.path)
    verb = _VERBS.get(http.method)
    if evicts and kind is PODS:
        return Asked(
            attributes=Attributes(
                verb="create", kind=kind, namespace=namespace, name=name, subresource=last
            ),
            parameters=parameters,
            http=http,
        )
    if verb is None:
        watch = parameters.get("watch") in {"1", "true"}
        verb = "get" if name else "watch" if watch else "list"
    elif bool(name) is (verb == "create") or (kind.namespaced and namespace is None):
        raise status.StatusError(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    for word in ("labelSelector", "continue"):
        if parameters.get(word):
            raise status.bad_request(f"{word} is not supported by this lab")
    # A list or watch of one name is authorized under that name ("Using RBAC Authorization").
    name = name or _named(parameters.get("fieldSelector", ""))
    attributes = Attributes(verb=verb, kind=kind, namespace=namespace, name=name)
    return Asked(attributes=attributes, parameters=parameters, http=http)


def _place(path: str) -> tuple[Kind, str | None, str]:
    """Split a path into kind, namespace and name."""
    match path.strip("/").split("/"):
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise status.unknown_path()
    namespace: str | None = None
    name = ""
    match rest:
        case ["namespaces", namespace, plural, name]:
            pass
        case ["namespaces", namespace, plural]:
            pass
        case [plural]:
            pass
        case [plural, name]:
            pass
        case _:
            raise status.unknown_path()
    kind = KINDS.get((group, version, plural))
    if kind is None or (kind.namespaced and name and namespace is None):
        raise status.unknown_path()
    if not kind.namespaced and namespace is not None:
        raise status.unknown_path()
    return kind, namespace, name


def _named(selector: str) -> str:
    field, _, value = selector.partition("=")
    if field == _ON:
        return ""
    if selector and field != "metadata.name":
        raise status.bad_request(f"field label not supported: {field}")
    return value.removeprefix("=")


def perform(store: Store, asked: Asked) -> HttpAnswer:
    """Do what is asked; a watch is the endpoint's own.

    Raises:
        StatusError: the store refuses.
    """
    it = asked.attributes
    key = Key(it.kind, it.namespace or "", it.name)
    if asked.parameters.get("dryRun"):
        store = store.copy()
    match it.verb:
        case "get":
            return answer(store.get(key))
        case "list":
            return _list(store, asked)
        case "create" if not it.subresource:
            body, ignored = _known(it.kind, _body(asked))
            made = store.create(it.kind, key.namespace, body, asked.manager)
            return _warned(answer(made, HTTPStatus.CREATED), ignored)
        case "update":
            body, ignored = _known(it.kind, _body(asked))
            stored, new = store.put(key, body, asked.manager)
            return _warned(answer(stored, HTTPStatus.CREATED if new else HTTPStatus.OK), ignored)
        case "patch":
            if asked.http.headers.get("content-type", "").partition(";")[0] not in _PATCHES:
                raise status.StatusError(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                    "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media types "
                    f"include: {', '.join(_PATCHES)}",
                )
            body, ignored = _known(it.kind, _body(asked))
            return _warned(answer(store.patch(key, body, asked.manager)), ignored)
        case _:
            return _gone(store, key, asked)


def _gone(store: Store, key: Key, asked: Asked) -> HttpAnswer:
    """Delete, or evict."""
    options = _json(asked.http.body) if asked.http.body else {}
    code = HTTPStatus.OK
    if asked.attributes.subresource:
        options, code = options.get("deleteOptions") or {}, HTTPStatus.CREATED
    store = store.copy() if options.get("dryRun") else store
    return answer(_deleted(key.kind, store.delete(key, options.get("preconditions"))), code)


def answer(document: Mapping[str, Any], code: int = HTTPStatus.OK) -> HttpAnswer:
    """Give an answer with a JSON body."""
    return HttpAnswer(
        status=code,
        body=json.dumps(document).encode(),
        headers={"Content-Type": "application/json"},
    )


def refusal(error: status.StatusError, *, plain: bool = False) -> HttpAnswer:
    """Give the answer to a request that is refused, as a Status or in plain text."""
    headers = {"Content-Type": "text/plain; charset=utf-8" if plain else "application/json"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    body = f"{error.message}\n".encode() if plain else json.dumps(error.document()).encode()
    return HttpAnswer(status=error.code, body=body, headers=headers)


def _list(store: Store, asked: Asked) -> HttpAnswer:
    kind = asked.attributes.kind
    version, found = store.list(kind, asked.attributes.namespace)
    return answer(
        {
            "kind": f"{kind.name}List",
            "apiVersion": kind.api_version,
            "metadata": {"resourceVersion": str(version)},
            "items": [one for one in found if asked.selects(one)],
        }
    )


def _body(asked: Asked) -> dict[str, Any]:
    """Read the object, and compare it with the path."""
    body = _json(asked.http.body)
    it, metadata = asked.attributes, body.get("metadata") or {}
    if metadata.get("namespace", it.namespace) != it.namespace:
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if it.name and metadata.get("name", it.name) != it.name:
        raise status.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL "
            f"({it.name})"
        )
    return body | {"metadata": metadata}


def _known(kind: Kind, body: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Leave out the fields that no version of the kind has; name them ("Field validation")."""
    spec = body.get("spec")
    if not kind.spec or not isinstance(spec, dict):
        return body, []
    ignored = [name for name in spec if name not in kind.spec]
    kept = {name: value for name, value in spec.items() if name in kind.spec}
    return {**body, "spec": kept}, [f"spec.{name}" for name in ignored]


def _warned(given: HttpAnswer, ignored: list[str]) -> HttpAnswer:
    if not ignored:
        return given
    said = ", ".join(f'299 - "unknown field \\"{name}\\""' for name in ignored)
    return replace(given, headers={**given.headers, "Warning": said})


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise status.bad_request(f"the object provided is unrecognized: {error}") from error
    if not isinstance(found, dict):
        raise status.bad_request("the object provided is unrecognized: it is no object")
    return found


def _deleted(kind: Kind, gone: Object) -> dict[str, object]:
    metadata = gone["metadata"]
    details = {"name": metadata["name"], "kind": kind.plural, "uid": metadata["uid"]}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details | ({"group": kind.group} if kind.group else {}),
    }
