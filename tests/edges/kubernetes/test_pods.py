"""Pods through the Kubernetes API, over TLS, against the lab's."""

import json
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

import pytest

from clusters import NAMESPACE, Pod, pod_in_a_cluster
from edges.kubernetes.conftest import Api
from vipmanager.core.downward import PodReference, this_pod
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.pods import NETWORKS, STATUS
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.pods import KubePods
from vipmanager_lab.kube.kinds import PODS
from vipmanager_lab.kube.store import Key
from vipmanager_lab.server import HttpAnswer

APP = Key(PODS, NAMESPACE, "app-0")


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with pod_in_a_cluster(tmp_path) as made:
        yield made


@pytest.fixture
def kube(pod: Pod) -> Iterator[Kube]:
    kube = Kube(pod.environ)
    yield kube
    kube.close()


@pytest.fixture
def me(pod: Pod) -> PodReference:
    return this_pod(pod.environ, lambda: NAMESPACE)


def test_this_pod_and_all_of_its_namespace_are_read(pod: Pod, kube: Kube, me: PodReference) -> None:
    pod.account.allow(PODS, ["get", "list"])
    told = json.dumps([{"name": "if1", "ips": ["192.168.0.1"], "mac": "02:00:00:00:00:0a"}])
    pod.cluster.store.patch(APP, {"metadata": {"annotations": {NETWORKS: "if1", STATUS: told}}})
    pods = KubePods(kube, me)
    mine = pods.mine()
    assert mine is not None
    assert (mine.uid, mine.addresses) == (me.uid, frozenset({ip_address("192.168.0.1")}))
    assert mine in pods.all()
    pod.cluster.store.delete(APP)
    assert pods.mine() is None


def test_a_pod_of_the_same_name_is_another_one(pod: Pod, kube: Kube, me: PodReference) -> None:
    pod.account.allow(PODS, ["get"])
    before = PodReference(namespace=me.namespace, name=me.name, uid="an-older-one")
    assert KubePods(kube, before).mine() is None


def test_without_the_right_the_missing_verb_is_named(kube: Kube, me: PodReference) -> None:
    pods = KubePods(kube, me)
    with pytest.raises(Permanent, match="403"):
        pods.mine()
    with pytest.raises(Permanent, match="list pods"):
        pods.all()


def test_an_answer_that_is_no_pod_passes(api: Api, trusted: Kube, me: PodReference) -> None:
    api.answer = lambda _: HttpAnswer(body=b'{"items": [{"telco": "?"}]}')
    pods = KubePods(trusted, me)
    for ask in (pods.mine, pods.all):
        with pytest.raises(Transient, match="not as expected"):
            ask()


def test_a_pod_has_its_uid_until_its_object_is_deleted(
    pod: Pod, kube: Kube, me: PodReference
) -> None:
    pods = KubePods(kube, me)
    pod.account.allow(PODS, ["get"])
    assert pods.uid("app-0") == pod.environ["POD_UID"]
    key = Key(PODS, NAMESPACE, "app-0")
    pod.cluster.store.delete(key)
    assert pods.uid("app-0") is None
    made = pod.cluster.store.create(PODS, NAMESPACE, {"metadata": {"name": "app-0"}, "spec": {}})
    assert pods.uid("app-0") == made["metadata"]["uid"] != pod.environ["POD_UID"]


def test_without_the_right_nobody_knows(kube: Kube, me: PodReference) -> None:
    pods = KubePods(kube, me)
    with pytest.raises(Permanent, match="allow get on pods in a Role"):
        pods.uid("app-0")


@pytest.mark.parametrize(
    "answer",
    [{}, {"metadata": None}, {"metadata": []}, {"metadata": {}}, {"metadata": {"uid": 7}}],
    ids=str,
)
def test_what_is_no_pod_is_no_news_of_one(
    api: Api, trusted: Kube, answer: Mapping[str, object], me: PodReference
) -> None:
    api.answer = lambda _: HttpAnswer(body=json.dumps(answer).encode())
    with pytest.raises(Transient, match="not as expected"):
        KubePods(trusted, me).uid("app-0")
