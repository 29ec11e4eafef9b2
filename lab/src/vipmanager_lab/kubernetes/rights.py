"""Who may do what at a real API server: tokens, Roles and their bindings."""

from functools import partial
from typing import Any, Final

from vipmanager_lab.kube.access import Rule
from vipmanager_lab.kubernetes.api import Api
from vipmanager_lab.kubernetes.objects import told
from vipmanager_lab.kubernetes.plane import await_true

RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
OURS: Final = "lab=vipmanager"
"""The label of what is made here."""
_LEAST = 600
"""Seconds that a token is good for, at the least (TokenRequest)."""


class RealAccess:
    """Tokens by TokenRequest, rules by Role and RoleBinding; each counts once it is changed.

    The API server learns of both by watches of its own, which takes a moment: that is awaited.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._made = 0
        self._rules: list[Rule] = []
        self._secrets: dict[str, str] = {}
        """The Secret that each token is bound to, by its path."""

    def issue(self, user: str, seconds: float = 3600.0) -> str:
        """Ask for a token of a service account; it can't be asked for less than ten minutes."""
        namespace, name = user.split(":")[2:]
        self._made += 1
        secrets = f"/api/v1/namespaces/{namespace}/secrets"
        metadata = {"name": f"lab-{self._made}", "labels": dict([OURS.split("=")])}
        secret = told(lambda: self._api.create(secrets, {"metadata": metadata}))["metadata"]
        bound = {"apiVersion": "v1", "kind": "Secret", "name": secret["name"], "uid": secret["uid"]}
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": max(_LEAST, round(seconds)), "boundObjectRef": bound},
        }
        where = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = str(told(lambda: self._api.create(where, asked))["status"]["token"])
        self._secrets[token] = f"{secrets}/{secret['name']}"
        return token

    def revoke(self, token: str) -> None:
        """Delete what a token is bound to; the API server accepts it for some ten seconds more.

        Raises:
            AssertionError: it does for too long.
        """
        told(lambda: self._api.delete(self._secrets.pop(token)))
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        where = "/apis/authentication.k8s.io/v1/tokenreviews"
        await_true(
            "the token is refused",
            lambda: not self._api.create(where, review)["status"].get("authenticated"),
        )

    def allow(self, rule: Rule) -> None:
        """Create a Role of one rule, and bind it; a ClusterRole for what lies in no namespace.

        Raises:
            AssertionError: it does not come to count.
        """
        if not rule.verbs:
            return
        self._made += 1
        name, kind = f"lab-{self._made}", "Role" if rule.namespace else "ClusterRole"
        where = f"{RBAC}/namespaces/{rule.namespace}" if rule.namespace else RBAC
        metadata = {"name": name, "labels": dict([OURS.split("=")])}
        granted: dict[str, Any] = {
            "apiGroups": [rule.group],
            "resources": list(rule.resources),
            "verbs": list(rule.verbs),
        }
        if rule.names:
            granted["resourceNames"] = list(rule.names)
        namespace, account = rule.user.split(":")[2:]
        plural = f"{kind.lower()}s"
        told(
            lambda: self._api.create(
                f"{where}/{plural}", {"metadata": metadata, "rules": [granted]}
            )
        )
        binding = {
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": account}],
        }
        told(lambda: self._api.create(f"{where}/{kind.lower()}bindings", binding))
        self._rules.append(rule)
        await_true(f"{rule} counts", lambda: self._allowed(rule))

    def deny(self, user: str) -> None:
        """Unbind every Role of a service account.

        Raises:
            AssertionError: they go on to count.
        """
        namespace, name = user.split(":")[2:]
        for where in (
            f"{RBAC}/namespaces/{namespace}/rolebindings",
            f"{RBAC}/clusterrolebindings",
        ):
            for found in told(partial(self._api.get, where))["items"]:
                for one in found.get("subjects", ()):
                    if (one.get("namespace"), one["name"]) == (namespace, name):
                        self._api.delete(f"{where}/{found['metadata']['name']}")
        gone = [rule for rule in self._rules if rule.user == user]
        self._rules = [rule for rule in self._rules if rule.user != user]
        for rule in gone:
            await_true(f"{rule} counts no more", lambda rule=rule: not self._allowed(rule))  # type: ignore[misc]

    def _allowed(self, rule: Rule) -> bool:
        """Ask what counts at the moment: a Role that names objects by its first one."""
        namespace = rule.user.split(":")[2]
        groups = ("serviceaccounts", f"serviceaccounts:{namespace}", "authenticated")
        asked = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": rule.user,
                "groups": [f"system:{group}" for group in groups],
                "resourceAttributes": {
                    "namespace": rule.namespace or "",
                    "verb": rule.verbs[0],
                    "group": rule.group,
                    "resource": rule.resources[0].partition("/")[0],
                    "subresource": rule.resources[0].partition("/")[2],
                    "name": next(iter(rule.names), ""),
                },
            },
        }
        where = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self._api.create(where, asked)["status"]["allowed"])
