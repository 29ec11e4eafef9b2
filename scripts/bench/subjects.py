"""Who is measured, and how each is started to do the same work."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vipmanager.edges.aws.session import MODELS
from vipmanager_lab.world import REGION, TAG

HERE = Path(__file__).parent

OPEN = "10000/10000"
"""Where the lab's EC2 has no rate limit the agent gets none: else 50 tables measure the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The work: these routes, in a pod with these interfaces."""

    verb: str
    """`CreateRoute` or `ReplaceRoute`."""
    routes: Sequence[tuple[str, str, str]]
    """Table, destination, ENI."""
    floating: Sequence[str]
    peers: Mapping[str, str]
    rate: str = OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A program that does a job."""

    name: str
    most_tables: int = 1000
    """Slow ones are spared the rest."""
    runs: int = 100
    creates: bool = True
    """Whether it can create a route that is absent."""
    kind: str = "agent"
    command: str = ""

    def start(self, job: Job) -> tuple[list[str], dict[str, str]]:
        """Give the command line and the environment of one run."""
        match self.kind:
            case "agent":
                return [sys.executable, "-m", "vipmanager", "run"], _config(job)
            case "floor":
                verb = {"CreateRoute": "create_route", "ReplaceRoute": "replace_route"}[job.verb]
                return _fed(
                    job, [sys.executable, str(HERE / "floor.py"), verb, str(MODELS), REGION]
                )
            case "raw floor":
                argv = [sys.executable, str(HERE / "raw_floor.py"), job.verb, REGION]
                # It signs with keys of its own; the others find the role's.
                return _fed(job, argv)[0], {
                    "AWS_ACCESS_KEY_ID": "AKIALAB",
                    "AWS_SECRET_ACCESS_KEY": "lab",
                }
            case "aws loop":
                return ["sh", "-ec", _aws_loop(self.command, job)], {}
            case "pacemaker":
                return ["sh", "-ec", _pacemaker(self.command, job)], {}
            case _:
                return shlex.split(self.command), _config(job)


def _config(job: Job) -> dict[str, str]:
    return {"VPCRTTag": "=".join(TAG), "ApiRate": job.rate, **job.peers}


def _fed(job: Job, argv: list[str]) -> tuple[list[str], dict[str, str]]:
    lines = "".join(" ".join(route) + "\n" for route in job.routes)
    return ["sh", "-ec", f"exec {shlex.join(argv)} <<'END'\n{lines}END"], {}


def _aws_loop(aws: str, job: Job) -> str:
    verb = {"CreateRoute": "create-route", "ReplaceRoute": "replace-route"}[job.verb]
    return "\n".join(
        f"{aws} ec2 {verb} --route-table-id {table} --destination-cidr-block {destination} "
        f"--network-interface-id {eni}"
        for table, destination, eni in job.routes
    )


def _pacemaker(root: str, job: Job) -> str:
    """Start one resource per floating IP, side by side, as a cluster would."""
    tables = ",".join(dict.fromkeys(table for table, _, _ in job.routes))
    script = [
        f"export OCF_ROOT={root}/usr/lib/ocf PATH={root}/bin:$PATH",
        f"export OCF_FUNCTIONS_DIR={root}/usr/lib/ocf/lib/heartbeat HA_RSCTMP=/run",
        "printf '[default]\\n' > /run/aws-config; export AWS_CONFIG_FILE=/run/aws-config",
        "export __OCF_ACTION=start OCF_RESKEY_CRM_meta_timeout=180000",
    ]
    for number, floating in enumerate(job.floating, start=1):
        address = floating.partition("/")[0]
        settings = {
            "OCF_RESOURCE_INSTANCE": f"vip{number}",
            "OCF_RESKEY_ip": address,
            "OCF_RESKEY_interface": f"net{number}",
            "OCF_RESKEY_routing_table": tables,
            "OCF_RESKEY_region": REGION,
            "OCF_RESKEY_lookup_type": "NetworkInterfaceId",
            "OCF_RESKEY_awscli": f"{root}/bin/aws",
            "OCF_RESKEY_profile": "default",
            "OCF_RESKEY_auth_type": "role",
        }
        words = " ".join(f"{k}={shlex.quote(v)}" for k, v in settings.items())
        agent = f"{root}/usr/lib/ocf/resource.d/heartbeat/aws-vpc-move-ip"
        # It refuses an address that is there already, and adds it itself.
        script.append(f"ip addr del {floating} dev net{number} || true")
        script.append(f"( {words} {agent} start ) &")
    return "\n".join([*script, "wait"])
