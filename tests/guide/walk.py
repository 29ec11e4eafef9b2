"""Somebody who follows a document in the lab, with the programs that they have."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.rendered import without
from guide.aws import Aws
from guide.kubectl import Kubectl, helm
from guide.pages import ROOT, Block
from guide.stage import VIPMANAGER, LabStage
from guide.terminal import Answer, Program, Terminal
from guide.words import SESSION, Operation
from vipmanager.lab.closing import Closing
from vipmanager.lab.world import REGION, TAG, World

PEERS = ("10.10.10.48", "192.168.1.204")
NODES = "telco-multus"
"""The stack of the node groups."""


def nothing(_words: Sequence[str], _folder: Path) -> Answer:
    """Stand for a program that is not here."""
    return Answer()


OTHERS: Mapping[str, Program] = {"docker": nothing, "eksctl": nothing, "git": nothing, "helm": helm}


def lay_out(folder: Path) -> None:
    """Put the repository's deploy/ where the commands are typed."""
    shutil.copytree(ROOT / "deploy", folder / "work" / "deploy")


class Walker(Closing):
    """On the client of a world, which is the operator's machine and a peer at once."""

    def __init__(self, world: World, floating: tuple[str, ...], folder: Path) -> None:
        """Sit down with nothing done yet: no table has the tag."""
        if shutil.which("ping") is None:
            without("ping is not installed: install iputils-ping")
        self.world = world
        self.floating = floating
        self.stage = LabStage(world)
        self.aws = Aws(vpc=world.vpc, ec2=self._ec2, gone=self._gone)
        self.kubectl = Kubectl()
        world.reach_from_outside(PEERS)
        world.probe(floating).close()  # which sets the peers' routes
        tag = "Key={},Value={}".format(*TAG)
        self.aws(["ec2", "delete-tags", "--resources", *world.tables, "--tags", tag], folder)
        lay_out(folder)
        self.terminal = Terminal(
            folder,
            {"aws": self.aws, "kubectl": self.kubectl, **OTHERS},
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
                self.kubectl.stage = self.stage if block.needs == "lab" else None
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
