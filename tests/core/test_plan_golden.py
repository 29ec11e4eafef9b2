"""What the agent would do, in the operator's own language.

Set UPDATE_GOLDEN=1 to write the files anew; read the difference before committing it.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from decide import decide
from vipmanager.core.desired import Facts
from vipmanager.core.settings import Pattern, Settings, TagSelector
from vipmanager.core.values import AddressState, CloudState
from worlds import cloud, interface, kernel, node, peers, pod, pointed, table

GOLDEN = Path(__file__).parent / "golden"

PEERS = peers(n1="10.0.100.0/24", n2="10.0.1.0/24")
SIX = "2001:db8:1::1"


def facts(kernel_state: object = None, cloud_state: CloudState | None = None) -> Facts:
    return Facts(
        kernel=kernel_state or pod(),  # type: ignore[arg-type]
        node=node(),
        cloud=cloud_state or cloud(),
    )


def taken_over() -> CloudState:
    return pointed(pointed(cloud(), "192.168.0.1/32", "eni-b1"), "192.168.0.2/32", "eni-b2")


def two_on_one_eni() -> object:
    other = replace(interface("a", 1, "192.168.0.9"), name="net2", index=5)
    return kernel(interface("a", 1, "192.168.0.1"), other)


SCENARIOS: dict[str, tuple[Settings, Facts]] = {
    "cold start on an empty VPC": (PEERS, facts()),
    "failover from the other zone": (PEERS, facts(cloud_state=taken_over())),
    "source based routing": (Settings(source_routing=True), facts()),
    "both families on one interface": (
        peers(n1="10.0.100.0/24,2001:db8:0:100::/64"),
        facts(kernel(interface("a", 1, "192.168.0.1", SIX))),
    ),
    "source based routing for both families": (
        Settings(source_routing=True),
        facts(kernel(interface("a", 1, "192.168.0.1", SIX))),
    ),
    "pattern 2 routes the whole subnets": (
        Settings(pattern=Pattern.SUBNET),
        facts(kernel(interface("a", 1, "10.0.254.1"), interface("a", 2, "2001:db8:0:ff::1"))),
    ),
    "two interfaces on one ENI": (PEERS, facts(two_on_one_eni())),
    "a tentative address waits": (
        PEERS,
        facts(kernel(interface("a", 1, SIX, state=AddressState.TENTATIVE))),
    ),
    "an interface that is down waits": (
        PEERS,
        facts(kernel(interface("a", 1, "192.168.0.1", up=False))),
    ),
    "a pod without Multus interfaces": (PEERS, facts(kernel())),
    "a table full of strangers": (
        Settings(),
        facts(cloud_state=pointed(cloud(1), "192.168.0.1/32", "igw-1")),
    ),
    "no table has the tag": (
        Settings(tags=(TagSelector(key="role", value="vip"),)),
        facts(cloud_state=replace(cloud(), tables=(table(0, tags={"role": "web"}),))),
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_plan_reads_as_an_operator_expects(name: str) -> None:
    settings, given = SCENARIOS[name]
    _, plan, want = decide(settings, given)
    findings = dict.fromkeys((*want.findings, *plan.findings))
    lines = [f"# {name}"]
    lines += [f"{action}   # {action.reason}" for action in plan.actions]
    lines += [f"{f.kind.name}: {f}" for f in findings]
    text = "\n".join(lines) + "\n"
    path = GOLDEN / f"{name.replace(' ', '-').lower()}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()
