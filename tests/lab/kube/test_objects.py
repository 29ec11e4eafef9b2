"""Objects, versions and conflicts, as kubernetes.io's API concepts describe them."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from lab.kube.conftest import LEASE_PATH, lease
from vipmanager_lab.kube.kinds import NODES

if TYPE_CHECKING:
    from clusters import Pod
    from lab.kube.conftest import Caller, Connect

GROUP = f"{LEASE_PATH}/group"
PODS = "/api/v1/namespaces/telco/pods"
MERGE = {"Content_Type": "application/strategic-merge-patch+json"}


@pytest.fixture
def made(call: Caller) -> dict[str, Any]:
    status, stored = call("POST", LEASE_PATH, lease(holderIdentity="a"))
    assert status == 201
    return stored


def test_a_stored_object_has_the_metadata_that_the_server_owns(made: dict[str, Any]) -> None:
    assert (made["kind"], made["apiVersion"]) == ("Lease", "coordination.k8s.io/v1")
    assert made["metadata"]["namespace"] == "telco"
    assert {"uid", "creationTimestamp", "resourceVersion"} <= made["metadata"].keys()
    assert "generation" not in made["metadata"]


def test_one_version_rises_with_every_change_of_any_object(
    call: Caller, made: dict[str, Any]
) -> None:
    first = int(made["metadata"]["resourceVersion"])
    _, other = call("POST", LEASE_PATH, lease("other"))
    assert int(other["metadata"]["resourceVersion"]) > first
    _, listed = call("GET", LEASE_PATH)
    assert int(listed["metadata"]["resourceVersion"]) >= int(other["metadata"]["resourceVersion"])
    assert [it["metadata"]["name"] for it in listed["items"]] == ["group", "other"]


def test_a_write_based_on_an_older_version_conflicts(call: Caller, made: dict[str, Any]) -> None:
    assert call("PUT", GROUP, made | {"spec": {"holderIdentity": "b"}})[0] == 200
    status, refused = call("PUT", GROUP, made | {"spec": {"holderIdentity": "c"}})
    assert (status, refused["reason"], refused["code"]) == (409, "Conflict", 409)
    assert refused["message"] == (
        'Operation cannot be fulfilled on leases.coordination.k8s.io "group": the object has been '
        "modified; please apply your changes to the latest version and try again"
    )
    assert refused["details"] == {"name": "group", "group": "coordination.k8s.io", "kind": "leases"}
    assert call("GET", GROUP)[1]["spec"] == {"holderIdentity": "b"}


def test_of_many_writers_that_read_the_same_version_one_wins(
    connect: Connect, made: dict[str, Any]
) -> None:
    together = threading.Barrier(8)

    def write(n: int) -> int:
        caller = connect()
        caller("GET", GROUP)
        together.wait(10)
        return caller("PUT", GROUP, made | {"spec": {"holderIdentity": f"{n}"}})[0]

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(write, range(8))) == [200] + [409] * 7


def test_a_lease_is_not_replaced_without_a_version(call: Caller, made: dict[str, Any]) -> None:
    del made["metadata"]["resourceVersion"]
    status, refused = call("PUT", GROUP, made)
    assert (status, refused["reason"]) == (422, "Invalid")
    assert "must be specified for an update" in refused["message"]


def test_a_write_that_changes_nothing_makes_no_version(call: Caller, made: dict[str, Any]) -> None:
    assert call("PUT", GROUP, made) == (200, made)


def test_a_lease_that_was_deleted_and_made_again_is_another_one(
    call: Caller, made: dict[str, Any]
) -> None:
    status, gone = call("DELETE", GROUP)
    assert (status, gone["status"], gone["details"]["uid"]) == (
        200,
        "Success",
        made["metadata"]["uid"],
    )
    status, refused = call("PUT", GROUP, made)
    assert (status, refused["reason"]) == (409, "Conflict")
    assert refused["message"].endswith(
        f"Precondition failed: UID in precondition: {made['metadata']['uid']}, UID in object meta: "
    )
    _, again = call("POST", LEASE_PATH, lease())
    assert again["metadata"]["uid"] != made["metadata"]["uid"]
    assert call("PUT", GROUP, made)[0] == 409


@pytest.mark.parametrize("precondition", ["uid", "resourceVersion"])
def test_a_delete_can_insist_on_what_it_means(
    call: Caller, made: dict[str, Any], precondition: str
) -> None:
    wrong = {"preconditions": {precondition: "77"}}
    assert call("DELETE", GROUP, wrong)[1]["reason"] == "Conflict"
    right = {"preconditions": {precondition: made["metadata"][precondition]}}
    assert call("DELETE", GROUP, right)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", f"{LEASE_PATH}/none", None, (404, "NotFound")),
        ("DELETE", f"{LEASE_PATH}/none", None, (404, "NotFound")),
        ("PUT", f"{PODS}/none", {"metadata": {"name": "none"}}, (404, "NotFound")),
        ("GET", "/apis/apps/v1/namespaces/telco/deployments", None, (403, "Forbidden")),
        ("GET", "/apis/nowhere.example/v1/namespaces/telco/leases", None, (403, "Forbidden")),
        ("POST", LEASE_PATH, lease("group"), (409, "AlreadyExists")),
        ("POST", LEASE_PATH, {"metadata": {}}, (422, "Invalid")),
        ("POST", LEASE_PATH, lease("x", leaseDurationSeconds=0), (422, "Invalid")),
        ("POST", LEASE_PATH, lease("x", renewTime="2026-01-01T00:00:00Z"), (400, "BadRequest")),
        ("POST", LEASE_PATH, lease("x", renewTime=5), (400, "BadRequest")),
        ("POST", LEASE_PATH, lease("x", leaseTransitions=2**31), (400, "BadRequest")),
        ("POST", LEASE_PATH, lease("x", leaseTransitions="5"), (400, "BadRequest")),
        ("POST", LEASE_PATH, lease("x", holderIdentity=5), (400, "BadRequest")),
        ("POST", LEASE_PATH, {"metadata": {"name": "x", "labels": {"a": "b c"}}}, (422, "Invalid")),
        ("POST", LEASE_PATH, {"metadata": {"name": "x", "labels": {"a b": "c"}}}, (422, "Invalid")),
        ("GET", f"{LEASE_PATH}?watch=1&timeoutSeconds=0.05", None, (400, "BadRequest")),
        ("GET", f"{LEASE_PATH}?watch=1&sendInitialEvents=true", None, (422, "Invalid")),
        ("POST", LEASE_PATH, {"metadata": {"name": "x", "namespace": "y"}}, (400, "BadRequest")),
        ("PUT", GROUP, lease("other"), (400, "BadRequest")),
        ("PATCH", GROUP, {}, (415, "UnsupportedMediaType")),
        ("POST", GROUP, lease(), (405, "MethodNotAllowed")),
        (
            "POST",
            "/api/v1/namespaces/telco/events",
            {"metadata": {"name": "e"}, "involvedObject": {"namespace": "elsewhere"}},
            (422, "Invalid"),
        ),
    ],
)
@pytest.mark.usefixtures("made")
def test_a_request_that_can_not_be_is_refused_with_a_status(
    call: Caller, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    status, refused = call(method, path, body)
    assert (status, refused["reason"]) == expected
    assert (refused["kind"], refused["status"], refused["code"]) == ("Status", "Failure", status)


@pytest.mark.own("the real one does all of it")
def test_what_the_lab_leaves_out_is_refused(call: Caller) -> None:
    for left_out in ("labelSelector=a", "continue=a"):
        assert call("GET", f"{LEASE_PATH}?{left_out}")[0] == 400


@pytest.mark.parametrize(
    "spec",
    [{"renewTime": "2026-01-01T00:00:00Z"}, {"leaseTransitions": 2**31}, {"holderIdentity": 5}],
    ids=str,
)
@pytest.mark.usefixtures("made")
def test_a_patch_to_what_can_not_be_read_is_invalid(call: Caller, spec: dict[str, object]) -> None:
    status, refused = call("PATCH", GROUP, {"spec": spec}, **MERGE)
    assert (status, refused["reason"]) == (422, "Invalid")


@pytest.mark.parametrize("metadata", [{"uid": "another"}, {"labels": {"role": "a b"}}], ids=str)
def test_a_patch_of_another_pod_or_with_a_bad_label_is_invalid(
    pod: Pod, call: Caller, metadata: dict[str, object]
) -> None:
    path = f"{PODS}/{pod.environ['POD_NAME']}"
    status, refused = call("PATCH", path, {"metadata": metadata}, **MERGE)
    assert (status, refused["reason"]) == (422, "Invalid")


def test_a_field_that_nobody_knows_is_left_out_with_a_warning(call: Caller) -> None:
    answer = call.send("POST", LEASE_PATH, lease(holderIdentity="a", colour="blue"))
    assert (answer.status, json.loads(answer.read())["spec"]) == (201, {"holderIdentity": "a"})
    assert answer.headers["Warning"] == '299 - "unknown field \\"spec.colour\\""'


def test_a_replacement_of_what_is_not_there_creates_it(call: Caller) -> None:
    made = {"metadata": {"name": "group", "resourceVersion": "5"}, "spec": {}}
    assert call("PUT", GROUP, made)[0] == 201


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_version_zero_is_none(call: Caller, made: dict[str, Any], method: str) -> None:
    made["metadata"]["resourceVersion"] = "0"
    status, refused = call(method, GROUP, made, **(MERGE if method == "PATCH" else {}))
    assert (status, refused["reason"]) == (422, "Invalid")
    assert "must be specified for an update" in refused["message"]


def test_an_object_tells_who_wrote_it(call: Caller, made: dict[str, Any]) -> None:
    patch = {"spec": {"holderIdentity": "b"}}
    _, changed = call("PATCH", f"{GROUP}?fieldManager=vipmanager", patch, **MERGE)
    newest = changed["metadata"]["managedFields"][-1]
    assert (newest["manager"], newest["operation"]) == ("vipmanager", "Update")
    assert made["metadata"]["managedFields"]


def test_labels_of_a_pod_are_merged_and_a_null_removes_one(pod: Pod, call: Caller) -> None:
    path = f"{PODS}/{pod.environ['POD_NAME']}"
    call("PATCH", path, {"metadata": {"labels": {"role": "active", "zone": "a"}}}, **MERGE)
    _, patched = call("PATCH", path, {"metadata": {"labels": {"zone": None}}}, **MERGE)
    assert patched["metadata"]["labels"] == {"role": "active"}
    assert patched["metadata"]["uid"] == pod.environ["POD_UID"]


def test_the_generation_of_a_pod_counts_changes_of_its_spec_alone(pod: Pod, call: Caller) -> None:
    path = f"{PODS}/{pod.environ['POD_NAME']}"
    call("PATCH", path, {"metadata": {"labels": {"role": "active"}}}, **MERGE)
    assert call("GET", path)[1]["metadata"]["generation"] == 1
    _, changed = call("PATCH", path, {"spec": {"activeDeadlineSeconds": 600}}, **MERGE)
    assert changed["metadata"]["generation"] == 2


def test_a_patch_with_a_version_is_a_compare_and_swap(call: Caller, made: dict[str, Any]) -> None:
    patch = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    patch |= {"spec": {"holderIdentity": "b"}}
    assert call("PATCH", GROUP, patch, **MERGE)[0] == 200
    assert call("PATCH", GROUP, patch, **MERGE)[1]["reason"] == "Conflict"


def test_a_node_lies_in_no_namespace_and_takes_a_right_of_the_cluster(
    pod: Pod, call: Caller
) -> None:
    pod.cluster.store.create(NODES, "", {"metadata": {"name": "n1"}, "spec": {}})
    status, refused = call("GET", "/api/v1/nodes/n1")
    assert (status, refused["reason"]) == (403, "Forbidden")
    assert "at the cluster scope" in refused["message"]
    pod.account.allow(NODES, ["get"])
    status, found = call("GET", "/api/v1/nodes/n1")
    assert (status, found["kind"]) == (200, "Node")
    assert "namespace" not in found["metadata"]
    assert call("GET", "/api/v1/nodes/n2")[0] == 404
    assert call("GET", "/api/v1/namespaces/telco/nodes/n1")[0] in {403, 404}
    assert call("GET", "/api/v1/pods/p1")[0] == 403
