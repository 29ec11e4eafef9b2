"""120 routes under EC2's bucket, from a start to the last one: what people see on the way."""

import json
import re
from collections.abc import Callable

import jsonschema

from agent.test_sidecar import get
from agent_fixtures import SCHEMAS, Stage, Typed, converged, wait_until
from vipmanager_lab.world import World

LINE = re.compile(r"(\d+) of 120 routes written, about (\d+) s to go")


def test_log_status_readyz_and_metrics_tell_how_far_120_routes_are(
    make_world: Callable[..., World],
) -> None:
    stage = Stage(make_world(tables=60))
    pod = stage.pod()
    # The bucket of EC2 in a Region, twice as fast.
    agent = stage.sidecar(pod, HTTPPort="8080", ApiRate="50/10")
    said = agent.wait_for(lambda r: r["event"] == "progress")
    told = LINE.fullmatch(str(said["text"]))
    assert told is not None
    assert 50 <= int(told[1]) < 120
    assert said["written"] == int(told[1])

    status = json.loads(get(pod, "/status")[1])
    jsonschema.validate(status, json.loads((SCHEMAS / "agent.json").read_text()))
    shown = LINE.fullmatch(status["progress"]["text"])
    assert shown is not None
    assert int(shown[1]) >= int(told[1])
    assert status["progress"]["total"] == len(status["routes"]) == 120
    assert "pass" not in status
    code, why = get(pod, "/readyz")
    assert code == 503
    assert LINE.match(why)
    metrics = get(pod, "/metrics")[1]
    wave = dict(re.findall(r'vipmanager_wave_routes{state="(\w+)"} (\d+)', metrics))
    assert int(wave["written"]) >= int(told[1])
    assert sum(map(int, wave.values())) == 120
    assert 'vipmanager_routes{state="wrong"} 120.0' in metrics

    agent.wait_for(converged)
    wait_until(lambda: "progress" not in json.loads(get(pod, "/status")[1]))
    assert get(pod, "/readyz")[0] == 200
    metrics = get(pod, "/metrics")[1]
    assert 'vipmanager_wave_routes{state="left"} 0.0' in metrics
    assert 'vipmanager_routes{state="right"} 120.0' in metrics
    call = r'vipmanager_api_call_duration_seconds_count{action="(\w+)",api="ec2",result="ok"} (\d+)'
    calls = dict(re.findall(call, metrics))
    assert int(calls["CreateRoute"]) == 120
    assert int(calls["DescribeRouteTables"]) >= 2
    assert Typed(stage, pod, "status", "--output", "json").document("status")["agent"]["ready"]
