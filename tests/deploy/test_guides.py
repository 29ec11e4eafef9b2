"""README and the pages of docs/ that people follow: what they tell people to type works."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent_fixtures import converged
from deploy.rendered import OVERLAYS
from deploy.stacks import cloud, decided, template
from guide.aws import Aws
from guide.failover import FLOATING, GUIDE, follow
from guide.kubectl import Kubectl
from guide.pages import NEEDS, PAGES, ROOT, Block, UnmarkedError, blocks, parse, text
from guide.stage import VIPMANAGER
from guide.terminal import Program, Terminal
from guide.walk import OTHERS, Walker, lay_out, nothing
from guide.words import WrongCommandError, operation
from vipmanager.cli import main
from vipmanager_lab.world import World

ALL = [block for page in PAGES for block in blocks(page)]
MADE = {"deploy/mine", "deploy/mine/kustomization.yaml", "deploy/mine/values.yaml"}
"""What the commands themselves make."""


# --- what can be told by looking ---------------------------------------------------------------


FOLLOWED = {"docs/deploy.md", "docs/migrate.md"}
"""Pages that the tests below follow in the lab, from the first command to the last."""


def test_what_is_to_be_typed_everywhere_is_typed_here() -> None:
    assert {block.page for block in ALL if block.needs == "everywhere"} == FOLLOWED
    assert {block.needs for block in GUIDE} == set(NEEDS) - {"here"}


@pytest.mark.parametrize("body", ["```sh\nls\n```\n", "```\n# AWS, at home\nls\n```\n"])
def test_a_block_without_a_mark_is_found(body: str) -> None:
    with pytest.raises(UnmarkedError, match=r"page\.md:3: expected a first line"):
        parse("page.md", f"# Page\n\n{body}")


@pytest.mark.parametrize("block", ALL, ids=str)
def test_bash_can_read_it(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_it_names_is_there(page: str) -> None:
    names = set(re.findall(r"(?<![\w/.-])(?:deploy|docs|scripts)/[\w./-]*\w", text(page)))
    assert [name for name in sorted(names - MADE) if not (ROOT / name).exists()] == []


def test_the_guide_explains_its_marks_and_names_every_overlay() -> None:
    guide = text("docs/deploy.md")
    assert [need for need in NEEDS if f"| `# {need}` |" not in guide] == []
    assert [name for name in OVERLAYS if f"`{name}`" not in guide] == []


# --- what can be told by typing ----------------------------------------------------------------


def _commands(block: Block) -> Iterator[list[str]]:
    """Give the words of each `vipmanager ...`, with every variable as a likely value."""
    likely = {"VPC": "vpc-1", "FLOATING_IP1": "192.168.0.1", "FLOATING_IP2": "192.168.0.2"}
    whole = block.text.replace("\\\n", " ")
    for line in re.findall(r"(?m)(?:^|-- |\.venv/bin/)vipmanager (.*)$", whole):
        filled = re.sub(r'"\$(\w+)"', lambda it: likely[it[1]], line)
        yield filled.partition(" >")[0].split()
    for words in re.findall(r"(?m)^make demo ARGS='(.*)'$", whole):
        yield ["demo", *words.split()]


@pytest.mark.parametrize(
    "words", [words for block in ALL for words in _commands(block)], ids=" ".join
)
def test_vipmanager_understands_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([words[0], "--help"])
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    assert [word for word in words if word.startswith("--") and word not in said.out] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_in_its_sentences_are_there(page: str) -> None:
    help_text = subprocess.run(
        [*VIPMANAGER, "--help"], capture_output=True, text=True, check=True
    ).stdout
    named = set(re.findall(r"`vipmanager ([a-z]+)", text(page)))
    assert [name for name in sorted(named) if not re.search(rf"(?m)^ +{name}\b", help_text)] == []
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake ([a-z-]+)`", text(page)))
    assert [it for it in sorted(targets) if not re.search(rf"(?m)^{it}:", makefile)] == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("ec3 describe-subnets", "no such service"),
        ("ec2 describe-subnet", "no such command"),
        ("ec2 describe-subnets --filter Name=vpc-id,Values=a", "no option --filter"),
        ("ec2 describe-subnets --filters Nome=vpc-id,Values=a", "Filter has no Nome"),
        ("ec2 create-subnet --cidr-block 10.0.0.0/24", "VpcId"),
    ],
)
def test_a_wrong_aws_command_is_found(words: str, complaint: str) -> None:
    with pytest.raises(WrongCommandError, match=complaint):
        operation(words.split())


def test_shorthand_is_read_as_the_aws_cli_reads_it() -> None:
    words = "ec2 authorize-security-group-ingress --ip-permissions"
    asked = operation([*words.split(), "IpProtocol=-1,IpRanges=[{CidrIp=10.0.0.1/32}]"])
    assert asked.parameters == {
        "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.1/32"}]}]
    }
    asked = operation(["ec2", "describe-subnets", "--filters", "Name=vpc-id,Values=a,b"])
    assert asked.parameters == {"Filters": [{"Name": "vpc-id", "Values": ["a", "b"]}]}


def test_make_knows_what_it_is_told_here() -> None:
    typed = [
        line
        for block in ALL
        if block.needs == "here"
        for line in block.text.splitlines()
        if line.startswith("make ")
    ]
    assert typed
    for line in typed:
        done = subprocess.run(
            ["bash", "-c", line.replace("make ", "make --dry-run ", 1)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.mark.parametrize("page", sorted(set(PAGES) - FOLLOWED))
def test_each_command_for_aws_and_a_cluster_is_one(page: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    programs: dict[str, Program] = {
        "aws": Aws(vpc="vpc-1", answers=False),
        "kubectl": Kubectl(),
        "vipmanager": nothing,
        "jq": nothing,
        **OTHERS,
    }
    with Terminal(tmp_path, programs) as terminal:
        for block in blocks(page):
            if block.needs in {"AWS", "cluster"}:
                named = set(re.findall(r"\$\{?([A-Z][A-Z_0-9]*)", block.text))
                terminal.type("\n".join(f": ${{{name}:=x-1}}" for name in sorted(named)))
                terminal.type(f"( {block.text}\n)")


STACKS = ("docs/start.md", "docs/deploy.md", "docs/migrate.md")
"""Pages that create stacks."""


@pytest.mark.parametrize("page", STACKS)
def test_the_stacks_are_created_as_they_are_typed(page: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    with cloud() as it:
        real = {
            "VpcId": it.vpc,
            "ClusterControlPlaneSecurityGroup": it.control_plane,
            "EniSecurityGroups": it.control_plane,
            "Zone1NodeSubnet": it.subnets["a0"],
            "Zone1EniSubnets": f"{it.subnets['a1']},{it.subnets['a2']}",
            "Zone2NodeSubnet": it.subnets["b0"],
            "Zone2EniSubnets": f"{it.subnets['b1']},{it.subnets['b2']}",
            "CreateAccessEntry": "false",  # moto does not know AWS::EKS::AccessEntry
        }
        aws = Aws(vpc=it.vpc, answers=page in FOLLOWED)
        programs: dict[str, Program] = {
            "aws": aws,
            "kubectl": Kubectl(),
            "vipmanager": nothing,
            **OTHERS,
        }
        with Terminal(tmp_path, programs) as terminal:
            # What the blocks for the lab leave, which are not typed here.
            terminal.type("PEERS_GROUP=sg-1 ENI_SUBNETS1=subnet-1 ENI_SUBNETS2=subnet-2")
            terminal.type("mkdir deploy/mine")
            for block in blocks(page):
                if block.needs in {"AWS", "Docker", "cluster"} or "CLUSTER=" in block.text:
                    terminal.type(block.text)
        assert aws.stacks
        for stack in aws.stacks:
            given = dict(stack.parameters) | {
                key: value
                for key, value in real.items()
                if key in template(stack.template)["Parameters"]
            }
            it.create(stack.name, _for_moto(stack.template, given), **given)


def _for_moto(name: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Give a template without what moto does not know."""
    body = template(name)
    if name == "agent-role":
        wishes = {
            "MayCleanUp": given.get("AllowCleanup") == "true",
            "MaySwitchCheck": False,
            "MaySeeShifts": False,
            "HasRouteRole": False,
        }
        body = decided(body, wishes)
    body["Resources"] = {
        key: it
        for key, it in body["Resources"].items()
        if not it["Type"].startswith(("Custom::", "AWS::EKS::"))
    }
    return body


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_following_the_guide_leads_to_a_failover_and_back_to_nothing(
    overlay: str, tmp_path: Path
) -> None:
    follow(overlay, tmp_path)


def test_a_pod_of_the_sample_goes_on_with_the_new_image_and_no_route_changes(
    tmp_path: Path,
) -> None:
    floating = FLOATING["nonvpc"]
    sample = {
        "Intf1Peers": "10.10.10.48,10.0.0.0/24",
        "Intf2Peers": "192.168.1.204",
        "VPCRTTag": "ALL",
        "RunAsSidecar": "True",
        "SubnetBasedLoopbacks": "False",
    }
    with World() as world, Walker(world, floating, tmp_path) as walker:
        enis = world.nodes["a"].secondary
        for address, eni in zip(floating, enis, strict=True):
            for table in world.tables:
                world.account.put_route(table, world.destination(address), eni)
        shown: list[str] = []

        def look(block: Block, printed: str) -> None:
            if "VPC=" in block.text:
                walker.terminal.type(f"VPC={world.vpc}")
            elif "vipmanager status" in block.text:
                shown.append(printed)

        walker.follow(blocks("docs/migrate.md"), look)
        assert all(eni in shown[0] for eni in enis)
        pod = world.start_pod("pod", "a", floating)
        args = ["/bin/sh", "-c", "/app/script.sh"]
        for config in (sample, {**sample, "VPCRTTag": "role=vip", "UseSBR": "True"}):
            agent = world.agent(pod, config, argv=[*VIPMANAGER, *args])
            agent.wait_for(converged)
            agent.close()
        assert world.writes() == 0
        assert walker.targets() == set(enis)
