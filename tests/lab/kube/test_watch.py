"""Watches: what they tell, how they resume, and how they end."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from lab.kube.conftest import LEASE_PATH, lease
from vipmanager_lab.faults import Unreachable

if TYPE_CHECKING:
    from clusters import Pod
    from lab.kube.conftest import Caller, Connect


class Stream:
    def __init__(self, caller: Caller, **parameters: object) -> None:
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        self._answer = caller.send("GET", f"{LEASE_PATH}?watch=true&{query}")
        assert self._answer.status == 200

    def next(self) -> tuple[str, Any]:
        line = json.loads(self._answer.readline())
        return line["type"], line["object"]

    def ended(self) -> bool:
        """Wait for the end; raise where it is no orderly one."""
        return not self._answer.read()


def _version(call: Caller) -> str:
    return str(call("GET", LEASE_PATH)[1]["metadata"]["resourceVersion"])


def test_a_watch_tells_each_change_in_order(call: Caller, connect: Connect) -> None:
    stream = Stream(connect(), resourceVersion=_version(call))
    _, made = call("POST", LEASE_PATH, lease(holderIdentity="a"))
    _, changed = call("PUT", f"{LEASE_PATH}/group", made | {"spec": {"holderIdentity": "b"}})
    call("DELETE", f"{LEASE_PATH}/group")
    assert stream.next() == ("ADDED", made)
    assert stream.next() == ("MODIFIED", changed)
    type_, gone = stream.next()
    assert (type_, gone["spec"]) == ("DELETED", {"holderIdentity": "b"})
    assert int(gone["metadata"]["resourceVersion"]) > int(changed["metadata"]["resourceVersion"])


def test_a_watch_without_a_version_begins_with_what_there_is(
    call: Caller, connect: Connect
) -> None:
    _, made = call("POST", LEASE_PATH, lease())
    assert Stream(connect()).next() == ("ADDED", made)


def test_a_watch_resumes_after_the_version_that_was_seen(call: Caller, connect: Connect) -> None:
    _, made = call("POST", LEASE_PATH, lease())
    _, changed = call("PUT", f"{LEASE_PATH}/group", made | {"spec": {"holderIdentity": "b"}})
    resumed = Stream(connect(), resourceVersion=made["metadata"]["resourceVersion"])
    assert resumed.next() == ("MODIFIED", changed)


def test_a_watch_of_one_name_hears_of_no_other(call: Caller, connect: Connect) -> None:
    stream = Stream(connect(), fieldSelector="metadata.name=group")
    call("POST", LEASE_PATH, lease("other"))
    call("POST", LEASE_PATH, lease("group"))
    assert stream.next()[1]["metadata"]["name"] == "group"


def test_a_version_from_before_a_restart_is_gone(pod: Pod, call: Caller, connect: Connect) -> None:
    version = _version(call)
    call("POST", LEASE_PATH, lease())
    pod.cluster.restart()
    stream = Stream(connect(), resourceVersion=version)
    type_, status = stream.next()
    assert (type_, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert stream.ended()


def test_a_watch_ends_in_order_after_its_timeout_and_the_connection_lives_on(
    call: Caller, connect: Connect
) -> None:
    caller = connect()
    assert Stream(caller, resourceVersion=_version(call), timeoutSeconds=1).ended()
    assert caller("GET", LEASE_PATH)[0] == 200


def test_bookmarks_carry_a_quiet_watch_forward(call: Caller, connect: Connect) -> None:
    stream = Stream(
        connect(),
        allowWatchBookmarks="true",
        resourceVersion=_version(call),
        fieldSelector="metadata.name=group",
        timeoutSeconds=4,  # a real one has its first bookmark two seconds before the end
    )
    _, other = call("POST", LEASE_PATH, lease("other"))
    types, seen = set(), 0
    while seen < int(other["metadata"]["resourceVersion"]):
        type_, found = stream.next()
        types.add(type_)
        seen = int(found["metadata"]["resourceVersion"])
    assert types == {"BOOKMARK"}


def test_a_watch_without_a_limit_lasts(call: Caller, connect: Connect) -> None:
    stream = Stream(connect(), resourceVersion=_version(call), timeoutSeconds=0)
    _, made = call("POST", LEASE_PATH, lease())
    assert stream.next() == ("ADDED", made)


def test_a_watch_from_a_version_to_come_is_silent(call: Caller, connect: Connect) -> None:
    stream = Stream(connect(), resourceVersion=int(_version(call)) + 10_000, timeoutSeconds=1)
    call("POST", LEASE_PATH, lease())
    assert stream.ended()


def test_the_end_of_what_there_is_is_marked_where_a_watch_asks_for_it(
    call: Caller, connect: Connect
) -> None:
    _, made = call("POST", LEASE_PATH, lease())
    asked = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    stream = Stream(connect(), allowWatchBookmarks="true", timeoutSeconds=5, **asked)
    assert stream.next() == ("ADDED", made)
    type_, mark = stream.next()
    assert type_ == "BOOKMARK"
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(mark["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])


def test_a_broken_watch_ends_in_the_middle(pod: Pod, call: Caller, connect: Connect) -> None:
    stream = Stream(connect(), resourceVersion=_version(call))
    pod.cluster.endpoint.break_watches()
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        stream.ended()


def test_a_partitioned_watch_hears_late_what_happened_meanwhile(
    pod: Pod, call: Caller, connect: Connect
) -> None:
    stream = Stream(connect(source="127.0.0.2"), resourceVersion=_version(call))
    pod.cluster.faults.partition("127.0.0.2")
    _, made = call("POST", LEASE_PATH, lease())
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(stream.next)
        with pytest.raises(TimeoutError):
            heard.result(timeout=0.2)
        pod.cluster.faults.partition("127.0.0.2", None)
        assert heard.result(timeout=10) == ("ADDED", made)


def test_a_partition_that_closes_ends_watches_too(pod: Pod, call: Caller, connect: Connect) -> None:
    stream = Stream(connect(source="127.0.0.2"), resourceVersion=_version(call))
    pod.cluster.faults.partition("127.0.0.2", Unreachable.CLOSES)
    call("POST", LEASE_PATH, lease())
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        stream.ended()
