"""Every test runs in the lab's sandbox: whatever happens, nothing is left on the machine."""

import sys
from collections.abc import Iterator

import pytest

from vipmanager.lab import sandbox


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start again inside; workers of pytest-xdist are already there."""
    if sandbox.inside():
        return
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    try:
        sandbox.enter([sys.executable, *sys.orig_argv[1:]])
    except sandbox.SandboxError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(autouse=True)
def simulated_worlds_end() -> Iterator[None]:
    yield
    if "simulation.world" in sys.modules:
        for world in tuple(sys.modules["simulation.world"].LIVING):
            world.end()
