"""The lab at a prompt, with a real cluster."""

import subprocess
import sys
from pathlib import Path

import pytest

from vipmanager_lab.kubernetes.assets import AssetsError, find

ROOT = Path(__file__).parents[2]
OVERLAY = "deploy/manifests/overlays/nonvpc-standby"
SCRIPT = f"""\
kubectl apply -k {OVERLAY}
kubectl rollout status deployment/busybox-deployment --timeout=90s
probe 0.5
fail a
wait 3
probe 0.5
kubectl exec pod
fail b
"""


def test_the_shipped_standby_serves_and_a_lost_node_is_taken_over() -> None:
    try:
        find()
    except AssetsError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, "-m", "vipmanager", "lab", "--kubernetes", "real", "--latency-ms", "1"],
        input=SCRIPT,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=240,
    )
    answered = [line for line in done.stdout.splitlines() if "answered" in line]
    assert len(answered) == 4, done.stdout + done.stderr
    assert [line for line in answered if ": 0 of" in line] == []
    assert "type `exec` alone" in done.stderr
