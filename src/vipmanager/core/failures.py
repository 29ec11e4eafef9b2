"""How an outside world fails, translated once at its edge."""

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.text import printable

LONGEST = 4096
"""Characters of what a failure says: it may name all ENIs of a call."""


class Failure(Exception):
    """An outside world said no.

    Attributes:
        what: the object, and what was expected of it.
        hint: what a person or the program does next.
        condition: what it is told as; that of its class, where no more is known.
    """

    condition = Condition.PERMANENT

    def __init__(self, what: str, hint: str = "", *, condition: Condition | None = None) -> None:
        # Most of it is what somebody else said.
        self.what = printable(what, LONGEST)
        self.hint = printable(hint, LONGEST)
        if condition is not None:
            self.condition = condition
        super().__init__(f"{self.what}; {self.hint}" if hint else self.what)

    def finding(self, subject: object) -> Finding:
        """Give the failure as a value."""
        return find(self.condition, subject, what=self.what, hint=self.hint)


class Transient(Failure):
    """Try again later: the network, a server, throttling, a reading that lags."""

    condition = Condition.TRANSIENT


class Throttled(Transient):
    """EC2 refused the call because the account's bucket was empty; nothing was done."""

    condition = Condition.THROTTLED


class TooLate(Transient):
    """The call was not made: it was its turn after it might be made."""


class Unknown(Transient):
    """The caller is not known: its credentials were not renewed yet, or its account is gone."""


class Conflict(Transient):
    """The route table changed since it was read; read it again before deciding."""


class Permanent(Failure):
    """Repeating it gives the same answer: a person has to change something."""
