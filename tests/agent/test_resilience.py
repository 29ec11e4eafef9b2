"""Faults of EC2 and of ourselves: nothing is lost, nothing is half-done for long."""

import signal
from collections.abc import Callable

import pytest

from agent_fixtures import Stage, converged, wait_until
from vipmanager_lab.ec2.faults import Break, Hang
from vipmanager_lab.world import World


@pytest.mark.parametrize("after", range(0, 9, 2))
def test_killed_at_any_write_and_started_again_it_converges(stage: Stage, after: int) -> None:
    world = stage.world
    pod = stage.pod()
    world.faults.inject("CreateRoute", Hang(), times=20, after=after)
    agent = stage.init(pod)
    if after < 8:
        world.faults.await_hang()
        agent.signal(signal.SIGKILL)
    agent.wait()
    world.faults.clear()
    world.faults.release_hangs()
    assert stage.init(pod).wait() == 0
    assert stage.points_at("a")


def test_throttled_by_ec2s_own_buckets_no_write_is_lost(make_world: Callable[..., World]) -> None:
    world = make_world(tables=60)
    stage = Stage(world)
    world.faults.ec2_buckets()
    agent = stage.init(stage.pod(), InitTimeoutSeconds="120")
    assert agent.wait(120) == 0
    assert stage.points_at("a")
    assert world.writes() == 120


def test_a_bucket_that_others_drain_is_found_out(make_world: Callable[..., World]) -> None:
    world = make_world(tables=20)
    stage = Stage(world)
    world.faults.throttle("CreateRoute", 10, 10)
    agent = stage.init(stage.pod(), InitTimeoutSeconds="60")
    assert agent.wait(60) == 0
    assert stage.points_at("a")
    throttled = sum(
        c.error == "RequestLimitExceeded" for c in world.endpoint.calls_of("CreateRoute")
    )
    assert 0 < throttled < 60


@pytest.mark.parametrize(
    "fault",
    [Break.RESET, Break.LOST, Break.TRUNCATED, Hang(seconds=4)],
    ids=["reset", "answer lost", "answer truncated", "hang"],
)
@pytest.mark.parametrize("action", ["CreateRoute", "DescribeRouteTables"])
def test_a_broken_connection_is_tried_again(stage: Stage, action: str, fault: Break | Hang) -> None:
    stage.world.faults.inject(action, fault, times=2)
    agent = stage.init(stage.pod())
    assert agent.wait() == 0, agent.text
    assert stage.points_at("a")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InternalError", 500),
        ("ServiceUnavailable", 503),
        ("Unavailable", 503),
        ("RequestLimitExceeded", 503),
        ("InvalidNetworkInterfaceID.NotFound", 400),
    ],
)
def test_an_error_that_passes_is_tried_again(stage: Stage, code: str, status: int) -> None:
    stage.world.faults.fail_next("CreateRoute", code, status, times=5)
    stage.world.faults.fail_next("DescribeNetworkInterfaces", "InternalError", 500)
    assert stage.init(stage.pod()).wait() == 0
    assert stage.points_at("a")


def test_a_full_table_is_named_with_the_quota_and_the_others_are_right(stage: Stage) -> None:
    stage.world.faults.fail_next("CreateRoute", "RouteLimitExceeded", 400, times=100, after=7)
    agent = stage.init(stage.pod())
    assert agent.wait() == 1
    assert any("RouteLimitExceeded" in t and "L-93826ACB" in t for t in agent.text)
    assert stage.world.writes() == 7


def test_readings_that_lag_behind_writes_cost_no_second_write(stage: Stage) -> None:
    stage.world.faults.stale_reads(seconds=1.5)
    assert stage.init(stage.pod()).wait() == 0
    assert stage.points_at("a")
    assert stage.world.writes() == 8


def test_credentials_that_were_revoked_are_looked_for_anew(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    stage = Stage(world)
    agent = stage.sidecar(stage.pod())
    agent.wait_for(converged)
    for key in {c.access_key for c in world.endpoint.calls if c.access_key}:
        world.account.credentials.revoke(key)
    world.forget_credentials()
    world.account.drop_route(world.tables[0], "192.168.0.1/32")
    wait_until(lambda: stage.points_at("a"))


def test_a_role_for_the_route_tables_is_assumed_for_them_alone(stage: Stage) -> None:
    world = stage.world
    role = f"arn:aws:iam::{world.account.id}:role/routes"
    assert stage.init(stage.pod(), RouteRoleArn=role).wait() == 0
    keys = {
        action: {c.access_key for c in world.endpoint.calls_of(action)}
        for action in ("CreateRoute", "DescribeRouteTables", "DescribeNetworkInterfaces")
    }
    assert keys["CreateRoute"] == keys["DescribeRouteTables"]
    assert not keys["CreateRoute"] & keys["DescribeNetworkInterfaces"]
    assert world.endpoint.counts()["AssumeRole"] == 1


def test_many_tables_are_read_in_pages(make_world: Callable[..., World]) -> None:
    world = make_world(tables=120)
    stage = Stage(world)
    agent = stage.init(stage.pod(), ApiRate="1000/1000")
    assert agent.wait() == 0
    assert stage.points_at("a")
    assert world.endpoint.counts()["DescribeRouteTables"] == 4
