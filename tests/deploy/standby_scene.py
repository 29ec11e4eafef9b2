"""A holder and a standby under the eyes of Prometheus, and what can go wrong for them."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from agent_fixtures import wait_until
from deploy.prometheus import PORT, Prometheus, target
from deploy.scene import UNWRITTEN, Fault
from standby_fixtures import standing
from steady import SHORT
from vipmanager.core.settings import Settings
from vipmanager_lab.replicas import Replica, Replicas


@dataclass(slots=True, kw_only=True)
class Pair:
    """Two replicas that are ready, and a Prometheus beside them that scrapes both."""

    group: Replicas
    prometheus: Prometheus
    stack: ExitStack

    @classmethod
    def built(cls, folder: Path) -> "Pair":
        with ExitStack() as stack:
            group = stack.enter_context(standing(SHORT | {"HTTPPort": str(PORT)}))
            group.pair()
            targets = [target(r.name, r.address) for r in group.running]
            prometheus = Prometheus(group.world.client, folder, targets)
            prometheus.wait_for_scrapes(3)
            return cls(group=group, prometheus=prometheus, stack=stack.pop_all())

    @property
    def holder(self) -> Replica:
        found = self.group.holder()
        assert found is not None
        return found

    @property
    def standby(self) -> Replica:
        (found,) = (r for r in self.group.running if r is not self.holder)
        return found

    def close(self) -> None:
        self.stack.close()

    def take_over(self, replica: Replica) -> None:
        """Claim for a replica, and let Prometheus see it."""
        counted = f'sum(vipmanager_takeovers_total{{pod="{replica.name}"}})'
        (before,) = self.prometheus.value(counted)
        replica.order("claim")
        wait_until(lambda: self.prometheus.value(counted) == [before + 1])


def standby_yields(pair: Pair) -> None:
    pair.standby.order("yield")


def standby_claims(pair: Pair) -> None:
    pair.standby.order("claim")


def lease_is_deleted(pair: Pair) -> None:
    pair.group.plane.delete_lease()


def lease_is_applied(pair: Pair) -> None:
    pair.group.plane.ship_lease()


def heartbeats_are_dropped(pair: Pair) -> None:
    pair.group.sever(pair.holder, pair.standby)
    pair.group.sever(pair.standby, pair.holder)


def heartbeats_pass(pair: Pair) -> None:
    pair.group.mend(pair.holder, pair.standby)
    pair.group.mend(pair.standby, pair.holder)


def stranger_sends(pair: Pair) -> None:
    to = (pair.standby.address, Settings().heartbeat_port)
    with pair.group.world.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"no heartbeat", to)


def ec2_is_slow_in_a_takeover(pair: Pair) -> None:
    pair.group.world.faults.latency = 2.0
    pair.holder.order("yield")


def replicas_claim_in_turn(pair: Pair) -> None:
    first, second = pair.standby, pair.holder
    for replica in (first, second, first, second, first):
        pair.take_over(replica)


FAULTS: dict[str, Fault[Pair]] = {
    "VipmanagerNoStandby": Fault(strike=standby_yields, mend=standby_claims),
    "VipmanagerDegraded": Fault(strike=heartbeats_are_dropped, mend=heartbeats_pass),
    "VipmanagerNoHolder": Fault(
        strike=lease_is_deleted,
        mend=lease_is_applied,
        # Its last holder may not create one.
        company=frozenset({"VipmanagerDegraded", "VipmanagerRefused"}),
    ),
    "VipmanagerTakeoverSlow": Fault(
        strike=ec2_is_slow_in_a_takeover,
        company=UNWRITTEN | {"VipmanagerNoStandby", "VipmanagerFailoverSlow"},
    ),
    "VipmanagerRoleFlapping": Fault(strike=replicas_claim_in_turn),
}
"""As for one sidecar: for each alert of a group its fault, calm ones first."""
