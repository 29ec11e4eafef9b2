"""Where the binaries come from, and what is said where they are not."""

import os
import subprocess
from pathlib import Path

import pytest

from vipmanager_lab.kubernetes.assets import ASSETS, NEEDED, VERSION, AssetsError, find

ROOT = Path(__file__).parents[2]


def program(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


def whole(folder: Path) -> Path:
    for name in NEEDED:
        program(folder, name)
    return folder


def script(**environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [ROOT / "scripts" / "kubernetes"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_folder_that_is_named_is_taken_as_it_is(tmp_path: Path) -> None:
    whole(tmp_path)
    assert find({ASSETS: str(tmp_path)})["etcd"] == str(tmp_path / "etcd")
    done = script(**{ASSETS: str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}\n")


def test_what_a_named_folder_lacks_is_said_in_one_line(tmp_path: Path) -> None:
    program(tmp_path, "etcd")
    with pytest.raises(AssetsError, match="has no kube-apiserver"):
        find({ASSETS: str(tmp_path)})
    done = script(**{ASSETS: str(tmp_path)})
    assert done.returncode == 1
    assert "lacks kube-apiserver" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_build_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(AssetsError, match="run `make kubernetes`"):
        find({"XDG_CACHE_HOME": str(tmp_path)})


def test_a_build_of_another_version_or_a_half_one_is_not_taken(tmp_path: Path) -> None:
    cache = tmp_path / "vipmanager" / "kubernetes"
    whole(cache / "v1.2.3-abc")
    whole(cache / ".building.abc")
    with pytest.raises(AssetsError):
        find({"XDG_CACHE_HOME": str(tmp_path)})
    mine = whole(cache / f"{VERSION}.9-abc")
    assert find({"XDG_CACHE_HOME": str(tmp_path)}).folder == mine


def test_the_lab_wants_the_version_that_is_built() -> None:
    module = (ROOT / "tests" / "kubernetes" / "controlplane" / "go.mod").read_text()
    assert f"k8s.io/kubernetes {VERSION}." in module
