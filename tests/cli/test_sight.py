"""What `status` says in each state: the verdict first, once, in lines that break between words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from vipmanager.app.names import Names
from vipmanager.cli import sight
from vipmanager.cli.sight import Sight
from vipmanager.cli.terminal import Page
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.pods import PodObject
from vipmanager.core.remote_finding import RemoteFinding
from vipmanager.core.values import Eni, EniId, InstanceId, Mac, SubnetId, VpcId
from vipmanager.edges.control import Hangs

MINE = ("eni-0a11111111111111a", "eni-0a22222222222222a")
RIVAL = "eni-0b11111111111111b"
NODE = "ip-10-0-2-23.eu-central-1.compute.internal"
ADDRESSES = ("192.168.0.1", "192.168.0.2")
WIDTHS = (40, 60, 80, 120, 200)


def eni(name: str, zone: str, number: int) -> Eni:
    return Eni(
        id=EniId(name),
        mac=Mac(f"02:00:00:00:00:{number:02x}"),
        vpc=VpcId("vpc-1"),
        subnet=SubnetId("subnet-1"),
        instance=InstanceId(f"i-0{zone}333333333333333"),
        attached=True,
        zone=f"eu-central-1{zone}",
    )


ENIS = MappingProxyType(
    {e.id: e for e in (eni(MINE[0], "a", 1), eni(MINE[1], "a", 2), eni(RIVAL, "b", 3))}
)
NAMED = Names(
    enis={str(k): v for k, v in ENIS.items()},
    others=frozenset({RIVAL}),
    pods={RIVAL: PodObject(uid="u2", name="app-2", node=NODE)},
)


def route(table: int, number: int, **other: object) -> dict[str, Any]:
    right = {
        "table": f"rtb-0c{table:015x}",
        "tableName": f"private-{table}",
        "destination": f"{ADDRESSES[number]}/32",
        "wanted": MINE[number],
        "target": f"{MINE[number]} (i-0a333333333333333)",
        "blackhole": False,
        "verdict": "right",
        "reason": "right",
        "since": 300.0,
        "zone": "eu-central-1a",
        "due": None,
    }
    return right | other


def taken(table: int, **other: object) -> dict[str, Any]:
    theirs = {"target": f"{RIVAL} (i-0b333333333333333)", "zone": "eu-central-1b", "since": 4.0}
    return route(table, 0, **theirs, **other)


def agent(**other: object) -> dict[str, Any]:
    well = {
        "ready": True,
        "why": "every floating IP is steered here",
        "evidence": 4.0,
        "pass": {"ago": 4.0, "seconds": 0.04, "reasons": ["resync"], "observed": True, "number": 9},
        "budget": {"CreateRoute": {"left": 49.0, "throttled": 0}},
        "findings": [],
        "resolved": [],
    }
    return well | other


FLOATING = [
    {
        "address": a,
        "interface": f"net{n}",
        "eni": e,
        "destination": f"{a}/32",
        "ready": True,
    }
    for n, (a, e) in enumerate(zip(ADDRESSES, MINE, strict=True), start=1)
]
ALL = [route(table, number) for table in range(1, 21) for number in (0, 1)]
PART = [taken(1, verdict="wait", reason=f"drift to {RIVAL}?", due=6.0), *ALL[1:]]
LEFT = [r if r["destination"] != "192.168.0.1/32" else taken(n, verdict="yield", reason="left")
        for n, r in enumerate(ALL, start=2)]  # fmt: skip


def told(finding: Finding) -> RemoteFinding:
    return RemoteFinding(finding.document())


def contest(condition: Condition, **more: object) -> Finding:
    rival = f"{RIVAL} (i-0b333333333333333)"
    fields: Mapping[str, object] = {"destination": "192.168.0.1/32", "rival": rival, "total": 20}
    return find(condition, "192.168.0.1/32", **fields, **more)


DISPLACED = contest(Condition.DISPLACED, count=20)
DRIFT = contest(Condition.CONTESTED, count=1, seconds=7.0)
AWAY = find(
    Condition.TRANSIENT, "observe", what="EC2 does not answer: timed out", hint="it is retried"
)
HANGS = Hangs("the agent (process 7) hangs: it is stopped (SIGSTOP)", "kill -CONT 7").finding(
    "sidecar"
)
YIELD = find(Condition.YIELDED, "pod")
ELECTION = {
    "role": "standby", "why": "a holder lives", "since": 60.0, "generation": None, "settled": None,
    "takeovers": {}, "leaving": "", "lease": "telco/vipmanager", "holder": "u2/1",
    "holderPod": "telco/app-2", "holderZone": "eu-central-1b",
}  # fmt: skip
HELD = Names(
    enis=NAMED.enis,
    others=NAMED.others,
    pods=NAMED.pods,
    identity="u2/1",
    holder=f"app-2 ({NODE}, eu-central-1b)",
)
ELSEWHERE = [taken(n, verdict="yield", reason="standby") for n in range(1, 21)]
RESOLVED = DISPLACED.document() | {"lasted": 12.0, "ago": 40.0, "times": 1}


def seen(**what: Any) -> Sight:  # noqa: ANN401 - any field of it
    plain: dict[str, Any] = {
        "floating": FLOATING, "routes": ALL, "read": 4.0, "agent": agent(), "names": NAMED,
        "kernel": [("rule", "from 10.0.1.100/32 lookup 8601 priority 8600 protocol 86")],
    }  # fmt: skip
    return Sight(**plain | what)


STATES: Mapping[str, tuple[Sight, str, bool]] = {
    "ready": (
        seen(),
        "READY: 2 of 2 floating IPs, 40 of 40 routes point to this pod (checked 4 s ago)",
        True,
    ),
    "EC2 is away": (
        seen(fresh=False, read=40.0, found=[told(AWAY)]),
        "READY, but EC2 has not answered for 40 s. Traffic goes on; nothing can be repaired.",
        False,
    ),
    "drift": (
        seen(routes=PART, found=[told(DRIFT)]),
        "READY, but 1 of 2 floating IPs, 39 of 40 routes point to this pod (checked 4 s ago)",
        False,
    ),
    "displaced": (
        seen(
            routes=LEFT,
            agent=agent(ready=False, why=str(DISPLACED)),
            found=[told(DISPLACED)],
        ),
        ("NOT READY: 192.168.0.1/32 was taken over by "
        f"app-2 ({NODE}, eu-central-1b, {RIVAL}) in 20 of 20 route tables"),
        False,
    ),
    "writing": (
        seen(
            routes=[],
            agent=agent(
                ready=False,
                why="...",
                progress={
                    "written": 50, "total": 120, "failed": 0, "seconds": 14.0, "text": "",
                },
            ),
        ),
        "NOT READY: 50 of 120 routes written, about 14 s to go",
        False,
    ),
    "standby": (
        seen(
            floating=FLOATING[:1],
            routes=ELSEWHERE,
            agent=agent(election=ELECTION, why="standby: could take every floating IP over"),
            names=HELD,
        ),
        ("READY as standby: 1 of 1 floating IP, 20 of 20 routes point to "
        f"app-2 ({NODE}, eu-central-1b) (checked 4 s ago)"),
        True,
    ),
    "yielded, nobody took it": (
        seen(
            agent=agent(
                ready=False,
                why=str(YIELD),
                election={**ELECTION, "holder": None, "holderPod": None, "holderZone": None},
            ),
            found=[told(YIELD)],
        ),
        'NOT READY: yielded, takes nothing until "vipmanager claim". Holder now: NOBODY',
        False,
    ),
    "no pass yet": (
        seen(floating=[], routes=[], agent={"ready": False, "why": "no look", "evidence": None,
                                            "budget": {}}),
        "NOT READY: no look",
        False,
    ),
    "no sidecar": (
        seen(agent=None, routes=PART),
        ("WRONG: 1 of 2 floating IPs, 39 of 40 routes point to this pod (checked 4 s ago). "
        "No sidecar runs in this pod."),
        False,
    ),
    "hangs": (
        seen(agent=None, mute=HANGS, found=[HANGS]),
        "NO ANSWER: the agent (process 7) hangs: it is stopped (SIGSTOP)",
        False,
    ),
    "resolved": (
        seen(agent=agent(resolved=[RESOLVED])),
        "READY: 2 of 2 floating IPs, 40 of 40 routes point to this pod (checked 4 s ago)",
        True,
    ),
}  # fmt: skip


def printed(what: Sight, width: int) -> list[str]:
    return [line.plain for line in Page(sight.blocks(what)).lines(width)]


@pytest.mark.parametrize("state", STATES)
def test_the_verdict_is_first_and_the_exit_code_follows(state: str) -> None:
    what, first, right = STATES[state]
    assert printed(what, 1000)[0] == first
    assert str(sight.verdict(what)) == first
    assert what.right is right


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_width_breaks_a_word_or_loses_one(state: str, width: int) -> None:
    what, first, _ = STATES[state]
    lines = printed(what, width)
    whole = {word for line in printed(what, 1000) for word in line.split()}
    assert {word for line in lines for word in line.split()} == whole
    room = [line for line in lines if len(line.split()) > 1]
    assert all(len(line) <= width for line in room), [x for x in room if len(x) > width]
    assert " ".join(" ".join(lines).split()).startswith(first)
    assert lines[0].startswith(first.split(":")[0].split(",")[0][:width].split(" as")[0])


def test_routes_that_are_right_are_a_row_for_each_floating_ip() -> None:
    text = "\n".join(printed(seen(), 80))
    assert text.count("20 of 20") == 2
    assert "rtb-" not in text


def test_drift_names_the_table_the_rival_and_when_it_is_repaired() -> None:
    lines = printed(STATES["drift"][0], 1000)
    (row,) = [x for x in lines if x.startswith("rtb-")]
    assert "(private-1)" in row
    assert f"app-2 ({NODE}, eu-central-1b, {RIVAL})" in row
    assert "drift: repaired in 6 s if it stays so" in row
    assert any("if it stays so for 7 s, a running sidecar repairs it" in x for x in lines)


def test_a_finding_is_said_once_with_its_remedy_below_it() -> None:
    lines = printed(STATES["displaced"][0], 1000)
    text = "\n".join(lines)
    assert text.count("was taken over by") == 1
    assert lines[1].strip().startswith("-> if two pods have this address")
    assert lines[2] == "1 of 2 floating IPs, 20 of 40 routes point to this pod (checked 4 s ago)"


def test_the_last_known_state_has_its_age() -> None:
    text = "\n".join(printed(STATES["EC2 is away"][0], 80))
    assert "Floating IPs of this pod, in eu-central-1a, as last read 40 s ago" in text
    assert text.count("20 of 20") == 2


def test_what_was_wrong_is_told_for_a_while() -> None:
    text = "\n".join(printed(STATES["resolved"][0], 1000))
    assert "resolved 40 s ago, after 12 s: 192.168.0.1/32 was taken over by app-2" in text


def test_a_command_in_a_remedy_keeps_its_ids() -> None:
    check = find(
        Condition.SOURCE_DEST_CHECK, RIVAL, eni=RIVAL, interface="net1", address="192.168.0.1"
    )
    text = "\n".join(printed(seen(found=[check]), 1000))
    assert f"--network-interface-id {RIVAL} --no-source-dest-check" in text
