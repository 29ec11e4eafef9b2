"""A Node cordoned for a while: always uncordoned again, by this drill or by a later one."""

import mmap
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from vipmanager.core.failures import Conflict, Permanent, Transient
from vipmanager.drill.mark import Mark, Object, claim, cordon, mark_of, uncordon
from vipmanager.edges.kubernetes.client import Kube

UNDO_SECONDS = 60.0
"""For which an API that does not answer is asked again, before a person has to uncordon."""
_PAUSE = 0.5
_TRIES = 5
"""A Node is written now and then by its kubelet and by controllers."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cordon:
    """The cordon of one drill on one Node."""

    node: str
    mark: Mark
    _begun: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1))
    """Whether it may be so: memory that a guardian, forked before, shares."""

    def rehearse(self, kube: Kube) -> None:
        """Ask whether it may be.

        Raises:
            Failure: it may not, or the Node is not there, or is cordoned already.
        """
        kube.patch_node(self.node, cordon(self._read(kube), self.mark), dry_run=True)

    def begin(self, kube: Kube) -> None:
        """Cordon the Node, and mark it.

        Raises:
            Failure: it is not so, or nobody knows: `end` it.
        """
        self.set_begun()
        begun = self.mark.begun(time.time())
        for left in reversed(range(_TRIES)):
            found = self._read(kube)
            mark = mark_of(found)
            if mark is not None and mark.id == self.mark.id:
                return  # the answer was lost
            try:
                kube.patch_node(self.node, cordon(found, begun))
            except Conflict:
                if not left:
                    raise
            else:
                return

    def end(self, kube: Kube) -> None:
        """Uncordon the Node if the mark is ours, and see to it that no cordon of ours comes late.

        A patch may be on its way from a process that was killed. What is written here gives the
        Node another version, which that patch does not fit.

        Raises:
            Transient: the API did not take it within `UNDO_SECONDS`.
            Permanent: it refuses.
        """
        until = time.monotonic() + UNDO_SECONDS
        while self._begun[0]:
            try:
                if self._undone(kube):
                    return
            except Transient as failure:
                if time.monotonic() > until:
                    raise Transient(
                        f"node {self.node} may still be cordoned: {failure.what}",
                        f"see to it: kubectl uncordon {self.node}",
                    ) from failure
                time.sleep(_PAUSE if not isinstance(failure, Conflict) else 0)

    def _undone(self, kube: Kube) -> bool:
        found = kube.get_node(self.node)
        if found is None:
            return True
        mark = mark_of(found)
        if mark is None:
            kube.patch_node(self.node, claim(found, self.mark))
            return False
        if mark.id == self.mark.id:
            kube.patch_node(self.node, uncordon(found))
        return True

    def set_begun(self) -> None:
        """Note that it may be so."""
        self._begun[0] = 1

    def _read(self, kube: Kube) -> Object:
        found = kube.get_node(self.node)
        if found is None:
            raise Permanent(f"there is no node {self.node}", "see: kubectl get nodes")
        return found


def clean(kube: Kube, tell: Tell, *, dead_at: float | None = None) -> None:
    """Uncordon every Node that a drill has marked.

    Args:
        kube: needs `list` and `patch` on nodes.
        tell: takes each Node that is uncordoned.
        dead_at: leave a drill alone that may still live at this time, seconds since 1970.

    Raises:
        Permanent: such a drill was found, or the API refuses.
        Transient: the API does not answer.
    """
    for node in kube.list_nodes():
        mark = mark_of(node)
        if mark is None:
            continue
        name = node["metadata"]["name"]
        if dead_at is not None and mark.until > dead_at:
            raise Permanent(
                f"node {name} is cordoned by {mark}, and there is never more than one at a time",
                "wait for its end; where it is dead: vipmanager drill --clean",
            )
        left = Cordon(node=name, mark=mark)
        left.set_begun()
        left.end(kube)
        tell(f"node {name} is uncordoned: {mark} had left it")
