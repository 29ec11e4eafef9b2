"""The mark of a drill on a Node that it cordons, so that nobody has to guess whose cordon it is.

A cordon is all that a drill can leave behind. It comes with an annotation, in one patch, and goes
with it. Both patches name the version of the Node that they were made for: one that is late fits no
more. A Node without the mark was cordoned by somebody else, and is left alone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from vipmanager.core.failures import Permanent
from vipmanager.core.text import printable

Object = Mapping[str, Any]

ANNOTATION = "vipmanager/drill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Which drill cordoned a Node."""

    id: str
    by: str
    """Where it runs, for people."""
    since: float
    """Seconds since 1970, by its own clock."""
    until: float
    """When it has ended, if it lives."""
    over: bool = False
    """Whether it has ended, and only sees to it that no cordon of its comes late."""

    def begun(self, now: float) -> "Mark":
        """Give it for a drill that begins now: a person may have thought about it for long."""
        return replace(self, since=now, until=now + self.until - self.since)

    def __str__(self) -> str:
        """Name it."""
        return f"the drill of {self.by} since {_time(self.since)}"


def mark_of(node: Object) -> Mark | None:
    """Read a Node's mark; None for none."""
    text = (node["metadata"].get("annotations") or {}).get(ANNOTATION)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return Mark(
            id=str(found["id"]),
            by=printable(found["by"]),
            since=float(found["since"]),
            until=float(found["until"]),
            over=bool(found.get("over")),
        )
    except (KeyError, TypeError, ValueError):
        return Mark(id="", by="somebody (the annotation can't be read)", since=0, until=0)


def cordon(node: Object, mark: Mark) -> Object:
    """Give the change that cordons a Node, with the mark.

    Raises:
        Permanent: it is cordoned already.
    """
    name, found = node["metadata"]["name"], mark_of(node)
    if found is not None:
        raise Permanent(
            f"node {name} is marked by {found}",
            "wait for its end; where it is dead: vipmanager drill --clean",
        )
    if (node.get("spec") or {}).get("unschedulable"):
        raise Permanent(
            f"node {name} is cordoned by somebody else", "a drill needs a node that is in use"
        )
    return _change(node, mark, {"unschedulable": True})


def uncordon(node: Object) -> Object:
    """Give the change that undoes `cordon`, and takes the mark away."""
    mark = mark_of(node)
    cordoned = mark is not None and not mark.over
    return _change(node, None, {"unschedulable": None} if cordoned else None)


def claim(node: Object, mark: Mark) -> Object:
    """Give the change after which no late `cordon` fits; it cordons nothing."""
    return _change(node, replace(mark, over=True), None)


def _change(node: Object, mark: Mark | None, spec: Object | None) -> Object:
    annotation = None if mark is None else json.dumps(asdict(mark))
    metadata = {
        "resourceVersion": node["metadata"]["resourceVersion"],
        "annotations": {ANNOTATION: annotation},
    }
    return {"metadata": metadata} | ({"spec": spec} if spec is not None else {})


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
