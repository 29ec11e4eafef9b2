"""A container of a pod over all its runs: start, probes, stop, and when it starts again."""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from vipmanager_lab.kubernetes.api import ApiError
from vipmanager_lab.kubernetes.kubelet.containers import (
    LINES,
    Command,
    Container,
    Done,
    Ended,
    RunError,
)
from vipmanager_lab.kubernetes.kubelet.environment import (
    ConfigError,
    Object,
    variables,
    words,
)
from vipmanager_lab.kubernetes.kubelet.host import Setting
from vipmanager_lab.kubernetes.kubelet.images import ImageError, command
from vipmanager_lab.kubernetes.kubelet.probes import ActionError, Kind, Place, Prober, act
from vipmanager_lab.kubernetes.kubelet.status import Role, Seen

Policy = Literal["Always", "OnFailure", "Never"]
_MINIMUM = 2.0
"""Between SIGTERM and SIGKILL, also where preStop took all the time (as kubelet)."""
_HOOK_SECONDS = 120.0
"""A postStart hook is given up then; Kubernetes has no limit."""
_LOOK = 0.05


class Slot:
    """One container of a pod; its worker calls it, probes and tests look at it."""

    def __init__(self, spec: Object, role: Role, policy: Policy, *, restarts: int = 0) -> None:
        self.spec, self.role = spec, role
        self.name: str = spec["name"]
        self.restarts = restarts
        self.container: Container | None = None
        """The run that is on."""
        self.lines: deque[str] = deque(maxlen=LINES)
        """What its runs printed, the last lines."""
        self.doomed: str = ""
        """Why it has to be stopped: a probe failed."""
        self.grace: int | None = None
        """Of the probe that failed."""
        self._policy = policy
        self._waiting = ("PodInitializing" if role == "main" else "ContainerCreating", "")
        self._ended: Ended | None = None
        self._last: Ended | None = None
        self._not_before = 0.0
        self._delay = 0.0
        self._started = self._passed = self._stopping = False
        self._threads: list[Prober] = []
        self._hook: threading.Thread | None = None
        self._place: Place | None = None
        self._setting: Setting | None = None

    # --- what it is ----------------------------------------------------------------------------

    @property
    def again(self) -> bool:
        """Whether it starts, or starts again."""
        if self._ended is None or self._policy == "Always":
            return True
        return self._policy == "OnFailure" and self._ended.code != 0

    @property
    def succeeded(self) -> bool:
        """Whether it ended with code 0, for good."""
        return self._ended is not None and self._ended.code == 0

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise, for good."""
        return self._ended is not None and self._ended.code != 0 and not self.again

    @property
    def started(self) -> bool:
        """Whether it runs, and its postStart hook and startup probe are through."""
        return self._started and self.container is not None

    def due(self) -> bool:
        """Tell whether it is to be started now."""
        return self.container is None and self.again and time.monotonic() >= self._not_before

    def seen(self, *, over: bool) -> Seen:
        """Give what the status tells of it; with `over` it will not start again."""
        run, ended, last, waiting = self.container, self._ended, self._last, self._waiting
        if run is None and ended is not None and not over and self.again:
            if time.monotonic() < self._not_before:
                waiting = ("CrashLoopBackOff", f"back-off {self._delay:g}s restarting {self.name}")
            ended, last = None, ended
        ready = self.started and (self._passed or "readinessProbe" not in self.spec)
        return Seen(
            name=self.name,
            image=self.spec.get("image", ""),
            role=self.role,
            waiting=waiting,
            running=None if run is None else (run.id, run.started),
            ended=ended if run is None else None,
            last=last,
            restarts=self.restarts,
            started=self.started,
            ready=ready if self.role != "init" else ended is not None and ended.code == 0,
        )

    def logs(self) -> str:
        """Give what it printed, also in earlier runs."""
        return "\n".join(self.lines)

    def execute(self, argv: Sequence[str], *, seconds: float = 30) -> Done:
        """Run a command in it.

        Raises:
            RunError: it does not run, or the command does not end in time.
        """
        place = self._place
        if self.container is None or place is None:
            raise RunError(f"container {self.name} does not run")
        return place.container.execute(place.command(tuple(argv)), seconds=seconds)

    # --- its runs ------------------------------------------------------------------------------

    def start(self, pod: Object, setting: Setting) -> None:
        """Start a run; where that can't be, wait, and say why in the status."""
        host = setting.host
        try:
            image = host.images(self.spec.get("image", ""))
            given = {**host.given, "HOSTNAME": pod["metadata"]["name"]}
            env = variables(pod, self.spec, setting.sources, given)
            argv = command(
                self.spec.get("image", ""),
                image,
                tuple(words(self.spec, env, "command")),
                tuple(words(self.spec, env, "args")),
            )
        except ImageError as error:
            return self._wait("ErrImagePull", str(error), setting)
        except (ConfigError, ApiError) as error:
            return self._wait("CreateContainerConfigError", str(error), setting)
        if self._ended is not None:
            self._last, self._ended = self._ended, None
            self.restarts += 1
            self._delay = min(self._delay * 2 or host.timing.back_off, host.timing.back_off_cap)
        self.doomed, self.grace, self._stopping = "", None, False
        self._started = self._passed = False
        run = Container(
            setting.sandbox.netns,
            setting.folder,
            Command(
                argv=argv,
                environment=env,
                mounts=tuple(setting.volumes.mounts(self.spec)),
                directory=self.spec.get("workingDir") or "/",
            ),
            lines=self.lines,
            heard=partial(host.heard, pod["metadata"]["name"], self.name),
        )
        self._setting = setting
        self._place = Place(setting.sandbox, run, self.spec, image.resolve)
        self.container = run
        setting.event("Normal", "Started", f"Started container {self.name}")
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook is None:
            return self._probe(self._place)
        self._hook = threading.Thread(
            target=self._post_start, args=(hook, self._place), name="postStart", daemon=True
        )
        return self._hook.start()

    def _wait(self, reason: str, message: str, setting: Setting) -> None:
        if self._waiting != (reason, message):
            setting.event("Warning", "Failed", f"{reason}: {message}")
        self._waiting = (reason, message)
        self._not_before = time.monotonic() + setting.host.timing.retry

    def _post_start(self, hook: Object, place: Place) -> None:
        try:
            act(hook, place, _HOOK_SECONDS)
        except ActionError as error:
            self._doom("FailedPostStartHook", str(error), None, place)
        else:
            self._probe(place)

    def _probe(self, place: Place) -> None:
        """Ask the startup probe, or the others where there is none."""
        startup = self.spec.get("startupProbe")
        if startup is not None:
            self._threads.append(Prober("startup", startup, place, self._teller(place)))
            return
        self._begin(place)

    def _begin(self, place: Place) -> None:
        self._started = True
        kinds: tuple[Kind, ...] = ("liveness", "readiness")
        for kind in kinds:
            probe = self.spec.get(f"{kind}Probe")
            if probe is not None:
                self._threads.append(Prober(kind, probe, place, self._teller(place)))
        if self._setting is not None:
            self._setting.wake()

    def _teller(self, place: Place) -> Callable[[Kind, bool, str], None]:
        return lambda kind, good, why: self._told(place, kind, why, good=good)

    def _told(self, place: Place, kind: Kind, why: str, *, good: bool) -> None:
        if place.container is not self.container or self._setting is None:
            return
        if kind == "readiness":
            if self._passed and not good:
                self._setting.event("Warning", "Unhealthy", f"Readiness probe failed: {why}")
            self._passed = good
            self._setting.wake()
        elif not good:
            grace = self.spec[f"{kind}Probe"].get("terminationGracePeriodSeconds")
            self._doom("Unhealthy", f"{kind.title()} probe failed: {why}", grace, place)
        elif kind == "startup":
            self._begin(place)

    def _doom(self, reason: str, why: str, grace: int | None, place: Place) -> None:
        if place.container is self.container and self._setting is not None:
            self._setting.event("Warning", reason, why)
            self.doomed, self.grace = why, grace
            self._setting.wake()

    def stop(self, left: Callable[[], float], turn: Callable[[], None] = lambda: None) -> None:
        """Stop the run: preStop, SIGTERM, SIGKILL; returns when it has ended.

        Args:
            left: the seconds that are left of the grace period.
            turn: waits until those have ended that have to end before; after preStop, as kubelet.
        """
        run, place = self.container, self._place
        if run is None or place is None:
            return
        first, self._stopping = not self._stopping, True
        if first:
            if self._setting is not None:
                self._setting.event("Normal", "Killing", f"Stopping container {self.name}")
            for prober in self._threads[:]:
                prober.end_unless("readiness")
            self._pre_stop(place, left())
            turn()
            run.signal(signal.SIGTERM)
        soonest = time.monotonic() + _MINIMUM
        while not run.wait(_LOOK):
            if left() <= 0 and time.monotonic() >= soonest:
                run.signal(signal.SIGKILL)

    def _pre_stop(self, place: Place, seconds: float) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook is None or seconds <= 0:
            return
        try:
            act(hook, place, seconds)
        except ActionError as error:
            if self._setting is not None:
                self._setting.event("Warning", "FailedPreStopHook", str(error))

    def reap(self) -> bool:
        """Take note of the end of the run; tell whether there was one."""
        run, setting = self.container, self._setting
        if run is None or run.running or setting is None:
            return False
        tail = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        self._ended = run.ended(tail=tail)
        self.container, self._started, self._passed = None, False, False
        self._join()
        run.close()
        now = time.monotonic()
        if self._ended is not None:
            lasted = (self._ended.finished - self._ended.started).total_seconds()
            if lasted >= setting.host.timing.back_off_reset:
                self._delay = 0.0
        self._not_before = now + self._delay
        return True

    def _join(self) -> None:
        if self._hook is not None:
            self._hook.join()
            self._hook = None
        for prober in self._threads:
            prober.close()
        self._threads.clear()

    def kill(self) -> None:
        """End it at once, with its threads."""
        run = self.container
        if run is not None:
            run.close()
            self._join()
            self.container = None


def slots_of(spec: Object, before: Object) -> tuple[Slot, ...]:
    """Give the containers of a pod in the order in which they start.

    With `before`, the status of a pod that ran before its node was restarted, they count on.
    """
    policy: Policy = spec.get("restartPolicy") or "Always"
    told = [*before.get("initContainerStatuses", ()), *before.get("containerStatuses", ())]
    ran = {one["name"]: one["restartCount"] + 1 for one in told if one.get("containerID")}
    found = []
    for one in spec.get("initContainers") or ():
        restarts = ran.get(one["name"], 0)
        if one.get("restartPolicy") == "Always":
            found.append(Slot(one, "sidecar", "Always", restarts=restarts))
        else:
            again: Policy = "Never" if policy == "Never" else "OnFailure"
            found.append(Slot(one, "init", again, restarts=restarts))
    mains = spec["containers"]
    found += [Slot(one, "main", policy, restarts=ran.get(one["name"], 0)) for one in mains]
    return tuple(found)
