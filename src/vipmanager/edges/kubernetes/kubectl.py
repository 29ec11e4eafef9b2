"""An operator's kubectl: what a cluster says to somebody who is in none of its pods."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.text import printable

SECONDS = 15
"""For the whole command, with what it does to sign in."""

PROBE: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "vipmanager-admission"},
    "spec": {
        "containers": [
            {
                "name": "vipmanager",
                "image": "vipmanager",
                "resources": {
                    "requests": {"cpu": "100m", "memory": "64Mi"},
                    "limits": {"memory": "192Mi"},
                },
                "securityContext": {
                    "runAsUser": 0,
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
                },
            }
        ]
    },
}
"""A pod with the rights of the agent's container, as deploy/ has it."""

_ADMISSION = re.compile(r"violates PodSecurity|denied the request|exceeded quota")
"""How Pod Security, a webhook and a quota refuse (k8s.io/pod-security-admission, apiserver)."""


def refusal(namespace: str, command: Sequence[str] = ("kubectl",)) -> str:
    """Ask whether a namespace admits the agent's pod, by a server-side dry run: nothing is written.

    Args:
        namespace: its name.
        command: how kubectl is started, with options such as `--context`.

    Returns:
        The API's words where it does not; empty where it does.

    Raises:
        Permanent: kubectl is not there, or may not ask, or the namespace is unknown.
        Transient: there was no answer in time.
    """
    asked = [*command, "create", "--dry-run=server", "--namespace", namespace, "-f", "-"]
    try:
        done = subprocess.run(
            asked,
            input=json.dumps(PROBE),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise Transient(
            f"kubectl: no answer within {SECONDS} s", "see: kubectl cluster-info"
        ) from error
    except OSError as error:
        raise Permanent(
            f"kubectl can't be started ({error.strerror})", "install kubectl, or leave --namespace"
        ) from error
    said = printable(done.stderr.strip().splitlines()[-1]) if done.stderr.strip() else ""
    if not done.returncode:
        return ""
    if _ADMISSION.search(said):
        return said
    raise Permanent(
        f"kubectl: {said or 'no reason given'}",
        f"name a namespace in which you may create pods: kubectl auth can-i create pods -n "
        f"{namespace}",
    )
