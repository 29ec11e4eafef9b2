"""Two replicas of an application: one steers, the other is ready to, with real packets."""

from standby_fixtures import standing, writes_of
from steady import await_readings, unmoved
from vipmanager_lab.replicas import HEALTH_PORT

CHECK = {"HealthCheck": f"tcp://127.0.0.1:{HEALTH_PORT}", "HealthIntervalMs": "100"}


def test_a_standby_is_ready_and_writes_no_route() -> None:
    with standing() as group:
        holder, standby = group.pair()
        assert group.points_at("a")
        assert group.holder() is holder
        assert standby.status()["election"]["role"] == "standby"
        assert writes_of(group, standby) == 0
        with unmoved(group):
            await_readings(group, 6)


def test_floating_ips_that_go_back_and_forth_at_once_end_where_the_lease_is() -> None:
    with standing() as group:
        holder, standby = group.pair()
        for heir in (standby, holder, standby, holder):
            mark = len(heir.agent.records)
            heir.order("claim")
            heir.await_takeover(since=mark)
            assert group.points_at(heir.zone)
            assert group.holder() is heir


def test_an_application_that_dies_keeps_its_floating_ips_where_no_other_is_well() -> None:
    with standing(CHECK) as group:
        holder, standby = group.pair()
        standby.application.close()
        standby.await_status(lambda s: not s["ready"])
        holder.application.close()
        holder.await_status(lambda s: not s["ready"])
        with unmoved(group):
            await_readings(group, 6)
        assert group.holder() is holder
