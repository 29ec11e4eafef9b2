"""Names the node's ENIs eth1, eth2, ... by device index, and brings them up for Multus.

    python3 name-enis COUNT [SECONDS]

AL2023 names them ens6, enp39s0 and so on, and manages only the primary one, so network attachment
definitions would find no master. Runs on the system's Python 3.9 before kubelet starts. ENIs that
are attached a little later are waited for, SECONDS at most. ENIs beyond COUNT, which are the VPC
CNI's, and those of other network cards are left alone. A repetition changes nothing.
"""
# ruff: noqa: INP001, S310, T201 - one file; fixed addresses; a command

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

METADATA = "http://169.254.169.254/latest/"
MACS = "meta-data/network/interfaces/macs/"
SECONDS = "600"
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Incomplete(Exception):
    """What is still missing."""


def main() -> int:
    """Wait for the ENIs and name them; 1 when the time is up."""
    count, seconds = (int(word) for word in [*sys.argv[1:], SECONDS][:2])
    deadline = time.monotonic() + seconds
    said = ""
    while True:
        try:
            links = by_index(count)
            break
        except (Incomplete, OSError) as error:
            if str(error) != said:
                said = str(error)
                print(f"name-enis: waiting: {said}", flush=True)
            if time.monotonic() > deadline:
                print(f"name-enis: gave up: {said}", file=sys.stderr)
                return 1
        time.sleep(1)
    rename(links)
    for index, was in sorted(links.items()):
        bring_up(f"eth{index}")
        print(f"name-enis: eth{index} was {was}")
    return 0


def by_index(count: int) -> dict[int, str]:
    """The kernel's link for each device index from 1 to `count`.

    Raises:
        Incomplete: an ENI is not attached, or has no link yet.
        OSError: the metadata service does not answer.
    """
    macs, links = indexes(), links_by_mac()
    wanted = range(1, count + 1)
    if missing := [str(index) for index in wanted if index not in macs]:
        raise Incomplete(f"no ENI at device index {', '.join(missing)}")
    if absent := [macs[index] for index in wanted if macs[index] not in links]:
        raise Incomplete(f"no link with MAC {', '.join(absent)}")
    return {index: links[macs[index]] for index in wanted}


def indexes() -> dict[int, str]:
    """The MAC at each device index of the first network card, as the metadata service has it.

    Keys of an ENI that comes or goes can be absent while its MAC is listed.
    """
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    request = urllib.request.Request(METADATA + "api/token", method="PUT", headers=headers)
    with _HTTP.open(request, timeout=5) as answer:
        token = answer.read().decode()
    found = {}
    for line in (metadata(token, MACS) or "").split():
        index = metadata(token, f"{MACS}{line}device-number")
        # Documentation and code of the VPC CNI differ in the name; without either it is card 0.
        names = ("network-card", "network-card-index")
        cards = {metadata(token, MACS + line + name) for name in names}
        if index is not None and cards <= {None, "0"}:
            found[int(index)] = line.rstrip("/")
    return found


def metadata(token: str, path: str) -> str | None:
    """An item of the metadata, or None where there is none."""
    headers = {"X-aws-ec2-metadata-token": token}
    request = urllib.request.Request(METADATA + path, headers=headers)
    try:
        with _HTTP.open(request, timeout=5) as answer:
            return str(answer.read().decode()).strip()
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return None
        raise


def links_by_mac() -> dict[str, str]:
    """Link names by MAC; of several with one MAC (ipvlan, VLAN) the oldest is the ENI's."""
    links = sorted(json.loads(ip("-j", "link")), key=lambda link: -int(link["ifindex"]))
    return {link["address"]: link["ifname"] for link in links if "address" in link}


def rename(links: dict[int, str]) -> None:
    """Give every link its name; whatever else has one of the names gets out of the way."""
    names = {link: f"eth{index}" for index, link in links.items() if link != f"eth{index}"}
    foreign = set(links_by_mac().values()) & set(names.values()) - set(names)
    for name in sorted(foreign):
        set_name(name, f"{name}-was")
        ip("link", "set", f"{name}-was", "up")
    for link, name in sorted(names.items()):
        set_name(link, f"{name}-new")  # first all aside: two may have swapped names
    for name in sorted(names.values()):
        set_name(f"{name}-new", name)


def set_name(link: str, name: str) -> None:
    """Rename a link; the kernel wants it down for that."""
    ip("link", "set", link, "down")
    ip("link", "set", link, "name", name)


def bring_up(link: str) -> None:
    """Up, without an address: what uses it are pods, by ipvlan."""
    for key in (
        "ipv4/conf/all/rp_filter",  # the kernel takes the larger of all's and the link's
        f"ipv4/conf/{link}/rp_filter",
        f"ipv6/conf/{link}/accept_ra",  # no default route through a pods' network
    ):
        setting = Path("/proc/sys/net", key)
        if setting.exists():  # a kernel without IPv6 has fewer
            setting.write_text("0")
    ip("link", "set", link, "up")


def ip(*arguments: str) -> str:
    """What `ip` prints."""
    return subprocess.run(["ip", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
