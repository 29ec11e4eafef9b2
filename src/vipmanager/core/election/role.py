"""What an agent is in its group."""

from enum import Enum


class Role(Enum):
    """What this agent is."""

    STANDBY = "standby"
    HOLDER = "holder"
    RELIEVED = "relieved"
    """It held the Lease, can't read it any more, and its routes lead to another: who holds now is
    not known here."""
