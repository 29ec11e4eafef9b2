"""The demo's story: a pod with floating IPs, its zone fails, it starts in the other one."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vipmanager_lab.client import bare
from vipmanager_lab.cni import Delegate
from vipmanager_lab.container import prepare
from vipmanager_lab.latency import LATENCIES, Latencies
from vipmanager_lab.netns import Netns
from vipmanager_lab.process import Process
from vipmanager_lab.shipped import Shipped, only_address
from vipmanager_lab.story import Audience, Nobody, Outcome, Story, Telling
from vipmanager_lab.world import TAG, World


def stories(
    *, pattern: int | None = None, mode: str | None = None, version: int | None = None
) -> Iterator[Story]:
    """Give every story that the choices leave."""
    for p, m, v in itertools.product((1, 2), ("init", "sidecar"), (4, 6)):
        if pattern in {None, p} and mode in {None, m} and version in {None, v}:
            yield Story(pattern=p, mode=m, version=v)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cast:
    """Who plays: pods with these networks, and the agent that `agent` starts in one."""

    floating: tuple[str, ...]
    networks: tuple[str | Delegate, ...]
    agent: Callable[[Netns, Callable[[Mapping[str, Any]], None]], Process]
    notes: tuple[str, ...] = ()
    """Where the lab differs from what is shipped."""


def tell(
    story: Story,
    audience: Audience | None = None,
    *,
    latencies: Latencies = LATENCIES["today"],
    shipped: Shipped | None = None,
) -> Outcome:
    """Play a story in a world of its own; the audience is told each event as it happens.

    With `shipped` the agent is the image, and pods and configuration are those of the manifests.

    Raises:
        AssertionError: the agent or a probe did not do what the story needs.
    """
    with World() as world:
        world.faults.pace = latencies.ec2
        cast = _from_shipped(story, world, shipped) if shipped else _from_checkout(story, world)
        floating = cast.floating
        stage = Telling(world=world, floating=floating, audience=audience or Nobody())
        for note in cast.notes:
            stage.tell(note)
        stage.tell(f"a client probes {' and '.join(map(bare, floating))}")
        client = stage.probe()
        agent = _start(stage, story, cast, name="pod-1", zone="a")
        stage.await_answers()
        stage.tell("every floating IP answers from zone a")
        if story.mode == "sidecar":
            agent.wait_for(lambda r: r["event"] == "converged")
        stage.calm()
        failed = stage.strike(lambda: world.fail_zone("a"), "zone a fails: no packet comes or goes")
        agent = _start(stage, story, cast, name="pod-2", zone="b")
        try:
            stage.await_answers()
            stage.tell("every floating IP answers from zone b")
            if story.mode == "sidecar":
                agent.wait_for(lambda r: r["event"] == "converged")
            answered = stage.calm()
        except AssertionError:
            answered = False
            stage.tell("not every floating IP answers")
        client.end()
        answered = answered and stage.points_at("b")
        return stage.outcome(story, client, struck=failed, answered=answered)


def _from_checkout(story: Story, world: World) -> _Cast:
    config = {
        "VPCRTTag": "=".join(TAG),
        "RunAsSidecar": str(story.mode == "sidecar"),
        "SubnetBasedLoopbacks": str(story.pattern == 2),  # noqa: PLR2004 - its name
        **world.peers(story.version),
    }
    floating = world.floating(pattern=story.pattern, version=story.version)
    return _Cast(
        floating=floating,
        networks=floating,
        agent=lambda pod, heard: world.agent(pod, config, heard=heard),
    )


def _from_shipped(story: Story, world: World, shipped: Shipped) -> _Cast:
    networks = shipped.networks(story.pattern)
    container = shipped.container(story.mode)
    lab = {**world.environment, "LogFormat": "json"}
    # What the overlays for pattern 2 change in the ConfigMap.
    pattern = {"SubnetBasedLoopbacks": "True"} if story.pattern == 2 else {}  # noqa: PLR2004
    config = shipped.config() | pattern | lab
    world.reach_from_outside(shipped.peers())
    notes = [f"beside the ConfigMap the lab sets {', '.join(lab)}"]
    if not world.network.ipvlan:
        notes.append("no ipvlan in this kernel: macvlan instead")
    return _Cast(
        floating=tuple(str(only_address(one.definition)) for one in networks),
        networks=tuple(networks),
        agent=lambda pod, heard: world.run(
            pod, prepare(shipped.image, container, config).run(), stream="stderr", heard=heard
        ),
        notes=tuple(notes),
    )


def _start(stage: Telling, story: Story, cast: _Cast, *, name: str, zone: str) -> Process:
    """Start the pod, as kubelet does: an initContainer before the application."""
    world = stage.world
    pod = world.start_pod(name, zone, cast.networks)
    stage.tell(f"{name} starts in zone {zone}")
    agent = cast.agent(pod, lambda record: _heard(stage, record))
    if story.mode == "init":
        code = agent.wait()
        if code:
            raise AssertionError(f"the initContainer ended with {code}:\n" + "\n".join(agent.text))
        stage.tell("the initContainer exits 0: every route is verified")
    world.application(pod, stage.floating)
    return agent


def _heard(stage: Telling, record: Mapping[str, Any]) -> None:
    if record.get("event") == "converged":
        stage.tell(f"the agent wrote {record['writes']} routes and read them back")
