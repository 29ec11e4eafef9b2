"""`vipmanager lab`: the demo's world at a prompt, with faults on command."""

import argparse
import cmd
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

from vipmanager.cli.command import Commands, add_command
from vipmanager.lab import sandbox

if TYPE_CHECKING:
    from vipmanager.lab.world import World

_EPILOG = """\
examples:
  vipmanager lab --tables 10
  printf 'pod a\\nsidecar\\nsteal 3 b\\nwait 12\\nshow\\n' | vipmanager lab
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "lab",
        summary="the demo's world at a prompt, with faults on command",
        description="A VPC on this machine to try things in; `help` lists the commands.",
        examples=_EPILOG,
    )
    parser.add_argument("--tables", type=int, default=4, help="route tables [4]")
    parser.add_argument("--latency-ms", type=float, default=80, help="of every EC2 call [80]")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read commands until the end of input."""
    if not sandbox.inside():
        sandbox.enter([sys.executable, "-m", "vipmanager", *sys.argv[1:]])
    from vipmanager.lab.world import World  # noqa: PLC0415 - needs the extra `lab`

    with World(tables=max(1, arguments.tables), latency=arguments.latency_ms / 1000) as world:
        prompt = Prompt(world)
        prompt.prompt = "lab> " if sys.stdin.isatty() else ""
        prompt.cmdloop()
    return prompt.code


class Prompt(cmd.Cmd):
    """One method a command; its docstring is its help."""

    intro = "A VPC with two zones and a client. `help` lists the commands, `quit` ends it."

    def __init__(self, world: "World") -> None:
        super().__init__()
        self.code = 0
        self._world = world
        self._pods: list[str] = []
        self._floating = world.floating()

    def onecmd(self, line: str) -> bool:
        """Run one line; say what is wrong with it in one line."""
        try:
            return bool(super().onecmd(line))
        except (KeyError, IndexError, ValueError, AssertionError, RuntimeError) as error:
            self.code = 1
            name = line.split(maxsplit=1)[0] if line.split() else ""
            print(f"{name}: {str(error) or 'not understood'}; try `help {name}`", file=sys.stderr)
            return False

    def emptyline(self) -> bool:
        """Do nothing."""
        return False

    def default(self, _line: str) -> None:
        """Name an unknown command."""
        raise ValueError("no such command")

    def do_EOF(self, _: str) -> bool:  # noqa: N802 - how cmd calls the end of input
        """End the lab."""
        return True

    def do_pod(self, zone: str) -> None:
        """Start a pod in a zone, a or b, with the application in it: pod a."""
        name = f"pod-{len(self._pods) + 1}"
        netns = self._world.start_pod(name, zone or "a", self._floating)
        self._world.application(netns, self._floating)
        self._pods.append(name)
        print(f"{name} in zone {zone or 'a'} with {', '.join(self._floating)}")

    def do_init(self, config: str) -> None:
        """Run the agent as initContainer in the newest pod: init [KEY=VALUE ...]."""
        code = self._agent(config, "False").wait(120)
        print(f"exit code {code}")

    def do_sidecar(self, config: str) -> None:
        """Run the agent as sidecar in the newest pod: sidecar [KEY=VALUE ...]."""
        self._agent(config, "True").wait_for(lambda r: r["event"] in {"converged", "finding"})

    def _agent(self, config: str, sidecar: str) -> Any:  # noqa: ANN401 - a lab process
        if not self._pods:
            raise ValueError("there is no pod yet")
        settings = {
            "VPCRTTag": "role=vip",
            "RunAsSidecar": sidecar,
            "ResyncSeconds": "2",
            **self._world.peers(),
            **dict(word.split("=", 1) for word in shlex.split(config)),
        }
        netns = self._world.network.pod(self._pods[-1]).netns
        return self._world.agent(netns, settings, heard=lambda r: print(f"  {r.get('text', r)}"))

    def do_show(self, _: str) -> None:
        """Show where every route table points each floating IP."""
        zones = {e: n.zone for n in self._world.nodes.values() for e in n.secondary}
        for number, table in enumerate(self._world.tables):
            targets = (
                self._world.target(table, self._world.destination(f)) for f in self._floating
            )
            told = "  ".join(f"{t} (zone {zones.get(t, '?')})" if t else "none" for t in targets)
            print(f"{number:>3} {table}  {told}")

    def do_fail(self, zone: str) -> None:
        """Lose a zone: fail a."""
        self._world.fail_zone(zone)

    def do_heal(self, zone: str) -> None:
        """Let packets flow again: heal a."""
        self._world.network.restore(zone)

    def do_steal(self, words: str) -> None:
        """Point the first floating IP elsewhere in a table: steal NUMBER ZONE."""
        number, zone = words.split()
        eni = self._world.nodes[zone].secondary[0]
        destination = self._world.destination(self._floating[0])
        self._world.account.put_route(self._world.tables[int(number)], destination, eni)

    def do_drop(self, number: str) -> None:
        """Delete the first floating IP's route from a table: drop NUMBER."""
        destination = self._world.destination(self._floating[0])
        self._world.account.drop_route(self._world.tables[int(number)], destination)

    def do_deny(self, number: str) -> None:
        """Deny route writes to a table: deny NUMBER."""
        for action in ("CreateRoute", "ReplaceRoute"):
            self._world.faults.deny(action, self._world.tables[int(number)])

    def do_latency(self, milliseconds: str) -> None:
        """Let every EC2 call take so long: latency 80."""
        self._world.faults.latency = float(milliseconds) / 1000

    def do_throttle(self, _: str) -> None:
        """Limit EC2 calls as EC2 does: 50 route writes at once, then 5 a second."""
        self._world.faults.ec2_buckets()

    def do_stale(self, seconds: str) -> None:
        """Let readings lag behind writes: stale 3."""
        self._world.faults.stale_reads(seconds=float(seconds))

    def do_cut(self, _: str) -> None:
        """Make the EC2 API unreachable."""
        from vipmanager.lab.ec2.faults import Unreachable  # noqa: PLC0415 - the lab is loaded

        self._world.faults.unreachable = Unreachable.CLOSES

    def do_clear(self, _: str) -> None:
        """End every fault of the EC2 API."""
        self._world.faults.clear()

    def do_calls(self, _: str) -> None:
        """Count the EC2 calls so far."""
        for action, count in sorted(self._world.endpoint.counts().items()):
            print(f"{count:>5} {action}")

    def do_probe(self, seconds: str) -> None:
        """Probe the floating IPs from the client for so long: probe 3."""
        prober = self._world.probe(self._floating)
        time.sleep(float(seconds or 3))
        prober.signal(15)
        prober.wait()
        for final in (r for r in prober.records if r["event"] == "final"):
            print(f"{final['address']}: {final['answered']} of {final['sent']} answered")

    def do_in(self, words: str) -> None:
        """Run a command in a pod: in pod-1 ip route."""
        name, *argv = shlex.split(words)
        print(self._world.network.pod(name).netns.run(argv), end="")

    def do_wait(self, seconds: str) -> None:
        """Wait: wait 10."""
        time.sleep(float(seconds))

    def do_quit(self, _: str) -> bool:
        """End the lab."""
        return True
