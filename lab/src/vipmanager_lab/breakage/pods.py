"""Faults of the lab's own pods, of their interfaces, and of the nodes that they run on."""

import signal
from collections.abc import Sequence
from functools import partial
from typing import cast, get_args

from vipmanager_lab.breakage.scene import Begun, NamedFault, Scene
from vipmanager_lab.ec2.faults import Impairment
from vipmanager_lab.network import Attachment
from vipmanager_lab.replicas import Replica, Replicas


def _impair(scene: Scene, words: Sequence[str]) -> Begun:
    zone, how = (*(words or [""]), "fail")[:2]
    if zone not in scene.world.nodes or how not in get_args(Impairment):
        raise ValueError("expected a zone, a or b, and fail, throttle or hang")
    scene.world.impair_zone(zone, cast("Impairment", how))
    return Begun(
        said=f"no packet comes or goes in zone {zone}, and describes {how}",
        undo=partial(scene.world.heal_zone, zone),
    )


def _fail(scene: Scene, words: Sequence[str]) -> Begun:
    zone = scene.zone(words)
    lived = [(one, one.has_agent) for one in _running(scene) if one.zone == zone]
    scene.world.fail_zone(zone)

    def undo() -> None:
        scene.world.heal_zone(zone)
        for replica, had_agent in lived:
            replica.start_application()
            if had_agent:
                replica.start_agent()

    return Begun(said=f"node {zone} is dead, with every pod on it", undo=undo)


def _cordon(scene: Scene, words: Sequence[str]) -> Begun:
    zone = scene.zone(words)
    plane = _own(scene).plane
    plane.cordon(zone)
    return Begun(said=f"node-{zone} is cordoned", undo=partial(plane.cordon, zone, undo=True))


def _detach(scene: Scene, words: Sequence[str]) -> Begun:
    pod, attachment = _attachment(scene, words)
    world, zone, interface = scene.world, pod.zone, attachment.interface
    plugged = world.network.host(zone).interfaces
    eni = next((e for e, name in plugged.items() if name == attachment.master), None)
    if eni is None:
        raise ValueError(f"{interface} has no ENI any more")
    index = int(attachment.master.removeprefix("eth"))
    sharing = [one for one in _running(scene) if one.zone == zone]
    world.account.detach(eni)
    world.network.detach_eni(zone, eni)

    def undo() -> None:
        world.account.attach(eni, world.nodes[zone].instance, index)
        world.network.attach_eni(zone, eni)
        for one in sharing:
            if one in _running(scene):
                world.network.attach(one.name, interface)

    return Begun(said=f"{eni} is detached from node {zone}: {interface} is gone", undo=undo)


def _unlink(scene: Scene, words: Sequence[str]) -> Begun:
    pod, attachment = _attachment(scene, words)
    pod.netns.ip_batch([f"link del {attachment.interface}"])
    return Begun(
        said=f"{attachment.interface} is deleted in {pod.name}",
        undo=partial(scene.world.network.attach, pod.name, attachment.interface),
    )


def _down(scene: Scene, words: Sequence[str]) -> Begun:
    pod, attachment = _attachment(scene, words)
    pod.netns.ip_batch([f"link set {attachment.interface} down"])
    return Begun(
        said=f"{attachment.interface} is down in {pod.name}",
        undo=lambda: pod.netns.ip_batch([f"link set {attachment.interface} up"]),
    )


def _flush(scene: Scene, words: Sequence[str]) -> Begun:
    pod, attachment = _attachment(scene, words)
    name = attachment.interface
    pod.netns.ip_batch([f"addr del {a} dev {name}" for a in attachment.addresses])
    return Begun(
        said=f"{name} has no address in {pod.name}",
        undo=lambda: pod.netns.ip_batch([f"addr add {a} dev {name}" for a in attachment.addresses]),
    )


def _check(scene: Scene, words: Sequence[str]) -> Begun:
    pod, attachment = _attachment(scene, words)
    account = scene.world.account
    plugged = scene.world.network.host(pod.zone).interfaces
    eni = next(e for e, name in plugged.items() if name == attachment.master)
    account.set_source_dest_check(eni, enabled=True)
    return Begun(
        said=f"{eni} under {attachment.interface} checks source and destination",
        undo=partial(account.set_source_dest_check, eni, enabled=False),
    )


def _kill(scene: Scene, words: Sequence[str]) -> Begun:
    group, what = _own(scene), words[0] if words else "agent"
    if what not in {"agent", "app"}:
        pod = scene.pod([what])
        zone, had_agent, config = pod.zone, pod.has_agent, dict(pod.environment)
        group.end(pod)
        keys = {k: v for k, v in config.items() if not k.isupper()}
        start = group.start if had_agent else group.start_without_agent
        return Begun(
            said=f"{pod.name} is killed; undo starts another in zone {zone}",
            undo=lambda: start(zone, **keys),
        )
    pod = scene.pod(words[1:])
    if what == "app":
        pod.application.signal(signal.SIGKILL)
        return Begun(said=f"{pod.name} has no application", undo=pod.start_application)
    pod.agent.signal(signal.SIGKILL)
    pod.agent.wait()
    return Begun(
        said=f"{pod.name} has no agent", undo=pod.start_agent, lasts=lambda: not pod.has_agent
    )


def _freeze(scene: Scene, words: Sequence[str]) -> Begun:
    pod = scene.pod(words)
    if not pod.has_agent:
        raise ValueError(f"no agent runs in {pod.name}: `sidecar` starts one")
    pod.freeze()
    return Begun(said=f"the agent in {pod.name} is stopped", undo=pod.thaw)


def _sever(scene: Scene, words: Sequence[str]) -> Begun:
    group = _own(scene)
    if len(words) != 2:  # noqa: PLR2004 - a pair
        raise ValueError("expected two pods")
    one, other = scene.pod(words[:1]), scene.pod(words[1:])
    group.sever(one, other)
    group.sever(other, one)

    def undo() -> None:
        group.mend(one, other)
        group.mend(other, one)

    return Begun(said=f"{one.name} and {other.name} don't hear each other", undo=undo)


def _running(scene: Scene) -> Sequence[Replica]:
    return scene.group.running if scene.group is not None else ()


def _own(scene: Scene) -> Replicas:
    if scene.group is None:
        raise ValueError("a real cluster has `kubectl` for it")
    return scene.group


def _attachment(scene: Scene, words: Sequence[str]) -> tuple[Replica, Attachment]:
    """Give a pod, and what it has under an interface."""
    pod = scene.pod(words[1:])
    attached = [
        a for a in scene.world.network.pod(pod.name).attachments if isinstance(a, Attachment)
    ]
    names = [a.interface for a in attached]
    if not words or words[0] not in names:
        raise ValueError(f"expected an interface, {' or '.join(names)}")
    return pod, attached[names.index(words[0])]


POD_FAULTS: Sequence[NamedFault] = (
    NamedFault(usage="fail ZONE", says="a node dies, with every pod on it", begin=_fail),
    NamedFault(
        usage="impair ZONE [HOW]",
        says="AWS loses a zone; describes fail, throttle or hang",
        begin=_impair,
    ),
    NamedFault(usage="cordon ZONE", says="a node is cordoned", begin=_cordon),
    NamedFault(usage="detach IF [POD]", says="the ENI under net1 is detached", begin=_detach),
    NamedFault(usage="unlink IF [POD]", says="net1 is deleted", begin=_unlink),
    NamedFault(usage="down IF [POD]", says="net1 goes down", begin=_down),
    NamedFault(usage="flush IF [POD]", says="net1 loses its addresses", begin=_flush),
    NamedFault(usage="check IF [POD]", says="source/dest check is on for net1's ENI", begin=_check),
    NamedFault(usage="kill agent|app [POD]", says="a process dies; kill POD: a pod", begin=_kill),
    NamedFault(usage="freeze [POD]", says="the agent hangs", begin=_freeze),
    NamedFault(usage="sever POD POD", says="heartbeats between two are lost", begin=_sever),
)
"""Faults of the lab's own pods and nodes."""
