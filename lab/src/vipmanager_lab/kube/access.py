"""Who calls, and what they may do: bearer tokens that expire, and RBAC as a table of rules.

Sources: kubernetes.io, "Authenticating", "Using RBAC Authorization", "Authorization" (request
attributes).
"""

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from vipmanager_lab.kube import status
from vipmanager_lab.kube.kinds import Kind

ANONYMOUS = "system:anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """A request, as authorization sees it."""

    verb: str
    kind: Kind
    namespace: str | None
    """None for a request across all namespaces."""
    name: str
    """Empty for a create, and for a list or watch that names no object by metadata.name."""
    subresource: str = ""

    @property
    def resource(self) -> str:
        """As a Role names it."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a Role, bound to one user in one namespace."""

    user: str
    namespace: str | None
    """None for a ClusterRole, here for what lies in no namespace."""
    verbs: Sequence[str]
    resources: Sequence[str]
    group: str = ""
    names: Sequence[str] = ()
    """resourceNames; empty for all. A create has no name yet, so names never allow one."""

    def allows(self, user: str, asked: Attributes) -> bool:
        """Whether this rule permits a request."""
        return (
            (self.user, self.namespace, self.group) == (user, asked.namespace, asked.kind.group)
            and not {asked.verb, "*"}.isdisjoint(self.verbs)
            and not {asked.resource, "*"}.isdisjoint(self.resources)
            and (not self.names or asked.name in self.names)
        )


class Access:
    """Tokens and rules, changed at any moment and from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}
        self._rules: list[Rule] = []

    def issue(self, user: str, seconds: float = 3600.0) -> str:
        """A token that is good for `seconds`."""
        token = secrets.token_urlsafe(48)
        with self._lock:
            self._tokens[token] = (user, time.monotonic() + seconds)
        return token

    def revoke(self, token: str) -> None:
        """Refuse a token from now on."""
        with self._lock:
            self._tokens.pop(token, None)

    def allow(self, rule: Rule) -> None:
        """Add a rule."""
        with self._lock:
            self._rules.append(rule)

    def deny(self, user: str) -> None:
        """Take all rules of a user away."""
        with self._lock:
            self._rules = [rule for rule in self._rules if rule.user != user]

    def user(self, authorization: str | None) -> str:
        """Who sends this Authorization header; none is anonymous.

        Raises:
            StatusError: 401.
        """
        if authorization is None:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            user, until = self._tokens.get(token, ("", 0.0))
        if scheme.lower() != "bearer" or until <= time.monotonic():
            raise status.unauthorized()
        return user

    def check(self, user: str, asked: Attributes) -> None:
        """Whether a user may do this.

        Raises:
            StatusError: 403.
        """
        with self._lock:
            if any(rule.allows(user, asked) for rule in self._rules):
                return
        kind = asked.kind
        subject = f'{kind.qualified} "{asked.name}"' if asked.name else kind.qualified
        where = (
            f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
        )
        raise status.StatusError(
            HTTPStatus.FORBIDDEN,
            "Forbidden",
            f'{subject} is forbidden: User "{user}" cannot {asked.verb} resource '
            f'"{asked.resource}" in API group "{kind.group}" {where}',
            details={"name": asked.name, "group": kind.group, "kind": kind.plural},
        )
