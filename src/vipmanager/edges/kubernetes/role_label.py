"""The pod label `vipmanager/role`: which replica steers, for `kubectl get pods -l` and Services."""

from collections.abc import Mapping

from vipmanager.core.downward import PodReference, this_pod
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.delivery import Delivery, Say


class RoleLabel:
    """Keeps the label at the newest role, beside the election, which never waits for it."""

    def __init__(self, api: Kube, environ: Mapping[str, str], *, say: Say) -> None:
        """Start nothing yet; the environment tells which pod this is."""
        self._api = api
        self._shown = ""
        """Empty where nobody knows."""
        self._delivery = Delivery(
            self._write,
            lambda: this_pod(environ, lambda: api.namespace),
            say=say,
            about="label",
            one="the role label",
            more="role label",
            latest=True,
        )

    def show(self, role: str) -> None:
        """Make `holder` or `standby` the label, soon."""
        self._delivery.put(role)

    def _write(self, pod: PodReference, role: str) -> str:
        if role == self._shown:
            return ""
        self._shown = ""  # a call whose answer is lost may have landed
        self._api.label_pod(pod, role)
        self._shown = role
        return f"the role label is {role} now"
