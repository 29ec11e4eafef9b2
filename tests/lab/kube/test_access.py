"""Tokens, RBAC and the files that kubelet mounts."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from clusters import pod_in_a_cluster
from lab.kube.conftest import LEASE_PATH, Caller, lease
from vipmanager_lab.kube.kinds import LEASES

if TYPE_CHECKING:
    from pathlib import Path

    from clusters import Pod
    from lab.kube.conftest import Connect

USER = "system:serviceaccount:telco:vip"


def test_a_token_that_was_revoked_or_made_up_is_unauthorized(pod: Pod, connect: Connect) -> None:
    revoked = pod.account.rotate()
    pod.cluster.access.revoke(revoked)
    for token in (revoked, "made-up"):
        unauthorized(connect, token)


@pytest.mark.own("a real token is good for ten minutes at the least")
def test_a_token_that_expired_is_unauthorized(pod: Pod, connect: Connect) -> None:
    unauthorized(connect, pod.account.rotate(-1))


def unauthorized(connect: Connect, token: str) -> None:
    status, refused = connect(token=token)("GET", LEASE_PATH)
    assert (status, refused["reason"]) == (401, "Unauthorized")
    assert refused["message"] == "Unauthorized"


def test_a_rotated_token_and_the_one_before_are_both_good(pod: Pod, connect: Connect) -> None:
    new = pod.account.rotate()
    assert (pod.account.folder / "token").read_text() == new != pod.token
    assert connect(token=new)("GET", LEASE_PATH)[0] == 200
    assert connect(token=pod.token)("GET", LEASE_PATH)[0] == 200


def test_a_request_without_a_token_is_anonymous_and_may_nothing(call: Caller) -> None:
    call.connection.request("GET", LEASE_PATH)
    answer = call.connection.getresponse()
    assert (answer.status, b"system:anonymous" in answer.read()) == (403, True)


def test_a_refusal_has_the_api_servers_words(pod: Pod, call: Caller) -> None:
    pod.cluster.access.deny(USER)
    status, refused = call("GET", f"{LEASE_PATH}/group")
    assert (status, refused["reason"]) == (403, "Forbidden")
    assert refused["message"] == (
        f'leases.coordination.k8s.io "group" is forbidden: User "{USER}" cannot get resource '
        '"leases" in API group "coordination.k8s.io" in the namespace "telco"'
    )
    _, refused = call("POST", "/api/v1/namespaces/telco/events", {})
    assert refused["message"] == (
        f'events is forbidden: User "{USER}" cannot create resource "events" in API group "" in '
        'the namespace "telco"'
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"{LEASE_PATH}/mine", True),
        ("GET", f"{LEASE_PATH}/other", False),
        ("GET", f"{LEASE_PATH}?fieldSelector=metadata.name=mine", True),
        ("GET", f"{LEASE_PATH}?fieldSelector=metadata.name%3Dmine", True),
        ("GET", f"{LEASE_PATH}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name=mine", True),
        ("GET", f"{LEASE_PATH}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name=other", False),
        ("GET", f"{LEASE_PATH}?watch=1&timeoutSeconds=1", False),
        ("GET", LEASE_PATH, False),
        ("POST", LEASE_PATH, False),  # a create has no name yet
        ("GET", "/apis/coordination.k8s.io/v1/namespaces/elsewhere/leases/mine", False),
        ("GET", "/apis/coordination.k8s.io/v1/leases", False),
    ],
)
def test_a_rule_with_resource_names_allows_those_alone(
    tmp_path: Path, method: str, path: str, *, allowed: bool
) -> None:
    with pod_in_a_cluster(tmp_path) as pod:
        pod.cluster.store.create(LEASES, "telco", lease("mine"))
        pod.account.allow(LEASES, ["get", "list", "watch", "create"], ["mine"])
        caller = Caller(pod)
        assert caller(method, path, lease("mine") if method == "POST" else None)[0] == (
            200 if allowed else 403
        )
        caller.connection.close()


def test_the_certificate_is_trusted_by_the_mounted_authority_alone(call: Caller) -> None:
    assert call("GET", LEASE_PATH)[0] == 200
    stranger = Caller(call.pod)
    stranger.connection._context = ssl.create_default_context()  # type: ignore[attr-defined]  # noqa: SLF001
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger("GET", LEASE_PATH)
