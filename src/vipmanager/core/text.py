"""Text that others wrote, made fit for a log line and a terminal.

A tag, a Lease, an error message may hold a newline that forges a log line, an escape sequence that
moves the cursor, or a mark that turns the direction of what follows. It is escaped where it comes
in (`edges`, and in a `Failure`), so that nothing behind has to think of it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

LONGEST: Final = 512
"""Characters of a foreign text that are kept: more than a tag has (256, EC2 user guide) or a name
in Kubernetes (253, "Object Names and IDs")."""

_CUT: Final = "..."


def printable(text: object, longest: int = LONGEST) -> str:
    r"""Give a text in one line of printable characters; its result is left as it is.

    Controls, separators of lines, marks of direction, characters without width and halves of
    surrogate pairs are shown as Python writes them: ESC as `\x1b`. A longer text is cut, with
    `...` at its end.

    Args:
        text: what somebody else wrote.
        longest: characters of the result.
    """
    said = str(text)
    if not said.isprintable():
        # No more is looked at than is kept: the text may be long.
        said = "".join(c if c.isprintable() else _escape(c) for c in said[: longest + 1])
    return said if len(said) <= longest else said[: longest - len(_CUT)] + _CUT


def words(text: str, longest: int = LONGEST) -> str:
    """Give a message of several lines, such as an error page, as its words in one line."""
    return printable(" ".join(text[: 2 * longest].split()), longest)


def listed(items: Iterable[str], most: int) -> str:
    """List so many of them, and tell how many more there are."""
    every = list(items)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def quoted(text: str, longest: int = LONGEST) -> str:
    """Give a text between quotes as Python writes it; what is cut off is told behind them."""
    return repr(text) if len(text) <= longest else repr(text[:longest]) + _CUT


def all_printable(document: Any, longest: int = LONGEST) -> Any:  # noqa: ANN401 - of any shape
    """Give a document of JSON values, or what a library makes of one, with every text printable."""
    match document:
        case str():
            return printable(document, longest)
        case Mapping():
            return {
                all_printable(key): all_printable(value, longest) for key, value in document.items()
            }
        case list():
            return [all_printable(value, longest) for value in document]
        case _:
            return document


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
