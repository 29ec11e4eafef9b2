"""The version that is released: where it stands, and what has to agree before it is built."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCE: Final = Path("src/vipmanager/__init__.py")
"""Where both distributions have their version from."""
CHANGELOG: Final = Path("CHANGELOG.md")
SCHEMAS: Final = Path("docs/schema")
RELEASED: Final = SCHEMAS / "released"
"""The schemas as the last release had them: what programs rely on."""

NUMBER: Final = r"\d+\.\d+\.\d+"
PLACES: Final = (
    r'^__version__ = "',
    r"^version: ",  # Chart.yaml
    r"^appVersion: ",
    r"^ARG VERSION=",
    r"\bvipmanager:",  # an image that is named
    r"\bnewTag: ",
)
"""What stands before the version; only in deploy/ and docs/, beside `SOURCE`."""
_PLACE: Final = re.compile(rf"({'|'.join(PLACES)})({NUMBER})(?![\w.])", re.MULTILINE)
_SECTION: Final = re.compile(r"^## (.+)$", re.MULTILINE)


class RefusedError(Exception):
    """What keeps this from being a release, and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in which a version stands."""

    file: Path
    line: int
    version: str

    def __str__(self) -> str:
        """Name it."""
        return f"{self.file}:{self.line}: {self.version}"


def version_of(root: Path) -> str:
    """Give the version of a tree.

    Raises:
        RefusedError: it has none of three numbers.
    """
    found = _PLACE.search((root / SOURCE).read_text(encoding="utf-8"))
    if found is None:
        raise RefusedError(f'{SOURCE}: expected __version__ = "X.Y.Z"')
    return found[2]


def places(root: Path) -> Iterator[Place]:
    """Give every place in which this repository's version stands."""
    for file in _files(root):
        text = (root / file).read_text(encoding="utf-8")
        for found in _PLACE.finditer(text):
            yield Place(file=file, line=text.count("\n", 0, found.start()) + 1, version=found[2])


def disagreements(root: Path) -> list[str]:
    """Name what keeps a tree from being released under its version."""
    version = version_of(root)
    wrong = [f"{place}: expected {version}" for place in places(root) if place.version != version]
    first = _SECTION.search((root / CHANGELOG).read_text(encoding="utf-8"))
    if first is None or not re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", first[1]):
        said = f"'## {first[1]}'" if first else "none"
        wrong.append(
            f"{CHANGELOG}: expected '## {version} (YYYY-MM-DD)' as the first section, found {said}"
        )
    now, then = _schemas(root / SCHEMAS), _schemas(root / RELEASED)
    differ = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
    if differ:
        wrong.append(f"{RELEASED}: expected what {SCHEMAS} has, {', '.join(differ)} differ")
    return wrong


def prepare(root: Path, version: str, date: str) -> None:
    """Write a version wherever it stands; the section Unreleased of the CHANGELOG becomes its own.

    Raises:
        RefusedError: it is no version, or nothing is unreleased.
    """
    if not re.fullmatch(NUMBER, version):
        raise RefusedError(f"{version}: expected X.Y.Z, three numbers")
    log = (root / CHANGELOG).read_text(encoding="utf-8")
    told = log.replace("## Unreleased\n", f"## {version} ({date})\n", 1)
    if told == log:
        raise RefusedError(f"{CHANGELOG}: expected a section '## Unreleased' with what is new")
    for file in _files(root):
        text = (root / file).read_text(encoding="utf-8")
        (root / file).write_text(_PLACE.sub(rf"\g<1>{version}", text), encoding="utf-8")
    (root / CHANGELOG).write_text(told, encoding="utf-8")
    shutil.rmtree(root / RELEASED, ignore_errors=True)
    (root / RELEASED).mkdir()
    for name, text in _schemas(root / SCHEMAS).items():
        (root / RELEASED / name).write_text(text, encoding="utf-8")


def _files(root: Path) -> Iterator[Path]:
    yield SOURCE
    for folder in ("deploy", "docs"):
        for file in sorted((root / folder).rglob("*")):
            told = file.suffix in {".md", ".yaml"} or file.name == "Dockerfile"
            # What was decided under a version stays as it was told.
            if told and "adr" not in file.relative_to(root).parts:
                yield file.relative_to(root)


def _schemas(folder: Path) -> dict[str, str]:
    return {each.name: each.read_text(encoding="utf-8") for each in sorted(folder.glob("*.json"))}
