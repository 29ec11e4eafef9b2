"""What holds in every world, not only in those that somebody thought of."""

import os
from collections import Counter
from dataclasses import replace
from functools import reduce
from random import Random
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from anyworld import Case, cases
from decide import decide
from vipmanager.core.actions import (
    Action,
    AddRoute,
    AddRule,
    CreateRoute,
    DisableSourceDestCheck,
    RemoveRoute,
    RemoveRule,
    ReplaceRoute,
)
from vipmanager.core.desired import Facts
from vipmanager.core.evolve import evolve
from vipmanager.core.floating import forbidden
from vipmanager.core.plan import Plan
from vipmanager.core.podnet import PROTOCOL, held_mark
from vipmanager.core.settings import Settings
from vipmanager.core.values import AddressState, TargetKind, World
from vipmanager.core.verdict import Verdict
from vipmanager.edges.memory import MemoryCloud, MemoryFence, MemoryKernel
from worlds import cloud, interface, kernel

T = TypeVar("T")

EXAMPLES = int(os.environ.get("VIPMANAGER_EXAMPLES", "250"))


def planned(case: Case) -> Plan:
    return decide(case.settings, case.facts)[1]


def after(case: Case, actions: tuple[Action, ...]) -> Case:
    """The case once these actions have succeeded."""
    before = World(kernel=case.facts.kernel, cloud=case.facts.cloud)
    world = reduce(evolve, actions, before)
    return replace(case, facts=replace(case.facts, kernel=world.kernel, cloud=world.cloud))


def read_back(case: Case) -> Case:
    """The case with the marks of everything that is right in all its tables."""
    judgement, _, want = decide(case.settings, case.facts)
    marks = []
    for destination, eni in want.destinations:
        group = [j for j in judgement.judged if j.steer.destination == destination]
        if group and all(j.verdict is Verdict.RIGHT for j in group):
            marks.append(AddRoute(route=held_mark(destination, eni), reason=""))
    return after(case, tuple(marks))


@given(cases())
@settings(max_examples=EXAMPLES)
def test_the_plan_on_the_world_that_a_plan_makes_is_empty(case: Case) -> None:
    done = after(case, planned(case).actions)
    assert planned(done).actions == ()
    assert planned(read_back(done)).actions == ()


@given(cases())
@settings(max_examples=EXAMPLES)
def test_after_any_prefix_the_plan_is_the_rest(case: Case) -> None:
    plan = planned(case)
    for done in range(len(plan.actions) + 1):
        again = planned(after(case, plan.actions[:done]))
        rest = plan.actions[done:]
        assert Counter(again.actions) == Counter(rest)
        # The cloud is written table by table, and peers' routes wait for the rules.
        assert again.actions == rest


@given(cases())
@settings(max_examples=EXAMPLES)
def test_nothing_that_is_not_ours_is_ever_touched(case: Case) -> None:
    facts = case.facts
    mine = {e.id for e in facts.cloud.enis if e.instance == "i-a"}
    usable = {t.id: t for t in facts.cloud.tables if not t.edges}
    for action in planned(case).actions:
        match action:
            case CreateRoute() | ReplaceRoute():
                assert forbidden(action.destination) is None
                assert action.eni in mine
                assert action.table in usable
                before = usable[action.table]
                assert not case.settings.tags or before.tags.get("role") == "vip"
                found = before.route_to(action.destination)
                assert (found is None) is isinstance(action, CreateRoute)
                assert found is None or found.target.kind is TargetKind.ENI
                assert found is None or not found.propagated
            case DisableSourceDestCheck():
                assert action.eni in mine
                assert case.settings.manage_source_dest_check
            case AddRoute():
                there = next((r for r in facts.kernel.routes if r.key == action.route.key), None)
                assert action.route.protocol == PROTOCOL
                assert there == action.over
                assert there is None or there.protocol == PROTOCOL
                assert (
                    action.route.table == 254
                    or action.route.destination.prefixlen
                    or (action.route.table >= 8600)
                )
            case RemoveRoute():
                assert action.route in facts.kernel.routes
                assert action.route.protocol == PROTOCOL
            case AddRule() | RemoveRule():
                assert action.rule.protocol == PROTOCOL
                assert 8600 <= action.rule.priority < 8700


@given(cases())
@settings(max_examples=EXAMPLES)
def test_no_planned_write_is_refused_by_the_worlds(case: Case) -> None:
    plan = planned(case)
    kernel, cloud = MemoryKernel(case.facts.kernel), MemoryCloud(case.facts.cloud)
    assert kernel.write(plan.prepare) == []
    for action in plan.steer:
        cloud.write(action, MemoryFence())
    assert kernel.write(plan.tidy) == []


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES)
def test_the_order_of_what_is_read_changes_nothing(case: Case, chance: Random) -> None:
    def shuffled(values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(chance.sample(values, len(values)))

    facts = case.facts
    other = replace(
        facts,
        kernel=replace(facts.kernel, interfaces=shuffled(facts.kernel.interfaces)),
        cloud=replace(
            facts.cloud,
            tables=shuffled(facts.cloud.tables),
            enis=shuffled(facts.cloud.enis),
            subnets=shuffled(facts.cloud.subnets),
        ),
    )
    assert told(case) == told(replace(case, facts=other))
    assert told(case) == told(case)


def test_one_address_that_two_links_took_along_comes_back_in_one_order() -> None:
    links = [interface("a", n, "192.168.0.1", state=AddressState.LOST) for n in (1, 2)]
    facts = Facts(kernel=kernel(*links), node=None, cloud=cloud())
    there = told(Case(settings=Settings(), facts=facts))
    back = replace(facts, kernel=kernel(*reversed(links)))
    assert "dev net1" in there
    assert told(Case(settings=Settings(), facts=back)) == there


def told(case: Case) -> str:
    """The plan as a person reads it, byte for byte."""
    _, plan, want = decide(case.settings, case.facts)
    lines = [f"{a}  # {a.reason}" for a in plan.actions]
    return "\n".join([*lines, *map(str, plan.findings), *map(str, want.findings)])


@given(cases())
@settings(max_examples=EXAMPLES)
def test_every_finding_can_be_read(case: Case) -> None:
    judgement, plan, want = decide(case.settings, case.facts)
    for finding in (*judgement.findings, *plan.findings, *want.findings):
        assert "{" not in str(finding)
        assert finding.text
