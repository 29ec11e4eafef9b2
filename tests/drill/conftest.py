"""A cluster on the loopback for each test."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import drill_fixtures
from drill_fixtures import Site
from vipmanager_lab.world import World


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Site]:
    """One in which the service account may do nothing."""
    with drill_fixtures.site(tmp_path) as made:
        yield made


@pytest.fixture
def site(bare: Site) -> Site:
    """One in which it may do all that a drill needs."""
    bare.allow()
    return bare


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Build worlds that are gone after the test."""
    with contextlib.ExitStack() as worlds:
        yield lambda **options: worlds.enter_context(World(**options))
