"""A prompt: reads lines, runs commands of a table, and goes on whatever they do."""

import io
import os
import shlex
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

_PROMPT = "lab> "
_USAGE = 26
"""Columns of the commands in the help."""
_END = ("quit", "exit", "EOF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row of the table."""

    usage: str
    says: str
    run: Callable[[list[str]], object]
    """Takes the words after its name; what it raises is said in one line."""

    @property
    def name(self) -> str:
        """Its first word."""
        return self.usage.split()[0]


class _UnknownError(Exception):
    """A command that is not in the table."""


def fold(text: str, indent: int = 2) -> str:
    """Break lines between words where a terminal is too narrow; files get them whole."""
    if not sys.stdout.isatty():
        return text
    return textwrap.fill(
        text,
        max(20, shutil.get_terminal_size().columns),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


class Prompt:
    """Commands by group, and who types them: a person, or a script in a pipe or a file."""

    def __init__(
        self,
        intro: str,
        groups: Mapping[str, Sequence[Command]],
        *,
        names: Callable[[], Iterable[str]],
    ) -> None:
        """Make it.

        Args:
            intro: what a person reads first.
            groups: the commands, by a heading for the help.
            names: what Tab completes after a command: pods, interfaces, zones.
        """
        self._intro = intro
        self._groups = {
            **groups,
            "the lab": [
                Command(usage="help [COMMAND]", says="this list, or one command", run=self._help),
                Command(usage="quit", says="end the lab; so does Ctrl-D", run=lambda _: None),
            ],
        }
        self._commands = {c.name: c for some in self._groups.values() for c in some}
        self._names = names
        self._typed = sys.stdin.isatty()
        self._failed = False
        self._reading = False
        self._lock = threading.Lock()

    @property
    def typed(self) -> bool:
        """Whether a person types."""
        return self._typed

    def loop(self) -> int:
        """Run lines until the end of the input; 1 if a script's command was not understood."""
        for stream in (sys.stdin, sys.stdout):
            if isinstance(stream, io.TextIOWrapper):
                # Whole lines, also if Python is unbuffered: what pods say comes between them.
                stream.reconfigure(errors="replace", line_buffering=True, write_through=False)
        if self._typed:
            self._with_history()
            print(self._intro)
        while True:
            try:
                line = self._read()
            except EOFError:
                if self._typed:
                    print()
                break
            except KeyboardInterrupt:
                print("^C: Ctrl-D or `quit` ends the lab")
                continue
            if line.strip() and not self._typed:
                print(f"{_PROMPT}{line}", flush=True)
            if line.strip() in _END:
                break
            self._run(line)
        return int(self._failed and not self._typed)

    def say(self, text: str) -> None:
        """Print a line from another thread; what a person has typed so far stays."""
        text = f"{fold(text, 4)}\n"
        with self._lock:
            if self._reading and self._typed:
                import readline  # noqa: PLC0415 - only where a person types

                text = f"\r\x1b[K{text}{_PROMPT}{readline.get_line_buffer()}"
            # Past sys.stdout, which may hold the first half of another thread's line.
            os.write(sys.stdout.fileno(), text.encode(errors="replace"))

    def _read(self) -> str:
        self._reading = True
        try:
            return input(_PROMPT if self._typed else "")
        finally:
            self._reading = False

    def _run(self, line: str) -> None:
        name = (line.split() or [""])[0]
        try:
            words = shlex.split(line, comments=True)
            if not words:
                return
            self._command(words[0]).run(words[1:])
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            print(f"{name}: stopped", file=sys.stderr)
        except _UnknownError:
            self._failed = True
            print(fold(f"{name}: no such command; `help` lists all of them"), file=sys.stderr)
        except Exception as error:  # noqa: BLE001 - whatever it is, the lab goes on
            self._failed = True
            print(fold(f"{name}: {_said(error)}; try `help {name}`"), file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()

    def _command(self, name: str) -> Command:
        if name not in self._commands:
            raise _UnknownError
        return self._commands[name]

    def _help(self, words: list[str]) -> None:
        if words:
            self._command(words[0])
        width = shutil.get_terminal_size().columns
        for heading, commands in self._groups.items():
            chosen = [c for c in commands if not words or c.name == words[0]]
            if chosen and not words:
                print(f"{heading}:")
            for command in chosen:
                print(_entry(command, width))

    def _with_history(self) -> None:
        import readline  # noqa: PLC0415 - only where a person types

        readline.set_completer(self._complete)
        readline.set_completer_delims(" ")
        readline.parse_and_bind("tab: complete")

    def _complete(self, text: str, state: int) -> str | None:
        import readline  # noqa: PLC0415 - as above

        first = readline.get_begidx() == 0
        fitting = [n for n in (self._commands if first else self._names()) if n.startswith(text)]
        return f"{fitting[state]} " if state < len(fitting) else None


def _entry(command: Command, width: int) -> str:
    usage = f"  {command.usage}"
    lead = usage.ljust(_USAGE) if len(usage) < _USAGE else f"{usage}\n{' ' * _USAGE}"
    room = max(20, width - _USAGE)
    return lead + f"\n{' ' * _USAGE}".join(
        textwrap.wrap(command.says, room, break_long_words=False, break_on_hyphens=False)
    )


def _said(error: Exception) -> str:
    """Give what an error says, in one line."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    said = text.strip().partition("\n")[0]
    known = isinstance(error, ValueError | AssertionError | RuntimeError)
    return said if known and said else f"{type(error).__name__}: {said}".rstrip(": ")
