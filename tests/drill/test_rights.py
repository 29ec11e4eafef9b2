"""ICMP by whoever may: by a raw socket, by a ping socket, or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")
GROUPS = Path("/proc/sys/net/ipv4/ping_group_range")


def ping(*before: str) -> subprocess.CompletedProcess[str]:
    words = ("::1", "127.0.0.1", "--run", "true", "--settle", "1s", "--yes")
    return subprocess.run(
        [*before, sys.executable, "-m", "vipmanager", "drill", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_root_pings_both_families() -> None:
    assert ping().returncode == 0


def test_who_has_no_right_needs_the_sysctl_and_is_told_so() -> None:
    before = GROUPS.read_text()
    try:
        GROUPS.write_text("1 0")
        done = ping(*NOBODY)
        assert done.returncode == 2
        assert 'sysctl net.ipv4.ping_group_range to "0 2147483647"' in done.stderr
        GROUPS.write_text("0 2147483647")
        done = ping(*NOBODY)
        assert done.returncode == 0, done.stderr
    finally:
        GROUPS.write_text(before)


@pytest.fixture(autouse=True)
def _readable() -> None:
    """Skip where nobody may read the checkout."""
    done = subprocess.run([*NOBODY, sys.executable, "-c", "import vipmanager"], check=False)
    if done.returncode:
        pytest.skip("the checkout is not readable for everybody")
