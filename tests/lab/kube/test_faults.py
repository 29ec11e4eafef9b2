"""Each thing that can go wrong between a client and the API."""

from __future__ import annotations

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from lab.kube.conftest import LEASE_PATH, lease
from vipmanager_lab.faults import Break, Hang
from vipmanager_lab.kube.faults import INTERNAL, STARTING, TOO_MANY, UNAVAILABLE, Refuse

if TYPE_CHECKING:
    from clusters import Pod
    from lab.kube.conftest import Caller, Connect


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (STARTING, (403, "Forbidden")),
        (INTERNAL, (500, "InternalError")),
        (UNAVAILABLE, (503, "ServiceUnavailable")),
    ],
)
def test_a_planned_refusal_strikes_its_verb_and_resource_once_and_applies_nothing(
    pod: Pod, call: Caller, fault: Refuse, expected: tuple[int, str]
) -> None:
    pod.cluster.faults.inject("create leases", fault)
    assert call("GET", LEASE_PATH)[1]["items"] == []
    status, refused = call("POST", LEASE_PATH, lease())
    assert (status, refused["reason"]) == expected
    assert call("POST", LEASE_PATH, lease())[0] == 201


def test_a_throttled_client_is_told_when_to_come_back(pod: Pod, call: Caller) -> None:
    pod.cluster.faults.inject("* leases", TOO_MANY)
    answer = call.send("GET", LEASE_PATH)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.read() == b"Too many requests, please try again later.\n"


@pytest.mark.parametrize(("fault", "applied"), [(Break.RESET, False), (Break.LOST, True)])
def test_a_broken_answer_does_not_tell_whether_the_write_was_applied(
    pod: Pod, call: Caller, connect: Connect, fault: Break, *, applied: bool
) -> None:
    pod.cluster.faults.inject("create leases", fault)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        call("POST", LEASE_PATH, lease())
    assert bool(connect()("GET", LEASE_PATH)[1]["items"]) is applied
    [broken] = pod.cluster.endpoint.calls_of("create leases")
    assert broken.status is None


def test_a_hang_holds_a_write_whose_client_gave_up_and_it_still_lands(
    pod: Pod, call: Caller, connect: Connect
) -> None:
    pod.cluster.faults.inject("create leases", Hang())
    with pytest.raises(TimeoutError):
        connect(timeout=0.1)("POST", LEASE_PATH, lease())
    assert call("GET", LEASE_PATH)[1]["items"] == []
    pod.cluster.faults.release_hangs()
    pod.cluster.endpoint.await_calls(lambda calls: "create leases" in {c.action for c in calls})
    assert len(call("GET", LEASE_PATH)[1]["items"]) == 1


def test_a_partition_cuts_off_one_address_and_no_other(
    pod: Pod, call: Caller, connect: Connect
) -> None:
    pod.cluster.faults.partition("127.0.0.2")
    with pytest.raises(TimeoutError):
        connect(source="127.0.0.2", timeout=0.2)("POST", LEASE_PATH, lease())
    assert call("GET", LEASE_PATH)[1]["items"] == []
    pod.cluster.faults.partition("127.0.0.2", None)
    assert connect(source="127.0.0.2")("GET", LEASE_PATH)[0] == 200


def test_a_call_is_logged_with_who_asked_for_what(pod: Pod, call: Caller) -> None:
    pod.cluster.faults.latency = 0.05
    call("GET", f"{LEASE_PATH}/none")
    [logged] = pod.cluster.endpoint.calls
    assert (logged.action, logged.status, logged.token) == ("get leases", 404, pod.token)
    assert logged.source == "127.0.0.1"
    assert logged.finish - logged.start >= 0.05


def test_closing_leaves_no_thread_even_with_watches_and_hangs(
    pod: Pod, call: Caller, connect: Connect
) -> None:
    assert connect().send("GET", f"{LEASE_PATH}?watch=1").status == 200
    pod.cluster.faults.inject("create leases", Hang())
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(call, "POST", LEASE_PATH, lease())
        pod.cluster.faults.await_hang()
        pod.cluster.close()
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            hung.result(timeout=5)
    assert not [it for it in threading.enumerate() if it.name == "lab-kube"]
