"""What is broken in a lab, by which name, and what undoes it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vipmanager_lab.arc import Arc
from vipmanager_lab.replicas import Replica, Replicas
from vipmanager_lab.world import World


@dataclass(slots=True, kw_only=True)
class Begun:
    """A fault that has begun."""

    said: str
    """What is so now."""
    undo: Callable[[], object]
    lasts: Callable[[], bool] = lambda: True
    """Whether it is still so: an agent may have repaired it."""
    number: int = 0
    line: str = ""
    """The words that began it."""
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What faults are done to."""

    world: World
    arc: Arc
    floating: tuple[str, ...]
    group: Replicas | None = None
    """The lab's own pods; with a real cluster there are none."""
    current: Callable[[], Replica | None] = lambda: None
    """The pod that is meant where none is named."""

    def pod(self, words: Sequence[str]) -> Replica:
        """Give the pod of that name, or the current one.

        Raises:
            ValueError: there is none.
        """
        running = self.group.running if self.group is not None else []
        if words:
            found = next((one for one in running if one.name == words[0]), None)
            if found is None:
                raise ValueError(f"there is no pod {words[0]}")
            return found
        current = self.current()
        if current is None:
            raise ValueError("there is no pod yet: `pod a` starts one")
        return current

    def zone(self, words: Sequence[str]) -> str:
        """Give a zone.

        Raises:
            ValueError: it is none.
        """
        if not words or words[0] not in self.world.nodes:
            raise ValueError("expected a zone, a or b")
        return words[0]

    def table(self, words: Sequence[str]) -> str:
        """Give the route table of that number, the client's by default.

        Raises:
            ValueError: there is none.
        """
        tables = self.world.tables
        number = words[0] if words else "0"
        if not number.isdecimal() or int(number) >= len(tables):
            raise ValueError(f"expected the number of a table, 0 to {len(tables) - 1}")
        return tables[int(number)]


Begin = Callable[[Scene, Sequence[str]], Begun]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFault:
    """A row of the table."""

    usage: str
    says: str
    begin: Begin

    @property
    def name(self) -> str:
        """Its first word."""
        return self.usage.split()[0]


class Active:
    """What is broken at the moment."""

    def __init__(self) -> None:
        self._begun: list[Begun] = []
        self._count = 0

    def begin(self, fault: NamedFault, scene: Scene, words: Sequence[str]) -> Begun:
        """Let a fault begin.

        Raises:
            ValueError: the words name nothing that is there.
        """
        begun = fault.begin(scene, words)
        self._count += 1
        begun.number, begun.line = self._count, " ".join([fault.name, *words])
        self._begun.append(begun)
        return begun

    def list(self) -> Sequence[Begun]:
        """Give what is still broken, the oldest first; what an agent repaired is forgotten."""
        self._begun = [one for one in self._begun if one.lasts()]
        return tuple(self._begun)

    def undo(self, which: str = "") -> Sequence[Begun]:
        """Undo what a number, a name or an argument such as a zone means; all without one.

        The newest is undone first.

        Raises:
            ValueError: nothing that is broken is meant.
            RuntimeError: something can't be undone any more.
        """
        meant = [
            one
            for one in self.list()
            if not which or which in {str(one.number), one.line, *one.line.split()}
        ]
        if which and not meant:
            raise ValueError(f"nothing that is broken is called {which}: `what` lists it")
        failed = []
        for one in reversed(meant):
            self._begun.remove(one)
            try:
                one.undo()
            except Exception as error:  # noqa: BLE001 - the others are undone too
                failed.append(f"{one.line}: {error}")
        if failed:
            raise RuntimeError(f"could not undo {'; '.join(failed)}")
        return meant

    def undo_last(self) -> Sequence[Begun]:
        """Undo what began last, if anything is broken."""
        return self.undo(str(self.list()[-1].number)) if self.list() else ()
