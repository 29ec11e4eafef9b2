"""The Lease and the Roles of rendered manifests, in a Kubernetes of the lab."""

from collections.abc import Sequence

from deploy.rendered import Document, of_kind, pod
from vipmanager_lab.kube.account import ServiceAccount
from vipmanager_lab.kube.front import Front
from vipmanager_lab.kube.kinds import EVENTS, LEASES, PODS


def granted(objects: Sequence[Document]) -> list[Document]:
    """Give the rules of every Role that is bound to the pods' service account."""
    account = pod(objects)["serviceAccountName"]
    roles = {each["metadata"]["name"]: each["rules"] for each in of_kind(objects, "Role")}
    rules = []
    for binding in of_kind(objects, "RoleBinding"):
        (subject,) = binding["subjects"]
        assert (subject["kind"], subject["name"]) == ("ServiceAccount", account)
        rules += roles.pop(binding["roleRef"]["name"])
    assert not roles, "bound to nobody"
    return rules


def ship(objects: Sequence[Document], cluster: Front, account: ServiceAccount) -> None:
    """Grant the shipped rules, and create the shipped Lease."""
    kinds = {kind.plural: kind for kind in (EVENTS, LEASES, PODS)}
    for rule in granted(objects):
        (plural,) = rule["resources"]
        kind = kinds[plural]
        assert rule["apiGroups"] == [kind.group]
        account.allow(kind, rule["verbs"], rule.get("resourceNames", ()))
    for lease in of_kind(objects, "Lease"):
        cluster.store.create(LEASES, account.namespace, lease)
