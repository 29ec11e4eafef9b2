"""What AWS tells an instance that it is about to take away."""

import json
from dataclasses import dataclass

from vipmanager.core.text import printable

_LEAVING = {"Terminated", "Warmed:Terminated", "Warmed:Stopped", "Warmed:Hibernated"}
"""Target states of an Auto Scaling instance in which its pods do not run. `Detached` and
`Standby` leave it running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminationNotice:
    """The instance will be gone."""

    what: str
    """Who takes it, and how."""
    when: str | None = None
    """As AWS writes it, for people: by the clock of AWS, not by this machine's."""

    def __str__(self) -> str:
        """Show it in one line."""
        return self.what if self.when is None else f"{self.what} at {self.when}"


def interruption(text: str) -> TerminationNotice:
    """Read `spot/instance-action`.

    Raises:
        ValueError: it is no such document.
    """
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    action = document.get("action") if isinstance(document, dict) else None
    if not isinstance(action, str) or not action:
        raise ValueError("no action")
    when = document.get("time")
    return TerminationNotice(
        what=f"EC2 will {printable(action, 40)} this Spot Instance",
        when=printable(when, 40) if isinstance(when, str) else None,
    )


def departure(state: str | None) -> TerminationNotice | None:
    """Read `autoscaling/target-lifecycle-state`; None where the instance stays."""
    if state not in _LEAVING:
        return None
    return TerminationNotice(what=f"its Auto Scaling group moves this instance to {state}")
