"""What the image is made of: Debian's packages and Python's, as a CycloneDX document."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from artifacts import Image, Source
from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from version import RefusedError

_LICENCES: Final = LicenseFactory()
_NAMESPACE: Final = UUID("8f1f3c1e-6d5b-5c0e-9d0a-3f6f4b1d2a77")
"""Of the serial numbers: the same image has the same."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")


def sbom(source: Source, image: Image) -> str:
    """Give the document.

    Raises:
        RefusedError: it does not follow its schema.
    """
    whole = Component(
        name="vipmanager",
        version=source.version,
        type=ComponentType.CONTAINER,
        bom_ref="image",
        licenses=[_LICENCES.make_from_string("MIT-0")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=image.digest)],
        purl=PackageURL(
            type="oci",
            name="vipmanager",
            version=f"sha256:{image.digest}",
            qualifiers={"arch": image.architecture, "tag": source.version},
        ),
    )
    bom = Bom(serial_number=uuid5(_NAMESPACE, image.digest))
    bom.metadata.timestamp = datetime.fromtimestamp(source.epoch, tz=UTC)
    bom.metadata.component = whole
    every: list[Component] = []
    for components, needs in (_debian(image.rootfs), _python(image.rootfs)):
        bom.components.update(components.values())
        every += components.values()
        for name, component in components.items():
            bom.register_dependency(component, _among(components, needs[name]))
    bom.register_dependency(whole, every)
    text: str = JsonV1Dot6(bom).output_as_string(indent=1)
    invalid = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if invalid is not None:
        raise RefusedError(f"the SBOM does not follow CycloneDX 1.6: {invalid}")
    return f"{text}\n"


Found = tuple[Mapping[str, Component], Mapping[str, list[str]]]
"""Components by name, and the names that each needs."""


def _debian(root: Path) -> Found:
    """Read what scanners read, too (deploy/image/assemble)."""
    release = (root / "etc/os-release").read_text(encoding="utf-8")
    distribution = re.search(r'^VERSION_ID="?(\d+)', release, re.MULTILINE)
    components, needs = {}, {}
    for told in _headers((root / "var/lib/dpkg/status.d").iterdir()):
        name, version = told["Package"], told["Version"]
        where = {"arch": told["Architecture"]}
        if distribution is not None:
            where["distro"] = f"debian-{distribution[1]}"
        purl = PackageURL(
            type="deb", namespace="debian", name=name, version=version, qualifiers=where
        )
        components[name] = Component(name=name, version=version, purl=purl, bom_ref=str(purl))
        asked = f"{told.get('Pre-Depends', '')},{told.get('Depends', '')}"
        needs[name] = re.split(r"[,|]", asked)
    return components, needs


def _python(root: Path) -> Found:
    components, needs = {}, {}
    for told in _headers(root.glob("usr/local/lib/python3.*/dist-packages/*.dist-info/METADATA")):
        name, version = _normal(told["Name"]), told["Version"]
        purl = PackageURL(type="pypi", name=name, version=version)
        licence = told.get("License-Expression") or told.get("License")
        components[name] = Component(
            name=name,
            version=version,
            purl=purl,
            bom_ref=str(purl),
            licenses=[_LICENCES.make_from_string(licence)] if licence else (),
        )
        needs[name] = [_normal(each) for each in told.get_all("Requires-Dist", ())]
    return components, needs


def _headers(files: Iterable[Path]) -> Iterator[Message]:
    for file in sorted(files):
        yield HeaderParser().parsestr(file.read_text(encoding="utf-8"))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _among(components: Mapping[str, Component], needs: Iterable[str]) -> Iterator[Component]:
    """Give those that are there; others are alternatives, extras, or nothing that is called."""
    for need in needs:
        found = _NAME.match(need.strip())
        if found is not None and found[0] in components:
            yield components[found[0]]
