"""A service account as a pod sees it: three files that kubelet mounts and renews."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vipmanager_lab.kube.access import Rule
from vipmanager_lab.kube.kinds import Kind


class Grants(Protocol):
    """What an administrator gives a service account."""

    def issue(self, user: str, seconds: float = 3600.0) -> str:
        """Give a token that is good for so long."""
        ...

    def revoke(self, token: str) -> None:
        """Let a token be good no more."""
        ...

    def allow(self, rule: Rule) -> None:
        """Add a rule."""
        ...

    def deny(self, user: str) -> None:
        """Take all rules of a user away."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """One service account, mounted into one folder.

    Source: kubernetes.io, "Managing Service Accounts", "Bound service account tokens".
    """

    access: Grants
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

    def allow(
        self,
        kind: Kind,
        verbs: Sequence[str],
        names: Sequence[str] = (),
        *,
        subresource: str = "",
        everywhere: bool = False,
    ) -> None:
        """Bind a Role of one rule to it, in its own namespace; a ClusterRole for Nodes."""
        within = kind.namespaced and not everywhere
        self.access.allow(
            Rule(
                user=self.user,
                namespace=self.namespace if within else None,
                verbs=verbs,
                resources=(f"{kind.plural}/{subresource}" if subresource else kind.plural,),
                group=kind.group,
                names=names,
            )
        )

    def _write(self, name: str, text: str) -> None:
        """Replace a file in one step, as kubelet's symbolic links do."""
        new = self.folder / f".{name}"
        new.write_text(text)
        new.replace(self.folder / name)
