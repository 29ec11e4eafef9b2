"""How an outside world fails, translated once at its edge."""

from vipmanager.core.findings import Condition, Finding, find


class Failure(Exception):
    """An outside world said no.

    Attributes:
        what: the object, and what was expected of it.
        hint: what a person or the program does next.
    """

    condition = Condition.PERMANENT

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}; {hint}" if hint else what)
        self.what = what
        self.hint = hint

    def finding(self, subject: object) -> Finding:
        """Give the failure as a value."""
        return find(self.condition, subject, what=self.what, hint=self.hint)


class Transient(Failure):
    """Try again later: the network, a server, throttling, a reading that lags."""

    condition = Condition.TRANSIENT


class Throttled(Transient):
    """EC2 refused the call because the account's bucket was empty; nothing was done."""


class Conflict(Transient):
    """The route table changed since it was read; read it again before deciding."""


class Permanent(Failure):
    """Repeating it gives the same answer: a person has to change something."""
