"""What a drill causes: a table of ways, each by what works in any cluster."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from vipmanager.core.failures import Conflict, Permanent, Throttled
from vipmanager.core.text import printable
from vipmanager.drill.cordon import Cordon
from vipmanager.drill.holder import Victim
from vipmanager.edges.kubernetes.answers import Missing
from vipmanager.edges.kubernetes.client import Kube

Tell = Callable[[str], None]

RUN_KEY = "VIPMANAGER_DRILL"
"""The environment variable by which the processes of `--run` are found: its value is the drill."""
_SHOWN = 60
"""Characters of a command that are shown."""
_SETTLED, _LOOK = 2, 0.05
"""Looks in a row at which no such process is found, and the seconds between them."""


class Cause(Protocol):
    """One failover that a person named."""

    @property
    def victims(self) -> Sequence[Victim]:
        """The pods that go, as far as they are known."""
        ...

    def __str__(self) -> str:
        """Say what is done, as an order."""
        ...

    def rehearse(self) -> None:
        """Ask whether it may be done, and change nothing.

        Raises:
            Failure: it may not.
        """
        ...

    def begin(self, tell: Tell) -> None:
        """Do it; what happened is told in sentences.

        Raises:
            Failure: it was not done, or nobody knows.
        """
        ...

    def look(self, tell: Tell) -> bool:
        """Look how far it is; True once it is done. Asked again and again.

        Raises:
            Transient: it could not be seen.
            Permanent: it can't go on.
        """
        ...


class DeletePods:
    """Pods are deleted, or evicted, and waited for until they are gone."""

    def __init__(self, kube: Kube, victims: Sequence[Victim], *, evict: bool = False) -> None:
        """Do nothing yet."""
        self._kube, self.victims, self._evict = kube, victims, evict
        self._tried: set[str] = set()
        self._asked: set[str] = set()
        self._gone: set[str] = set()
        self._refused: dict[str, str] = {}

    def __str__(self) -> str:
        """Say it."""
        many = "pods" if len(self.victims) > 1 else "pod"
        verb = "evict" if self._evict else "delete"
        return f"{verb} the {many} {', '.join(map(str, self.victims))}"

    def rehearse(self) -> None:
        """Ask by a dry run: for the right, for admission, for a PodDisruptionBudget."""
        for each in self.victims:
            self._order(each, dry_run=True)

    def begin(self, tell: Tell) -> None:
        """Order it for each pod."""
        self.look(tell)

    def look(self, tell: Tell) -> bool:
        """Order what was not ordered yet, and see which are gone."""
        for each in self.victims:
            if each.uid in self._gone:
                continue
            if each.uid not in self._asked:
                self._ask(each, tell)
            elif self._is_gone(each):
                self._gone.add(each.uid)
                tell(f"pod {each} is gone")
        return len(self._gone) == len(self.victims)

    def _ask(self, each: Victim, tell: Tell) -> None:
        done = "evicted" if self._evict else "deleted"
        tried = each.uid in self._tried  # its answer may have been lost
        self._tried.add(each.uid)
        try:
            self._order(each)
        except Throttled as failure:  # a PodDisruptionBudget: in time it allows it
            if self._refused.get(each.uid) != failure.what:
                self._refused[each.uid] = failure.what
                tell(f"pod {each} is not {done} yet: {failure.what}")
            return
        except (Conflict, Missing) as failure:
            if not (tried or self._evict):  # of those on a node, some may end by themselves
                raise Permanent(
                    f"pod {each} was gone before it was {done}, so nothing was caused",
                    "start the drill again, with the pod that runs now",
                ) from failure
            tell(f"pod {each} was gone before it was {done}")
        else:
            tell(f"pod {each} is told to end ({done})")
        self._asked.add(each.uid)

    def _order(self, each: Victim, *, dry_run: bool = False) -> None:
        order = self._kube.evict_pod if self._evict else self._kube.delete_pod
        order(each.namespace, each.name, each.uid, dry_run=dry_run)

    def _is_gone(self, each: Victim) -> bool:
        found = self._kube.get_pod(each.namespace, each.name)
        return found is None or found["metadata"]["uid"] != each.uid


class DrainNode:
    """A node is cordoned, and pods on it are evicted."""

    def __init__(self, kube: Kube, cordon: Cordon, victims: Sequence[Victim]) -> None:
        """Do nothing yet."""
        self._kube, self._cordon, self.victims = kube, cordon, victims
        self._pods = DeletePods(kube, victims, evict=True)
        self._cordoned = False

    def __str__(self) -> str:
        """Say it."""
        return f"cordon node {self._cordon.node} and {self._pods}; uncordon it at the end"

    def rehearse(self) -> None:
        """Ask by a dry run for both."""
        self._cordon.rehearse(self._kube)
        self._pods.rehearse()

    def begin(self, tell: Tell) -> None:
        """Cordon, then evict."""
        self._cordon.begin(self._kube)
        tell(f"node {self._cordon.node} is cordoned")
        self._pods.begin(tell)

    def look(self, tell: Tell) -> bool:
        """Evict what was not evicted yet, and see which are gone."""
        return self._pods.look(tell)


class RunCommand:
    """A command of the user's, without a shell."""

    victims: Sequence[Victim] = ()

    def __init__(self, command: str, drill: str) -> None:
        """Start nothing yet.

        Raises:
            Permanent: it is none.
        """
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise Permanent(f"--run {command!r}: {error}", "close the quotes") from error
        if not self._words:
            raise Permanent("--run is empty", "give a command, such as: --run 'kubectl exec ...'")
        self._command, self._drill = command, drill
        self._process: subprocess.Popen[bytes] | None = None

    def __str__(self) -> str:
        """Say it."""
        return f"run: {printable(self._command, _SHOWN)}"

    def rehearse(self) -> None:
        """See nothing: only the user knows it."""

    def begin(self, tell: Tell) -> None:
        """Start it."""
        environ = {**os.environ, RUN_KEY: self._drill}
        try:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=2,  # standard output is for what the drill has to say
                env=environ,
                start_new_session=True,
            )
        except OSError as error:
            raise Permanent(
                f"{self._words[0]} can't be started ({error.strerror})", "see --run"
            ) from error
        tell("the command is started")

    def look(self, tell: Tell) -> bool:
        """See whether it has ended."""
        if self._process is None or self._process.poll() is None:
            return False
        code = self._process.returncode
        if code:
            raise Permanent(f"the command failed: exit code {code}", "see what it printed")
        tell("the command has ended")
        return True


def end_processes(drill: str) -> None:
    """Kill what is left of a drill's `--run`, whatever it started itself."""
    quiet = 0
    while quiet < _SETTLED:
        found = tuple(_processes(drill))
        quiet = 0 if found else quiet + 1
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if quiet < _SETTLED:
            time.sleep(_LOOK)


def _processes(drill: str) -> Sequence[int]:
    """Find the living processes with the drill in their environment."""
    wanted, found = f"{RUN_KEY}={drill}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # it has ended, or is another user's
    return found


Undo = Callable[[], None]


def undo_run(drill: str) -> Undo:
    """Give what ends the processes of a drill."""
    return lambda: end_processes(drill)


def undo_drain(cordon: Cordon, environ: Mapping[str, str]) -> Undo:
    """Give what uncordons, with connections of its own."""

    def undo() -> None:
        kube = Kube(environ)
        try:
            cordon.end(kube)
        finally:
            kube.close()

    return undo
