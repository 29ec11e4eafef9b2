"""How a pod is stopped.

Every container's preStop runs at once. SIGTERM comes to the main containers first, then to the
sidecars, last one first, each after those before it have ended; all of it within the grace period
(kuberuntime, killContainersWithSyncResult).
"""

import threading
from collections.abc import Callable, Sequence

from vipmanager_lab.kubernetes.kubelet.slots import Slot

_LOOK = 0.05


def stop_order(every: Sequence[Slot]) -> list[tuple[Slot, list[Slot]]]:
    """Give each container with those that end before it gets SIGTERM."""
    sidecars = [one for one in every if one.role == "sidecar"]
    first = [one for one in every if one.role != "sidecar"]
    return [
        *((one, []) for one in first),
        *((one, [*first, *sidecars[number + 1 :]]) for number, one in enumerate(sidecars)),
    ]


def stop_all(every: Sequence[Slot], left: Callable[[], float]) -> list[threading.Thread]:
    """Stop containers; each thread ends with one of them.

    `left` gives the seconds that are left of the grace period.
    """
    ends = {one.name: threading.Event() for one in every}

    def stop(one: Slot, before: Sequence[threading.Event]) -> None:
        def turn() -> None:
            for other in before:
                while not other.wait(_LOOK) and left() > 0:
                    pass

        try:
            one.stop(left, turn)
        finally:
            ends[one.name].set()

    threads = [
        threading.Thread(
            target=stop,
            args=(one, [ends[other.name] for other in before]),
            name=f"stop {one.name}",
            daemon=True,
        )
        for one, before in stop_order(every)
    ]
    for thread in threads:
        thread.start()
    return threads
