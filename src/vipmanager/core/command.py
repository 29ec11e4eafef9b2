"""What a person can ask of a running agent."""

from enum import Enum


class Command(Enum):
    """The value is the reason of the pass that obeys it."""

    YIELD = "asked to yield"
    """Write no route any more; the next owner takes over undisturbed. For preStop."""
    CLAIM = "asked to claim"
    """Take every floating IP of the pod, also from another live ENI, and hold again."""
