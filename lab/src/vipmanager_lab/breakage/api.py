"""Faults of routes and APIs, whatever runs in the lab."""

from argparse import ArgumentTypeError
from collections.abc import Sequence
from functools import partial

from vipmanager_lab.breakage.scene import Begun, NamedFault, Scene
from vipmanager_lab.ec2.faults import EC2_BUCKETS, Unreachable
from vipmanager_lab.imds import zone_id
from vipmanager_lab.latency import Latencies, latencies
from vipmanager_lab.world import REGION, World

_SHARE = 0.2
"""Calls a second of each action that `throttle` lets through."""
_WRITES = ("CreateRoute", "ReplaceRoute")


def _steal(scene: Scene, words: Sequence[str]) -> Begun:
    world, table = scene.world, scene.table(words[:1])
    destination = world.destination(scene.floating[0])
    before = world.target(table, destination)
    zones = {node.secondary[0]: zone for zone, node in world.nodes.items()}
    if len(words) > 1:
        zone = scene.zone(words[1:])
    else:
        zone = next(z for eni, z in zones.items() if eni != before)
    thief = world.nodes[zone].secondary[0]
    if thief == before:
        raise ValueError(f"{destination} in {table} leads to zone {zone} already")
    world.account.put_route(table, destination, thief)
    return Begun(
        said=f"{destination} in {table} leads to {thief} in zone {zone}",
        undo=partial(_put_back, world, table, destination, before),
        lasts=lambda: world.target(table, destination) == thief,
    )


def _drop(scene: Scene, words: Sequence[str]) -> Begun:
    world, table = scene.world, scene.table(words)
    destination = world.destination(scene.floating[0])
    before = world.target(table, destination)
    if before is None:
        raise ValueError(f"{table} has no route to {destination}")
    world.account.drop_route(table, destination)
    return Begun(
        said=f"{table} has no route to {destination}",
        undo=partial(_put_back, world, table, destination, before),
        lasts=lambda: world.target(table, destination) is None,
    )


def _put_back(world: World, table: str, destination: str, target: str | None) -> None:
    if target is not None:
        world.account.put_route(table, destination, target)
    else:
        world.account.drop_route(table, destination)


def _deny(scene: Scene, words: Sequence[str]) -> Begun:
    faults = scene.world.faults
    if words and not words[0].isdecimal():
        denied: list[tuple[str, str | None]] = [(words[0], None)]
        if words[0] not in EC2_BUCKETS:
            raise ValueError(f"expected the number of a table, or one of {', '.join(EC2_BUCKETS)}")
        said = f"EC2 denies {words[0]}"
    else:
        table = scene.table(words) if words else None
        denied = [(action, table) for action in _WRITES]
        said = f"EC2 denies route writes to {table or 'every table'}"
    for one in denied:
        faults.deny(*one)

    def undo() -> None:
        for one in denied:
            faults.allow(*one)

    return Begun(said=said, undo=undo)


def _throttle(scene: Scene, words: Sequence[str]) -> Begun:
    faults = scene.world.faults
    if words == ["ec2"]:
        faults.ec2_buckets()
        said = "EC2 has its own limits: 50 route writes at once, then 5 a second"
    else:
        rate = _number(words, _SHARE)
        for action in EC2_BUCKETS:
            faults.throttle(action, 1, rate)
        said = f"EC2 lets {rate:g} calls a second of each action through"
    return Begun(said=said, undo=faults.unthrottle)


def _stale(scene: Scene, words: Sequence[str]) -> Begun:
    faults, seconds = scene.world.faults, _number(words, 3)
    faults.stale_reads(seconds=seconds)
    return Begun(said=f"readings are {seconds:g} s old", undo=faults.stale_reads)


def _latency(scene: Scene, words: Sequence[str]) -> Begun:
    faults = scene.world.faults
    before = faults.pace, faults.latency
    preset = _preset(words[0]) if words else None
    seconds = before[1] if preset else _number(words, 1000) / 1000
    faults.pace = preset.ec2 if preset else {}
    faults.latency = seconds

    def undo() -> None:
        faults.pace, faults.latency = before

    said = preset.said_of_ec2 if preset else f"every EC2 call takes {seconds * 1000:g} ms"
    return Begun(said=said, undo=undo)


def _preset(word: str) -> Latencies | None:
    """Give the latencies of a name or a file; None for a number."""
    if word.replace(".", "", 1).isdecimal():
        return None
    try:
        return latencies(word)
    except ArgumentTypeError as error:
        raise ValueError(str(error)) from error


def _cut(scene: Scene, words: Sequence[str]) -> Begun:
    group, named = scene.group, words[0] if words else "ec2"
    if named == "kubernetes" and group is not None:
        faults = group.kube
        faults.unreachable = Unreachable.CLOSES
        return Begun(
            said="the Kubernetes API can't be reached",
            undo=lambda: setattr(faults, "unreachable", None),
        )
    if named != "ec2":
        raise ValueError("expected ec2 or kubernetes")
    ec2 = scene.world.faults
    ec2.unreachable = Unreachable.CLOSES
    return Begun(said="EC2 can't be reached", undo=lambda: setattr(ec2, "unreachable", None))


def _shift(scene: Scene, words: Sequence[str]) -> Begun:
    zone = words[0] if words else ""
    if zone not in {"a", "b", "c"}:
        raise ValueError("expected a zone, a, b or c")
    shifted = zone_id(f"{REGION}{zone}")
    scene.arc.shifts[shifted] = "ZONAL_SHIFT"
    return Begun(
        said=f"ARC shifts traffic away from zone {zone}",
        undo=lambda: scene.arc.shifts.pop(shifted, None),
    )


def _number(words: Sequence[str], default: float) -> float:
    try:
        number = float(words[0]) if words else default
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"expected a number that is not negative: {words[0]}")
    return number


WORLD_FAULTS: Sequence[NamedFault] = (
    NamedFault(
        usage="steal [TABLE [ZONE]]",
        says="the first floating IP's route leads elsewhere",
        begin=_steal,
    ),
    NamedFault(usage="drop [TABLE]", says="its route is deleted", begin=_drop),
    NamedFault(
        usage="deny [TABLE|ACTION]", says="EC2 denies route writes, or an action", begin=_deny
    ),
    NamedFault(
        usage="throttle [RATE|ec2]",
        says=f"EC2 lets {_SHARE:g} calls a second through, or RATE; ec2: its own limits",
        begin=_throttle,
    ),
    NamedFault(usage="stale [SECONDS]", says="readings lag behind writes", begin=_stale),
    NamedFault(usage="latency [MS|today|real|FILE]", says="EC2 calls take so long", begin=_latency),
    NamedFault(usage="cut [ec2|kubernetes]", says="the API can't be reached", begin=_cut),
    NamedFault(usage="shift ZONE", says="ARC shifts a zone away", begin=_shift),
)
"""Faults of the VPC and of its APIs, whatever runs in it."""
