"""A pod's volumes: what is in them, and how they are written so that no reader sees half of it.

Files are replaced as kubelet's AtomicWriter does (k8s.io/kubernetes/pkg/volume/util): they lie in a
folder of their own, to which `..data` points, and the names that a container opens point through
`..data`. One rename of that link replaces them all.
"""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from vipmanager_lab.kubernetes.kubelet.environment import (
    ConfigError,
    Object,
    Sources,
    field,
    read,
)

_MODE = 0o644
_TOKEN_SECONDS = 3600
_TOKEN_SHARE = 0.8
_TOKEN_AGE = 24 * 3600.0
_GENERATED = ("emptyDir", "configMap", "secret", "downwardAPI", "projected")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume."""

    content: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Token:
    """A service account's token; times are Unix times."""

    text: str
    issued: float
    expires: float

    @property
    def renewed(self) -> float:
        """When it is renewed: at 80 % of its life, or a day old, as kubelet does."""
        return self.issued + min(_TOKEN_SHARE * (self.expires - self.issued), _TOKEN_AGE)


Files = Mapping[str, File]
Request = Callable[[Object], Token]
"""Asks for a token; takes a TokenRequest's spec without what it is bound to. Raises ApiError."""


def token(answer: Object, issued: float) -> Token:
    """Read the answer to a TokenRequest."""
    status = answer["status"]
    expires = datetime.fromisoformat(status["expirationTimestamp"])
    return Token(status["token"], issued, expires.timestamp())


class Tokens:
    """The tokens of one pod: kept, and renewed in time."""

    def __init__(self, request: Request, clock: Callable[[], float] = time.time) -> None:
        self._request, self._clock = request, clock
        self._kept: dict[tuple[str, int], Token] = {}

    def get(self, source: Object) -> str:
        """Give the token of a `serviceAccountToken` source.

        Raises:
            ApiError: there is none yet, and the API gave none.
        """
        audience = source.get("audience") or ""
        seconds = source.get("expirationSeconds") or _TOKEN_SECONDS
        kept = self._kept.get((audience, seconds))
        if kept is None or self._clock() >= kept.renewed:
            spec = {"expirationSeconds": seconds} | ({"audiences": [audience]} if audience else {})
            kept = self._kept[audience, seconds] = self._request(spec)
        return kept.text


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads the sources of a pod's volumes."""

    pod: Object
    sources: Sources
    tokens: Tokens

    def contents(self, volume: Object) -> Files | None:
        """Give a volume's files by path; None for an emptyDir.

        Raises:
            ConfigError: something that is not optional is not there.
            ApiError: the API does not answer.
        """
        kind = next(one for one in _GENERATED if one in volume)
        if kind == "emptyDir":
            return None
        body: Object = volume[kind] or {}
        mode = body.get("defaultMode") or _MODE
        if kind != "projected":
            return self._files(kind, body, mode)
        found: dict[str, File] = {}
        for each in body.get("sources") or ():
            for name, source in each.items():
                found |= self._files(name, source, mode)
        return found

    def _files(self, kind: str, source: Object, mode: int) -> dict[str, File]:
        match kind:
            case "serviceAccountToken":
                return {source["path"]: File(self.tokens.get(source).encode(), mode)}
            case "downwardAPI":
                return {
                    item["path"]: File(
                        field(self.pod, item["fieldRef"]["fieldPath"]).encode(),
                        item.get("mode") or mode,
                    )
                    for item in source.get("items") or ()
                }
            case _:
                return _entries(kind, source, mode, self.sources)


def _entries(kind: str, source: Object, mode: int, sources: Sources) -> dict[str, File]:
    name = source.get("name") or source.get("secretName") or ""
    optional = bool(source.get("optional"))
    entries = read(sources, kind, name, optional=optional) or {}
    items = source.get("items")
    if items is None:
        return {key: File(content, mode) for key, content in entries.items()}
    missing = [item["key"] for item in items if item["key"] not in entries]
    if missing and not optional:
        raise ConfigError(f"{kind.lower()} {name} has no key {', '.join(missing)}")
    return {
        item["path"]: File(entries[item["key"]], item.get("mode") or mode)
        for item in items
        if item["key"] in entries
    }


def publish(folder: Path, files: Files) -> None:
    """Write a volume's files, all in one step; what is no longer there goes.

    Raises:
        ConfigError: a path leaves the volume.
    """
    for path in files:
        parts = PurePosixPath(path).parts
        if not parts or parts[0] == "/" or ".." in parts or parts[0].startswith(".."):
            raise ConfigError(f"{path}: expected a path within the volume")
    link = folder / "..data"
    old = folder / link.readlink() if link.is_symlink() else None
    new = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    new.chmod(0o755)
    for path, file in files.items():
        target = new / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    fresh = folder / "..data_tmp"
    fresh.symlink_to(new.name)
    fresh.replace(link)
    _point(folder, {PurePosixPath(path).parts[0] for path in files})
    if old is not None:
        shutil.rmtree(old)


def _point(folder: Path, names: set[str]) -> None:
    shown = {one.name for one in folder.iterdir() if not one.name.startswith("..")}
    for name in names - shown:
        (folder / name).symlink_to(Path("..data", name))
    for name in shown - names:
        (folder / name).unlink()


class Volumes:
    """The volumes of one pod, in a folder of their own."""

    def __init__(self, folder: Path, sources: Sources, request: Request) -> None:
        """Make nothing yet.

        Args:
            folder: for one folder per volume.
            sources: ConfigMaps and Secrets of the pod's namespace.
            request: asks for a token of the pod's service account.
        """
        self._folder, self._sources = folder, sources
        self._tokens = Tokens(request)
        self._written: dict[str, Files | None] = {}

    def refresh(self, pod: Object) -> None:
        """Make, or write again, what has changed.

        Raises:
            ConfigError: something that is not optional is not there; the rest is written.
            ApiError: the API does not answer.
        """
        reader = Reader(pod, self._sources, self._tokens)
        for volume in pod["spec"].get("volumes") or ():
            files = reader.contents(volume)
            name = volume["name"]
            if name in self._written and self._written[name] == files:
                continue
            folder = self._folder / name
            folder.mkdir(parents=True, exist_ok=True)
            if files is None:
                folder.chmod(0o777)
            else:
                publish(folder, files)
            self._written[name] = files

    def mounts(self, container: Object) -> Iterator[dict[str, Any]]:
        """Give what the launcher mounts for a container."""
        for mount in container.get("volumeMounts") or ():
            yield {
                "source": str(self._folder / mount["name"]),
                "target": mount["mountPath"],
                "read_only": bool(mount.get("readOnly"))
                or self._written[mount["name"]] is not None,
            }

    def close(self) -> None:
        """Remove them."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder)
