"""The demo, as a person starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = [sys.executable, "-m", "vipmanager", "demo"]


def run(*arguments: str, before: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    outside = {k: v for k, v in os.environ.items() if not k.startswith("VIPMANAGER")}
    return subprocess.run(
        [*before, *DEMO, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=outside,
    )


def test_it_shows_the_timeline_and_what_the_client_saw() -> None:
    done = run("--pattern", "1", "--mode", "sidecar", "--ipv4")
    assert done.returncode == 0, done.stderr
    for words in (
        "zone a fails",
        "192.168.0.1,2 -> a",
        "192.168.0.1,2 -> b",
        "What the client saw",
        "Every floating IP answered again, from zone b.",
    ):
        assert words in done.stdout


def test_json_tells_outages_calls_and_events_and_the_plot_is_drawn(tmp_path: Path) -> None:
    for suffix, magic in ((".svg", b"<?xml"), (".png", b"\x89PNG")):
        plot = tmp_path / f"timeline{suffix}"
        done = run(
            "--pattern", "2", "--mode", "init", "--ipv6", "--output", "json", "--plot", str(plot)
        )
        assert done.returncode == 0, done.stderr
        (outcome,) = json.loads(done.stdout)
        assert outcome["story"] == {"pattern": 2, "mode": "init", "version": 6}
        assert len(outcome["outages"]) == 2
        assert all(0 < seconds < 30 for seconds in outcome["outages"].values())
        assert all(lost > 0 for lost in outcome["lost"].values())
        assert outcome["calls"]["ReplaceRoute"] == 8
        assert outcome["events"][-1]["text"].startswith("every floating IP answers from zone b")
        assert plot.read_bytes().startswith(magic)


def test_it_runs_for_a_user_without_privileges() -> None:
    as_user = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
    done = run("--pattern", "1", "--mode", "init", "--ipv4", before=as_user)
    assert done.returncode == 0, done.stderr
    assert "Every floating IP answered again" in done.stdout


@pytest.mark.parametrize("plot", ["timeline.gif", "no-such-folder/timeline.svg"])
def test_a_plot_that_can_not_be_written_is_refused_before_anything_starts(plot: str) -> None:
    done = run("--plot", plot)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert plot in done.stderr
    assert not done.stdout


def test_a_standby_takes_over_and_hands_back() -> None:
    done = run("--standby", "--pattern", "1", "--ipv4")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "app-2 could take over: warm standby",
        "zone a fails",
        "app-2: holder, generation 2: its holder fell silent",
        "192.168.0.1,2 -> b",
        "app-2: vipmanager yield",
        "app-3: holder, generation 3: the Lease was free",
        "Every floating IP answered again, each time from the other zone.",
    ):
        assert words in done.stdout, done.stdout


def test_a_standby_in_json_has_an_outcome_for_each_part(tmp_path: Path) -> None:
    plot = tmp_path / "standby.svg"
    done = run("--standby", "--pattern", "2", "--ipv6", "--output", "json", "--plot", str(plot))
    assert done.returncode == 0, done.stdout + done.stderr
    loss, hand_over = json.loads(done.stdout)
    assert loss["story"]["mode"] == "standby, zone a fails"
    assert hand_over["story"]["mode"] == "standby, hand-over"
    for part in (loss, hand_over):
        assert len(part["outages"]) == 2
        assert part["answered"]
        assert part["calls"]["ReplaceRoute"] == 8
    assert all(seconds > 0 for seconds in loss["outages"].values())
    assert plot.read_bytes().startswith(b"<?xml")


def test_a_mode_and_a_standby_exclude_each_other() -> None:
    done = run("--standby", "--mode", "init")
    assert done.returncode == 2
    assert "not allowed with" in done.stderr
