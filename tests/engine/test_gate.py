"""An application that is not well takes no floating IP, and keeps those that it has."""

from ipaddress import ip_network

from engine.scene import ONE, PEERS, PLAIN, TWO, alone, both, marks, owners, point, rest
from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.election.values import Order
from vipmanager.core.settings import Settings

FALL = PLAIN.health_fall * PLAIN.health_interval + 0.1
"""Seconds until an illness is found out."""
RISE = PLAIN.health_rise * PLAIN.health_interval + 0.5
"""Seconds until a recovery is, and what follows from it is done and read back."""


def fault(settings: Settings = PLAIN, *, tables: int = 4) -> tuple[World, Pod]:
    """Start an agent whose application is not well, where node b has everything."""
    world, pod = alone(settings, tables=tables, checked=True)
    both(world, "b")
    pod.app.well = False
    return world, pod


def well() -> tuple[World, Pod]:
    """Start one that is, where there is nothing, and give it a minute."""
    world, pod = alone(tables=4, checked=True)
    world.run(60)
    assert pod.ready
    world.ec2.writes.clear()
    return world, pod


def test_a_pod_that_is_not_well_takes_nothing_from_a_healthy_one() -> None:
    world, pod = fault(PEERS, tables=10)
    world.run(300)
    assert world.ec2.writes == []
    assert not pod.ready
    assert "answered 503" in pod.readiness.why
    assert any(str(r.destination) == "10.0.100.0/24" for r in pod.kernel.state.routes), (
        "the pod is made ready to answer"
    )


def test_it_claims_at_once_when_it_turns_well() -> None:
    world, pod = fault(tables=10)
    world.run(60)
    pod.app.well = True
    rest(world, RISE)
    assert owners(world, ONE) == {"eni-a1"}
    assert owners(world, TWO) == {"eni-a2"}
    assert pod.ready
    assert len(marks(pod)) == 2


def test_a_claim_that_waits_is_no_hold_after_a_restart() -> None:
    """Else a pod that found one table right by chance would count the rest as stolen from it."""
    world, pod = fault()
    point(world, ONE, "eni-a1", only=0)
    world.run(120)
    assert marks(pod) == []
    pod.kill()
    pod.app.well = True
    pod.start()
    rest(world, RISE)
    assert owners(world, ONE) == {"eni-a1"}
    assert pod.ready


def test_a_holder_that_falls_ill_keeps_its_routes_and_is_not_ready() -> None:
    world, pod = well()
    pod.app.well = False
    rest(world, 60)
    assert not pod.ready
    assert world.ec2.writes == []
    world.drop([0], ip_network(ONE))
    rest(world, 120)
    assert owners(world, ONE) == {"eni-a1"}, "nobody else serves where no route is"
    pod.app.well = True
    rest(world, RISE)
    assert pod.ready


def test_a_holder_that_is_ill_leaves_a_drifted_route_to_the_living() -> None:
    world, pod = well()
    point(world, ONE, "eni-b1", only=1)
    pod.app.well = False
    rest(world, 240)
    assert owners(world, ONE) == {"eni-a1", "eni-b1"}
    pod.app.well = True
    rest(world, 30)
    assert owners(world, ONE) == {"eni-a1"}


def test_an_order_to_claim_waits_for_health_too() -> None:
    world, pod = fault()
    world.run(60)
    pod.ask(Order.CLAIM)
    rest(world, 60)
    assert owners(world, ONE) == {"eni-b1"}
    pod.app.well = True
    rest(world, RISE)
    assert owners(world, ONE) == {"eni-a1"}


def test_an_illness_is_told_while_ec2_is_away() -> None:
    world, pod = well()
    world.ec2.ills.reads = "error"
    pod.app.well = False
    rest(world, FALL)
    assert not pod.ready
    assert "answered 503" in pod.readiness.why


def test_an_illness_does_not_make_readings_more_frequent() -> None:
    world, pod = fault()
    world.run(3600)
    assert len(pod.reports) < 3600 / 20
