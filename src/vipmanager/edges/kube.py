"""The Kubernetes API through lightkube, from inside a pod: values in, failures out.

lightkube re-reads the token file when the API answers 401, so a token that kubelet renewed is
taken up at the first call that needs it. It is imported with the first call.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, cached_property
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from vipmanager.core.downward import PodReference
from vipmanager.core.events import Event
from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient
from vipmanager.core.lease import Gone

if TYPE_CHECKING:
    from lightkube import ApiError, Client
    from lightkube.resources.core_v1 import Event as Resource

T = TypeVar("T")

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where kubelet puts token, ca.crt and namespace (kubernetes.io, "Managing Service Accounts")."""
MOUNT_KEY = "VIPMANAGER_SERVICE_ACCOUNT"
"""The environment variable that names another folder."""

CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 3.0
"""Seconds, as for EC2."""

COMPONENT = "vipmanager"
ROLE_LABEL = "vipmanager/role"

LEASE = ("coordination.k8s.io", "v1", "Lease", "leases")
POD = ("", "v1", "Pod", "pods")
"""Group, version, kind and plural of what is read and written as JSON."""


class Missing(Permanent):
    """404: the object, or its namespace, does not exist."""


class Kube:
    """The API of the pod's own cluster. Safe to call from several threads at once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Prepare nothing yet; the environment tells where the API is."""
        self._environ = environ
        self._mount = Path(environ.get(MOUNT_KEY) or MOUNT)
        self._lock = threading.Lock()

    @property
    def namespace(self) -> str:
        """The pod's namespace, as its service account has it.

        Raises:
            Permanent: there is no service account.
        """
        return self._file("namespace").read_text().strip()

    def close(self) -> None:
        """Close every connection."""
        client: Client | None = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def record(self, event: Event) -> None:
        """Make the Event with this name be so; repeating it after a lost answer does no harm.

        Raises:
            Transient, Permanent: it is not so, or nobody knows.
        """
        if event.count > 1 and self._repeated(event):
            return
        try:
            self._call("create", "events", lambda client: client.create(_posted(event)))
        except Conflict:
            return  # the answer to an earlier attempt was lost

    def _repeated(self, event: Event) -> bool:
        """Raise the count of an Event; False where it has expired meanwhile."""
        from lightkube.resources.core_v1 import Event as Resource  # noqa: PLC0415

        change = {
            "count": event.count,
            "lastTimestamp": _time(event.last),
            "message": event.message,
        }
        namespace = event.pod.namespace
        try:
            self._call(
                "patch",
                "events",
                lambda client: client.patch(Resource, event.name, change, namespace=namespace),
            )
        except Missing:
            return False
        return True

    def label_pod(self, pod: PodReference, role: str) -> None:
        """Make the pod's label `vipmanager/role` be so.

        Raises:
            Transient, Permanent: it is not so, or nobody knows.
        """
        # The uid is immutable: a pod that took the name of a dead one keeps its own label.
        change = {"metadata": {"uid": pod.uid, "labels": {ROLE_LABEL: role}}}
        self._call(
            "patch",
            "pods",
            # The answer stays JSON: nothing in the rest of a pod is of interest, or can be wrong.
            lambda client: client.patch(_resource(*POD), pod.name, change, namespace=pod.namespace),
        )

    # Leases, as JSON values: lightkube's own model writes a time whose fraction is zero in a form
    # that the API server can't read (MicroTime insists on six digits).

    def get_lease(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Read the newest version; None where there is none."""
        try:
            found: Mapping[str, Any] = self._call(
                "get",
                "leases",
                lambda client: client.get(_resource(*LEASE), name, namespace=namespace),
            )
        except Missing:
            return None
        return found

    def create_lease(self, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create; `Conflict` where the name is taken."""
        return self._call(
            "create", "leases", lambda client: client.create(_resource(*LEASE)(lease))
        )

    def replace_lease(self, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace; `Conflict` where the version or the uid is another."""
        return self._call(
            "update", "leases", lambda client: client.replace(_resource(*LEASE)(lease))
        )

    def watch_lease(
        self, namespace: str, name: str, since: str, quiet: int
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Give changes and bookmarks after a version, until the API ends it after `quiet` seconds.

        Without a version it begins with what there is, as ADDED (kubernetes.io, "Kubernetes API
        Concepts", "Get State and Start at Most Recent"). A watch of one metadata.name is
        authorized under that name (apiserver, pkg/endpoints/request/requestinfo.go), so a Role
        with resourceNames allows it, and nothing has to be listed.

        Raises:
            Gone: the version is too old.
            Transient, Permanent: the watch broke, or was refused.
        """
        with _translated("watch", "leases"):
            # lightkube's own watch asks for no bookmarks, has no time limit, hides why it was
            # refused, and begins again without a pause.
            from httpx2 import Timeout  # noqa: PLC0415 - slow to import
            from lightkube.core.generic_client import WatchDriver  # noqa: PLC0415

            connection = self._connect()
            client = connection._client  # noqa: SLF001
            try:
                asked = client.prepare_request(
                    "list",
                    _resource(*LEASE),
                    namespace=namespace,
                    watch=True,
                    params={
                        "fieldSelector": f"metadata.name={name}",
                        "resourceVersion": since or None,
                        "allowWatchBookmarks": "true",
                        "timeoutSeconds": quiet,
                    },
                )
                asked.timeout = Timeout(
                    READ_TIMEOUT, connect=CONNECT_TIMEOUT, read=quiet + READ_TIMEOUT
                )
                answer = client.send(client.build_adapter_request(asked), stream=True)
                if not answer.is_success:
                    answer.read()
                    client.raise_for_status(answer)  # type: ignore[no-untyped-call]
                driver = WatchDriver(asked, client.build_adapter_request)
                for line in answer.iter_lines():
                    yield driver.process_one_line(line)  # type: ignore[no-untyped-call]
            finally:
                connection.close()

    def _call(self, verb: str, resource: str, use: "Callable[[Client], T]") -> T:
        with _translated(verb, resource):
            return use(self._connected())

    def _connected(self) -> "Client":
        with self._lock:
            return self._client

    @cached_property
    def _client(self) -> "Client":
        return self._connect()

    def _connect(self) -> "Client":
        import httpx2  # noqa: PLC0415 - lightkube's HTTP client, as slow to import
        from lightkube import Client, KubeConfig  # noqa: PLC0415 - 200 ms
        from lightkube.config.models import Cluster, User  # noqa: PLC0415

        _learn_models()
        host = self._environ.get("KUBERNETES_SERVICE_HOST", "")
        port = self._environ.get("KUBERNETES_SERVICE_PORT", "")
        if not host or not port:
            raise Permanent(
                "the Kubernetes API: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not "
                "set",
                "run in a pod, where kubelet sets them",
            )
        where = f"[{host}]" if ":" in host else host
        config = KubeConfig.from_one(
            cluster=Cluster(
                server=f"https://{where}:{port}", certificate_auth=str(self._file("ca.crt"))
            ),
            user=User(token_file=str(self._file("token"))),
            namespace=self.namespace,
        )
        return Client(
            config,
            timeout=httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            field_manager=COMPONENT,
        )

    def _file(self, name: str) -> Path:
        path = self._mount / name
        if not path.is_file():
            raise Permanent(
                f"the pod's service account: {path} does not exist",
                "set automountServiceAccountToken: true on the pod",
            )
        return path


_MEANS: Mapping[int, tuple[type[Failure], str]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: (Transient, "the token is read again once kubelet renewed it"),
        HTTPStatus.FORBIDDEN: (
            Permanent,
            "allow {verb} on {resource} in a Role bound to the pod's service account",
        ),
        HTTPStatus.NOT_FOUND: (Missing, ""),
        HTTPStatus.REQUEST_TIMEOUT: (Transient, ""),
        HTTPStatus.CONFLICT: (Conflict, ""),
        HTTPStatus.GONE: (Gone, ""),
        HTTPStatus.TOO_MANY_REQUESTS: (Throttled, ""),
    }
)
"""Codes of the Status object below 500; any other is Permanent."""


@contextmanager
def _translated(verb: str, resource: str) -> Iterator[None]:
    """Translate what lightkube raises."""
    try:
        import httpx2  # noqa: PLC0415 - slow to import
        from lightkube import ApiError, ConfigError, NotReadyError  # noqa: PLC0415
    except ImportError as error:
        raise Permanent(
            f"the Kubernetes API: {error.name} is not installed", "pip install vipmanager[kube]"
        ) from error
    what = f"the Kubernetes API: {verb} {resource}"
    try:
        yield
    except ApiError as error:
        raise _refused(what, verb, resource, error) from error
    except httpx2.HTTPStatusError as error:  # a proxy's, or a load balancer's
        raise Transient(f"{what}: HTTP {error.response.status_code} without a Status") from error
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise Transient(
            f"{what}: no answer ({type(error).__name__}: {error})",
            "it is tried again; check the route to the API and NetworkPolicies if it lasts",
        ) from error
    except (ConfigError, OSError) as error:
        raise Transient(f"{what}: {error}", "kubelet may be renewing it") from error
    except (ValueError, TypeError, KeyError, AttributeError, NotReadyError) as error:
        raise Transient(
            f"{what}: the answer is not as expected ({error!r})",
            "check what KUBERNETES_SERVICE_HOST leads to",
        ) from error


def _refused(what: str, verb: str, resource: str, error: "ApiError") -> Failure:
    # What a watch says in its stream has no response.
    code = error.status.code or (0 if error.response is None else error.response.status_code)
    text = f"{what}: {code} {error.status.reason}: {error.status.message}"
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(text, "it is tried again")
    kind, hint = _MEANS.get(code, (Permanent, ""))
    return kind(text, hint.format(verb=verb, resource=resource))


_LEARNING = threading.Lock()


def _learn_models() -> None:
    """Use lightkube's models once, on one thread.

    msgspec makes what it knows of a model at its first use. Two threads that are the first at the
    same time end the process (seen with msgspec 0.22 and lightkube 1.0: SIGSEGV in `convert`).
    """
    from lightkube.models.meta_v1 import ObjectMeta, Status  # noqa: PLC0415 - slow to import

    with _LEARNING:
        ObjectMeta.from_dict({})
        Status.from_dict({})


@cache
def _resource(*kind: str) -> Any:  # noqa: ANN401 - lightkube makes the class at run time
    from lightkube.generic_resource import create_namespaced_resource  # noqa: PLC0415 - slow

    return create_namespaced_resource(*kind)


def _posted(event: Event) -> "Resource":
    from lightkube.models.core_v1 import EventSource, ObjectReference  # noqa: PLC0415 - slow
    from lightkube.models.meta_v1 import ObjectMeta  # noqa: PLC0415
    from lightkube.resources.core_v1 import Event as Resource  # noqa: PLC0415

    pod = event.pod
    return Resource(
        metadata=ObjectMeta(name=event.name, namespace=pod.namespace),
        involvedObject=ObjectReference(
            apiVersion="v1", kind="Pod", name=pod.name, namespace=pod.namespace, uid=pod.uid
        ),
        type=event.reason.type,
        reason=event.reason.value,
        message=event.message,
        count=event.count,
        firstTimestamp=datetime.fromtimestamp(event.first, UTC),
        lastTimestamp=datetime.fromtimestamp(event.last, UTC),
        source=EventSource(component=COMPONENT),
        reportingComponent=COMPONENT,
        reportingInstance=pod.name,
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
