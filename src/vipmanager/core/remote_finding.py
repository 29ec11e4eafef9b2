"""Findings that another process made, as its status has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vipmanager.core.findings import Condition, Kind


@dataclass(frozen=True, slots=True)
class RemoteFinding:
    """What remains of a `Finding` in JSON: its sentences, without the fields that filled them."""

    json: Mapping[str, Any]
    """As `Finding.document` gave it."""

    @property
    def condition(self) -> Condition:
        """The row of the table."""
        return Condition[self.json["condition"]]

    @property
    def kind(self) -> Kind:
        """Whose turn it is."""
        return self.condition.kind

    @property
    def subject(self) -> str:
        """The object."""
        return str(self.json["subject"])

    @property
    def text(self) -> str:
        """The sentence, without its remedy."""
        return str(self.json["text"])

    @property
    def remedy(self) -> str:
        """What a person does about it."""
        return str(self.json["remedy"])

    def document(self) -> dict[str, object]:
        """Give it as JSON values."""
        return dict(self.json)
