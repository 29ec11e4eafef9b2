"""A service account as a pod sees it: three files that kubelet mounts and renews."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vipmanager.lab.kube.access import Access, Rule
from vipmanager.lab.kube.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """One service account, mounted into one folder.

    Source: kubernetes.io, "Managing Service Accounts", "Bound service account tokens".
    """

    access: Access
    namespace: str
    name: str
    ca: str
    """The cluster's certificate authority, PEM."""
    folder: Path
    """Stands for /var/run/secrets/kubernetes.io/serviceaccount."""

    @property
    def user(self) -> str:
        """Its name for RBAC."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def mount(self, seconds: float = 3600.0) -> str:
        """Write all three files; give the token, which is good for `seconds`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write("ca.crt", self.ca)
        self._write("namespace", self.namespace)
        return self.rotate(seconds)

    def rotate(self, seconds: float = 3600.0) -> str:
        """Put a new token in the old one's place, which stays good until it expires."""
        token = self.access.issue(self.user, seconds)
        self._write("token", token)
        return token

    def allow(self, kind: Kind, verbs: Sequence[str], names: Sequence[str] = ()) -> None:
        """Bind a Role of one rule to it, in its own namespace."""
        self.access.allow(
            Rule(
                user=self.user,
                namespace=self.namespace,
                verbs=verbs,
                resources=(kind.plural,),
                group=kind.group,
                names=names,
            )
        )

    def _write(self, name: str, text: str) -> None:
        """Replace a file in one step, as kubelet's symbolic links do."""
        new = self.folder / f".{name}"
        new.write_text(text)
        new.replace(self.folder / name)
