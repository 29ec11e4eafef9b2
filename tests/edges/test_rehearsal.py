"""What is only remembered: a dry run goes on for weeks, and its memory stays small."""

import tracemalloc
from ipaddress import ip_network

from vipmanager.core.actions import AddRoute, AddRule, RemoveRoute, RemoveRule
from vipmanager.core.podnet import held_mark
from vipmanager.core.values import EniId, KernelState, PolicyRule
from vipmanager.edges.memory import MemoryKernel
from vipmanager.edges.rehearsal import RehearsalKernel

ONE = ip_network("192.168.0.1/32")
MARK = held_mark(ONE, EniId("eni-a"))
RULE = PolicyRule(priority=8610, source=ONE, table=86003, protocol=86)
SHOWN = KernelState(routes=(MARK,), rules=(RULE,))


def test_the_last_write_about_each_thing_is_what_a_reading_shows() -> None:
    real = MemoryKernel(KernelState())
    kernel = RehearsalKernel(real)
    kernel.write([AddRoute(route=MARK, reason=""), AddRule(rule=RULE, reason="")])
    assert kernel.read() == SHOWN
    kernel.write([RemoveRoute(route=MARK, reason=""), RemoveRule(rule=RULE, reason="")])
    assert kernel.read() == KernelState()
    kernel.write([AddRoute(route=MARK, reason=""), AddRule(rule=RULE, reason="")])
    assert kernel.read() == SHOWN
    assert real.read() == KernelState()


def test_an_address_that_comes_and_goes_for_days_takes_no_more_memory() -> None:
    kernel = RehearsalKernel(MemoryKernel(KernelState()))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(5000):
            kernel.write([AddRoute(route=MARK, reason=f"{number}")])
            kernel.write([RemoveRoute(route=MARK, reason=f"{number}")])
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000
    assert kernel.read() == KernelState()
