"""Build a release of the present commit into dist/, or prepare one: see docs/release.md.

Exit code 1, and nothing is changed, where something keeps it from being a release.
"""

import argparse
import hashlib
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from artifacts import chart, export, image, wheels
from provenance import UNNAMED, statement
from sbom import sbom
from version import RefusedError, disagreements, prepare, version_of

ROOT: Final = Path(__file__).parents[2]
BUILD: Final = ROOT / "build" / "release"
DIST: Final = ROOT / "dist"
SUMS: Final = "SHA256SUMS"


def build(builder: str) -> None:
    """Build everything anew, and replace dist/ once all is there.

    Raises:
        RefusedError: this is no release, or a part of it can't be built.
    """
    wrong = disagreements(ROOT)
    if wrong:
        raise RefusedError(
            "this tree is no release:\n  "
            + "\n  ".join(wrong)
            + "\n  -> .venv/bin/python scripts/release --prepare X.Y.Z writes it all; then commit"
        )
    shutil.rmtree(BUILD, ignore_errors=True)
    source = export(ROOT, BUILD / "source", version_of(ROOT))
    made = BUILD / "dist"
    made.mkdir()
    wheels(source, made)
    chart(source, made)
    built = image(source, made)
    name = f"vipmanager-{source.version}-linux-{built.architecture}"
    (made / f"{name}.cdx.json").write_text(sbom(source, built), encoding="utf-8")
    subjects = {**_digests(made), f"{name} (image manifest)": built.digest}
    told = statement(source, subjects, builder, built.architecture)
    (made / f"{name}.intoto.json").write_text(f"{json.dumps(told, indent=1)}\n", encoding="utf-8")
    lines = [f"{digest}  {file}\n" for file, digest in _digests(made).items()]
    (made / SUMS).write_text("".join(lines), encoding="utf-8")
    shutil.rmtree(DIST, ignore_errors=True)
    made.rename(DIST)
    shutil.rmtree(BUILD)
    print(f"dist/ is {source.version}, of commit {source.commit}:")
    print("".join(f"  {line}" for line in lines), end="")


def _digests(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
    }


def main() -> int:
    """Do what is asked; give the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    parser.add_argument("--builder", default=UNNAMED, help="URI of who builds, for the provenance")
    parser.add_argument(
        "--prepare",
        metavar="X.Y.Z",
        help="build nothing: write this version wherever it stands, and date the CHANGELOG",
    )
    arguments = parser.parse_args()
    try:
        if arguments.prepare:
            prepare(ROOT, arguments.prepare, datetime.now(tz=UTC).date().isoformat())
        else:
            build(arguments.builder)
    except RefusedError as error:
        print(f"make release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
