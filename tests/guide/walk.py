"""Somebody who follows a document in the lab, with the programs that they have."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from deploy.rendered import without
from guide.aws import Aws
from guide.kubectl import Kubectl, helm
from guide.pages import ROOT, Block
from guide.stage import VIPMANAGER, LabStage
from guide.terminal import Answer, Program, Terminal
from guide.words import SESSION, Operation
from vipmanager_lab.closing import Closing
from vipmanager_lab.world import REGION, TAG, World

PEERS = ("10.10.10.48", "192.168.1.204")
NODES = "telco-multus"
"""The stack of the node groups."""


def nothing(_words: Sequence[str], _folder: Path, _piped: str) -> Answer:
    """Stand for a program that is not here."""
    return Answer()


class Cluster(Protocol):
    """What kubectl asks, and what runs in it."""

    @property
    def programs(self) -> Mapping[str, Program]:
        """Give kubectl, and whatever else asks it."""
        ...

    @property
    def zone(self) -> str:
        """Tell where the pod runs."""
        ...

    def takes(self, block: Block) -> None:
        """Hear what is typed next."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class StandIn(LabStage):
    """One Deployment with one replica, by a stand-in for Kubernetes: what needs more is checked."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._kubectl = Kubectl()
        self.programs: Mapping[str, Program] = {"kubectl": self._kubectl}

    def takes(self, block: Block) -> None:
        """Let what is for the lab have an effect."""
        self._kubectl.stage = self if block.needs == "everywhere" else None


OTHERS: Mapping[str, Program] = {"docker": nothing, "eksctl": nothing, "git": nothing, "helm": helm}


def lay_out(folder: Path) -> None:
    """Put the repository's deploy/ where the commands are typed."""
    shutil.copytree(ROOT / "deploy", folder / "work" / "deploy")


class Walker(Closing):
    """On the client of a world, which is the operator's machine and a peer at once."""

    def __init__(
        self,
        world: World,
        floating: tuple[str, ...],
        folder: Path,
        *,
        cluster: Callable[[World], Cluster] = StandIn,
    ) -> None:
        """Sit down with nothing done yet: no table has the tag.

        Args:
            world: where.
            floating: what the pod has, with prefix lengths.
            folder: to type in.
            cluster: makes what kubectl asks.
        """
        if shutil.which("ping") is None:
            without("ping is not installed: install iputils-ping")
        self.world = world
        self.floating = floating
        self.stage = cluster(world)
        self.aws = Aws(vpc=world.vpc, ec2=self._ec2, gone=self._gone)
        world.reach_from_outside(PEERS)
        world.probe(floating).close()  # which sets the peers' routes
        tag = "Key={},Value={}".format(*TAG)
        self.aws(["ec2", "delete-tags", "--resources", *world.tables, "--tags", tag], folder, "")
        lay_out(folder)
        self.terminal = Terminal(
            folder,
            {"aws": self.aws, **OTHERS, **self.stage.programs},
            popen=lambda argv, env, stdin, out: world.client.popen(
                argv, stdin=stdin, stdout=out, stderr=out, env=env
            ),
            environment=world.container_environment({}),
        )
        self.terminal.type(f'vipmanager() {{ {" ".join(VIPMANAGER)} "$@"; }}')

    def follow(
        self, blocks: list[Block], look: Callable[[Block, str], None] = lambda *_: None
    ) -> None:
        """Type blocks; `look` is called after each, with what it printed.

        What the lab can't do is checked and has no effect.
        """
        for block in blocks:
            if block.needs != "internet":
                self.stage.takes(block)
                look(block, self.terminal.type(block.text))

    def targets(self) -> set[str | None]:
        """Tell where all tables route the floating IPs."""
        world = self.world
        destinations = [world.destination(floating) for floating in self.floating]
        return {target for each in destinations for target in world.targets(each)}

    def close(self) -> None:
        """Leave."""
        self.terminal.close()
        self.stage.close()

    def _ec2(self, asked: Operation) -> Mapping[str, Any]:
        def call() -> Mapping[str, Any]:
            client = SESSION.create_client(
                "ec2",
                region_name=REGION,
                endpoint_url=self.world.environment["AWS_ENDPOINT_URL"],
                aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
                aws_secret_access_key="secret",
            )
            found: Mapping[str, Any] = getattr(client, asked.method)(**asked.parameters)
            client.close()
            return found

        return self.world.client.call(call)

    def _gone(self, stack: str) -> None:
        """Let the nodes end with their stack."""
        if stack == NODES:
            for node in self.world.nodes.values():
                for eni in node.secondary:
                    self.world.account.detach(eni)
