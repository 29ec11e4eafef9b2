"""Wires the edges to the engine, as the settings ask."""

import gc
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vipmanager.app.healthcheck import checks
from vipmanager.app.lifecycle import FAILED, OK, Lifecycle
from vipmanager.app.process import Process
from vipmanager.core.command import Command
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.findings import Kind
from vipmanager.core.notice import TerminationNotice
from vipmanager.core.pod import primary_addresses
from vipmanager.core.report import Report
from vipmanager.core.settings import Mode, Settings
from vipmanager.edges.control import Control
from vipmanager.edges.downward import networks
from vipmanager.edges.imds import Imds
from vipmanager.edges.kernel import IpRoute, NetlinkWatch
from vipmanager.edges.logs import Log, LogReporter
from vipmanager.edges.notices import Notices
from vipmanager.engine.checks import Gate
from vipmanager.engine.loop import Ending
from vipmanager.engine.pod_agent import PodAgent
from vipmanager.engine.reconciler import NETLINK
from vipmanager.engine.status_store import StatusStore
from vipmanager.ports import Kernel

if TYPE_CHECKING:
    from vipmanager.edges.kubernetes.events import PodEvents

LAST_EVENTS = 1.0
"""Seconds that an initContainer gives its last Kubernetes Events to arrive."""


class _Awake:
    """Ends the start-up at the first report: from then on garbage is collected."""

    def report(self, _report: Report) -> None:
        gc.enable()


def live(settings: Settings, life: Lifecycle, environ: Mapping[str, str]) -> int:
    """Live the whole life; give the exit code."""
    process = Process(settings, life.log, environ)
    process.warm()
    # Subscribed before the first reading, so that no change falls between them.
    watch = NetlinkWatch(lambda: life.inbox.put(NETLINK))
    kernel = IpRoute(falls=watch.falls, networks=networks(settings.pod_addresses, environ))
    gate = Gate(checks(settings, process.clock, process.tasks, life.fail))
    events = _events(process) if settings.kubernetes_events else None
    agent = _agent(settings, process, kernel, life=life, gate=gate, events=events)
    if agent.election is not None:
        life.hand_over = agent.election.stop
        _heed_notices(process.imds, agent.election.stop, life.log)
    if settings.http_port:
        _serve(settings, agent.store, process, kernel)
    gate.start()
    watch.start()
    if settings.mode is Mode.SIDECAR:
        Control(
            obey=_holding_nothing if settings.dry_run else agent.store.obey,
            status=agent.store.document,
        )
        agent.loop.sidecar()
        life.raise_bug()
        return OK
    ending, report = agent.loop.init()
    if events is not None:
        events.drain(LAST_EVENTS)
    return _ended(ending, report, life.log)


def _agent(
    settings: Settings,
    process: Process,
    kernel: IpRoute,
    *,
    life: Lifecycle,
    gate: Gate,
    events: "PodEvents | None",
) -> PodAgent:
    """Give the agent of the pod with this kernel."""
    lines = LogReporter(process.log)
    candidate = None
    if settings.elects:
        from vipmanager.app.candidacy import candidacy  # noqa: PLC0415 - 200 ms

        candidate = candidacy(settings, process, kernel, events=events, failed=life.fail)
    return PodAgent(
        settings,
        process.outside(settings, kernel),
        inbox=life.inbox,
        reporters=[lines, _Awake(), *([events] if events is not None else [])],
        told=lines.progress,
        gate=gate,
        candidate=candidate,
    )


def _ended(ending: Ending, report: Report, log: Log) -> int:
    """Say how an initContainer's life ended; give its exit code."""
    if ending in {Ending.CONVERGED, Ending.DRY_RUN}:
        return OK
    if ending is Ending.UNVERIFIED:
        log.line("warning", "ended", ending.value)
        return OK
    log.line("error", "ended", _verdict(ending, report))
    return FAILED


def _heed_notices(imds: Imds, leave: Callable[[], None], log: Log) -> None:
    """Hand over when AWS is about to take the instance away."""

    def heard(notice: TerminationNotice) -> None:
        log.line("warning", "notice", f"{notice}: handing over")
        leave()

    Notices(read=imds.notices, heard=heard).start()


def _holding_nothing(order: Command, _waits: Callable[[], bool]) -> None:
    """Obey in a dry run: who holds nothing has yielded, as preStop asks for."""
    if order is Command.CLAIM:
        raise Permanent("DryRun is on: this agent takes nothing", "set DryRun=False first")


def _serve(settings: Settings, store: StatusStore, process: Process, kernel: Kernel) -> None:
    from vipmanager.edges.http import EVERYWHERE, Probes  # noqa: PLC0415 - where it is asked for

    try:
        found = primary_addresses(kernel.read())
    except Failure:
        found = ()  # /status tells why the kernel can't be read
    # One of the pod's addresses may still be tentative, and is not found then.
    addresses = (*settings.pod_addresses, *found) or EVERYWHERE

    def metrics() -> bytes:
        from vipmanager.edges.metrics import Scrape, render  # noqa: PLC0415 - as above

        return render(
            Scrape(
                status=store.status,
                tally=store.tally,
                buckets=store.buckets(),
                calls=process.calls.counted,
                now=process.clock.now(),
                wall=process.clock.wall(),
                role_status=store.role_status,
                drops=store.drops,
            )
        )

    Probes(
        addresses=addresses,
        port=settings.http_port,
        resync=settings.resync,
        status=lambda: store.status,
        document=store.document,
        metrics=metrics,
    )


def _events(process: Process) -> "PodEvents":
    from vipmanager.edges.kubernetes.events import PodEvents  # noqa: PLC0415 - where it is asked for

    return PodEvents(process.kube, process.environ, say=process.log.line)


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
