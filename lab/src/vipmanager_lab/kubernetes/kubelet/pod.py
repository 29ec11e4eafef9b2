"""One pod on a node: a worker that looks again and again at what is, and does the next step.

    step         what is done
    sandbox      network, then the annotation that tells of it; volumes
    init         init containers in order; what follows a sidecar waits until it has started
    main         the others, at once, and again by restartPolicy
    over         the main containers have ended for good: the sidecars go
    deleted      everything is stopped, then the object is deleted

A step that fails is tried again; an Event tells why.
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from vipmanager_lab.cni import CniError
from vipmanager_lab.kubernetes.api import ApiError
from vipmanager_lab.kubernetes.kubelet import network, status
from vipmanager_lab.kubernetes.kubelet.calls import NamespaceSources
from vipmanager_lab.kubernetes.kubelet.environment import ConfigError, Object
from vipmanager_lab.kubernetes.kubelet.host import Host, Setting
from vipmanager_lab.kubernetes.kubelet.slots import Slot, slots_of
from vipmanager_lab.kubernetes.kubelet.spec import unknown
from vipmanager_lab.kubernetes.kubelet.status import Facts, Seen
from vipmanager_lab.kubernetes.kubelet.stopping import stop_all
from vipmanager_lab.kubernetes.kubelet.telling import Telling
from vipmanager_lab.kubernetes.kubelet.volumes import Volumes
from vipmanager_lab.netns import Netns, NetnsError

_LOOK = 0.05
"""Seconds between two looks."""
_GRACE = 30
_JOIN = 30.0


class Pod:
    """A pod, and the thread that drives it until `over`."""

    def __init__(self, host: Host, found: Object) -> None:
        metadata = found["metadata"]
        self.name: str = metadata["name"]
        self.namespace: str = metadata["namespace"]
        self.uid: str = metadata["uid"]
        self.over = threading.Event()
        """Set when nothing of it is left here."""
        self._host, self._latest, self._gone = host, found, False
        before = found.get("status") or {}
        self._slots = slots_of(found["spec"], before)
        self._ended = before.get("phase") in {"Succeeded", "Failed"}
        """It ended before its node was restarted: it never runs again."""
        self._refused = unknown(found["spec"])
        start = before.get("startTime")
        self._start = datetime.fromisoformat(start) if start else datetime.now(UTC)
        self._sandbox: network.Sandbox | None = None
        self._setting: Setting | None = None
        self._sources = NamespaceSources(host.calls, self.namespace)
        self._volumes = Volumes(
            host.folder / self.uid / "volumes",
            self._sources,
            lambda spec: host.calls.token(found, spec),
        )
        self._telling = Telling(host.calls, host.timing)
        self._retry = self._refresh = 0.0
        self._stopping = False
        self._stops: list[threading.Thread] = []
        """Each stops a container whose probe failed."""
        self._failure = ("", "")
        self._wake, self._dead = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pod {self.name}", daemon=True)

    # --- what it is, for tests -----------------------------------------------------------------

    @property
    def netns(self) -> Netns | None:
        """Its network namespace; None before it has one, and after."""
        sandbox = self._sandbox
        return None if sandbox is None else sandbox.netns

    @property
    def containers(self) -> Mapping[str, Slot]:
        """All of its containers, also init containers."""
        return {one.name: one for one in self._slots}

    # --- what its kubelet tells it -------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def update(self, found: Object) -> None:
        """Take a newer version of its object."""
        self._latest = found
        self._wake.set()

    def vanish(self, found: Object | None = None) -> None:
        """Take note that its object is gone, as after a deletion by force."""
        self._latest = found or self._latest
        self._gone = True
        self._wake.set()

    def die(self) -> None:
        """End every process at once, and tell nobody."""
        self._dead.set()
        self._wake.set()
        netns = self.netns
        if netns is not None:
            netns.kill()

    def close(self) -> None:
        """Wait for its end after `die`."""
        if self._thread.ident is not None:
            self._thread.join(_JOIN)

    # --- its thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._dead.is_set() and not self._step():
                self._wake.wait(_LOOK)
                self._wake.clear()
        finally:
            for one in self._slots:
                one.kill()
            for thread in self._stops:
                thread.join()
            self._remove()
            shutil.rmtree(self._host.folder / self.uid, ignore_errors=True)
            self.over.set()

    def _step(self) -> bool:
        """Do what is next; tell whether nothing is left to do."""
        if self._gone or "deletionTimestamp" in self._latest["metadata"]:
            self._terminate()
            return True
        if self._ended:
            return False
        if status.outcome(self._facts(), self._seen()) is not None:
            self._finish()
        else:
            self._advance()
        self._tell()
        return False

    def _advance(self) -> None:
        if time.monotonic() < self._retry:
            return None
        try:
            setting = self._settle()
        except network.SandboxError as error:
            return self._failed("FailedCreatePodSandBox", str(error))
        except (ApiError, ConfigError) as error:
            return self._failed("FailedMount", str(error))
        self._reap()
        for one in self._slots:
            if one.doomed and one.container is not None:
                self._restart(one)
        return self._start_due(setting)

    def _failed(self, reason: str, message: str) -> None:
        self._retry = time.monotonic() + self._host.timing.retry
        if (reason, message) != self._failure:
            self._event("Warning", reason, message)
        self._failure = (reason, message)

    def _settle(self) -> Setting:
        """Have network and volumes.

        Raises:
            SandboxError, ApiError, ConfigError: there is something that they can't be made of.
        """
        if self._sandbox is None:
            multus = self._host.calls.multus
            self._sandbox = network.start(self._host.world, self._host.zone, self._latest, multus)
        if self._setting is None:
            self._volumes.refresh(self._addressed())
            self._setting = self._set(self._sandbox)
        elif time.monotonic() >= self._refresh:
            with contextlib.suppress(ApiError, ConfigError):  # what was there stays
                self._volumes.refresh(self._addressed())
            self._refresh = time.monotonic() + self._host.timing.volumes
        return self._setting

    def _set(self, sandbox: network.Sandbox) -> Setting:
        return Setting(
            host=self._host,
            sandbox=sandbox,
            folder=self._host.folder / self.uid / "runs",
            volumes=self._volumes,
            sources=self._sources,
            event=self._event,
            wake=self._wake.set,
        )

    def _start_due(self, setting: Setting) -> None:
        """Start what has to run now; after an init container or sidecar, only once it is past."""
        begun = status.initialized(self._seen())
        for one in self._slots:
            if one.role == "init" and (begun or one.succeeded):
                continue
            if one.due():
                one.start(self._addressed(), setting)
            if not begun and (one.role == "init" or (one.role == "sidecar" and not one.started)):
                return

    def _restart(self, one: Slot) -> None:
        """Stop a container whose probe failed; the others run on meanwhile."""
        grace = one.grace if one.grace is not None else self._grace()
        end = time.monotonic() + grace
        one.doomed = ""
        thread = threading.Thread(
            target=one.stop, args=(lambda: end - time.monotonic(),), name="restart", daemon=True
        )
        self._stops = [*(each for each in self._stops if each.is_alive()), thread]
        thread.start()

    def _finish(self) -> None:
        """The pod is over: end what is left of it, and free its network."""
        self._stopping = True
        if any(one.container is not None for one in self._slots):
            end = time.monotonic() + self._grace()
            self._stop_all(lambda: end - time.monotonic())
        self._remove()

    # --- its end -------------------------------------------------------------------------------

    def _terminate(self) -> None:
        self._stopping = True
        since = time.monotonic()
        self._stop_all(lambda: since + self._grace() - time.monotonic())
        if self._dead.is_set():
            return
        self._remove()
        self._telling.hurry()
        while not self._gone and not self._dead.is_set():
            if self._tell() and self._deleted():
                return
            self._dead.wait(self._host.timing.retry)

    def _deleted(self) -> bool:
        try:
            self._host.calls.delete_pod(self.namespace, self.name, self.uid)
        except ApiError as error:
            return error.reason in {"NotFound", "Conflict"}
        return True

    def _grace(self) -> int:
        """Give the grace period in seconds; at least one, as kubelet does."""
        metadata, spec = self._latest["metadata"], self._latest["spec"]
        told = metadata.get("deletionGracePeriodSeconds")
        if told is None:
            told = spec.get("terminationGracePeriodSeconds")
        return max(1, _GRACE if told is None else int(told))

    def _stop_all(self, left: Callable[[], float]) -> None:
        """Stop every container in order; the status tells how far that is."""
        threads = stop_all(self._slots, left)
        while any(thread.is_alive() for thread in threads):
            self._wake.wait(_LOOK)
            self._wake.clear()
            self._reap()
            self._tell()
        self._reap()

    def _reap(self) -> None:
        for one in self._slots:
            one.reap()

    def _remove(self) -> None:
        """Free network and volumes."""
        sandbox, self._sandbox, self._setting = self._sandbox, None, None
        if sandbox is not None:
            try:
                self._host.world.kill_pod(sandbox.name)
            except (CniError, NetnsError) as error:
                self._event("Warning", "FailedKillPod", str(error))
        self._volumes.close()

    # --- what it tells -------------------------------------------------------------------------

    def _seen(self) -> list[Seen]:
        return [one.seen(over=self._stopping) for one in self._slots]

    def _facts(self) -> Facts:
        gates = self._latest["spec"].get("readinessGates") or ()
        return Facts(
            restart_policy=self._latest["spec"].get("restartPolicy") or "Always",
            host=self._host.address,
            address=self._sandbox.address if self._sandbox else self._telling.address,
            sandbox=self._sandbox is not None,
            start=self._start,
            over=self._stopping,
            refused=("UnknownField", "; ".join(self._refused)) if self._refused else None,
            gates=tuple(one["conditionType"] for one in gates),
        )

    def _addressed(self) -> Object:
        """Give the object with the addresses that its status is about to tell."""
        latest, facts = self._latest, self._facts()
        own = {"podIP": facts.address, "podIPs": [{"ip": facts.address}]}
        own |= {"hostIP": facts.host, "hostIPs": [{"ip": facts.host}]}
        return {**latest, "status": {**(latest.get("status") or {}), **own}}

    def _tell(self) -> bool:
        """Write the status where it has changed; tell whether it is written."""
        if self._ended:
            return True
        if self._gone:
            return False
        written = self._telling.tell(self._latest, self._facts(), self._seen())
        self._gone = self._telling.gone
        return written

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._host.calls.post_event(self._latest, kind, reason, message)
