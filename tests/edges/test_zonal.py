"""ARC as the agent asks it: what it says, and what its refusals mean."""

import socket
from collections.abc import Iterator

import pytest

from vipmanager.core.failures import Failure, Permanent, Throttled, Transient
from vipmanager.edges.aws.zonal import ZonalShifts, ZonePlace
from vipmanager_lab.arc import Arc

CLUSTER = "arn:aws:eks:us-east-1:123456789012:cluster/telco"
ZONE = "use1-az1"


@pytest.fixture
def arc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Arc]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_ARC_ZONAL_SHIFT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with Arc(CLUSTER) as made:
        made.listen(listener)
        yield made


def place(cluster: str = CLUSTER) -> ZonePlace:
    return ZonePlace(ZonalShifts("us-east-1"), cluster, lambda: ZONE)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("ZONAL_SHIFT", "zonal shift"),
        ("PRACTICE_RUN", "practice run"),
        ("ZONAL_AUTOSHIFT", "autoshift"),
    ],
)
def test_a_zone_is_left_as_long_as_a_shift_of_it_is_in_effect(
    arc: Arc, kind: str, said: str
) -> None:
    asked = place()
    arc.shifts["use1-az2"] = kind
    arc.waiting[ZONE] = kind
    assert asked.why_leave() == ""
    arc.shifts[ZONE] = kind
    assert asked.why_leave() == f"zone {ZONE} is shifted away ({said})"
    arc.shifts.clear()
    assert asked.why_leave() == ""


REFUSALS: list[tuple[int, str, type[Failure], str]] = [
    (403, "AccessDeniedException", Permanent, "allow arc-zonal-shift:GetManagedResource"),
    (404, "ResourceNotFoundException", Permanent, "let ARC manage the cluster"),
    (400, "ValidationException", Permanent, "correct ClusterArn"),
    (403, "UnrecognizedClientException", Permanent, "credentials"),
    (400, "SomethingNew", Permanent, "SomethingNew"),
    (429, "ThrottlingException", Throttled, "less often"),
    (403, "ExpiredTokenException", Transient, "asked again"),
    (500, "InternalServerException", Transient, "asked again"),
    (503, "ServiceUnavailable", Transient, "asked again"),
]


@pytest.mark.parametrize(("status", "code", "kind", "said"), REFUSALS)
def test_a_refusal_says_whose_turn_it_is_and_the_next_answer_counts(
    arc: Arc, status: int, code: str, kind: type[Failure], said: str
) -> None:
    asked, arc.refuse = place(), (status, code)
    with pytest.raises(Failure, match=said) as caught:
        asked.why_leave()
    assert type(caught.value) is kind
    arc.refuse = None
    assert asked.why_leave() == ""


def test_a_cluster_that_arc_does_not_manage_is_named(arc: Arc) -> None:
    assert arc.cluster == CLUSTER
    with pytest.raises(Permanent, match="cluster/other"):
        place("arn:aws:eks:us-east-1:123456789012:cluster/other").why_leave()


def test_no_answer_is_for_time_to_heal(arc: Arc) -> None:
    arc.close()
    with pytest.raises(Transient, match="ARC endpoint"):
        place().why_leave()


def test_without_credentials_a_person_has_to_act(arc: Arc, monkeypatch: pytest.MonkeyPatch) -> None:
    assert arc.cluster == CLUSTER
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Permanent, match="give the pod a role"):
        place().why_leave()


def test_a_zone_that_can_t_be_told_is_asked_for_again(arc: Arc) -> None:
    arc.shifts[ZONE] = "ZONAL_SHIFT"
    answers: list[str] = []

    def zone() -> str:
        if not answers:
            raise Transient("IMDS does not answer")
        return answers[0]

    asked = ZonePlace(ZonalShifts("us-east-1"), CLUSTER, zone)
    with pytest.raises(Transient, match="IMDS"):
        asked.why_leave()
    answers.append(ZONE)
    assert "shifted away" in asked.why_leave()
