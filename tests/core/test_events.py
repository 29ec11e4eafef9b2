"""Which Events a pass is worth."""

from dataclasses import replace

from reports import displaced, failed, marked, refused, report, skipped, waiting, wrote
from vipmanager.core.events import LONGEST, Occurrence, Posted, Reason, occurrences
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Condition, find
from vipmanager.core.report import Report

NOTHING: Posted = frozenset()
DENIED = Permanent("access denied", "allow it")


def told(*reports: Report) -> list[tuple[Occurrence, ...]]:
    before, found = NOTHING, []
    for each in reports:
        news, before = occurrences(each, before)
        found.append(news)
    return found


def test_a_move_is_one_event_for_each_destination_however_many_tables() -> None:
    [[moved]] = told(report(done=tuple(wrote(n) for n in range(10))))
    assert (moved.reason, moved.reason.type) == (Reason.MOVED, "Normal")
    assert moved.message == (
        "192.168.0.1/32 now points at eni-a1, this pod's, in 10 route tables (0.1 s)"
    )


def test_tables_that_could_not_be_written_are_counted_beside_those_that_were() -> None:
    [[moved, denied]] = told(report(failed(), done=(wrote(0), wrote(1, DENIED), wrote(2, DENIED))))
    assert moved.message == (
        "192.168.0.1/32 now points at eni-a1, this pod's, in 1 of 3 route tables (0.1 s); "
        "2 could not be written"
    )
    assert denied.reason is Reason.REFUSED
    assert "access denied; allow it" in denied.message


def test_what_moved_nothing_and_what_no_one_has_to_act_on_is_no_event() -> None:
    quiet = report(waiting(), skipped(), done=(marked(), wrote(0, DENIED)))
    assert told(report(), quiet) == [(), ()]


def test_a_lost_floating_ip_is_told_when_it_is_lost_and_not_in_every_pass() -> None:
    lost = report(displaced())
    [[event], again, cleared, [later]] = told(lost, replace(lost, number=2), report(), lost)
    assert (event.reason, event.reason.type) == (Reason.LOST, "Warning")
    assert event.message == str(displaced())
    assert (again, cleared) == ((), ())
    assert later == event


def test_what_is_gone_from_the_pod_has_an_event_for_each_address() -> None:
    gone = [
        find(
            Condition.LOST,
            address,
            address=address,
            why="net1 is down",
            count=4,
            total=4,
            eni="eni-a1",
            remedy="ip link set net1 up",
        )
        for address in ("192.168.0.1", "192.168.0.2")
    ]
    [events, again] = told(report(*gone), report(*gone, number=2))
    assert {(e.reason, e.subject) for e in events} == {
        (Reason.LOST, "192.168.0.1"),
        (Reason.LOST, "192.168.0.2"),
    }
    assert "192.168.0.1 is lost: net1 is down" in events[0].message
    assert again == ()


def test_a_loss_that_spreads_is_the_same_loss() -> None:
    spread = replace(displaced(), fields=(*displaced().fields, ("count", 3)))
    assert told(report(displaced()), report(spread))[1] == ()


def test_refusals_of_one_kind_are_one_event() -> None:
    [[event]] = told(report(*[refused(f"rtb-{n:02}") for n in range(50)]))
    assert event.reason is Reason.REFUSED
    assert event.message.startswith("192.168.0.1/32 in rtb-00 is routed to igw-1, ")
    assert event.message.endswith(" (and 49 more like it)")


def test_a_pass_that_could_not_read_tells_nothing_and_forgets_nothing() -> None:
    blind = report(waiting(), observed=False)
    assert told(report(displaced()), blind, report(displaced()))[1:] == [(), ()]


def test_a_message_fits_into_an_event() -> None:
    long = replace(displaced(), fields=(*displaced().fields, ("rival", "x" * 2000)))
    [[event]] = told(report(long))
    assert len(event.message) == LONGEST
    assert event.message.endswith("...")
