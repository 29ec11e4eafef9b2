"""An application that is not ours, and vipmanager beside it in the three ways of docs/adopt.md.

What is used of each way stands in the page: the blocks of YAML, by their first line.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent, indent

import yaml  # type: ignore[import-untyped]

from deploy.rendered import (
    CHART,
    MANIFESTS,
    Document,
    documents,
    installed,
    kustomize,
    merged,
    own,
)

PAGE = Path(__file__).parents[2] / "docs" / "adopt.md"
NAME = "upf"
ATTACHMENTS = ("n3", "n6")
APPLICATION: Document = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": NAME, "labels": {"team": "core"}},
    "spec": {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {"app": NAME}},
        "template": {
            "metadata": {
                "labels": {"app": NAME},
                "annotations": {"k8s.v1.cni.cncf.io/networks": ", ".join(ATTACHMENTS)},
            },
            "spec": {
                "nodeSelector": {"multus": "true"},
                "containers": [
                    {
                        "name": NAME,
                        "image": "public.ecr.aws/docker/library/busybox:1.37",
                        "command": ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"],
                    }
                ],
            },
        },
    },
}


def block(first: str) -> str:
    """Give a block of YAML of the page by its first line, a comment, without that line."""
    found = re.findall(r"(?ms)^```yaml\n# ([^\n]*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    (text,) = (text for head, text in found if head.partition("  ")[0] == first)
    return str(text)


def attachments() -> list[Document]:
    """Give the application's own attachments."""
    shipped = (documents(MANIFESTS / "base" / "nonvpc" / f"nad-{n}.yaml")[0] for n in (1, 2))
    return [
        merged(one, {"metadata": {"name": name}})
        for one, name in zip(shipped, ATTACHMENTS, strict=True)
    ]


def by_kustomize(folder: Path) -> tuple[Document, ...]:
    """Render a kustomization with the component, as the page has it."""
    return own(folder, block("mine/kustomization.yaml"), APPLICATION, *attachments())


def by_chart(folder: Path) -> tuple[Document, ...]:
    """Render a chart of the application's, with vipmanager's as a dependency."""
    shutil.copytree(CHART, folder / "charts" / "vipmanager")
    head = "apiVersion: v2\nname: upf\nversion: 1.0.0\n"
    (folder / "Chart.yaml").write_text(head + block("Chart.yaml"))
    template = yaml.safe_dump(APPLICATION)
    lines = indent(dedent(block("templates/application.yaml, in the pod's spec")), " " * 6)
    (folder / "templates").mkdir()
    (folder / "templates" / "application.yaml").write_text(_with(template, lines))
    values = yaml.safe_load(block("values.yaml"))
    return (*installed(values, path=folder, name="core"), *attachments())


def by_hand(_: Path) -> tuple[Document, ...]:
    """Give the application with the lines of the page, and what is applied beside it."""
    changed = yaml.safe_load(_with(yaml.safe_dump(APPLICATION), block("in the pod's spec")))
    peers = yaml.safe_load(block("mine/kustomization.yaml"))["patches"][0]["patch"]
    config = yaml.safe_load(peers)
    beside = [
        merged(one, config) if one["kind"] == "ConfigMap" else one
        for one in kustomize(MANIFESTS / "agent")
    ]
    return (*beside, changed, *attachments())


def _with(text: str, lines: str) -> str:
    """Put lines at the beginning of the pod's spec."""
    begin = "    spec:\n"
    assert text.count(begin) == 1
    return text.replace(begin, begin + lines)


WAYS: Mapping[str, Callable[[Path], tuple[Document, ...]]] = {
    "kustomize": by_kustomize,
    "chart": by_chart,
    "hand": by_hand,
}
