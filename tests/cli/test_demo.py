"""The demo, as a person starts it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from pty_terminal import GREEN, RED, in_terminal, plain

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/demo.json").read_text())
DEMO = [sys.executable, "-m", "vipmanager", "demo"]


def run(
    *arguments: str, before: tuple[str, ...] = (), **more: str
) -> "subprocess.CompletedProcess[str]":
    outside = {k: v for k, v in os.environ.items() if not k.startswith("VIPMANAGER")} | more
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
        "ANSWERED AGAIN from zone b within ",
    ):
        assert words in done.stdout


def test_a_file_has_plain_lines_that_count_while_packets_are_lost_and_fit_60_columns() -> None:
    done = run("--pattern", "2", "--mode", "init", "--ipv6", COLUMNS="60")
    assert done.returncode == 0, done.stderr
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert max(map(len, done.stdout.splitlines())) <= 60
    before, rest = done.stdout.split("  0.00 s  zone a fails")
    lost, after = rest.split("every floating IP answers from zone b")
    assert "LOST" not in before
    assert "ANSWERED" not in lost
    counts = [int(n) for n in re.findall(r"LOST  .* (\d+) lost, \d+ ms", lost)]
    assert len(counts) >= 2, lost
    assert counts == sorted(set(counts)), "the counter moves"
    assert counts[0] > 0
    assert "ANSWERED AGAIN" in after
    figure = max(int(n) for n in re.findall(r"(\d+) ms  \d+ probes lost", after))
    assert done.stdout.splitlines()[-1] == f"ANSWERED AGAIN from zone b within {figure} ms"


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_is_red_while_packets_are_lost_and_green_once_they_are_answered(
    columns: int,
) -> None:
    words = ("--pattern", "1", "--mode", "init", "--ipv4")
    code, screen = in_terminal([*DEMO, *words], columns=columns)
    assert code == 0, screen
    before, lost = screen.split("zone a fails", 1)
    lost, after = lost.split(GREEN, 1)
    assert before.count(RED) == before.endswith(RED) == 1
    assert GREEN in before
    counts = [int(n) for n in re.findall(r"(\d+) lost, \d+ ms", lost)]
    assert 0 < counts[0] < max(counts), "the counter moves"
    assert len(set(counts)) > 3
    assert "ANSWERED AGAIN" in after.splitlines()[0]
    assert max(len(line) for line in re.split(r"[\r\n]+", plain(screen))) <= columns


def test_ctrl_c_ends_it_in_one_line() -> None:
    with subprocess.Popen(
        [*DEMO, "--pattern", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "starts in zone a" in line:
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == "vipmanager demo: stopped\n"
    assert process.returncode == 130


def test_json_tells_outages_calls_and_events_and_the_plot_is_drawn(tmp_path: Path) -> None:
    for suffix, magic in ((".svg", b"<?xml"), (".png", b"\x89PNG")):
        plot = tmp_path / f"timeline{suffix}"
        done = run(
            "--pattern", "2", "--mode", "init", "--ipv6", "--output", "json", "--plot", str(plot)
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        jsonschema.validate(document, SCHEMA)
        (outcome,) = document["outcomes"]
        assert outcome["story"] == {"pattern": 2, "mode": "init", "version": 6}
        assert len(outcome["outages"]) == 2
        assert all(0 < seconds < 30 for seconds in outcome["outages"].values())
        assert all(lost > 0 for lost in outcome["lost"].values())
        assert outcome["calls"]["ReplaceRoute"] == 8
        last = outcome["events"][-1]
        assert last["text"] == "every floating IP answers from zone b"
        assert all(last["answered"].values())
        (failed,) = (e for e in outcome["events"] if e["text"].startswith("zone a fails"))
        assert not any(failed["answered"].values())
        assert plot.read_bytes().startswith(magic)


def test_it_runs_for_a_user_without_privileges() -> None:
    as_user = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
    done = run("--pattern", "1", "--mode", "init", "--ipv4", before=as_user)
    assert done.returncode == 0, done.stderr
    assert "ANSWERED AGAIN" in done.stdout


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
        "ANSWERED AGAIN from the other zone within ",
    ):
        assert words in done.stdout, done.stdout


def test_a_standby_in_json_has_an_outcome_for_each_part(tmp_path: Path) -> None:
    plot = tmp_path / "standby.svg"
    done = run("--standby", "--pattern", "2", "--ipv6", "--output", "json", "--plot", str(plot))
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    loss, hand_over = document["outcomes"]
    assert loss["story"]["mode"] == "standby, zone a fails"
    assert hand_over["story"]["mode"] == "standby, hand-over"
    for part in (loss, hand_over):
        assert len(part["outages"]) == 2
        assert part["answered"]
        assert part["calls"]["ReplaceRoute"] == 8
    assert all(seconds > 0 for seconds in loss["outages"].values())
    assert plot.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize("how", ["fail", "throttle", "hang"])
def test_a_standby_takes_over_from_a_zone_that_is_lost_as_aws_loses_one(how: str) -> None:
    done = run("--standby", "--zone-impaired", how, "--pattern", "1", "--ipv4")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "zone a is lost: no packet comes or goes",
        "open connections lead there: silence",
        "192.168.0.1,2 -> b",
        "app-2 was ready all the time",
        "zone a is back, and EC2 answers describes",
        "app-3: holder, generation 3: the Lease was free",
        "ANSWERED AGAIN from the other zone within ",
    ):
        assert words in done.stdout, done.stdout


def test_latencies_are_told_and_a_lost_zone_needs_a_standby() -> None:
    done = run("--pattern", "1", "--mode", "init", "--ipv4", "--latencies", "real")
    assert done.returncode == 0, done.stderr
    assert "a route write 300 ms (95 % within 500 ms)." in done.stdout
    done = run("--zone-impaired")
    assert done.returncode == 2
    assert done.stderr == "vipmanager demo: --zone-impaired needs --standby: add it\n"


def test_a_mode_and_a_standby_exclude_each_other() -> None:
    done = run("--standby", "--mode", "init")
    assert done.returncode == 2
    assert "not allowed with" in done.stderr
