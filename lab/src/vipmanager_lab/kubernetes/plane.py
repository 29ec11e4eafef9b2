"""The real control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.

All of them run on loopback, with certificates of one authority. Who calls from elsewhere comes
through the lab's endpoint, as through a load balancer (`cluster.py`).
"""

import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from vipmanager_lab.closing import Closing
from vipmanager_lab.kube.certificates import Authority
from vipmanager_lab.kubernetes.api import Api, ApiError
from vipmanager_lab.kubernetes.assets import Assets
from vipmanager_lab.kubernetes.processes import Component

LOCAL = IPv4Address("127.0.0.1")
SERVICES = "172.20.0.0/16"
"""Of the ClusterIPs; its first address is the API's (`services.CLUSTER_IP`)."""
FIRST = IPv4Address("172.20.0.1")
ADMINS = ("system:masters",)
_START = 90.0
"""Seconds that each may take; some seconds are usual."""
_LOOK = 0.05


class Plane(Closing):
    """One cluster without nodes."""

    def __init__(self, assets: Assets, *, flags: Sequence[str] = ()) -> None:
        """Start it, and wait until it serves.

        Args:
            assets: the binaries.
            flags: of kube-apiserver, beside the lab's own.

        Raises:
            ProcessError: one of them does not start.
        """
        self._assets = assets
        self.folder = Path(tempfile.mkdtemp(prefix="kubernetes-"))
        self._apis: list[Api] = []
        self._etcd_ports, self._port = _free_ports(2), _free_ports(1)[0]
        self.url = f"https://{LOCAL}:{self._port}"
        self.authority = self.folder / "ca.crt"
        """Who signs: what clients verify the API with."""
        self._signers = [Authority()]
        self._write_certificates()
        self._write_service_account_key()
        log = self.folder
        self.etcd = Component("etcd", log, ready=lambda: _connects(self._etcd_ports[0]))
        self.apiserver = Component("kube-apiserver", log, ready=self._serves)
        self.controllers = Component("kube-controller-manager", log, ready=lambda: True)
        self.scheduler = Component("kube-scheduler", log, ready=lambda: True)
        self.etcd.argv = self._etcd()
        self.apiserver.argv = [*self._apiserver(), *flags]
        self.controllers.argv = self._controllers()
        self.scheduler.argv = self._scheduler()
        try:
            self.admin = self.api("admin", ADMINS)
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def components(self) -> tuple[Component, ...]:
        """All four, in the order in which they start."""
        return self.etcd, self.apiserver, self.controllers, self.scheduler

    @property
    def port(self) -> int:
        """Where the API is, on loopback."""
        return self._port

    def start(self) -> None:
        """Start what does not run, and wait until the API is ready.

        Raises:
            ProcessError: one of them does not start.
        """
        self.etcd.start()
        self.etcd.await_ready(_START)
        self.start_apiserver()
        for one in (self.controllers, self.scheduler):
            one.start()
            one.await_ready(_START)

    def start_apiserver(self) -> None:
        """Start the API server, and wait until it is ready, with its RBAC.

        A controller manager that loses the API while it starts ends itself. As a node's kubelet
        does, this starts again what has ended so.

        Raises:
            ProcessError: it does not start.
        """
        self.apiserver.start()
        self.apiserver.await_ready(_START)
        for one in (self.controllers, self.scheduler):
            if one.crashed:
                one.start()

    def control_with(self, *flags: str) -> None:
        """Restart kube-controller-manager with these flags beside the lab's own."""
        self.controllers.stop()
        self.controllers.argv = [*self._controllers(), *flags]
        self.controllers.start()

    def close(self) -> None:
        """Kill all of them, and remove what they stored."""
        for api in self._apis:
            api.close()
        for one in reversed(self.components):
            one.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def api(self, user: str, groups: Sequence[str] = ()) -> Api:
        """Give somebody's access, by a certificate of their own; it is closed with the plane."""
        made = Api(self.url, authority=self.authority, certificate=self._user(user, groups))
        self._apis.append(made)
        return made

    def server(self, addresses: Sequence[IPv4Address | IPv6Address]) -> ssl.SSLContext:
        """Give the context of one who serves in the API's place, as a load balancer does."""
        return self._signers[-1].server(addresses)

    def kubeconfig(
        self, user: str, groups: Sequence[str] = (), *, namespace: str = "default"
    ) -> Path:
        """Write what kubectl needs to be somebody, in a namespace where it names none."""
        path = self.folder / f"{user}.kubeconfig"
        certificate = str(self._user(user, groups))
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "lab",
                    "cluster": {"server": self.url, "certificate-authority": str(self.authority)},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {"client-certificate": certificate, "client-key": certificate},
                }
            ],
            "contexts": [
                {"name": "lab", "context": {"cluster": "lab", "user": user, "namespace": namespace}}
            ],
            "current-context": "lab",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def kubectl(self, *words: str) -> list[str]:
        """Give an administrator's kubectl command; kubectl lies beside Python, or on PATH."""
        config = self.kubeconfig("admin", ADMINS)
        beside = Path(sys.executable).parent / "kubectl"
        return [
            str(beside) if beside.exists() else "kubectl",
            f"--kubeconfig={config}",
            *words,
        ]

    # --- what goes wrong -----------------------------------------------------------------------

    def backup(self) -> Path:
        """Copy what etcd stored, with etcd stopped meanwhile, as its own snapshot would be."""
        self.etcd.stop()
        copy = Path(tempfile.mkdtemp(prefix="etcd-", dir=self.folder))
        shutil.copytree(self._data, copy, dirs_exist_ok=True)
        self.etcd.start()
        self.etcd.await_ready(_START)
        return copy

    def restore(self, copy: Path) -> None:
        """Put a copy in the place of what is stored; everything restarts, as etcd's guide says."""
        for one in reversed(self.components):
            one.stop()
        shutil.rmtree(self._data)
        shutil.copytree(copy, self._data)
        self.start()

    def rotate(self) -> None:
        """Sign by a new authority; the old one is still trusted, as while a rotation lasts.

        The API server reads its new certificate by itself (kube-apiserver, dynamiccertificates);
        the controller manager tells ca.crt to every namespace when it starts. A client may read
        whom it trusts once: without the scheduler's restart nothing was scheduled later on.
        """
        self._signers.append(Authority())
        self._write_certificates()
        for one in (self.controllers, self.scheduler):
            one.stop()
            one.start()

    # --- its parts -----------------------------------------------------------------------------

    @property
    def _data(self) -> Path:
        return self.folder / "etcd"

    def _write_certificates(self) -> None:
        self._replace("ca.crt", "".join(one.pem for one in self._signers))
        server = self._signers[-1].issue("kube-apiserver", addresses=[LOCAL, FIRST])
        self._replace("server.pem", server)

    def _user(self, user: str, groups: Sequence[str]) -> Path:
        path = self.folder / f"{user.replace(':', '-')}.pem"
        if not path.exists():
            self._replace(path.name, self._signers[0].issue(user, groups=groups))
        return path

    def _write_service_account_key(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._replace("sa.key", private.decode())
        self._replace("sa.pub", public.decode())

    def _replace(self, name: str, text: str) -> None:
        new = self.folder / f".{name}"
        new.write_text(text)
        new.chmod(0o600)
        new.replace(self.folder / name)

    def _etcd(self) -> list[str]:
        client, peer = (f"http://{LOCAL}:{port}" for port in self._etcd_ports)
        return [
            self._assets["etcd"],
            f"--data-dir={self._data}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _apiserver(self) -> list[str]:
        folder = self.folder
        return [
            self._assets["kube-apiserver"],
            f"--etcd-servers=http://{LOCAL}:{self._etcd_ports[0]}",
            f"--bind-address={LOCAL}",
            f"--advertise-address={FIRST}",  # it looks for a route to the outside otherwise
            f"--secure-port={self._port}",
            f"--tls-cert-file={folder / 'server.pem'}",
            f"--tls-private-key-file={folder / 'server.pem'}",
            f"--client-ca-file={self.authority}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--service-cluster-ip-range={SERVICES}",
            "--endpoint-reconciler-type=none",  # nobody else reaches loopback
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'sa.pub'}",
            f"--service-account-signing-key-file={folder / 'sa.key'}",
        ]

    def _controllers(self) -> list[str]:
        config = self.kubeconfig("system:kube-controller-manager")
        return [
            self._assets["kube-controller-manager"],
            f"--kubeconfig={config}",
            f"--root-ca-file={self.authority}",
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
        ]

    def _scheduler(self) -> list[str]:
        config = self.kubeconfig("system:kube-scheduler")
        return [
            self._assets["kube-scheduler"],
            f"--kubeconfig={config}",
            "--leader-elect=false",
            "--secure-port=0",
        ]

    def _serves(self) -> bool:
        """Tell whether the API is ready, with its RBAC loaded."""
        if not _connects(self._port):
            return False
        try:
            return self.admin.text("/readyz") == "ok"
        except ApiError:
            return False


def await_true(what: str, seen: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Wait until something is seen in the API; one that does not answer is asked again.

    Raises:
        AssertionError: it was not, in time.
    """
    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            if seen():
                return
        except ApiError as error:
            last = f"; {error}"
        time.sleep(_LOOK)
    raise AssertionError(f"not within {seconds:g} s: {what}{last}")


def _connects(port: int) -> bool:
    with socket.create_connection((str(LOCAL), port), 1.0):
        return True


def _free_ports(many: int) -> list[int]:
    """Find ports that nobody has now; who loses a race for one says so in its log."""
    holders = [socket.socket() for _ in range(many)]
    try:
        for one in holders:
            one.bind((str(LOCAL), 0))
        return [one.getsockname()[1] for one in holders]
    finally:
        for one in holders:
            one.close()
