"""What a release is made of, each built from an exported commit."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import helm_python as helm
from version import RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A commit, exported without what git ignores, its files as old as the commit."""

    folder: Path
    version: str
    commit: str
    epoch: int
    """Seconds since 1970: when the commit was made."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Give what builders are told: the time that they write, and the commit."""
        return {**os.environ, "SOURCE_DATE_EPOCH": str(self.epoch), "REVISION": self.commit}

    @property
    def image(self) -> Path:
        """Give the folder in which scripts/image works."""
        return self.folder / "build" / "image"


def export(root: Path, folder: Path, version: str) -> Source:
    """Write the present commit into a folder.

    Raises:
        RefusedError: the tree is no commit.
    """
    changed = _git(root, "status", "--porcelain").splitlines()
    if changed:
        raise RefusedError(
            f"the tree is not a commit: {len(changed)} changed, the first {changed[0][3:]}; "
            "commit them, or put them aside (git stash --include-untracked)"
        )
    commit, epoch = _git(root, "log", "-1", "--format=%H %ct").split()
    packed = subprocess.run(
        ["git", "archive", "--format=tar", commit], cwd=root, check=True, capture_output=True
    )
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
    return Source(folder=folder, version=version, commit=commit, epoch=int(epoch))


def wheels(source: Source, into: Path) -> list[Path]:
    """Build the wheels of vipmanager and of its lab."""
    before = set(into.iterdir())
    for folder in (source.folder, source.folder / "lab"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
        _run(command, folder, source.environment)
    return sorted(set(into.iterdir()) - before)


def chart(source: Source, into: Path) -> Path:
    """Package the chart, as `helm package` does."""
    return Path(helm.package(source.folder / "deploy/helm/vipmanager", destination=into))


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in an OCI archive."""

    archive: Path
    architecture: str
    """As OCI and Debian name it: amd64, arm64."""
    digest: str
    """Of its manifest, sha256 in hexadecimal: what a registry calls it by."""
    rootfs: Path


def image(source: Source, into: Path) -> Image:
    """Build the image for this machine's architecture.

    Raises:
        RefusedError: scripts/image does.
    """
    _run(["scripts/image"], source.folder, source.environment)
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    layout = source.image / "oci"
    # As scripts/image keeps it.
    store = ["--root", str(source.image / "storage"), "--runroot", str(source.image / "run")]
    target = f"oci:{layout}:{source.version}"
    push = ["buildah", *store, "push", "--quiet", "localhost/vipmanager", target]
    _run(push, source.folder, {**source.environment, "STORAGE_DRIVER": "vfs"})
    archive = into / f"vipmanager-{source.version}-linux-{architecture}.oci.tar"
    _pack(layout, archive, source.epoch)
    (told,) = json.loads((layout / "index.json").read_text(encoding="utf-8"))["manifests"]
    return Image(
        archive=archive,
        architecture=architecture,
        digest=told["digest"].removeprefix("sha256:"),
        rootfs=source.image / "rootfs",
    )


def _pack(folder: Path, archive: Path, epoch: int) -> None:
    """Write a tar in which nothing tells who packed it, where, or when."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as packed:
        for file in sorted(folder.rglob("*")):
            entry = tarfile.TarInfo(str(file.relative_to(folder)))
            entry.mtime = epoch
            if file.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                packed.addfile(entry)
            else:
                entry.size, entry.mode = file.stat().st_size, 0o644
                with file.open("rb") as content:
                    packed.addfile(entry, content)


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(f"git {words[0]}: {done.stderr.strip()}; build in a clone with git")
    return done.stdout


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RefusedError(f"{command[0]} failed:\n{done.stdout.rstrip()}")
