"""Looks at the cluster from outside of its pods: whether the pod would be let in."""

from vipmanager.doctor.check import Seen, Severity, issue
from vipmanager.doctor.readings import Readings


def admission(readings: Readings) -> Seen:
    """Ask the namespace for a pod with the agent's rights."""
    if readings.pod:
        return Seen(note="this pod was admitted")
    said = readings.refusal()
    if not said:
        return Seen(note=f"{readings.namespace} admits NET_ADMIN")
    return Seen(issues=(issue(Severity.ERROR, said, namespace=readings.namespace),))
