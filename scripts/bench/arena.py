"""The place where subjects are measured: one lab world, a new pod for every run."""

import datetime as dt
import os
import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from subjects import Job, Subject

from vipmanager_lab.netns import Netns
from vipmanager_lab.process import Process
from vipmanager_lab.services import EC2_NAME
from vipmanager_lab.world import World

WRITES = {"CreateRoute", "ReplaceRoute"}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run."""

    seconds: float
    """From the start of the process to the answer to its last route write (or last read)."""
    cpu: float
    """Seconds of processor time, of the process and what it ran."""
    memory: int
    """Bytes that its largest process had at most."""
    writes: int
    calls: dict[str, int] = field(default_factory=dict)


class Arena:
    """Runs subjects in one world."""

    def __init__(self, world: World, scratch: Path) -> None:
        self.world = world
        self._scratch = scratch
        self._pods = 0

    def job(self, what: str, *, floating: int = 2, rate: str | None = None) -> Job:
        """Prepare the route tables for a job, and describe it."""
        chosen = self.world.floating()[:floating]
        for table in self.world.tables:
            for destination, _ in self._routes(chosen, "a"):
                if self.world.target(table, destination) is not None:
                    self.world.account.drop_route(table, destination)
        zone = {"failover": "b", "correct world": "a"}.get(what)
        if zone is not None:
            for table in self.world.tables:
                for destination, eni in self._routes(chosen, zone):
                    self.world.account.put_route(table, destination, eni)
        self.world.settle()
        self.world.endpoint.clear_calls()
        job = Job(
            verb="CreateRoute" if what == "cold start" else "ReplaceRoute",
            routes=[
                (table, destination, eni)
                for table in self.world.tables
                for destination, eni in self._routes(chosen, "a")
            ],
            floating=chosen,
            peers=self.world.peers(),
        )
        return job if rate is None else replace(job, rate=rate)

    def run(self, subject: Subject, job: Job) -> Sample:
        """Run a subject once.

        Raises:
            RuntimeError: it failed, or did not move every route.
        """
        pod, name = self._pod(job)
        argv, environ = subject.start(job)
        usage = self._scratch / "usage"
        timed = ["/usr/bin/time", "--quiet", "-f", "%U %S %M", "-o", str(usage), *argv]
        if subject.kind in {"agent", "peer"}:
            process = self.world.agent(pod, environ, argv=timed)
        else:
            env = self._environment() | environ
            process = self.world.run(pod, timed, env=env, stream="stderr")
        code = process.wait(300)
        user, system, kilobytes = usage.read_text().split()[-3:]
        calls = self.world.endpoint.calls
        self.world.kill_pod(name)
        wrong = [r for r in job.routes if self.world.target(r[0], r[1]) != r[2]]
        if code or wrong:
            raise RuntimeError(
                f"{subject.name}: exit code {code}, {len(wrong)} routes not moved\n"
                + "\n".join(process.text[-12:])
            )
        written = [c.finish for c in calls if c.action in WRITES and c.error is None]
        return Sample(
            seconds=max(written or [c.finish for c in calls]) - process.started,
            cpu=float(user) + float(system),
            memory=int(kilobytes) * 1024,
            writes=len(written),
            calls=dict(sorted(self.world.endpoint.counts().items())),
        )

    def rest(self, seconds: float) -> dict[str, float]:
        """Measure a sidecar that has nothing to do."""
        job = self.job("cold start")
        pod, name = self._pod(job)
        agent = self._sidecar(pod, job)
        proc = Path(f"/proc/{agent.pid}")
        before, calls = _ticks(proc), len(self.world.endpoint.calls)
        children: set[str] = set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.5)
            now = set((proc / f"task/{agent.pid}/children").read_text().split())
            lasting = children & now
            children = now
            if lasting:
                raise RuntimeError(f"a sidecar at rest has lasting children: {lasting}")
        result = {
            "seconds": seconds,
            "cpu share": (_ticks(proc) - before) / TICKS / seconds,
            "memory": float(_resident(proc)),
            "calls": float(len(self.world.endpoint.calls) - calls),
        }
        self.world.kill_pod(name)
        return result

    def event(self, runs: int) -> list[float]:
        """Measure from a new address on an interface to its last route, in a sidecar."""
        job = self.job("cold start")
        pod, name = self._pod(job)
        agent = self._sidecar(pod, job)
        samples = []
        for number in range(10, 10 + runs):
            seen = len(agent.records)
            self.world.endpoint.clear_calls()
            began = time.monotonic()
            pod.ip_batch([f"addr add 192.168.0.{number}/24 dev net1"])
            agent.wait_for(lambda r: r["event"] == "converged", since=seen)
            written = [c.finish for c in self.world.endpoint.calls if c.action in WRITES]
            samples.append(max(written) - began)
        self.world.kill_pod(name)
        return samples

    def _sidecar(self, pod: Netns, job: Job) -> Process:
        _, environ = Subject(name="agent").start(job)
        agent = self.world.agent(pod, {**environ, "RunAsSidecar": "True"})
        agent.wait_for(lambda r: r["event"] == "converged")
        return agent

    def _pod(self, job: Job) -> tuple[Netns, str]:
        self._pods += 1
        name = f"pod{self._pods}"
        return self.world.start_pod(name, "a", job.floating), name

    def _routes(self, floating: tuple[str, ...], zone: str) -> Iterator[tuple[str, str]]:
        for address, eni in zip(floating, self.world.nodes[zone].secondary, strict=False):
            yield self.world.destination(address), eni

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "AWS_DEFAULT_REGION": self.world.account.region,
            **self.world.environment,
        }


def _ticks(proc: Path) -> int:
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def _resident(proc: Path) -> int:
    for line in (proc / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for the lab's endpoint; give the server's context and the bundle."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, EC2_NAME)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(EC2_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, secret = folder / "bundle.pem", folder / "key.pem"
    bundle.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, secret)
    return context, bundle


def scratch() -> Path:
    """Give a folder that goes with the sandbox."""
    return Path(tempfile.mkdtemp(prefix="bench", dir="/run"))
