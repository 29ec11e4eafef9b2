"""A world for each test."""

from collections.abc import Callable, Iterator

import pytest

from agent_fixtures import Stage
from vipmanager_lab.world import World


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Build worlds that are gone after the test."""
    worlds: list[World] = []

    def make(**options: object) -> World:
        worlds.append(World(**options))  # type: ignore[arg-type]
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world)
