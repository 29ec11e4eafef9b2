"""Wires the edges to the engine, as the settings ask."""

import gc
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vipmanager.app.gate import Gate
from vipmanager.app.life import FAILED, OK, Life
from vipmanager.core.findings import Kind
from vipmanager.core.report import Report
from vipmanager.core.settings import Mode, Settings
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager.edges.control import Control
from vipmanager.edges.imds import Imds
from vipmanager.edges.kernel import IpRoute, NetlinkWatch
from vipmanager.edges.logs import Log, LogReporter
from vipmanager.engine.claims import Claims
from vipmanager.engine.inbox import SystemClock
from vipmanager.engine.loop import Ending, Loop
from vipmanager.engine.observe import Observer
from vipmanager.engine.passes import NETLINK, Passes
from vipmanager.engine.record import Record
from vipmanager.engine.rule import Rule
from vipmanager.engine.wave import Pace, Wave
from vipmanager.ports import Clock, Reporter

if TYPE_CHECKING:
    from vipmanager.edges.events import PodEvents
    from vipmanager.edges.kube import Kube

LAST_EVENTS = 1.0
"""Seconds that an initContainer gives its last Kubernetes Events to arrive."""


class _Reporters:
    """Several reporters as one; a wave reports beside the loop, so they take turns."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = list(reporters)
        self._lock = threading.Lock()

    def add(self, reporter: Reporter) -> None:
        self._reporters.append(reporter)

    def report(self, report: Report) -> None:
        with self._lock:
            for reporter in self._reporters:
                reporter.report(report)


class _Awake:
    """Ends the start-up at the first report: from then on garbage is collected."""

    def report(self, _report: Report) -> None:
        gc.enable()


def live(settings: Settings, life: Life, environ: Mapping[str, str]) -> int:
    """Live the whole life; give the exit code."""
    clock, inbox, log = SystemClock(), life.inbox, life.log
    cloud = Ec2(route_role=settings.route_role)
    # botocore takes longer to import than everything before its first call.
    threading.Thread(target=_warm, args=(cloud,), name="warm", daemon=True).start()
    # Subscribed before the first reading, so that no change falls between them.
    watch = NetlinkWatch(lambda: inbox.put(NETLINK))
    kernel = IpRoute(falls=watch.falls)
    imds = Imds(allow_v1=settings.imds_v1, environ=environ)
    observer = Observer(kernel, imds, cloud, settings)
    pace = Pace(settings.rate, clock)
    wave = Wave(cloud, pace=pace, clock=clock, inbox=inbox)
    reporters = _Reporters(LogReporter(log), _Awake())
    kube = _kube(environ) if settings.kubernetes_events or settings.leader_election else None
    events = _events(kube, environ, log) if kube and settings.kubernetes_events else None
    if events is not None:
        reporters.add(events)
    gate = Gate(settings)
    gate.listen(lambda _healthy: inbox.put("health check"))
    record = Record(inbox=inbox, clock=clock, buckets=pace.buckets)
    reporters.add(record)
    rule: Rule
    if kube and settings.leader_election:
        from vipmanager.app.standby import Surroundings, elector  # noqa: PLC0415 - 200 ms
        from vipmanager.engine.steering import Steering  # noqa: PLC0415 - as above

        rule = steering = Steering(wave=wave, clock=clock, reporter=reporters, gate=gate)
        election = elector(
            settings,
            Surroundings(
                environ=environ,
                kube=kube,
                imds=imds,
                kernel=kernel,
                steering=steering,
                inbox=inbox,
                clock=clock,
                log=log,
                events=events,
                healthy=gate.open,
                failed=life.fail,
            ),
        )
        gate.listen(lambda healthy: election.examined(healthy=healthy))
        reporters.add(election)
        record.election = election
        life.leave = election.leave
    else:
        rule = Claims(observer=observer, wave=wave, clock=clock, gate=gate)
    passes = Passes(settings, observer=observer, kernel=kernel, rule=rule, clock=clock)
    if settings.http_port:
        _serve(settings, record, clock)
    loop = Loop(settings, passes=passes, inbox=inbox, clock=clock, reporter=reporters)
    gate.start()
    watch.start()
    if settings.mode is Mode.SIDECAR:
        Control(obey=record.obey, status=record.document)
        loop.sidecar()
        life.raise_bug()
        return OK
    ending, report = loop.init()
    if events is not None:
        events.drain(LAST_EVENTS)
    if ending is Ending.CONVERGED:
        return OK
    log.line("error", "ended", _verdict(ending, report))
    return FAILED


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
