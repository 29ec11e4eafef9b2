"""What leaves a machine, and when: the same from the simulated EC2 client and from the real one."""

import pytest

from contract.wire.senders import ZONES, Make, Sender


def test_a_write_is_made_as_long_as_its_fence_stands(sender: Sender) -> None:
    sender.begin()
    assert sender.ended() == "done"
    sender.end_fence()
    sender.begin()
    assert sender.ended() == "TooLate"
    assert sender.arrived == 1


def test_nothing_arrives_where_the_fence_ends_while_credentials_are_slow(sender: Sender) -> None:
    sender.slow_credentials()
    sender.begin()
    sender.end_fence()
    sender.credentials()
    assert sender.ended() == "TooLate"
    assert sender.arrived == 0


def test_nothing_arrives_where_the_fence_ends_while_it_connects(sender: Sender) -> None:
    sender.read()
    sender.cut(*ZONES)
    sender.begin()
    sender.connecting()
    sender.end_fence()
    sender.heal(*ZONES)
    assert sender.ended() == "TooLate"
    assert sender.arrived == 0


def test_a_second_connection_is_ready_after_a_reading(make: Make) -> None:
    sender = make(spare=True)
    sender.read()
    sender.ready()


def test_a_silent_connection_is_left_for_another_address(sender: Sender) -> None:
    sender.read()
    for zone in ZONES:  # wherever the connection leads
        sender.cut(zone)
        sender.begin()
        assert sender.ended() == "done"
        sender.heal(zone)


def test_where_both_connections_are_silent_a_third_is_made(make: Make) -> None:
    sender = make(spare=True)
    sender.read()
    sender.ready()
    sender.cut(*ZONES)
    sender.begin()
    sender.connecting()
    sender.heal(*ZONES)
    assert sender.ended() == "done"


@pytest.mark.parametrize("seconds", [10.0, 45.0])
def test_what_is_sent_into_a_cut_link_does_not_arrive_when_it_heals(
    make: Make, seconds: float
) -> None:
    killed, given_up = make(), make()
    for sender in killed, given_up:
        sender.read()
    for sender in killed, given_up:
        sender.cut(*ZONES)
        sender.begin()
        sender.sent()
        if sender is killed:
            sender.kill()
    given_up.heals_after(seconds)
    assert killed.arrived == 0
    assert given_up.arrived == 0
