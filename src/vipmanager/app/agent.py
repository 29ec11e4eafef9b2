"""Wires the edges to the engine, and lives through a container's life."""

import gc
import os
import signal
import threading
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING

from vipmanager.core.failures import Failure
from vipmanager.core.findings import Condition, Finding, Kind, find
from vipmanager.core.healthcheck import AppHealth, HealthCheck
from vipmanager.core.report import Report
from vipmanager.core.settings import Mode, Settings
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager.edges.control import Control
from vipmanager.edges.imds import Imds
from vipmanager.edges.kernel import IpRoute, NetlinkWatch
from vipmanager.edges.logs import Log, LogReporter
from vipmanager.engine.inbox import Inbox, SystemClock
from vipmanager.engine.loop import Ending, Loop
from vipmanager.engine.observe import Observer
from vipmanager.engine.passes import NETLINK, Passes
from vipmanager.engine.record import Record
from vipmanager.engine.wave import Pace, Wave
from vipmanager.ports import Clock, Reporter

if TYPE_CHECKING:
    from vipmanager.edges.events import PodEvents

OK, FAILED, BUG = 0, 1, 70
"""Exit codes; 70 is sysexits' EX_SOFTWARE."""

GRACE = 0.5
"""Seconds for the loop to end after a signal; calls under way are left to their own end."""


LAST_EVENTS = 1.0
"""Seconds that an initContainer gives its last Kubernetes Events to arrive."""


class _Reporters:
    """Several reporters as one."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def report(self, report: Report) -> None:
        for reporter in self._reporters:
            reporter.report(report)


class _Awake:
    """Ends the start-up at the first report: from then on garbage is collected."""

    def report(self, _report: Report) -> None:
        gc.enable()


def run(settings: Settings, environ: Mapping[str, str] = os.environ) -> int:
    """Run the agent as the settings say; give the container's exit code."""
    log = Log(as_json=settings.log_json, level=settings.log_level)
    inbox = Inbox()
    over = threading.Event()
    codes: list[int] = []

    def live() -> None:
        try:
            codes.append(_live(settings, inbox, log, environ))
        except Failure as failure:
            log.line("error", "failed", str(failure))
            codes.append(FAILED)
        except Exception as bug:  # noqa: BLE001 - the last line of defence
            codes.append(BUG)
            log.line("error", "bug", _place(bug))
            if settings.log_level == "debug":
                traceback.print_exception(bug)
        finally:
            over.set()

    def stop(number: int, _frame: FrameType | None) -> None:
        log.line("info", "stopping", f"{signal.Signals(number).name}: stopping")
        inbox.stop()
        threading.Timer(GRACE, over.set).start()

    # A pod gets SIGTERM, and as process 1 no signal has a default action.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    # The loop has a thread of its own so that a signal is obeyed while a call is under way.
    threading.Thread(target=live, name="loop", daemon=True).start()
    over.wait()
    if codes:
        return codes[0]
    return OK if settings.mode is Mode.SIDECAR else FAILED


def _place(bug: Exception) -> str:
    """Say what a bug is and where, in one line."""
    where = traceback.extract_tb(bug.__traceback__)[-1]
    return (
        f"a bug: {type(bug).__name__}: {bug} in {where.name} ({where.filename}:{where.lineno}); "
        "please report it with the traceback that LogLevel=debug shows"
    )


def _live(settings: Settings, inbox: Inbox, log: Log, environ: Mapping[str, str]) -> int:
    clock = SystemClock()
    cloud = Ec2(route_role=settings.route_role)
    # botocore takes longer to import than everything before its first call.
    threading.Thread(target=_warm, args=(cloud,), name="warm", daemon=True).start()
    # Subscribed before the first reading, so that no change falls between them.
    watch = NetlinkWatch(lambda: inbox.put(NETLINK))
    kernel = IpRoute(falls=watch.falls)
    observer = Observer(kernel, Imds(allow_v1=settings.imds_v1, environ=environ), cloud, settings)
    pace = Pace(settings.rate, clock)
    wave = Wave(cloud, pace=pace, clock=clock, inbox=inbox)
    gate = _gate(settings.health_check, settings, inbox) if settings.health_check else _open
    passes = Passes(settings, observer=observer, kernel=kernel, wave=wave, clock=clock, gate=gate)
    record = Record(inbox=inbox, clock=clock, buckets=pace.buckets)
    reporters: list[Reporter] = [LogReporter(log), record, _Awake()]
    if settings.http_port:
        _serve(settings, record, clock)
    events = _events(environ, log) if settings.kubernetes_events else None
    if events is not None:
        reporters.append(events)
    loop = Loop(settings, passes=passes, inbox=inbox, clock=clock, reporter=_Reporters(*reporters))
    watch.start()
    if settings.mode is Mode.SIDECAR:
        Control(obey=record.obey, status=record.document)
        loop.sidecar()
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
            Scrape(status=record.status, tally=record.tally, buckets=record.buckets(), now=now)
        )

    Probes(
        port=settings.http_port,
        resync=settings.resync,
        status=lambda: record.status,
        document=record.document,
        metrics=metrics,
    )


def _open() -> None:
    """Keep nothing back."""


def _gate(check: HealthCheck, settings: Settings, inbox: Inbox) -> Callable[[], Finding | None]:
    """Keep the claims of an application that has not passed its health check."""
    from vipmanager.edges.healthcheck import Checks  # noqa: PLC0415 - where it is asked for

    checks = Checks(
        check,
        interval=settings.health_interval,
        rise=settings.health_rise,
        fall=settings.health_fall,
        changed=lambda _health, _why: inbox.put("health check"),
    )
    checks.start()

    def gate() -> Finding | None:
        pulse = checks.pulse
        if pulse.health is AppHealth.HEALTHY:
            return None
        return find(Condition.UNHEALTHY, "HealthCheck", why=pulse.why)

    return gate


def _events(environ: Mapping[str, str], log: Log) -> "PodEvents":
    from vipmanager.edges.events import PodEvents  # noqa: PLC0415 - where it is asked for
    from vipmanager.edges.kube import Kube  # noqa: PLC0415 - as above

    return PodEvents(Kube(environ), environ, say=log.line)


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
