"""Whose a Lease is, who takes it after it was given up, and two versions in one group."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from types import MappingProxyType

import pytest

from simulation.pair import Group, group
from simulation.pod import SOUND, Parts
from simulation.variants import OtherLease
from simulation.world import ADDRESSES, THIEF
from vipmanager.core.election import record as lease_record
from vipmanager.core.election.values import Message, Probe, Reply
from vipmanager.core.heartbeat import Count, DropReason
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.values import PodAddress, host
from vipmanager.ports import Channel

STRANGERS = (ADDRESSES, (ip_address("192.168.0.3"), ip_address("192.168.0.4")))
NEWER = (ADDRESSES, (ADDRESSES[0], ip_address("192.168.0.3")))


class OldLease(OtherLease):
    """Writes the Lease as version 0.1.0 does."""

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        new = {
            lease_record.ADDRESSES,
            lease_record.CLOCK,
            lease_record.REVISION,
            lease_record.WORKLOAD,
        }
        kept = {k: v for k, v in record.annotations.items() if k not in new}
        return super().replace(replace(record, annotations=MappingProxyType(kept)), urgent=urgent)


class OldChannel:
    """Sends heartbeats as version 0.1.0 does."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.address = channel.address

    def send(self, to: str, message: Message) -> None:
        match message:
            case Probe():
                self._channel.send(to, replace(message, interval=None))
            case Reply():
                self._channel.send(to, replace(message, clock=None))

    def drops(self) -> Mapping[DropReason, Count]:
        return self._channel.drops()


OLD = Parts(lease=OldLease, channel=OldChannel)


# whose it is


def test_a_replica_with_another_address_takes_over_and_says_so() -> None:
    pair = group(addresses=NEWER, others="app-6c5b8-x2x4z")
    assert "OTHER_ADDRESSES" in pair.conditions(1)
    assert pair.agents[1].ready
    assert pair.outage(lambda: pair.lose(0)) <= 1.0


def test_replicas_of_one_revision_without_a_common_address_are_two_groups() -> None:
    pair = group(addresses=STRANGERS, others="app-6c4b7-zzzzz")
    pair.run(30)
    assert "LEASE_FOREIGN" in pair.conditions(1)
    assert not pair.agents[1].ready
    assert pair.moves == []


def test_another_revision_takes_over_without_a_common_address() -> None:
    pair = group(addresses=STRANGERS, others="app-6c5b8-x2x4z")
    assert "OTHER_ADDRESSES" in pair.conditions(1)
    assert pair.outage(lambda: pair.lose(0)) <= 1.0


def test_a_stateful_set_without_a_common_address_goes_on_once_the_old_pod_leaves() -> None:
    pair = group(addresses=STRANGERS, called="db-1", others="db-0")
    pair.run(30)
    assert "LEASE_UNCLEAR" in pair.conditions(1)
    assert pair.agents[1].ready
    assert pair.moves == []
    assert pair.outage(pair.agents[0].leave) <= 0.5


@pytest.mark.parametrize("parts", [(OLD, SOUND), (SOUND, OLD)])
def test_two_versions_are_one_group(parts: tuple[Parts, ...]) -> None:
    pair = group(parts=parts)
    pair.run(10)
    assert pair.conditions(1) == {"UNANSWERED"}  # these pods have no peers
    assert pair.outage(lambda: pair.lose(0)) <= 1.0


def test_other_addresses_than_those_of_an_older_version_are_taken_once_it_leaves() -> None:
    pair = group(addresses=STRANGERS, others="app-6c5b8-x2x4z", parts=(OLD, SOUND))
    pair.run(30)
    assert "LEASE_UNCLEAR" in pair.conditions(1)
    assert pair.agents[1].ready
    assert pair.outage(pair.agents[0].leave) <= 0.5


def test_an_address_that_comes_later_stands_in_the_lease_without_a_restart() -> None:
    pair = group()
    kernel, third = pair.agents[0].kernel, "192.168.0.7"
    fresh = PodAddress(address=ip_address(third), prefix_length=24)
    kernel.state = replace(
        kernel.state,
        interfaces=tuple(
            replace(i, addresses=(*i.addresses, fresh)) if i.name == "net1" else i
            for i in kernel.state.interfaces
        ),
    )
    pair.agents[0].netlink()
    pair.run(10)
    assert pair.lease.record is not None
    assert lease_record.ADDRESSES in pair.lease.record.annotations
    named = pair.lease.record.annotations[lease_record.ADDRESSES]
    assert named == f"{ADDRESSES[0]},{ADDRESSES[1]},{third}"


# who gave it up


def gave_up(pair: Group, turns: int) -> list[float]:
    """Let one after the other turn sick; give for how long each next holder had been fit."""
    fit = []
    pair.sicken(0)
    pair.run(1)
    for turn in range(turns):
        sick, well = (turn + 1) % 2, turn % 2
        pair.heal(well)
        since = pair.world.now
        pair.sicken(sick)
        name = pair.agents[well].name
        assert pair.world.run(since + 60, lambda name=name: pair.holder == name)  # type: ignore[misc]
        fit.append(pair.world.now - since)
    return fit


def test_a_pod_that_gave_up_has_to_be_fit_for_longer_each_time() -> None:
    pair = group(checked=True)
    times = gave_up(pair, 6)
    for fit, pause in zip(times, (2, 2, 8, 8, 30, 30), strict=True):
        assert pause <= fit <= pause + 2
    assert len(pair.moves) == 7


def test_what_keeps_a_pod_from_taking_is_told_and_is_no_reason_not_to_be_ready() -> None:
    pair = group(checked=True)
    gave_up(pair, 3)
    pair.heal(1)
    pair.run(3)
    assert "HEALING" in pair.conditions(1)
    assert pair.agents[1].ready
    pair.run(10)
    assert "HEALING" not in pair.conditions(1)


def test_that_it_gave_up_is_forgotten_after_a_while() -> None:
    pair = group(checked=True)
    gave_up(pair, 4)
    pair.heal(0)
    pair.run(150)
    assert max(gave_up(pair, 1)) <= 4


@pytest.mark.parametrize("how", ["lost", "leaves"])
def test_who_gave_up_takes_at_once_what_nobody_serves(how: str) -> None:
    pair = group(checked=True)
    gave_up(pair, 4)  # b holds it, and a has to be fit for half a minute
    pair.heal(0)
    holder = pair.agents[1]
    deed = holder.leave if how == "leaves" else lambda: pair.lose(1)
    assert 1.0 <= pair.outage(deed, to="a1") <= 2.0


def test_another_one_comes_first() -> None:
    trio = group(checked=True, nodes="abc")
    trio.sicken(2)
    gave_up(trio, 2)
    trio.heal(1)
    trio.heal(2)
    trio.run(1)
    place = "ab".index(trio.holder[0])
    assert trio.outage(lambda: trio.lose(place), to="c1") <= 1.0


def test_who_could_not_write_takes_what_nobody_serves() -> None:
    pair = group()
    ills = pair.world.ec2.ills
    ills.writes = "hang"
    pair.world.point([0], host(ADDRESSES[0]), THIEF)
    pair.run(60)
    assert pair.moves
    ills.writes = ""
    assert pair.world.run(pair.world.now + 60, lambda: pair.holder in {"a1", "b1"})
    place = "ab".index(pair.holder[0])
    assert "TAKEOVER_BACKOFF" in pair.conditions(1 - place)
    assert pair.outage(lambda: pair.lose(place), to=pair.agents[1 - place].name) <= 3.0
