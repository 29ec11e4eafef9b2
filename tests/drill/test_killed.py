"""A drill that is killed, by any signal at any moment, leaves no cordon and no process."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import drill_fixtures
from agent_fixtures import wait_until
from clusters import NAMESPACE
from drill_fixtures import HERE, NODE, QUICK, Site, await_end
from vipmanager_lab.faults import Break, Hang
from vipmanager_lab.kube.faults import Refuse
from vipmanager_lab.kube.kinds import NODES, PODS
from vipmanager_lab.kube.store import Key

SEED, KILLS, BESIDE = 7, 100, 8
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
DRAIN = (HERE, "--drain-node", NODE, *QUICK)
CORDON = "patch nodes"
UNAVAILABLE = Refuse(code=503, reason="ServiceUnavailable", message="the server is starting")


def kill_somewhere(site: Site, chance: random.Random) -> tuple[str, bool]:
    """Kill one drill, after one of its calls or at any time; tell whether the node was cordoned."""
    calls = len(site.pod.cluster.endpoint.calls)
    nth = chance.randrange(1, 13)
    process = site.start(*DRAIN)
    if chance.random() < 0.75:
        wait_until(
            lambda: (
                len(site.pod.cluster.endpoint.calls) >= calls + nth or process.poll() is not None
            )
        )
        time.sleep(chance.choice((0.0, 0.002, 0.005, 0.02)))
    else:
        time.sleep(chance.uniform(0.0, 4.0))
    cordoned = not site.untouched()
    process.send_signal(chance.choice(SIGNALS))
    _, err = await_end(process)
    assert site.untouched(), err
    return err, cordoned


def rounds(folder: Path, seed: int, count: int) -> list[bool]:
    """Kill one drill after the other in a cluster; tell which had cordoned the node."""
    chance = random.Random(seed)  # noqa: S311 - schedules
    cordoned = []
    with drill_fixtures.site(folder) as site:
        site.allow()
        for number in range(count):
            for name in ("holder", "standby"):
                with contextlib.suppress(Exception):
                    site.store.delete(Key(PODS, NAMESPACE, name))
            site.add_pod(f"victim-{number}")
            cordoned.append(kill_somewhere(site, chance)[1])
    return cordoned


@pytest.mark.own("a hundred times in a real cluster takes too long")
def test_a_hundred_drills_that_are_killed_leave_no_node_cordoned_and_no_process(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(BESIDE) as pool:
        each = KILLS // BESIDE + 1
        done = [
            pool.submit(rounds, tmp_path / str(n), SEED * 1000 + n, each) for n in range(BESIDE)
        ]
        cordoned = [one for future in done for one in future.result()]
    assert len(cordoned) >= KILLS
    assert sum(cordoned) > KILLS // 10, "too few were killed while the node was cordoned"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_node_is_in_use_again_when_the_drill_is_killed_while_it_drains(
    site: Site, number: signal.Signals
) -> None:
    site.pod.cluster.faults.inject("create pods/eviction", UNAVAILABLE, times=10**6, after=1)
    process = site.start(*DRAIN)
    wait_until(lambda: not site.untouched())
    process.send_signal(number)
    _, err = await_end(process)
    assert site.untouched()
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    said = (
        "it was killed; what it changed is" if number == signal.SIGKILL else "stopped by a signal"
    )
    assert said in err


def test_a_cordon_that_is_late_fits_no_more(site: Site) -> None:
    """The patch is under way when the drill is killed, and lands after all was looked through."""
    endpoint, faults = site.pod.cluster.endpoint, site.pod.cluster.faults
    faults.inject(CORDON, Hang(), after=1)  # the first is the dry run
    process = site.start(*DRAIN)
    faults.await_hang()
    process.kill()
    await_end(process)
    assert site.untouched()
    faults.release_hangs()
    endpoint.await_calls(lambda calls: 409 in {c.status for c in calls if c.action == CORDON})
    assert site.untouched()


@pytest.mark.parametrize("fault", [Break.LOST, Break.RESET, UNAVAILABLE])
def test_an_uncordon_that_fails_is_tried_again(site: Site, fault: Break | Refuse) -> None:
    site.pod.cluster.faults.inject(CORDON, fault, after=2, times=2)
    done = site.drill(*DRAIN)
    assert done.code == 0, done.err
    assert site.untouched()


def test_a_cordon_whose_answer_is_lost_is_undone(site: Site) -> None:
    site.pod.cluster.faults.inject(CORDON, Break.LOST, after=1)
    done = site.drill(*DRAIN)
    assert done.code == 1
    assert "FAILED" in done.out
    assert site.untouched()


def test_a_node_that_can_t_be_uncordoned_is_told_after_what_was_seen(site: Site) -> None:
    denied = Refuse(code=403, reason="Forbidden", message="nodes is forbidden")
    site.pod.cluster.faults.inject(CORDON, denied, after=2, times=10**6)
    done = site.drill(*DRAIN)
    assert done.code == 1
    assert "What the client saw" in done.out
    assert "is uncordoned" not in done.out
    assert "patch nodes: 403" in done.err
    site.pod.cluster.faults.clear()
    assert site.drill("--clean").code == 0
    assert site.untouched()


def leave(site: Site, until: float) -> None:
    """Cordon a node as a drill whose guardian died with it."""
    now = time.time()
    mark = {"id": "1", "by": "drill-x, process 1", "since": now - 60, "until": until}
    change = {
        "metadata": {"annotations": {"vipmanager/drill": json.dumps(mark)}},
        "spec": {"unschedulable": True},
    }
    site.store.patch(Key(NODES, "", NODE), change)


def test_what_a_dead_drill_left_is_taken_away_by_the_next(site: Site) -> None:
    leave(site, until=time.time() - 1)
    done = site.drill(*DRAIN)
    assert done.code == 0, done.err
    assert f"node {NODE} is uncordoned: the drill of drill-x, process 1 since " in done.err
    assert site.untouched()


def test_there_is_never_more_than_one_at_a_time_and_clean_ends_a_dead_one(site: Site) -> None:
    leave(site, until=time.time() + 60)
    done = site.drill(*DRAIN)
    assert done.code == 2
    assert "there is never more than one at a time; wait for its end; where it is dead" in done.err
    assert site.there("holder")
    done = site.drill("--clean")
    assert (done.code, done.err) == (0, "")
    assert f"node {NODE} is uncordoned" in done.out
    assert site.untouched()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_ends_with_the_drill_and_so_does_what_it_started(
    site: Site, number: signal.Signals, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    script = f"'setsid sleep 600 & touch {started}; sleep 600'"
    process = site.start(HERE, "--run", f"sh -c {script}", *QUICK)
    wait_until(started.exists)
    process.send_signal(number)
    await_end(process)  # `sleep` holds the drill's standard error
    assert process.returncode


def test_a_command_that_never_ends_is_ended_at_the_time_out(site: Site) -> None:
    done = site.drill(HERE, "--run", "sleep 600", "--settle", "1s", "--timeout", "2s", "--yes")
    assert done.code == 1
    assert "FAILED: run: sleep 600: it had not ended after 2 s" in done.out
