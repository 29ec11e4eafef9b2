"""The mark of a held floating IP tells of a reading, never of an assumption."""

from dataclasses import replace

from engine.scene import ONE, give, holding, last, net1, owners, point, rest


def test_an_address_that_returns_is_claimed_and_not_held_by_an_old_reading() -> None:
    world, pod = holding(tables=2)
    before = net1(pod)
    give(pod, replace(before, addresses=()))
    rest(world)
    # Another pod takes the address over, unseen, before it is back here: a claim takes it back.
    point(world, ONE, "eni-b1")
    give(pod, before)
    rest(world)
    assert owners(world, ONE) == {"eni-a1"}
    rest(world, 60)
    assert not last(pod).yields
    assert last(pod).clean
