"""Looks at the warm standby: who the pod is, its Lease, and what its agent says of the election."""

import time

from vipmanager.app.election import role_of, role_status_of
from vipmanager.core.downward import this_pod
from vipmanager.core.election import record
from vipmanager.core.election.conditions import strangers
from vipmanager.core.election.values import ElectionSettings, Member, pod_of
from vipmanager.core.findings import Condition, find
from vipmanager.core.lease import LeaseRecord
from vipmanager.doctor.check import Issue, Seen, Severity, issue, told
from vipmanager.doctor.readings import Readings
from vipmanager.edges.heartbeat import read_key
from vipmanager.engine.candidate import addresses, fingerprint
from vipmanager.ports import Lease

LOOK = 0.1
"""Seconds between two readings of a Lease."""

LONGEST = 15.0
"""Seconds for which a sign of life is waited for: a check has no more than `PATIENCE`."""


def identity(readings: Readings) -> Seen:
    """Look for what the downward API tells."""
    pod = this_pod(readings.environ, lambda: "")
    return Seen(note=f"{pod.name}, {pod.uid}")


def lease(readings: Readings) -> Seen:
    """Read the Lease until its holder renews it; no clock of another machine is looked at."""
    name, port = readings.lease()
    first = readings.record()
    if first is None:
        absent = find(Condition.LEASE_ABSENT, "lease", lease=name)
        return Seen(issues=(told(absent, Severity.ERROR),))
    duration = record.duration_of(first, ElectionSettings(lease=readings.settings.lease_seconds))
    waited = min(duration, LONGEST)
    alive = _renewed(port, first, waited)
    if alive is not None:
        return Seen(note=f"{_who(readings, alive)} renews {name}")
    if waited < duration:
        return Seen(note=f"not renewed for {waited:.0f} s, of {duration:.0f}")
    return Seen(issues=(_lapsed(readings, name, first, waited),))


def _renewed(port: Lease, first: LeaseRecord, seconds: float) -> LeaseRecord | None:
    """Wait until somebody who holds it shows life."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(LOOK)
        now = port.read()
        if now is not None and now.holder is not None and not record.same_life(first, now):
            return now
    return None


def _lapsed(readings: Readings, name: str, last: LeaseRecord, seconds: float) -> Issue:
    if last.holder is None:
        what = f"nobody holds {name}, and nobody took it in {seconds:.0f} s"
    else:
        holder = _who(readings, last)
        what = f"{holder} has not renewed {name} for {seconds:.0f} s, and nobody took it over"
    return issue(Severity.ERROR, what)


def _who(readings: Readings, found: LeaseRecord) -> str:
    mine = found.holder is not None and pod_of(found.holder) == readings.environ.get("POD_UID")
    return "this pod" if mine else str(found.holder)


def group(readings: Readings) -> Seen:
    """Compare the Lease's group with this pod's floating IPs, and its holder's zone with this."""
    found, floating = readings.record(), readings.want().floating
    if found is None or found.holder is None:
        return Seen(note="nobody holds it now")
    if _who(readings, found) == "this pod":
        return Seen(note="this pod holds it")
    pod = this_pod(readings.environ, lambda: "")
    zones = {ip.zone for ip in floating if ip.zone}
    workload, revision = pod.workload
    me = Member(
        pod=pod.uid,
        name=f"{pod.namespace}/{pod.name}",
        nonce="",
        address="",
        zone=next(iter(zones), ""),
        fingerprint=fingerprint(floating),
        addresses=addresses(floating),
        workload=workload,
        revision=revision,
    )
    strange = next(strangers(me, found), None)
    if strange is not None:
        unclear = strange.condition is Condition.LEASE_UNCLEAR
        return Seen(issues=(told(strange, Severity.ERROR) if unclear else told(strange),))
    theirs = found.annotations.get(record.ZONE, "")
    if theirs and theirs in {ip.zone for ip in floating}:
        near = find(Condition.ONE_ZONE, "pod", holder=found.holder, zone=theirs)
        return Seen(issues=(told(near),))
    return Seen(note=f"held in {theirs or 'an unknown zone'}")


def heartbeats(readings: Readings) -> Seen:
    """Read the key of the heartbeats."""
    wanted = readings.settings
    if not wanted.heartbeat_port:
        return Seen(note="HeartbeatPort=0: LeaseSeconds counts alone")
    if wanted.heartbeat_key_file is None:
        return Seen(note="without HeartbeatKeyFile they are not sealed")
    read_key(wanted.heartbeat_key_file)
    return Seen(note=f"sealed with {wanted.heartbeat_key_file}")


def fitness(readings: Readings) -> Seen:
    """Ask the agent what it is."""
    status = readings.agent()
    if status is None or role_of(status) is None:
        what = "no sidecar with LeaderElection runs in this pod, so it takes nothing over"
        return Seen(issues=(issue(Severity.WARNING, what),))
    return Seen(note=str(role_status_of(status["election"])))
