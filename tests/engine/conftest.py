"""Every simulation ends, and starts from the same luck."""

import random
from collections.abc import Iterator

import pytest

from sim import Sim


@pytest.fixture
def sim() -> Iterator[Sim]:
    random.seed(86)
    simulation = Sim()
    yield simulation
    simulation.end()
