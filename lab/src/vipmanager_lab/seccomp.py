"""The system calls that a container may make under `seccompProfile: RuntimeDefault`.

Every container runtime brings a default profile. Debian has one in
`golang-github-containers-common`; it is close to containerd's, which nodes of EKS use. It is
written for any set of capabilities and any architecture: here it is cut down to one of each, as
the OCI runtime specification wants it.
"""

import json
import platform
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

PROFILE = Path("/usr/share/containers/seccomp.json")
_ARCHITECTURES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
}
_FIELDS = ("names", "action", "args", "errnoRet")


def runtime_default(capabilities: Collection[str]) -> dict[str, Any]:
    """Give `linux.seccomp` of a container's configuration for these capabilities (`CAP_...`)."""
    profile = json.loads(PROFILE.read_text(encoding="utf-8"))
    name, architecture = _ARCHITECTURES[platform.machine()]

    def applies(rule: Mapping[str, Any]) -> bool:
        wanted, unwanted = rule["includes"], rule["excludes"]
        return (
            name in wanted.get("arches", (name,))
            and name not in unwanted.get("arches", ())
            and all(one in capabilities for one in wanted.get("caps", ()))
            and not any(one in capabilities for one in unwanted.get("caps", ()))
        )

    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": [architecture],
        "syscalls": [
            {key: rule[key] for key in _FIELDS if rule.get(key)}
            for rule in profile["syscalls"]
            if applies(rule)
        ],
    }
