"""Which pod this is, as the downward API tells its containers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vipmanager.core.failures import Permanent

DOWNWARD = {"POD_NAME": "metadata.name", "POD_UID": "metadata.uid"}
"""Environment variables that the manifest takes from the downward API, and the field of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodReference:
    """One pod; another uid is another pod, whatever its name."""

    namespace: str
    name: str
    uid: str


def this_pod(environ: Mapping[str, str], namespace: Callable[[], str]) -> PodReference:
    """Tell which pod this is.

    Args:
        environ: the container's environment; POD_NAMESPACE is used where it is set.
        namespace: the namespace of the pod's service account.

    Raises:
        Permanent: a variable is missing.
    """
    for name, field in DOWNWARD.items():
        if not environ.get(name):
            raise Permanent(
                f"{name} is not set",
                f"set it by the downward API: valueFrom.fieldRef.fieldPath: {field}",
            )
    return PodReference(
        namespace=environ.get("POD_NAMESPACE") or namespace(),
        name=environ["POD_NAME"],
        uid=environ["POD_UID"],
    )
