"""Never faster than EC2 allows, and never in step."""

from hypothesis import given
from hypothesis import strategies as st

from vipmanager.core.retry import CALM, SLOWEST, Bucket, backoff
from vipmanager.core.settings import Rate

rates = st.builds(Rate, burst=st.integers(1, 60), refill=st.floats(0.5, 20, allow_nan=False))
pauses = st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=120)


@given(rates, pauses)
def test_never_more_calls_than_burst_and_refill_allow(rate: Rate, gaps: list[float]) -> None:
    bucket, now = Bucket.full(rate, 0.0), 0.0
    calls = []
    for gap in gaps:
        now += gap
        bucket, wait = bucket.take(now)
        calls.append(now + wait)
    for first, start in enumerate(calls):
        for last, end in enumerate(calls[first:], first):
            made = last - first + 1
            assert made <= rate.burst + rate.refill * (end - start) + 1 + 1e-6


@given(rates)
def test_the_burst_is_free_and_the_rest_is_paced(rate: Rate) -> None:
    bucket = Bucket.full(rate, 0.0)
    waits = []
    for _ in range(rate.burst + 3):
        bucket, wait = bucket.take(0.0)
        waits.append(wait)
    assert waits[: rate.burst] == [0.0] * rate.burst
    paced = waits[rate.burst :]
    assert all(abs(w - (n + 1) / rate.refill) < 1e-6 for n, w in enumerate(paced))


def test_an_idle_bucket_holds_no_more_than_its_burst() -> None:
    bucket, _ = Bucket.full(Rate(burst=3, refill=5), 0.0).take(0.0)
    waits = []
    for _ in range(4):
        bucket, wait = bucket.take(3600.0)
        waits.append(wait)
    assert waits == [0, 0, 0, 0.2]


def test_throttling_empties_the_bucket_and_slows_it_down() -> None:
    bucket = Bucket.full(Rate(burst=50, refill=5), 0.0).throttled(0.0)
    assert bucket.rate == 3.5
    _, wait = bucket.take(0.0)
    assert wait == 1 / 3.5


def test_answers_to_calls_already_under_way_slow_it_down_once() -> None:
    bucket = Bucket.full(Rate(burst=50, refill=5), 0.0)
    for _ in range(32):
        bucket = bucket.throttled(0.5)
    assert bucket.rate == 3.5
    assert bucket.throttled(0.5 + CALM).rate == 3.5 * 0.7


def test_a_bucket_throttled_for_ever_still_moves() -> None:
    bucket = Bucket.full(Rate(), 0.0)
    for second in range(0, 200, 2):
        bucket = bucket.throttled(float(second))
    assert bucket.rate == SLOWEST


def test_success_brings_the_rate_back_and_no_further() -> None:
    bucket = Bucket.full(Rate(), 0.0).throttled(0.0)
    rates_seen = []
    for _ in range(40):
        bucket = bucket.accepted()
        rates_seen.append(bucket.rate)
    assert rates_seen == sorted(rates_seen)
    assert rates_seen[0] < 5
    assert rates_seen[-1] == 5


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_backoff_stays_within_its_bounds(attempt: int, jitter: float) -> None:
    wait = backoff(attempt, jitter)
    assert 0 <= wait <= min(10.0, 0.1 * 2 ** min(attempt, 30))


def test_backoff_doubles_up_to_its_cap_and_has_full_jitter() -> None:
    assert [backoff(n, 1.0) for n in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]
    assert backoff(5, 0.0) == 0
    assert backoff(5, 0.5) == 1.6


def test_throttling_never_makes_a_slow_bucket_faster() -> None:
    assert Bucket.full(Rate(burst=1, refill=0.1), 0.0).throttled(0.0).rate == 0.1
