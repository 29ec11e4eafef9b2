"""Nothing grows without bound: what happens again and again costs no more than a few times did."""

import tempfile
from dataclasses import replace
from pathlib import Path

from agent_fixtures import wait_until
from chaos.checks import unsettled, writes
from chaos.draw import schedule
from chaos.faults import Blows
from chaos.schedule import Dropped, Kind, Revoked
from chaos.stage import Stage
from vipmanager_lab.world import World

FIRST, ROUNDS = 4, 9
CALM = replace(
    schedule(0),
    kind=Kind.SIDECAR,
    pattern=1,
    version=4,
    tables=8,
    before="nothing",
    source_routing=False,
    strikes=(),
)


def test_credentials_revoked_again_and_again_cost_no_memory_threads_or_descriptors() -> None:
    with World(tables=CALM.tables) as world, tempfile.TemporaryDirectory() as folder:
        stage = Stage(CALM, world, Path(folder))
        blows = Blows(stage)
        (container,) = stage.containers.values()
        container.start()
        wait_until(lambda: not any(unsettled(stage)))
        sizes = []
        for number in range(ROUNDS):
            before = writes(stage)
            blows.strike(Revoked())
            blows.strike(Dropped(tuple(range(CALM.tables)), 1 + number % 2))
            wait_until(lambda b=before: writes(stage) > b and not any(unsettled(stage)))  # type: ignore[misc]
            sizes.append(container.footprint())
        last, early = sizes[-1], sizes[FIRST - 1 : FIRST + 2]
        assert last.kilobytes <= max(e.kilobytes for e in early) + 4_000, sizes
        assert last.threads <= max(e.threads for e in early) + 4, sizes
        assert last.descriptors <= max(e.descriptors for e in early) + 12, sizes
