"""Whom the client trusts, where it finds the API, and what it reads besides Leases."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import pytest

from clusters import NAMESPACE, Pod, pod_in_a_cluster
from edges.kubernetes.conftest import Api
from vipmanager.core.failures import Permanent, Transient
from vipmanager.edges.kubernetes.client import Kube
from vipmanager_lab.kube.certificates import Authority
from vipmanager_lab.kube.kinds import NODES, PODS
from vipmanager_lab.server import HttpAnswer

if TYPE_CHECKING:
    from pathlib import Path


def test_a_rotated_authority_is_taken_up(api: Api) -> None:
    old, new = Authority(), Authority()
    api.trust(old)
    api.serve(old)
    with contextlib.closing(api.kube()) as kube:
        kube.get_node("n")
        api.serve(new)
        with pytest.raises(Transient, match=r"TLS failed .*CERTIFICATE_VERIFY_FAILED"):
            kube.get_node("n")
        api.trust(old, new)
        assert kube.get_node("n")


def test_a_new_authority_costs_no_call_where_the_old_one_stands_beside_it(api: Api) -> None:
    old, new = Authority(), Authority()
    api.trust(old)
    api.serve(old)
    with contextlib.closing(api.kube()) as kube:
        kube.get_node("n")
        api.trust(old, new)
        api.serve(new)
        assert kube.get_node("n")


def test_files_that_kubelet_is_writing_pass(api: Api) -> None:
    authority = Authority()
    api.serve(authority)
    (api.folder / "ca.crt").write_text("")
    with contextlib.closing(api.kube()) as kube:
        with pytest.raises(Transient, match=r"ca\.crt is read again"):
            kube.get_node("n")
        api.trust(authority)
        assert kube.get_node("n")


def test_the_api_is_found_at_an_ipv6_address(tmp_path: Path) -> None:
    with contextlib.closing(Api(tmp_path, str(IPv6Address("::1")))) as api:
        authority = Authority()
        api.trust(authority)
        api.serve(authority)
        with contextlib.closing(api.kube()) as kube:
            assert kube.get_node("n")


def test_a_certificate_of_another_address_gets_no_token(api: Api) -> None:
    authority = Authority()
    api.trust(authority)
    api.serve(authority, str(IPv4Address("10.0.0.1")))
    with (
        contextlib.closing(api.kube()) as kube,
        pytest.raises(Transient, match="IP address mismatch"),
    ):
        kube.get_node("n")


def test_no_proxy_stands_between_a_pod_and_its_own_cluster(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    authority = Authority()
    api.trust(authority)
    api.serve(authority)
    with contextlib.closing(api.kube()) as kube:
        assert kube.get_node("n")


def test_an_answer_without_an_end_does_not_make_a_call_endless(api: Api) -> None:
    over = threading.Event()
    authority = Authority()
    api.trust(authority)
    endless = HttpAnswer(pieces=iter(lambda: b" " * (not over.is_set()), b""))
    api.answer = lambda _: endless
    api.serve(authority)
    lease = {"metadata": {"namespace": "n", "name": "group"}}
    with (
        contextlib.closing(api.kube()) as kube,
        pytest.raises(Transient, match=r"no answer within 0\.3 s"),
    ):
        kube.replace_lease(lease, seconds=0.3)
    over.set()


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with pod_in_a_cluster(tmp_path) as made:
        yield made


def test_a_pod_is_read_and_one_that_is_not_there_is_none(pod: Pod) -> None:
    pod.account.allow(PODS, ["get"])
    with contextlib.closing(Kube(pod.environ)) as kube:
        found = kube.get_pod(NAMESPACE, "app-0")
        assert found is not None
        assert found["metadata"]["uid"] == pod.environ["POD_UID"]
        assert kube.get_pod(NAMESPACE, "app-1") is None


def test_a_pod_that_may_not_be_read_is_told_with_what_to_allow(pod: Pod) -> None:
    with (
        contextlib.closing(Kube(pod.environ)) as kube,
        pytest.raises(Permanent, match="allow get on pods in a Role"),
    ):
        kube.get_pod(NAMESPACE, "app-0")


def test_a_node_that_may_not_be_read_is_told_with_what_to_allow(pod: Pod) -> None:
    with (
        contextlib.closing(Kube(pod.environ)) as kube,
        pytest.raises(Permanent, match="allow get on nodes in a ClusterRole"),
    ):
        kube.get_node("n")


def test_a_node_that_is_not_there_is_none(pod: Pod) -> None:
    pod.account.allow(NODES, ["get"])
    with contextlib.closing(Kube(pod.environ)) as kube:
        assert kube.get_node("n") is None
