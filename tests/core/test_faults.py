"""What was wrong lately is remembered for a while, and not for ever."""

from vipmanager.core.failures import Transient
from vipmanager.core.faults import KEPT, MOST, Faults
from vipmanager.core.findings import READING, Condition, Finding, find
from vipmanager.core.report import Report


def stolen(destination: str = "192.168.0.1/32") -> Finding:
    fields = {"destination": destination, "rival": "eni-b1", "count": 1, "total": 3}
    return find(Condition.CONTESTED, destination, **fields, seconds=7.0)


def a_pass(*findings: Finding, observed: bool = True, whole: bool = True) -> Report:
    return Report(
        number=1,
        reasons=("resync",),
        seconds=0.1,
        observed=observed,
        findings=findings,
        whole=whole,
    )


def over(faults: Faults, now: float) -> list[tuple[object, object, object]]:
    return [(f["subject"], f["lasted"], f["ago"]) for f in faults.document(now)]


def test_a_fault_that_is_cleared_is_told_with_how_long_it_lasted_and_how_long_ago_it_ended() -> (
    None
):
    faults = Faults().after(a_pass(stolen()), 100.0)
    assert over(faults, 105.0) == []
    faults = faults.after(a_pass(), 112.0)
    assert over(faults, 152.0) == [("192.168.0.1/32", 12.0, 40.0)]
    assert faults.document(152.0)[0]["condition"] == "CONTESTED"


def test_it_is_forgotten_after_a_while_and_many_of_them_are_bounded() -> None:
    many = [stolen(f"192.168.1.{n}/32") for n in range(MOST + 5)]
    faults = Faults().after(a_pass(*many), 0.0).after(a_pass(), 1.0)
    assert len(over(faults, 2.0)) == MOST
    assert over(faults, 1.0 + KEPT) == []
    assert faults.after(a_pass(), 1.0 + KEPT).over == ()


def test_one_that_is_back_is_no_longer_over_and_is_counted() -> None:
    faults = Faults()
    for now, findings in ((0.0, [stolen()]), (5.0, []), (9.0, [stolen()]), (11.0, [])):
        faults = faults.after(a_pass(*findings), now)
        if now == 9.0:
            assert over(faults, now) == []
    (told,) = faults.document(12.0)
    assert (told["times"], told["lasted"]) == (2, 2.0)


def test_a_pass_that_could_not_look_ends_nothing() -> None:
    unread = a_pass(Transient("EC2 is away", "wait").finding(READING), observed=False)
    faults = Faults().after(a_pass(stolen()), 0.0).after(unread, 5.0)
    assert over(faults, 5.0) == []
    faults = faults.after(a_pass(), 20.0)
    assert sorted(over(faults, 20.0), key=str) == [
        ("192.168.0.1/32", 20.0, 0.0),
        ("observe", 15.0, 0.0),
    ]


def test_a_wave_beside_the_passes_ends_nothing() -> None:
    faults = Faults().after(a_pass(stolen()), 0.0).after(a_pass(whole=False), 1.0)
    assert over(faults, 1.0) == []


def test_what_each_write_may_meet_and_what_a_person_asked_for_are_no_faults() -> None:
    usual = find(Condition.NOT_VISIBLE, "d", destination="d", table="rtb-1", target="eni-a1")
    faults = Faults().after(a_pass(usual, find(Condition.YIELDED, "pod")), 0.0)
    assert over(faults.after(a_pass(), 1.0), 1.0) == []
