"""What an operator sees of the roles: /status, metrics, Events, the pod's label."""

import json
import urllib.request
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent_fixtures import wait_until
from standby_fixtures import said, standing
from steady import SHORT, await_words, lines, moved_once
from vipmanager_lab.control_plane import NAMESPACE
from vipmanager_lab.kube.kinds import EVENTS, PODS
from vipmanager_lab.kube.store import Key
from vipmanager_lab.replicas import Replica, Replicas

HTTP = SHORT | {"HTTPPort": "8080"}
Samples = Mapping[tuple[str, ...], float]


def get(replica: Replica, path: str) -> str:
    def ask() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:8080{path}", timeout=2) as answer:
            return str(answer.read().decode())

    return replica.netns.call(ask)


def metrics(replica: Replica) -> Samples:
    """Give each sample by its name and the values of its labels."""
    families = text_string_to_metric_families(get(replica, "/metrics"))
    return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples}


def test_status_and_metrics_tell_both_roles_and_count_the_takeover() -> None:
    with standing(HTTP) as group:
        holder, standby = group.pair()
        shown = json.loads(get(holder, "/status"))["election"]
        assert (shown["role"], shown["why"], shown["generation"]) == ("holder", "free", 1)
        assert shown["holder"].startswith(f"{holder.uid}/")
        assert json.loads(get(standby, "/status"))["election"]["role"] == "standby"
        before = metrics(standby)
        assert before["vipmanager_role", "standby"] == 1
        assert ("vipmanager_lease_generation",) not in before
        assert metrics(holder)["vipmanager_lease_generation",] == 1
        with moved_once(group, to=standby):
            group.world.network.cut("a")
            seconds = standby.await_takeover()["seconds"]
        after = metrics(standby)
        assert after["vipmanager_role", "holder"] == 1
        assert after["vipmanager_role", "standby"] == 0
        assert after["vipmanager_lease_generation",] == 2
        assert after["vipmanager_takeovers_total", "silent"] == 1
        assert after["vipmanager_takeover_duration_seconds_count",] == 1
        assert after["vipmanager_takeover_duration_seconds_sum",] == pytest.approx(
            seconds, abs=0.01
        )
        shown = json.loads(get(standby, "/status"))["election"]
        assert (shown["role"], shown["why"], shown["settled"]) == ("holder", "silent", seconds)
        assert shown["takeovers"] == {"silent": 1}


def posted(group: Replicas, replica: Replica) -> set[str]:
    """Give the reasons of the Events on a pod that tell of its role."""
    _, stored = group.plane.cluster.store.list(EVENTS, NAMESPACE)
    mine = [e for e in stored if e["involvedObject"]["uid"] == replica.uid]
    return {e["reason"] for e in mine if e["reason"].startswith("Became")}


def test_a_change_of_roles_is_an_event_on_each_pod() -> None:
    with standing(SHORT | {"KubernetesEvents": "True"}) as group:
        group.plane.account.allow(EVENTS, ["create", "patch"])
        holder, standby = group.pair()
        wait_until(lambda: posted(group, holder) == {"BecameHolder"})
        assert not posted(group, standby)
        holder.order("yield")
        wait_until(lambda: posted(group, standby) == {"BecameHolder"})
        wait_until(lambda: posted(group, holder) == {"BecameHolder", "BecameStandby"})


def label(group: Replicas, replica: Replica) -> str | None:
    pod = group.plane.cluster.store.get(Key(PODS, NAMESPACE, replica.name))
    return dict(pod["metadata"].get("labels") or {}).get("vipmanager/role")


def test_the_label_of_each_pod_is_its_role() -> None:
    with standing(SHORT | {"RoleLabel": "True"}) as group:
        group.plane.account.allow(PODS, ["patch"])
        holder, standby = group.pair()
        wait_until(lambda: (label(group, holder), label(group, standby)) == ("holder", "standby"))
        holder.order("yield")
        wait_until(lambda: (label(group, holder), label(group, standby)) == ("standby", "holder"))


def test_without_the_right_to_label_it_is_said_once_and_steering_goes_on() -> None:
    with standing(SHORT | {"RoleLabel": "True"}) as group:
        holder, standby = group.pair()
        for replica in (holder, standby):
            await_words(replica, "allow patch on pods in a Role")
        with moved_once(group, to=standby):
            holder.order("yield")
            standby.await_takeover()
        for replica in (holder, standby):
            assert len(lines(replica, "the role label has to wait")) == 1
        assert label(group, standby) is None


def test_without_the_right_to_post_events_it_is_said_once_and_steering_goes_on() -> None:
    with standing(SHORT | {"KubernetesEvents": "True"}) as group:
        holder, standby = group.pair()
        await_words(holder, "allow create on events in a Role")
        with moved_once(group, to=standby):
            holder.order("yield")
            standby.await_takeover()
        assert len(lines(holder, "allow create on events")) == 1


def test_claim_on_a_standby_takes_the_floating_ips_and_says_why() -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        with moved_once(group, to=standby):
            status = standby.order("claim")
        assert status["election"]["role"] == "holder"
        assert said(standby, "role")[-1]["cause"] == "claimed"
        await_words(holder, "(claimed)")
