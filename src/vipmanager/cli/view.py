"""One look of `status`, whatever it is about; once, or again and again."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from rich.live import Live
from rich.text import Text

from vipmanager.cli.terminal import BAD, QUIET, Block, Page, console, words
from vipmanager.core.failures import Failure
from vipmanager.core.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What programs read, what people read, and whether all is right."""

    verdict: str
    """The first line without its age."""
    right: bool = False
    schema: Schema = Schema.STATUS
    document: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    blocks: Sequence[Block] = ()
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Sentences by what they are about: the same as long as nothing changes."""


def watch(look: Callable[[], View], seconds: float) -> None:
    """Look again and again, until Ctrl-C: live in a terminal, else a line for each change."""
    try:
        if sys.stdout.isatty():
            _live(look, seconds)
        else:
            _lines(look, seconds)
    except KeyboardInterrupt:
        return


def _live(look: Callable[[], View], seconds: float) -> None:
    with Live(console=console(), auto_refresh=False) as live:
        while True:
            now = words(time.strftime("%H:%M:%S"), QUIET)
            live.update(Page([*_look(look).blocks, now]), refresh=True)
            time.sleep(seconds)


def _lines(look: Callable[[], View], seconds: float) -> None:
    before: View | None = None
    while True:
        view = _look(look)
        changes = list(_changes(before, view))
        if changes:
            print(f"{time.strftime('%H:%M:%S')}  {'; '.join(changes)}", flush=True)
        before = view
        time.sleep(seconds)


def _look(look: Callable[[], View]) -> View:
    try:
        return look()
    except Failure as failure:
        said = f"UNKNOWN: {failure}"
        return View(verdict=said, blocks=(words(said, BAD, hang=2),))


def _changes(before: View | None, now: View) -> Iterable[str]:
    """Give the verdict and what has changed; nothing where nothing has."""
    was: Mapping[str, str] = before.facts if before is not None else {}
    new = [text for about, text in now.facts.items() if was.get(about) != text]
    over = [text for about, text in was.items() if about not in now.facts]
    if before is not None and now.verdict == before.verdict and not new and not over:
        return
    yield now.verdict
    yield from (f"new: {text}" for text in new if text not in now.verdict)
    yield from (f"over: {text}" for text in over)


def title(first: str, style: str) -> Text:
    """Give a first line: its verdict, in upper case before a colon, stands out."""
    word, colon, said = first.partition(":")
    return Text.assemble((word, f"bold {style}"), (colon + said, style))
