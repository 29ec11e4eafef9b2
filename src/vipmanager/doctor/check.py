"""What a check is, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from vipmanager.core.findings import Condition, Finding, Kind
from vipmanager.core.remote_finding import RemoteFinding
from vipmanager.doctor.readings import Readings


class Severity(Enum):
    """How bad a trouble is, the worst last."""

    INFO = "info"
    """Nothing is wrong; it is said so that nobody wonders."""
    WARNING = "warning"
    """It works, and can stop working; or only time has to pass."""
    ERROR = "error"
    """A floating IP is not reachable, or will not follow its pod."""


_SEVERITIES = {
    Kind.SKIPPED: Severity.INFO,
    Kind.DEGRADED: Severity.WARNING,
    Kind.ASKED: Severity.WARNING,
    Kind.WAITING: Severity.WARNING,
    Kind.REFUSED: Severity.ERROR,
    Kind.FAILED: Severity.ERROR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One thing that is not as it should be, on one object."""

    severity: Severity
    what: str
    fix: str = ""
    """The remedy; empty for that of the check's row."""
    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """The names that fill the remedy of the check's row."""


def issue(severity: Severity, what: str, **fields: object) -> Issue:
    """Build a trouble whose remedy is the row's."""
    return Issue(severity=severity, what=what, fields=MappingProxyType(fields))


def told(finding: Finding | RemoteFinding, severity: Severity | None = None) -> Issue:
    """Take over a finding, of the agent's code or of the agent that runs."""
    return Issue(
        severity=severity or _SEVERITIES[finding.kind], what=finding.text, fix=finding.remedy
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a check saw."""

    note: str = ""
    """What is worth knowing when all is well."""
    issues: tuple[Issue, ...] = ()


class _Named(dict[str, object]):
    """The fields of a remedy; one that is not known is shown by its name."""

    def __missing__(self, name: str) -> str:
        return f"<{name}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of the table."""

    code: str
    title: str
    """What is so when all is well."""
    why: str
    """Why it matters."""
    failed: str = ""
    """What is so when it is not; empty for the first trouble's own words."""
    fix: str = ""
    """The remedy, with named fields; conditions and failures bring their own."""
    look: Callable[[Readings], Seen] = lambda _: Seen()
    after: tuple[str, ...] = ()
    """Checks without which this one can't tell anything."""
    pod: bool = False
    """Whether it looks at the pod or its node."""
    standby: bool = False
    """Whether it is about the election: its conditions are known to the running agent alone."""
    idle: Callable[[Readings], str] = lambda _: ""
    """Says why there is nothing to check here; empty where there is."""

    @property
    def conditions(self) -> frozenset[Condition]:
        """The agent's own findings that belong here, as their rows say."""
        return frozenset(c for c in Condition if self.code in c.value.checks)

    def examine(self, readings: Readings) -> Seen:
        """Look, and add what the agent would say.

        Raises:
            Failure: a world could not be read.
        """
        seen = self.look(readings)
        more = tuple(told(f) for f in self._findings(readings) if f.condition in self.conditions)
        # The agent may have found what was seen here too.
        known = {t.what for t in seen.issues}
        return Seen(
            note=seen.note,
            issues=(*seen.issues, *(t for t in more if t.what not in known)),
        )

    def _findings(self, readings: Readings) -> Sequence[Finding | RemoteFinding]:
        if not self.conditions:
            return ()
        return readings.election_findings() if self.standby else readings.report().findings

    def remedy(self, found: Issue) -> str:
        """Give what a person does about a trouble of this check."""
        return found.fix or self.fix.format_map(_Named(found.fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one check ended."""

    check: Check
    seen: Seen = Seen()
    skipped: str = ""
    """Why it was not made; empty where it was."""

    @property
    def severity(self) -> Severity | None:
        """The worst of its troubles."""
        found = {t.severity for t in self.seen.issues}
        return next((s for s in reversed(Severity) if s in found), None)

    @property
    def failed(self) -> bool:
        """Whether what depends on it can't be told."""
        return self.severity is Severity.ERROR

    @property
    def state(self) -> str:
        """One word: ok, info, warning, error or skipped."""
        if self.skipped:
            return "skipped"
        return self.severity.value if self.severity else "ok"

    @property
    def said(self) -> str:
        """What is so, in few words."""
        if self.skipped:
            return self.skipped
        if self.severity in {Severity.WARNING, Severity.ERROR}:
            return self.check.failed or self.seen.issues[0].what
        return self.seen.note or self.check.title

    def document(self) -> dict[str, object]:
        """Give it as JSON values."""
        return {
            "check": self.check.code,
            "title": self.check.title,
            "state": self.state,
            "note": self.seen.note,
            "skipped": self.skipped,
            "findings": [
                {
                    "severity": t.severity.value,
                    "what": t.what,
                    "why": self.check.why,
                    "fix": self.check.remedy(t),
                }
                for t in self.seen.issues
            ],
        }
