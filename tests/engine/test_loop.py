"""A sidecar's life: what wakes it, what it repairs, what it leaves alone."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from sim import Agent, Sim, moves, owners
from vipmanager.core.actions import RemoveRoute
from vipmanager.core.claim import DRIFT
from vipmanager.core.failures import Transient
from vipmanager.core.settings import Settings
from vipmanager.core.values import MAIN_TABLE, CloudState, EniId, PodAddress
from vipmanager.edges.memory import MemoryCloud
from vipmanager.engine.loop import Ending
from vipmanager.engine.passes import NETLINK
from worlds import cloud, eni, peers, pointed

ONE, TWO = "192.168.0.1/32", "192.168.0.2/32"


def running(sim: Sim, tables: int = 10, settings: Settings | None = None) -> Agent:
    """A sidecar that has held its routes for a minute."""
    agent = Agent(sim, MemoryCloud(cloud(tables)), settings=settings).sidecar()
    sim.run(60)
    assert agent.last.clean
    agent.cloud.writes.clear()
    return agent


def change(agent: Agent, state: CloudState) -> None:
    agent.cloud.state = state


def test_a_sidecar_at_rest_reads_every_resync_and_writes_nothing(sim: Sim) -> None:
    agent = running(sim)
    before = len(agent.reports)
    sim.run(60 + 3000)
    assert 75 <= len(agent.reports) - before <= 135
    assert agent.cloud.writes == []
    assert all(r.clean for r in agent.reports[before:])


def test_the_echo_of_our_own_kernel_writes_costs_no_pass(sim: Sim) -> None:
    agent = running(sim, settings=peers(n1="10.0.100.0/24"))
    before = len(agent.reports)
    agent.inbox.put(NETLINK)
    sim.run(60.5)
    assert len(agent.reports) == before


def test_an_echo_during_the_first_passes_does_not_keep_the_loop_busy(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud()), settings=peers(n1="10.0.100.0/24")).sidecar()
    for tenth in range(20):
        sim.at(tenth / 10, lambda: agent.inbox.put(NETLINK))
    sim.run(5)
    assert len(agent.reports) == 2  # write, read back, and nothing for the echoes


def test_another_reason_beside_the_echo_is_obeyed(sim: Sim) -> None:
    agent = running(sim)
    before = len(agent.reports)
    agent.inbox.put(NETLINK)
    agent.inbox.put("asked to look")
    sim.run(60.5)
    assert [r.reasons for r in agent.reports[before:]] == [(NETLINK, "asked to look")]


def test_a_new_address_is_steered_at_once(sim: Sim) -> None:
    agent = running(sim)
    with_address(agent, "192.168.0.3")
    sim.run(60.1)
    assert owners(agent.cloud, "192.168.0.3/32") == {"eni-a1"}
    assert len(agent.cloud.writes) == 10


def with_address(agent: Agent, text: str) -> None:
    """Give net1 one more address, as the application or Multus would."""
    extra = PodAddress(address=ip_address(text), prefix_length=32)
    state = agent.kernel.state
    agent.kernel.state = replace(
        state,
        interfaces=tuple(
            replace(i, addresses=(*i.addresses, extra)) if i.name == "net1" else i
            for i in state.interfaces
        ),
    )
    agent.inbox.put(NETLINK)


def test_a_new_address_is_written_before_ec2_is_read_and_read_back_after(sim: Sim) -> None:
    agent = running(sim)
    before = len(agent.reports)
    with_address(agent, "192.168.0.3")
    agent.cloud.reads = 0
    read_before_writing = []
    agent.cloud.refuse = lambda _: read_before_writing.append(agent.cloud.reads)
    sim.run(60.1)
    assert read_before_writing == [0] * 10
    assert agent.cloud.reads > 0
    assert [r.clean for r in agent.reports[before:]] == [False, True]


def test_an_old_reading_never_replaces_a_route(sim: Sim) -> None:
    agent = running(sim)
    change(agent, pointed(agent.cloud.state, "192.168.0.3/32", "igw-1"))
    with_address(agent, "192.168.0.3")
    sim.run(70)
    assert owners(agent.cloud, "192.168.0.3/32") == {"igw-1"}
    assert agent.cloud.writes == []


def test_an_address_that_goes_away_leaves_the_cloud_routes_alone(sim: Sim) -> None:
    agent = running(sim)
    state = agent.kernel.state
    agent.kernel.state = replace(
        state,
        interfaces=tuple(
            replace(i, addresses=()) if i.name == "net1" else i for i in state.interfaces
        ),
    )
    agent.inbox.put(NETLINK)
    sim.run(300)
    assert agent.cloud.writes == []
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert not any(str(r.destination) == ONE for r in agent.kernel.state.routes)


def test_peers_taken_out_of_the_settings_lose_their_routes(sim: Sim) -> None:
    agent = running(sim, settings=peers(n1="10.0.100.0/24"))
    assert any(r.device == "net1" for r in agent.kernel.state.routes)
    agent.kill()
    successor = Agent(sim, agent.cloud, kernel=agent.kernel).sidecar(at=61)
    sim.run(90)
    assert not any(r.device == "net1" for r in agent.kernel.state.routes)
    assert not agent.kernel.state.rules
    assert any(isinstance(d.action, RemoveRoute) for d in successor.reports[0].done)
    assert agent.cloud.writes == []


def test_a_link_that_went_down_and_up_gets_its_routes_back_at_once(sim: Sim) -> None:
    agent = running(sim, settings=peers(n1="10.0.100.0/24"))
    whole = agent.kernel.state
    down = replace(
        whole,
        interfaces=tuple(replace(i, up=i.name != "net1") for i in whole.interfaces),
        routes=tuple(r for r in whole.routes if r.device != "net1"),
    )
    agent.kernel.state = down
    agent.inbox.put(NETLINK)
    sim.run(61)
    agent.kernel.state = replace(agent.kernel.state, interfaces=whole.interfaces)
    agent.inbox.put(NETLINK)
    sim.run(61.5)
    assert {r for r in agent.kernel.state.routes if r.table == MAIN_TABLE} == {
        r for r in whole.routes if r.table == MAIN_TABLE
    }
    assert agent.cloud.writes == []


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (lambda s: _without(s, 3), "a route that someone deleted"),
        (lambda s: pointed(s, ONE, "eni-gone", only=3), "an ENI that is no more"),
    ],
)
def test_a_route_that_leads_nowhere_is_repaired_by_the_next_reading(
    sim: Sim, broken: object, what: str
) -> None:
    agent = running(sim)
    agent.cloud.state = broken(agent.cloud.state)  # type: ignore[operator]
    agent.inbox.put(what)
    sim.run(60.5)
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert len(agent.cloud.writes) == 1


def _without(state: CloudState, index: int) -> CloudState:
    def change(i: int) -> object:
        table = state.tables[i]
        kept = tuple(r for r in table.routes if str(r.destination) != ONE)
        return replace(table, routes=kept) if i == index else table

    tables = tuple(change(i) for i in range(len(state.tables)))
    return replace(state, tables=tables)  # type: ignore[arg-type]


def test_a_route_stolen_in_one_of_ten_tables_is_repaired_after_a_second_reading(sim: Sim) -> None:
    agent = running(sim)
    change(agent, pointed(agent.cloud.state, ONE, "eni-b1", only=3))
    agent.inbox.put("look")
    sim.run(60 + DRIFT[0] - 0.1)
    assert agent.cloud.writes == []
    assert agent.health.ready
    sim.run(60 + DRIFT[1] + 0.1)
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert len(agent.cloud.writes) == 1


def test_a_repair_that_fails_is_tried_again_and_is_no_reason_to_yield(sim: Sim) -> None:
    agent = running(sim)
    # eni-b1 yields to eni-a1 on a repeat, so let the agent be the one with the greater id.
    other = replace(eni("b", 1), id=EniId("eni-00"))
    state = replace(agent.cloud.state, enis=(*agent.cloud.state.enis, other))
    change(agent, pointed(state, ONE, "eni-00", only=3))
    failures = iter([Transient("server error")] * 40)
    agent.cloud.refuse = lambda _: next(failures, None)
    agent.inbox.put("look")
    sim.run(300)
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert agent.health.ready


def test_a_takeover_in_all_tables_is_yielded_to_and_taken_back_when_the_rival_dies(
    sim: Sim,
) -> None:
    agent = running(sim)
    change(agent, pointed(agent.cloud.state, ONE, "eni-b1"))
    agent.inbox.put("look")
    sim.run(600)
    assert agent.cloud.writes == []
    assert agent.last.displaced
    assert not agent.health.ready
    assert "eni-b1" in agent.health.why
    detached = tuple(
        replace(e, attached=False, instance=None) if e.id == "eni-b1" else e
        for e in agent.cloud.state.enis
    )
    change(agent, replace(agent.cloud.state, enis=detached))
    sim.run(660)
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert agent.health.ready


def test_a_takeover_that_spreads_is_yielded_to(sim: Sim) -> None:
    agent = running(sim)
    for second, index in enumerate((2, 5, 7)):
        change(agent, pointed(agent.cloud.state, ONE, "eni-b1", only=index))
        agent.inbox.put("look")
        sim.run(61 + second)
    sim.run(300)
    assert agent.cloud.writes == []
    assert agent.last.displaced


def test_a_table_added_later_is_pointed_here_at_the_next_reading(sim: Sim) -> None:
    agent = running(sim, tables=2)
    more = cloud(3).tables[2]
    change(agent, replace(agent.cloud.state, tables=(*agent.cloud.state.tables, more)))
    sim.run(120)
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert moves(agent.cloud).keys() == {("rtb-02", d.destination) for d in agent.last.floating}


def test_a_stop_ends_the_life_without_a_write(sim: Sim) -> None:
    agent = running(sim)
    agent.inbox.stop()
    sim.run(60.1)
    assert agent.ending is Ending.STOPPED
    assert agent.cloud.writes == []


def test_an_eni_that_ec2_does_not_show_for_a_moment_costs_the_pod_nothing(sim: Sim) -> None:
    agent = running(sim, settings=peers(n1="10.0.100.0/24"))
    state, before = agent.cloud.state, agent.kernel.state
    change(agent, replace(state, enis=()))
    agent.inbox.put("look")
    sim.run(60.01)
    assert agent.kernel.state == before
    change(agent, state)
    sim.run(200)
    assert agent.health.ready
    assert agent.cloud.writes == []
