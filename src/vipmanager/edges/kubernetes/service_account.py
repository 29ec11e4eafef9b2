"""The pod's service account: the files that kubelet mounts and renews."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from vipmanager.core.failures import Permanent, Transient

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where kubelet puts token, ca.crt and namespace (kubernetes.io, "Managing Service Accounts")."""
MOUNT_KEY = "VIPMANAGER_SERVICE_ACCOUNT"
"""The environment variable that names another folder."""
AGE = 60.0
"""Seconds after which the token is read again, as client-go does (transport/token_source.go).

A cluster counts the tokens that are used though a newer one was there
(`serviceaccount_stale_tokens_total`), and may refuse them one day.
"""


class Account:
    """The files, as they are now. Safe to use from several threads at once."""

    def __init__(
        self, environ: Mapping[str, str], now: Callable[[], float] = time.monotonic
    ) -> None:
        """Read nothing yet."""
        self._mount = Path(environ.get(MOUNT_KEY) or MOUNT)
        self._now = now
        self._lock = threading.Lock()
        self._token = ""
        self._read = float("-inf")

    @property
    def namespace(self) -> str:
        """The pod's namespace.

        Raises:
            Permanent: there is no service account.
        """
        return self._text("namespace")

    @property
    def authority(self) -> Path:
        """The file with whom to trust.

        Raises:
            Permanent: there is no service account.
        """
        return self._file("ca.crt")

    def token(self, *, refused: str | None = None) -> str:
        """Give the token, not older than a minute, or newer than one that was refused.

        Raises:
            Transient, Permanent: it can't be read.
        """
        with self._lock:
            if self._now() >= self._read + AGE or refused == self._token:
                self._token = self._text("token")
                self._read = self._now()
            return self._token

    def _text(self, name: str) -> str:
        path = self._file(name)
        try:
            return path.read_text().strip()
        except (OSError, ValueError) as error:
            raise Transient(
                f"the pod's service account: {path}: {error}", "kubelet may be renewing it"
            ) from error

    def _file(self, name: str) -> Path:
        path = self._mount / name
        if not path.is_file():
            raise Permanent(
                f"the pod's service account: {path} does not exist",
                "set automountServiceAccountToken: true on the pod",
            )
        return path
