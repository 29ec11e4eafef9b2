"""Every fault as something done to a world, and undone again."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv6Address, ip_interface
from typing import assert_never

from chaos.schedule import (
    AddressAdded,
    AddressRemoved,
    Away,
    Broken,
    ClockStep,
    Cut,
    Detached,
    Dropped,
    Expiring,
    Fault,
    Forgotten,
    Gateway,
    Hanging,
    Imds,
    Killed,
    LinkDown,
    Paused,
    Refuse,
    Revoked,
    Slow,
    Squatter,
    Stale,
    Stolen,
    TableAdded,
    TableDeleted,
    Throttle,
)
from chaos.stage import BASE, GATEWAY, Stage
from vipmanager_lab.ec2.faults import Forget, Hang
from vipmanager_lab.netns import NetnsError
from vipmanager_lab.world import TAG

Undo = Callable[[], None]

_World = (
    ClockStep
    | Killed
    | Paused
    | Stolen
    | Dropped
    | TableAdded
    | TableDeleted
    | Detached
    | AddressAdded
    | AddressRemoved
    | LinkDown
    | Gateway
    | Squatter
)


def _nothing() -> None:
    """Undo what needs no undoing."""


class Blows:
    """Strikes one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._thieves = 0

    def strike(self, fault: Fault) -> Undo:  # noqa: C901, PLR0911, PLR0912 - one case each
        """Let a fault begin; give its undoing."""
        world, faults = self._stage.world, self._stage.world.faults
        match fault:
            case Slow(seconds, jitter):
                faults.latency, faults.jitter = seconds, jitter
                return self._fast
            case Throttle(action, burst, refill):
                faults.throttle(action, burst, refill)
                return partial(faults.throttle, action, 10_000, 10_000)
            case Refuse(action, code, status, times):
                faults.fail_next(action, code, status, times=times)
            case Broken(action, how, times):
                faults.inject(action, how, times=times)
            case Hanging(action, seconds, times):
                faults.inject(action, Hang(seconds=seconds), times=times)
            case Forgotten(times):
                faults.inject("CreateRoute", Forget(), times=times)
            case Cut():
                world.network.cut("a")
                return partial(world.network.restore, "a")
            case Away(how):
                faults.unreachable = how
                return partial(setattr, faults, "unreachable", None)
            case Stale(seconds):
                faults.stale_reads(seconds=seconds)
                return faults.stale_reads
            case Imds(mood):
                return self._imds(mood)
            case Revoked():
                for key in {c.access_key for c in world.endpoint.calls if c.access_key}:
                    world.account.credentials.revoke(key)
                world.forget_credentials()
            case Expiring(seconds):
                world.credentials_seconds = seconds
                world.forget_credentials()
                return partial(setattr, world, "credentials_seconds", 3600.0)
            case _:
                return self._change(fault)
        return _nothing

    def _change(self, fault: _World) -> Undo:  # noqa: C901, PLR0911, PLR0912 - as above
        stage, account = self._stage, self._stage.world.account
        match fault:
            case ClockStep(seconds):
                stage.clock.step(seconds)
            case Killed(zone, restart):
                stage.containers[zone].kill(restart)
            case Paused(zone):
                stage.containers[zone].pause(on=True)
                return partial(stage.containers[zone].pause, on=False)
            case Stolen(tables, number):
                return self._steal(tables, stage.destinations[number - 1])
            case Dropped(tables, number):
                for table in self._existing(tables):
                    with suppress(KeyError):
                        account.drop_route(table, stage.destinations[number - 1])
            case TableAdded(gateway):
                self._add_table(gateway=gateway)
            case TableDeleted():
                if len(stage.tables) > BASE and stage.tables[BASE] in stage.world.tables:
                    account.delete_route_table(stage.tables.pop(BASE))
            case Detached(number):
                return self._detach(number)
            case AddressAdded(number):
                return self._address(stage.extra.format(number + 6), number, add=True)
            case AddressRemoved(number):
                return self._address(stage.floating[number - 1], number, add=False)
            case LinkDown(number):
                self._ip(f"link set net{number} down")
                return partial(self._ip, f"link set net{number} up")
            case Gateway(table, number):
                return self._gateway(stage.tables[table], stage.destinations[number - 1])
            case Squatter(number):
                return self._squat(number)
            case _:
                assert_never(fault)
        return _nothing

    def _fast(self) -> None:
        self._stage.world.faults.latency = self._stage.world.faults.jitter = 0.0

    def _detach(self, number: int) -> Undo:
        world, node = self._stage.world, self._stage.world.nodes["a"]
        eni = node.secondary[number - 1]
        if not any(e.id == eni and e.instance for e in world.account.state().enis):
            return _nothing  # it is detached already
        world.account.detach(eni)
        return partial(world.account.attach, eni, node.instance, number)

    def _existing(self, numbers: tuple[int, ...]) -> list[str]:
        return [
            self._stage.world.tables[n]
            for n in numbers
            if self._stage.world.tables[n] in self._stage.tables
        ]

    def _ip(self, line: str) -> None:
        with suppress(NetnsError):
            self._stage.pod("a").ip_batch([line])

    def _address(self, address: str, number: int, *, add: bool) -> Undo:
        nodad = "" if self._stage.plan.version == 4 else " nodad"

        def put() -> None:
            self._stage.ever.add(self._stage.world.destination(address))
            self._stage.present[address] = number
            self._ip(f"addr add {address} dev net{number}{nodad}")

        def take() -> None:
            del self._stage.present[address]
            self._ip(f"addr del {address} dev net{number}")

        (put if add else take)()
        return take if add else put

    def _imds(self, mood: str) -> Undo:
        imds, instance = self._stage.world.imds, self._stage.world.nodes["a"].instance
        mine = self._stage.world.nodes["a"].secondary
        macs = frozenset(e.mac for e in self._stage.world.account.state().enis if e.id in mine)
        before = imds.options(instance)
        healthy = replace(before, lagging=frozenset(), missing=frozenset(), down=False, latency=0.0)
        moods = {
            "lagging": replace(before, lagging=macs),
            "missing": replace(before, missing=macs),
            "down": replace(before, down=True),
            "slow": replace(before, latency=0.4),
        }
        imds.set_options(instance, moods[mood])
        return partial(imds.set_options, instance, healthy)

    def _steal(self, tables: tuple[int, ...], destination: str) -> Undo:
        account = self._stage.world.account
        thief = account.create_eni(self._stage.world.subnets["b1"])
        account.attach(thief, self._stage.world.nodes["b"].instance, 5 + self._thieves)
        self._thieves += 1
        for table in self._existing(tables):
            account.put_route(table, destination, thief)
        return partial(account.detach, thief)

    def _add_table(self, *, gateway: bool) -> None:
        account = self._stage.world.account
        table = account.create_route_table(self._stage.world.vpc)
        if gateway:
            # Before the tag selects it: no agent can have seen it without.
            self._gateway(table, self._stage.destinations[0])
        account.tag_route_table(table, dict([TAG]))
        self._stage.tables.append(table)
        self._stage.selected.add(table)

    def _gateway(self, table: str, destination: str) -> Undo:
        self._stage.world.account.put_route(table, destination, GATEWAY)
        self._stage.gateways.add((table, destination))

        def undo() -> None:
            self._stage.look()
            self._stage.gateways.discard((table, destination))
            if table in self._stage.tables:
                self._stage.world.account.drop_route(table, destination)

        return undo

    def _squat(self, number: int) -> Undo:
        account, destination = self._stage.world.account, self._stage.destinations[number - 1]
        subnet = self._stage.world.subnets[f"dummy{number}"]
        beside = ip_interface(self._stage.floating[number - 1]).ip + 5
        squatter = account.create_eni(
            subnet, ipv6=beside if isinstance(beside, IPv6Address) else ()
        )
        self._stage.squatted.add(destination)

        def undo() -> None:
            self._stage.look()
            self._stage.squatted.discard(destination)
            account.delete_eni(squatter)

        return undo
