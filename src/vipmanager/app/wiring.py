"""Wires the edges to the engine, as the settings ask."""

import gc
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vipmanager.app.health import checks
from vipmanager.app.life import FAILED, OK, Life
from vipmanager.core.findings import Kind
from vipmanager.core.notice import Notice
from vipmanager.core.report import Report
from vipmanager.core.settings import Mode, Settings
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager.edges.control import Control
from vipmanager.edges.imds import Imds
from vipmanager.edges.kernel import IpRoute, NetlinkWatch
from vipmanager.edges.logs import Log, LogReporter
from vipmanager.edges.notices import Notices
from vipmanager.engine.checks import Gate
from vipmanager.engine.loop import Ending
from vipmanager.engine.passes import NETLINK
from vipmanager.engine.pod_agent import Outside, PodAgent
from vipmanager.engine.record import Record
from vipmanager.engine.threads import SystemClock, Threads
from vipmanager.engine.wave import Pace
from vipmanager.ports import Clock, Reporter

if TYPE_CHECKING:
    from vipmanager.edges.events import PodEvents
    from vipmanager.edges.kube import Kube

LAST_EVENTS = 1.0
"""Seconds that an initContainer gives its last Kubernetes Events to arrive."""


class _Awake:
    """Ends the start-up at the first report: from then on garbage is collected."""

    def report(self, _report: Report) -> None:
        gc.enable()


def live(settings: Settings, life: Life, environ: Mapping[str, str]) -> int:
    """Live the whole life; give the exit code."""
    tasks, clock, inbox, log = Threads(), SystemClock(), life.inbox, life.log
    cloud = Ec2(route_role=settings.route_role)
    # botocore takes longer to import than everything before its first call.
    tasks.start("warm", lambda: _warm(cloud))
    # Subscribed before the first reading, so that no change falls between them.
    watch = NetlinkWatch(lambda: inbox.put(NETLINK))
    kernel = IpRoute(falls=watch.falls)
    imds = Imds(allow_v1=settings.imds_v1, environ=environ)
    outside = Outside(
        kernel=kernel,
        metadata=imds,
        cloud=cloud,
        clock=clock,
        tasks=tasks,
        pace=Pace(settings.rate, clock),
    )
    reporters: list[Reporter] = [LogReporter(log), _Awake()]
    kube = _kube(environ) if settings.kubernetes_events or settings.leader_election else None
    events = _events(kube, environ, log) if kube and settings.kubernetes_events else None
    if events is not None:
        reporters.append(events)
    gate = Gate(checks(settings, clock, tasks, life.fail))
    candidate = None
    if kube and settings.leader_election:
        from vipmanager.app.standby import Surroundings, candidacy  # noqa: PLC0415 - 200 ms

        around = Surroundings(
            environ=environ, kube=kube, kernel=kernel, log=log, events=events, failed=life.fail
        )
        candidate = candidacy(settings, around)
    agent = PodAgent(
        settings, outside, inbox=inbox, reporters=reporters, gate=gate, candidate=candidate
    )
    if agent.election is not None:
        life.leave = agent.election.leave
        _heed_notices(imds, agent.election.leave, log)
    if settings.http_port:
        _serve(settings, agent.record, clock)
    gate.start()
    watch.start()
    if settings.mode is Mode.SIDECAR:
        Control(obey=agent.record.obey, status=agent.record.document)
        agent.loop.sidecar()
        life.raise_bug()
        return OK
    ending, report = agent.loop.init()
    if events is not None:
        events.drain(LAST_EVENTS)
    if ending is Ending.CONVERGED:
        return OK
    log.line("error", "ended", _verdict(ending, report))
    return FAILED


def _heed_notices(imds: Imds, leave: Callable[[], None], log: Log) -> None:
    """Hand over when AWS is about to take the instance away."""

    def heard(notice: Notice) -> None:
        log.line("warning", "notice", f"{notice}: handing over")
        leave()

    Notices(read=imds.notices, heard=heard).start()


def _serve(settings: Settings, record: Record, clock: Clock) -> None:
    from vipmanager.edges.http import Probes  # noqa: PLC0415 - 20 ms, where it is asked for

    def metrics() -> bytes:
        from vipmanager.edges.metrics import Scrape, render  # noqa: PLC0415 - as above

        now = clock.now()
        return render(
            Scrape(
                status=record.status,
                tally=record.tally,
                buckets=record.buckets(),
                now=now,
                tenure=record.tenure,
                troubles=record.troubles,
            )
        )

    Probes(
        port=settings.http_port,
        resync=settings.resync,
        status=lambda: record.status,
        document=record.document,
        metrics=metrics,
    )


def _kube(environ: Mapping[str, str]) -> "Kube":
    from vipmanager.edges.kube import Kube  # noqa: PLC0415 - where it is asked for

    return Kube(environ)


def _events(kube: "Kube", environ: Mapping[str, str], log: Log) -> "PodEvents":
    from vipmanager.edges.events import PodEvents  # noqa: PLC0415 - where it is asked for

    return PodEvents(kube, environ, say=log.line)


def _warm(cloud: Ec2) -> None:
    try:
        cloud.warm()
    except Exception:  # noqa: BLE001 - the first call meets it again, and translates it
        return


def _verdict(ending: Ending, report: Report) -> str:
    """Sum an initContainer's failure up: each table that is not right, with what was said."""
    wrong: dict[str, list[str]] = {}
    for judged in report.wrong:
        wrong.setdefault(judged.steer.table, []).append(str(judged.steer.destination))
    tables = {j.steer.table for j in report.judged}
    if wrong:
        names = "; ".join(f"{table} ({', '.join(which)})" for table, which in wrong.items())
        head = f"{len(wrong)} of {len(tables)} route tables not right: {names}"
    else:
        head = "; ".join(f.text for f in report.findings if f.kind is not Kind.SKIPPED)
    return f"gave up, {ending.value}: {head}"
