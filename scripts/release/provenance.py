"""How the files came to be: an in-toto statement with SLSA's provenance, ready to sign."""

from collections.abc import Mapping
from typing import Final

from artifacts import Source

BUILD_TYPE: Final = "urn:vipmanager:make-release:v1"
UNNAMED: Final = "urn:vipmanager:builder:unnamed"
"""The builder, where nobody says who it is."""


def statement(
    source: Source, digests: Mapping[str, str], builder: str, architecture: str
) -> dict[str, object]:
    """Give the statement.

    It tells no time at which it was built, and no machine: so it is the same wherever it is.
    https://in-toto.io/Statement/v1 and https://slsa.dev/spec/v1.0/provenance describe it.

    Args:
        source: what was built.
        digests: sha256 in hexadecimal by the name of each file, and of the image.
        builder: URI of who builds: what a reader of the signed statement has to trust.
        architecture: for which the image is.
    """
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items())
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"version": source.version, "architecture": architecture},
                "internalParameters": {"SOURCE_DATE_EPOCH": str(source.epoch)},
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": source.commit}}
                ],
            },
            "runDetails": {"builder": {"id": builder}},
        },
    }
