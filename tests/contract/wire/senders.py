"""Who writes to an EC2 with an address in each of two zones: simulated, and with packets."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Protocol

from simulation.aws import Ec2Client
from simulation.hub import Process, Task
from simulation.network import BACKED_OFF
from simulation.world import World
from vipmanager.core.actions import CreateRoute
from vipmanager.core.failures import Failure
from vipmanager.core.values import DesiredRoute, EniId, RouteTableId, VpcId
from vipmanager.edges.memory import MemoryFence
from vipmanager_lab.ec2.endpoint import Endpoint
from vipmanager_lab.faults import Hang
from vipmanager_lab.netns import Netns

PROGRAM = Path(__file__).with_name("sender.py")
ZONES = ("a", "b")
STS = "AssumeRoleWithWebIdentity"
BESIDE = 81
"""A port at which bytes arrive that nobody takes back."""


class Sender(Protocol):
    """One process with the edge, its link, and what EC2 got of it."""

    def read(self) -> None:
        """Read, which opens a connection."""
        ...

    def begin(self) -> None:
        """Begin a write; its fence stands."""
        ...

    def end_fence(self) -> None:
        """Let it stand no more."""
        ...

    def ended(self) -> str:
        """Wait for the write's end: `done`, or the kind of failure."""
        ...

    def kill(self) -> None:
        """SIGKILL."""
        ...

    def sent(self) -> None:
        """Wait until its bytes are on their way."""
        ...

    def connecting(self) -> None:
        """Wait until it tries to connect."""
        ...

    def cut(self, *zones: str) -> None:
        """Let nothing through to the addresses in these zones, without a sign."""
        ...

    def heal(self, *zones: str) -> None:
        """Undo that."""
        ...

    def heals_after(self, seconds: float) -> None:
        """Send something that the kernel keeps; heal later, until that has arrived."""
        ...

    def slow_credentials(self) -> None:
        """Let STS take its time."""
        ...

    def credentials(self) -> None:
        """Let them arrive."""
        ...

    def ready(self) -> None:
        """Wait until a connection waits for calls in each zone."""
        ...

    @property
    def arrived(self) -> int:
        """Writes that arrived so far."""
        ...


class Make(Protocol):
    """Makes a sender; with `spare`, one that keeps a second connection ready."""

    def __call__(self, *, spare: bool = False) -> Sender: ...


class Simulated:
    """In virtual time."""

    def __init__(self, *, spare: bool = False) -> None:
        self._world = world = World()
        self._process = Process(world.hub, world.nodes["c"].host)
        self._node = world.nodes["c"].host.name
        self._cloud = Ec2Client(world.ec2, self._process, "app", spare=spare)
        self._fence = MemoryFence()
        self._write: Task[str] | None = None
        self._sent = 0
        self.arrived = 0
        self._kept: list[float] = []
        world.network.sent.append(self._hear)
        world.ec2.asked.append(self._got)

    def read(self) -> None:
        self._cloud.route_tables([VpcId("vpc-1")])

    def begin(self) -> None:
        self._write = self._process.start("write", self._written)
        self._world.run(self._world.now)

    def end_fence(self) -> None:
        self._fence.standing = False

    def ended(self) -> str:
        assert self._write is not None
        return self._write.result()

    def kill(self) -> None:
        self._process.kill()

    def sent(self) -> None:
        assert self._world.hub.run(self._world.now + 1.0, lambda: self._sent)

    def connecting(self) -> None:
        self._world.run(self._world.now + 0.25)

    def cut(self, *zones: str) -> None:
        for zone in zones:
            self._world.network.close((self._node, f"ec2@{zone}"))

    def heal(self, *zones: str) -> None:
        for zone in zones:
            self._world.network.mend((self._node, f"ec2@{zone}"))

    def heals_after(self, seconds: float) -> None:
        world = self._world
        world.network.send(self._node, "ec2@a", 0.001, self._kept.append)
        world.run(world.now + seconds)
        self.heal(*ZONES)
        assert world.hub.run(world.now + BACKED_OFF, lambda: self._kept)
        world.run(world.now + BACKED_OFF)

    def slow_credentials(self) -> None:
        self._world.ec2.service.held_up[self._node] = 1.0

    def credentials(self) -> None:
        """They come by themselves, in a second."""

    def ready(self) -> None:
        assert self._cloud.ends == {f"ec2@{z}" for z in ZONES}

    def _written(self) -> str:
        table = self._world.ec2.state.tables[0].id
        try:
            self._cloud.write(_action(table, self._world.nodes["c"].eni(1)), self._fence)
        except Failure as failure:
            return type(failure).__name__
        return "done"

    def _hear(self, _node: str, kind: str) -> None:
        self._sent += kind == "write"

    def _got(self, _pod: str, _left: float) -> None:
        self.arrived += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    """EC2 behind a router: `ec2.test` has an address in each zone."""

    endpoint: Endpoint
    router: Netns
    server: Netns
    client: Netns
    beside: socket.socket
    """Listens at `BESIDE`, at every address."""
    table: str
    eni: str

    def cut(self, zone: str) -> None:
        self.router.ip_batch([f"route replace blackhole {address(zone)}"])

    def heal(self, zone: str) -> None:
        self.router.ip_batch([f"route replace {address(zone)} via 10.9.3.2"])


def address(zone: str) -> str:
    return {"a": "10.9.1.1", "b": "10.9.2.1"}[zone]


def _action(table: str, eni: str) -> CreateRoute:
    return CreateRoute(
        steer=DesiredRoute(
            table=RouteTableId(table), destination=ip_network("192.168.0.1/32"), eni=EniId(eni)
        ),
        reason="test",
    )


class Real:
    """A process with the edge that ships, in a namespace."""

    def __init__(self, far: Far, folder: Path, *, spare: bool = False) -> None:
        self._far = far
        hosts, token = folder / "hosts", folder / "token"
        hosts.write_text("".join(f"{address(z)} ec2.test\n" for z in ZONES))
        token.write_text("a token")
        aws = {
            "AWS_ENDPOINT_URL": "http://ec2.test",
            "AWS_REGION": "eu-central-1",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_ROLE_ARN": "arn:aws:iam::210987654321:role/vip",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        arguments = f"{sys.executable} {PROGRAM} {far.table} {far.eni} {'spare' * spare}"
        command = f"mount --bind {hosts} /etc/hosts && exec {arguments}"
        self._process = far.client.popen(
            ["unshare", "--mount", "sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=kept | aws,
        )
        self._beside: socket.socket | None = None
        self._taken: socket.socket | None = None
        self._hear("ready")

    def read(self) -> None:
        self._say("read")
        self._hear("read")
        if self._beside is None:
            there = address("a"), BESIDE
            self._beside = self._far.client.call(lambda: socket.create_connection(there))
            self._taken, _ = self._far.beside.accept()

    def begin(self) -> None:
        self._say("write")

    def end_fence(self) -> None:
        self._say("break the fence")
        self._hear("broken")

    def ended(self) -> str:
        return self._line().partition(":")[0]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it."""
        self.kill()
        for end in (self._process.stdin, self._process.stdout, self._beside, self._taken):
            if end is not None:
                end.close()

    def sent(self) -> None:
        self._wait(lambda: any(queued for _, queued in self._sockets()))

    def connecting(self) -> None:
        self._wait(lambda: any(state == "02" for state, _ in self._sockets()))

    def cut(self, *zones: str) -> None:
        for zone in zones:
            self._far.cut(zone)

    def heal(self, *zones: str) -> None:
        for zone in zones:
            self._far.heal(zone)

    def heals_after(self, seconds: float) -> None:
        assert self._beside is not None
        assert self._taken is not None
        self._beside.sendall(b"kept")
        self._beside.close()
        time.sleep(seconds)
        self.heal(*ZONES)
        self._taken.settimeout(60.0)
        assert self._taken.recv(4) == b"kept"
        self._wait(lambda: not any(queued for _, queued in self._sockets()), 60.0)
        time.sleep(0.5)  # for EC2, to hear of it; that nothing comes can't be waited for

    def slow_credentials(self) -> None:
        self._far.endpoint.faults.inject(STS, Hang())

    def credentials(self) -> None:
        self._far.endpoint.faults.await_hang()
        self._far.endpoint.faults.release_hangs()

    @property
    def arrived(self) -> int:
        return len(self._far.endpoint.calls_of("CreateRoute"))

    def ready(self) -> None:
        self._wait(lambda: len([state for state, _ in self._sockets() if state == "01"]) > 1)

    def _sockets(self) -> list[tuple[str, bool]]:
        """Give the state of each, and whether something is not acknowledged (proc(5), net/tcp)."""
        text = self._far.client.call(lambda: Path("/proc/thread-self/net/tcp").read_text())
        rows = [line.split() for line in text.splitlines()[1:]]
        to_ec2 = [r for r in rows if r[2].endswith(":0050")]
        return [(r[3], int(r[4].partition(":")[0], 16) > 0) for r in to_ec2]

    def _wait(self, met: Callable[[], object], seconds: float = 10.0) -> None:
        until = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < until

    def _say(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n".encode())
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def _hear(self, expected: str) -> None:
        said = self._line()
        assert said == expected, said
