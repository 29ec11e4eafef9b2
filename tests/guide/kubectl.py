"""`kubectl` and `helm` for the documents: checked by the real tools, done by the lab."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from deploy.rendered import (
    KUBERNETES,
    Document,
    check_schemas,
    installed,
    kustomize,
    merged,
    without,
)
from guide.stage import LabStage
from guide.terminal import Answer

DEPLOYMENT = "deployment/busybox-deployment"
SELECTOR = "app=busybox"


class Kubectl:
    """The command. Without a stage it checks and does nothing."""

    def __init__(self) -> None:
        self.stage: LabStage | None = None
        self._program = Path(sys.executable).parent / "kubectl"
        if not self._program.exists():
            without("kubectl is not installed")

    def __call__(self, words: Sequence[str], folder: Path, _piped: str) -> Answer:
        """Run one command."""
        end = words.index("--") if "--" in words else len(words)
        asked = [str(self._program), *words[:end], "--help"]  # flags are parsed first
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            return Answer(code=done.returncode, err=done.stderr)
        objects = _rendered(words, folder)
        if self.stage is None:
            return Answer()
        plain = [word for word in words[:end] if not word.startswith("--")]
        if _do(self.stage, plain, objects):
            return Answer()
        return _ask(self.stage, plain, words[end + 1 :])


def _do(stage: LabStage, words: Sequence[str], objects: Sequence[Document]) -> bool:
    """Do what is not a question; tell whether it was one of these."""
    match words:
        case ["apply", "-k", _]:
            stage.apply(objects)
        case ["delete", "-k", _]:
            stage.delete()
        case ["rollout", "status", name] if name == DEPLOYMENT:
            stage.wait_ready()
        case [("cordon" | "uncordon") as verb, node] if node in stage.nodes():
            stage.cordon(node, on=verb == "cordon")
        case ["delete", "pod", "-l", label] if label == SELECTOR:
            stage.replace_pod()
        case _:
            return False
    return True


def _ask(stage: LabStage, words: Sequence[str], command: Sequence[str]) -> Answer:
    match words:
        case ["exec", name, "-c", "vipmanager"] if name == DEPLOYMENT:
            return stage.execute(command)
        case ["logs", name, "-c", "vipmanager"] if name == DEPLOYMENT:
            out = stage.logs()
        case ["get", "pod", "-l", label, "-o", form] if label == SELECTOR:
            out = _print({"items": [stage.pod()]}, form)
        case ["get", "nodes", "-l", "multus=true", "-L", _]:
            out = "".join(f"{name}\n" for name in stage.nodes())
        case ["get", "node", node, "-o", form] if node in stage.nodes():
            out = _print(stage.nodes()[node], form)
        case _:
            return Answer(code=1, err=f"the lab's kubectl does not know {words}\n")
    return Answer(out=out)


def helm(words: Sequence[str], folder: Path, _piped: str) -> Answer:
    """Render what `helm install NAME CHART -f FILE...` would send, and check it."""
    if words[0] == "install":
        _, _, path, *rest = words
        values: dict[str, Any] = {}
        for flag, file in zip(rest[::2], rest[1::2], strict=True):
            if flag != "-f":
                return Answer(code=1, err=f"the lab's helm does not know {flag}\n")
            values = merged(values, yaml.safe_load((folder / file).read_text()))
        check_schemas(installed(values, path=folder / path), KUBERNETES[-1])
    return Answer()


def _rendered(words: Sequence[str], folder: Path) -> Sequence[Document]:
    if "-k" not in words:
        return ()
    objects = kustomize(folder / words[words.index("-k") + 1])
    check_schemas(objects, KUBERNETES[-1])
    return objects


def _print(found: Mapping[str, Any], form: str) -> str:
    if form == "wide":
        return "".join(
            f"{it['metadata']['name']} {it['spec']['nodeName']}\n" for it in found["items"]
        )
    path = re.fullmatch(r"jsonpath=\{(.*)\}", form)
    assert path, form
    value: Any = found
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path[1]):
        value = value[name] if name else value[int(index)]
    return str(value)
