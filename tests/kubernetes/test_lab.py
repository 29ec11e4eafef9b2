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
PODS = """\
kubectl run tool --image=IMAGE --command -- sh -c 'echo "of telco"; sleep 600'
kubectl create namespace other
run kubectl run alone -n other --image=IMAGE --command -- sh -c 'echo "of other"; sleep 600'
kubectl wait --for=condition=Ready pod/tool --timeout=90s
run kubectl wait -n other --for=condition=Ready pod/alone --timeout=90s
run kubectl get pods -o name
logs tool
logs other/alone
exec other/alone echo here
logs tool vipmanager
exec alone hostname
run nothing-of-this-name
run kubectl get pods nowhere
""".replace("IMAGE", "public.ecr.aws/docker/library/busybox:1.37")


def lab(script: str) -> "subprocess.CompletedProcess[str]":
    try:
        find()
    except AssetsError as error:
        pytest.skip(str(error))
    return subprocess.run(
        [sys.executable, "-m", "vipmanager", "lab", "--kubernetes", "real", "--latency-ms", "1"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=240,
    )


def test_the_shipped_standby_serves_and_a_lost_node_is_taken_over() -> None:
    done = lab(SCRIPT)
    answered = [line for line in done.stdout.splitlines() if "answered" in line]
    assert len(answered) == 4, done.stdout + done.stderr
    assert [line for line in answered if ": 0 of" in line] == []
    assert "type `exec` alone" in done.stderr


def test_every_pod_is_asked_by_its_namespace_and_own_tools_reach_the_cluster() -> None:
    done = lab(PODS)
    said = done.stdout.splitlines(), " ".join(done.stderr.split())
    assert {"of telco", "of other", "here", "pod/tool"} <= set(said[0]), said
    assert "pod/alone" not in said[0], said
    for refused in (
        "logs: pod tool has no container vipmanager: it has tool",
        "exec: no pod alone of the namespace telco is on a node; `kubectl get pods -A` lists all",
        "run: this machine has no nothing-of-this-name",
        "run: exit code 1",
    ):
        assert refused in said[1], said
