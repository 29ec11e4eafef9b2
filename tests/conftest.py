"""Every test runs in the lab's sandbox: whatever happens, nothing is left on the machine."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from vipmanager_lab import sandbox


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start again inside; workers of pytest-xdist are already there.

    A shell that runs a script lets a background job ignore SIGINT, and so would all that a test
    starts, which some of them interrupt.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sandbox.inside():
        return
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    try:
        sandbox.enter([sys.executable, *sys.orig_argv[1:]])
    except sandbox.SandboxError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With a real Kubernetes, leave out what only the lab's own can be told to do."""
    if os.environ.get("VIPMANAGER_TEST_KUBERNETES"):
        items[:] = [item for item in items if item.get_closest_marker("own") is None]


@pytest.fixture(autouse=True)
def simulated_worlds_end() -> Iterator[None]:
    yield
    if "simulation.world" in sys.modules:
        for world in tuple(sys.modules["simulation.world"].LIVING):
            world.end()
