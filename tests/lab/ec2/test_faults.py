"""Each thing that can be set to go wrong, seen from a real client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from vipmanager_lab.ec2.faults import Break, Hang, Impairment, TokenBucket, Unreachable

if TYPE_CHECKING:
    from lab.ec2.conftest import Client, Lab, MakeClient, Refused, Routes

VIP = "198.51.100.7/32"

Steer = Callable[..., None]


@pytest.fixture
def steer(lab: Lab, ec2: Client) -> Steer:
    """Move the floating IP to an ENI."""
    lab.account.put_route(lab.table, VIP, lab.eni_a)

    def move(eni: str = lab.eni_b) -> None:
        ec2.replace_route(RouteTableId=lab.table, DestinationCidrBlock=VIP, NetworkInterfaceId=eni)

    return move


def _target(lab: Lab) -> str:
    (route,) = lab.account.view.tables[lab.table].static.values()
    return route.target


def test_an_empty_bucket_throttles_with_503(lab: Lab, ec2: Client, refused: Refused) -> None:
    lab.faults.throttle("DescribeRouteTables", 2, 0)
    ec2.describe_route_tables()
    ec2.describe_route_tables()
    assert refused(ec2.describe_route_tables) == (
        503,
        "RequestLimitExceeded",
        "Request limit exceeded.",
    )
    ec2.describe_subnets()


def test_a_bucket_gains_tokens_up_to_its_burst() -> None:
    bucket = TokenBucket(2, 5, 100.0)
    assert [bucket.take(100.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(100.2), bucket.take(100.2)] == [True, False]
    assert [bucket.take(200.0) for _ in range(3)] == [True, True, False]


def test_ec2s_buckets_hold_50_route_writes(lab: Lab, steer: Steer, refused: Refused) -> None:
    lab.faults.ec2_buckets()
    for _ in range(50):
        lab.faults.spend("ReplaceRoute", {})
    lab.faults.spend("CreateRoute", {})
    assert refused(steer)[0] == 503


def test_an_unfiltered_describe_of_enis_has_a_smaller_bucket(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    lab.faults.ec2_buckets()
    lab.faults.throttle("DescribeNetworkInterfaces unfiltered", 0, 0)
    ec2.describe_network_interfaces(MaxResults=5)
    assert refused(ec2.describe_network_interfaces)[0] == 503


def test_a_planned_failure_strikes_once_after_the_calls_it_lets_pass(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    lab.faults.fail_next("DescribeRouteTables", "InternalError", 500, after=1)
    ec2.describe_route_tables()
    assert refused(ec2.describe_route_tables)[:2] == (500, "InternalError")
    ec2.describe_route_tables()


def test_a_planned_failure_can_strike_any_action_several_times(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    lab.faults.fail_next(None, "Unavailable", 503, times=2)
    assert refused(ec2.describe_route_tables)[1] == "Unavailable"
    assert refused(ec2.describe_subnets)[1] == "Unavailable"
    ec2.describe_subnets()


def test_a_reset_applies_nothing(lab: Lab, steer: Steer) -> None:
    lab.faults.inject("ReplaceRoute", Break.RESET)
    with pytest.raises(ConnectionClosedError):
        steer()
    assert _target(lab) == lab.eni_a
    assert lab.endpoint.calls[-1].error == "reset"


def test_a_lost_answer_was_applied(lab: Lab, steer: Steer) -> None:
    lab.faults.inject("ReplaceRoute", Break.LOST)
    with pytest.raises(ConnectionClosedError):
        steer()
    assert _target(lab) == lab.eni_b


def test_a_truncated_answer_was_applied(lab: Lab, steer: Steer) -> None:
    lab.faults.inject("ReplaceRoute", Break.TRUNCATED)
    with pytest.raises(ResponseParserError):
        steer()
    assert _target(lab) == lab.eni_b


def test_a_hang_holds_the_write_back_until_it_is_released(lab: Lab, steer: Steer) -> None:
    lab.faults.inject("ReplaceRoute", Hang())
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(steer)
        with pytest.raises(TimeoutError):
            call.result(timeout=0.1)
        assert _target(lab) == lab.eni_a
        lab.faults.release_hangs()
        call.result(timeout=2)
    assert _target(lab) == lab.eni_b


def test_a_hang_ends_by_itself_after_its_seconds(lab: Lab, steer: Steer) -> None:
    lab.faults.inject("ReplaceRoute", Hang(seconds=0.05))
    steer()
    assert _target(lab) == lab.eni_b
    [call] = lab.endpoint.calls_of("ReplaceRoute")
    assert call.finish - call.start >= 0.05


def test_a_write_whose_client_gave_up_still_lands(lab: Lab, make_client: MakeClient) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    lab.faults.inject("ReplaceRoute", Hang())
    landed = threading.Event()
    lab.account.subscribe(landed.set)
    impatient = make_client(lab.port, read_timeout=0.1)
    with pytest.raises(ReadTimeoutError):
        impatient.replace_route(
            RouteTableId=lab.table, DestinationCidrBlock=VIP, NetworkInterfaceId=lab.eni_b
        )
    lab.faults.release_hangs()
    assert landed.wait(2)
    assert _target(lab) == lab.eni_b


def test_stale_reads_show_the_world_some_writes_ago(lab: Lab, routes: Routes, steer: Steer) -> None:
    steer()
    lab.faults.stale_reads(count=1)
    assert routes()[VIP]["NetworkInterfaceId"] == lab.eni_a
    lab.faults.stale_reads()
    assert routes()[VIP]["NetworkInterfaceId"] == lab.eni_b


def test_stale_reads_show_the_world_some_seconds_ago(lab: Lab, ec2: Client, steer: Steer) -> None:
    steer()
    lab.faults.stale_reads(seconds=3600)
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_a_denied_write_has_ec2s_text_and_is_not_applied(
    lab: Lab, steer: Steer, refused: Refused
) -> None:
    lab.faults.deny("ReplaceRoute")
    status, code, message = refused(steer)
    assert (status, code) == (403, "UnauthorizedOperation")
    user = f"arn:aws:iam::{lab.account.id}:user/lab"
    table = f"arn:aws:ec2:eu-central-1:{lab.account.id}:route-table/{lab.table}"
    assert message.startswith(
        f"You are not authorized to perform this operation. User: {user} is not authorized to "
        f"perform: ec2:ReplaceRoute on resource: {table} because no identity-based policy "
        "allows the ec2:ReplaceRoute action. Encoded authorization failure message: "
    )
    assert _target(lab) == lab.eni_a
    lab.faults.allow("ReplaceRoute")
    steer()


def test_a_denial_can_cover_one_table_and_comes_before_a_dry_run(
    lab: Lab, ec2: Client, steer: Steer, refused: Refused
) -> None:
    other = lab.account.create_route_table(lab.vpc)
    lab.faults.deny("ReplaceRoute", other)
    steer()
    refusal = refused(
        ec2.replace_route,
        RouteTableId=other,
        DestinationCidrBlock=VIP,
        NetworkInterfaceId=lab.eni_a,
        DryRun=True,
    )
    assert refusal[1] == "UnauthorizedOperation"


def test_assuming_a_role_can_be_denied(lab: Lab, make_client: MakeClient, refused: Refused) -> None:
    lab.faults.deny("AssumeRole")
    sts = make_client(lab.port, "sts")
    arn = f"arn:aws:iam::{lab.account.id}:role/router"
    refusal = refused(sts.assume_role, RoleArn=arn, RoleSessionName="vipmanager")
    assert refusal[:2] == (403, "AccessDenied")


def test_an_unreachable_endpoint_closes_connections(lab: Lab, ec2: Client) -> None:
    lab.faults.unreachable = Unreachable.CLOSES
    with pytest.raises(ConnectionClosedError):
        ec2.describe_route_tables()
    lab.faults.unreachable = None
    ec2.describe_route_tables()


def test_a_silent_endpoint_never_answers_and_applies_nothing(
    lab: Lab, make_client: MakeClient
) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    lab.faults.unreachable = Unreachable.SILENT
    with pytest.raises(ReadTimeoutError):
        make_client(lab.port, read_timeout=0.1).replace_route(
            RouteTableId=lab.table, DestinationCidrBlock=VIP, NetworkInterfaceId=lab.eni_b
        )
    lab.faults.unreachable = None
    assert _target(lab) == lab.eni_a


def test_a_partition_can_swallow_the_answer_of_a_write_that_landed(lab: Lab, steer: Steer) -> None:
    def cut() -> None:
        lab.faults.unreachable = Unreachable.CLOSES

    lab.account.subscribe(cut)
    with pytest.raises(ConnectionClosedError):
        steer()
    assert _target(lab) == lab.eni_b


def test_fifty_parallel_calls_take_the_latency_of_one(lab: Lab, make_client: MakeClient) -> None:
    clients = make_client(lab.port, pool=50)
    clients.describe_subnets()
    lab.faults.latency = 0.5
    lab.endpoint.clear_calls()
    start = time.monotonic()
    with ThreadPoolExecutor(50) as pool:
        for _ in pool.map(lambda _: clients.describe_subnets(), range(50)):
            pass
    assert 0.5 <= time.monotonic() - start < 3  # in turn it would take 25 s
    assert lab.endpoint.counts() == {"DescribeSubnets": 50}
    calls = lab.endpoint.calls
    assert max(call.start for call in calls) < min(call.finish for call in calls)


def test_jitter_is_repeatable_and_bounded(lab: Lab) -> None:
    lab.faults.latency, lab.faults.jitter = 0.08, 0.02
    delays = [lab.faults.delay("DescribeSubnets") for _ in range(100)]
    assert 0.08 <= min(delays) < max(delays) <= 0.1


@pytest.mark.parametrize(
    ("how", "answer"),
    [("fail", ("InternalError", 500)), ("throttle", ("RequestLimitExceeded", 503))],
)
def test_describes_fail_in_an_impaired_region_and_writes_do_not(
    lab: Lab, ec2: Client, steer: Steer, how: Impairment, answer: tuple[str, int]
) -> None:
    lab.faults.impair(how)
    for ask in (ec2.describe_route_tables, ec2.describe_network_interfaces, ec2.describe_subnets):
        with pytest.raises(ClientError) as refused:
            ask()
        said = refused.value.response
        assert (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]) == answer
    steer()
    assert _target(lab) == lab.eni_b
    lab.faults.impair(None)
    assert ec2.describe_route_tables()["RouteTables"]


def test_describes_hang_in_an_impaired_region_until_it_heals(
    lab: Lab, ec2: Client, steer: Steer
) -> None:
    lab.faults.impair("hang")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ec2.describe_route_tables)
        lab.faults.await_hang()
        steer()
        assert _target(lab) == lab.eni_b
        assert not asked.done()
        lab.faults.impair(None)
        assert asked.result(10)["RouteTables"]


def test_an_impairment_ends_by_itself(lab: Lab, ec2: Client) -> None:
    lab.faults.impair("hang", seconds=0.2)
    assert ec2.describe_route_tables()["RouteTables"]
    assert ec2.describe_route_tables()["RouteTables"]


def test_clear_ends_every_fault(lab: Lab, ec2: Client) -> None:
    lab.faults.latency, lab.faults.jitter = 100, 100
    lab.faults.unreachable = Unreachable.SILENT
    lab.faults.throttle("DescribeRouteTables", 0, 0)
    lab.faults.deny("DescribeRouteTables")
    lab.faults.stale_reads(seconds=3600)
    lab.faults.fail_next(None, "InternalError", 500)
    lab.faults.impair("fail")
    lab.faults.clear()
    assert ec2.describe_route_tables()["RouteTables"]
