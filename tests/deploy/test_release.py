"""What `make release` builds, from two folders; and when it builds nothing."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import helm_python as helm
import pytest
import yaml  # type: ignore[import-untyped]
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.rendered import installed, merged, pattern_values

ROOT = Path(__file__).parents[2]
TWICE = ROOT / "build" / "twice"


def _loaded() -> ModuleType:
    file = ROOT / "scripts" / "release" / "version.py"
    spec = importlib.util.spec_from_file_location("release_version", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


release = _loaded()


# --- one version -------------------------------------------------------------------------------


def test_the_version_is_the_same_wherever_it_stands() -> None:
    version = release.version_of(ROOT)
    places = list(release.places(ROOT))
    assert [str(place) for place in places if place.version != version] == []
    files = {str(place.file) for place in places}
    assert {
        "deploy/helm/vipmanager/Chart.yaml",
        "deploy/image/Dockerfile",
        "deploy/manifests/base/deployment-native-sidecar.yaml",
        "docs/deploy.md",
    } <= files
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text()


def test_both_distributions_have_their_version_from_one_file() -> None:
    for project in (ROOT, ROOT / "lab"):
        text = (project / "pyproject.toml").read_text()
        assert not re.search(r"^version\b", text, re.MULTILINE)
        (path,) = re.findall(r'^\[tool\.hatch\.version\]\npath = "(.+)"$', text, re.MULTILINE)
        assert (project / path).resolve() == ROOT / release.SOURCE


@pytest.mark.parametrize("name", ["vipmanager", "site-a"])
def test_the_values_on_the_upgrade_page_keep_the_objects_of_0_1_0(name: str) -> None:
    page = (ROOT / "docs" / "upgrade.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.+?)```", page, re.DOTALL)
    values = merged(pattern_values("nonvpc"), yaml.safe_load(shown))
    objects = {(o["kind"], o["metadata"]["name"]): o for o in installed(values, name=name)}
    deployment = objects["Deployment", "busybox-deployment"]
    assert deployment["spec"]["selector"] == {"matchLabels": {"app": "busybox"}}
    assert {
        ("ConfigMap", "vipmanager-config"),
        ("Lease", "vipmanager"),
        ("NetworkAttachmentDefinition", "nad-if1"),
        ("NetworkAttachmentDefinition", "nad-if2"),
        ("ServiceAccount", "vipmanager"),
    } <= objects.keys()


# --- what is refused ---------------------------------------------------------------------------


class Tree:
    """The present files, without tests, as a commit of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet")
        self.commit()

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=trial", "-c", "user.email=trial@example.com"]
        subprocess.run(["git", *who, *words], cwd=self.folder, check=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "trial")

    def change(self, file: str, old: str, new: str) -> None:
        text = (self.folder / file).read_text()
        assert old in text
        (self.folder / file).write_text(text.replace(old, new, 1))

    def release(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, self.folder / "scripts/release", *words],
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The present files."""
    folder = tmp_path_factory.mktemp("whole")
    listed = subprocess.check_output(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", ".", ":!tests"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture
def tree(tmp_path: Path, whole: Path) -> Tree:
    tree = Tree(Path(shutil.copytree(whole, tmp_path / "tree")))
    if "\n## Unreleased\n" not in (tree.folder / "CHANGELOG.md").read_text():
        tree.change("CHANGELOG.md", "\n## ", "\n## Unreleased\n\n- What is new.\n\n## ")
        tree.commit()
    return tree


def refused(tree: Tree) -> str:
    (tree.folder / "dist").mkdir()
    (tree.folder / "dist" / "earlier").touch()
    done = tree.release()
    assert (done.returncode, done.stdout) == (1, "")
    assert [file.name for file in (tree.folder / "dist").iterdir()] == ["earlier"]
    return done.stderr


def test_changes_without_a_version_of_their_own_are_no_release(tree: Tree) -> None:
    said = refused(tree)
    assert "as the first section, found '## Unreleased'" in said
    assert "scripts/release --prepare X.Y.Z" in said


def test_a_version_that_another_file_has_not_is_named_with_its_place(tree: Tree) -> None:
    assert tree.release("--prepare", "9.9.9").returncode == 0
    tree.change("deploy/helm/vipmanager/Chart.yaml", "appVersion: 9.9.9", "appVersion: 9.9.8")
    tree.commit()
    assert "deploy/helm/vipmanager/Chart.yaml:6: 9.9.8: expected 9.9.9" in refused(tree)


def test_a_schema_that_changed_after_it_was_written_down_is_no_release(tree: Tree) -> None:
    assert tree.release("--prepare", "9.9.9").returncode == 0
    tree.change("docs/schema/doctor.json", '"severity"', '"gravity"')
    tree.commit()
    said = refused(tree)
    assert "docs/schema/released: expected what docs/schema has, doctor.json differ" in said


def test_a_tree_that_is_no_commit_is_no_release(tree: Tree) -> None:
    assert tree.release("--prepare", "9.9.9").returncode == 0
    assert "the tree is not a commit: " in refused(tree)


def test_what_is_no_version_is_refused_before_anything_is_written(tree: Tree) -> None:
    done = tree.release("--prepare", "v2")
    assert (done.returncode, done.stderr) == (
        1,
        "make release: v2: expected X.Y.Z, three numbers\n",
    )
    before = release.version_of(ROOT)
    assert release.version_of(tree.folder) == before


# --- what is built -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dist() -> Path:
    """One of two releases of these sources: `make test-deploy` builds them, not the sandbox."""
    check = subprocess.run(
        [ROOT / "scripts" / "release-twice", "--check"], capture_output=True, text=True, check=False
    )
    if check.returncode and os.environ.get("VIPMANAGER_TEST_DEPLOY") == "1":
        pytest.fail(check.stderr)
    if check.returncode:
        pytest.skip(check.stderr.strip())
    return TWICE / "one"


@pytest.fixture(scope="module")
def version(dist: Path) -> str:
    (found,) = dist.glob("vipmanager-*.whl")
    return found.name.split("-")[1]


@pytest.fixture(scope="module")
def layout(dist: Path) -> Mapping[str, bytes]:
    """The files of the image's archive."""
    (archive,) = dist.glob("*.oci.tar")
    with tarfile.open(archive) as packed:
        files = [member for member in packed.getmembers() if member.isfile()]
        return {file.name: _read(packed, file) for file in files}


def _read(packed: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = packed.extractfile(member)
    assert content is not None
    return content.read()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digests(folder: Path) -> dict[str, str]:
    return {file.name: sha256(file.read_bytes()) for file in sorted(folder.iterdir())}


def test_two_builds_in_two_folders_have_the_same_digest_of_every_file(dist: Path) -> None:
    assert digests(dist) == digests(TWICE / "two")


def test_a_release_has_all_of_its_parts_and_a_checksum_of_each(dist: Path, version: str) -> None:
    image = f"vipmanager-{version}-linux-{_architecture()}"
    assert set(digests(dist)) == {
        "SHA256SUMS",
        f"{image}.cdx.json",
        f"{image}.intoto.json",
        f"{image}.oci.tar",
        f"vipmanager-{version}-py3-none-any.whl",
        f"vipmanager-{version}.tgz",
        f"vipmanager_lab-{version}-py3-none-any.whl",
    }
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=dist,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": OK\n") == len(digests(dist)) - 1


def _architecture() -> str:
    return subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()


def test_the_lab_s_wheel_needs_the_vipmanager_of_its_version(dist: Path, version: str) -> None:
    (wheel,) = dist.glob("vipmanager_lab-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        (metadata,) = (name for name in packed.namelist() if name.endswith("/METADATA"))
        told = packed.read(metadata).decode()
    assert f"\nVersion: {version}\n" in told
    assert f"\nRequires-Dist: vipmanager=={version}\n" in told


def test_the_chart_s_package_is_one_that_helm_reads(dist: Path, version: str) -> None:
    with helm.Chart.load_archive((dist / f"vipmanager-{version}.tgz").read_bytes()) as chart:
        told = chart.metadata
    assert (told["name"], told["version"], told["appVersion"]) == ("vipmanager", version, version)


def test_the_image_tells_its_version_its_commit_and_its_architecture(
    dist: Path, version: str, layout: Mapping[str, bytes]
) -> None:
    config = json.loads(layout[_blob(_manifest(layout)["config"]["digest"])])
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == version
    (dependency,) = _provenance(dist)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert labels["org.opencontainers.image.revision"] == dependency["digest"]["gitCommit"]
    assert (config["os"], config["architecture"]) == ("linux", _architecture())


def _manifest(layout: Mapping[str, bytes]) -> Mapping[str, Any]:
    (told,) = json.loads(layout["index.json"])["manifests"]
    found: Mapping[str, Any] = json.loads(layout[_blob(told["digest"])])
    return found


def _blob(digest: str) -> str:
    return digest.replace("sha256:", "blobs/sha256/")


def test_every_blob_of_the_image_has_the_digest_that_it_is_called_by(
    layout: Mapping[str, bytes],
) -> None:
    blobs = {name: content for name, content in layout.items() if name.startswith("blobs/")}
    assert len(blobs) == 3
    for name, content in blobs.items():
        assert name == f"blobs/sha256/{sha256(content)}"


def test_the_sbom_is_valid_and_lists_what_is_in_the_image(dist: Path, version: str) -> None:
    (file,) = dist.glob("*.cdx.json")
    text = file.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    purls = [component["purl"] for component in document["components"]]
    assert f"pkg:pypi/vipmanager@{version}" in purls
    pinned = (ROOT / "requirements" / "run.txt").read_text()
    locked = re.findall(r"^([a-z0-9.-]+)==(\S+)", pinned, re.MULTILINE)
    assert {f"pkg:pypi/{name}@{exact}" for name, exact in locked} <= set(purls)
    for package in ("libc6", "libpython3.11-stdlib", "iproute2", "libssl3"):
        assert any(purl.startswith(f"pkg:deb/debian/{package}@") for purl in purls), package
    needs = {each["ref"]: each.get("dependsOn", ()) for each in document["dependencies"]}
    assert any("botocore" in need for need in needs[f"pkg:pypi/vipmanager@{version}"])


def _provenance(dist: Path) -> Mapping[str, Any]:
    (file,) = dist.glob("*.intoto.json")
    found: Mapping[str, Any] = json.loads(file.read_text())
    return found


def test_the_provenance_is_a_statement_about_every_file_and_the_image_itself(
    dist: Path, layout: Mapping[str, bytes]
) -> None:
    statement = _provenance(dist)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    (image,) = (subjects.pop(name) for name in list(subjects) if "manifest" in name)
    assert _blob(f"sha256:{image}") in layout
    others = {
        name: digest
        for name, digest in digests(dist).items()
        if name != "SHA256SUMS" and not name.endswith(".intoto.json")
    }
    assert subjects == others
    definition = statement["predicate"]["buildDefinition"]
    assert definition["buildType"]
    assert definition["externalParameters"]
    assert statement["predicate"]["runDetails"]["builder"]["id"]


def test_nothing_in_the_image_but_debian_s_part_depends_on_the_architecture(
    layout: Mapping[str, bytes], tmp_path: Path
) -> None:
    (layer,) = _manifest(layout)["layers"]
    packed = tmp_path / "layer"
    packed.write_bytes(layout[_blob(layer["digest"])])
    with tarfile.open(packed) as files:
        names = files.getnames()
        owners = {(member.uid, member.gid) for member in files}
        times = {member.mtime for member in files}
    own = [name for name in names if name.startswith("usr/local/")]
    assert own
    assert not [name for name in own if name.endswith(".so") or ".so." in name]
    assert owners == {(0, 0)}
    assert len(times) == 1
