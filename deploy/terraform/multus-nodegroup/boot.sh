cat >/usr/local/sbin/name-enis <<'END'
# from deploy/node/name-enis.py
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
    pass

def main() -> int:
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
    macs, links = indexes(), links_by_mac()
    wanted = range(1, count + 1)
    if missing := [str(index) for index in wanted if index not in macs]:
        raise Incomplete(f"no ENI at device index {', '.join(missing)}")
    if absent := [macs[index] for index in wanted if macs[index] not in links]:
        raise Incomplete(f"no link with MAC {', '.join(absent)}")
    return {index: links[macs[index]] for index in wanted}

def indexes() -> dict[int, str]:
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    request = urllib.request.Request(METADATA + "api/token", method="PUT", headers=headers)
    with _HTTP.open(request, timeout=5) as answer:
        token = answer.read().decode()
    found = {}
    for line in (metadata(token, MACS) or "").split():
        index = metadata(token, f"{MACS}{line}device-number")
        names = ("network-card", "network-card-index")
        cards = {metadata(token, MACS + line + name) for name in names}
        if index is not None and cards <= {None, "0"}:
            found[int(index)] = line.rstrip("/")
    return found

def metadata(token: str, path: str) -> str | None:
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
    links = sorted(json.loads(ip("-j", "link")), key=lambda link: -int(link["ifindex"]))
    return {link["address"]: link["ifname"] for link in links if "address" in link}

def rename(links: dict[int, str]) -> None:
    names = {link: f"eth{index}" for index, link in links.items() if link != f"eth{index}"}
    foreign = set(links_by_mac().values()) & set(names.values()) - set(names)
    for name in sorted(foreign):
        set_name(name, f"{name}-was")
        ip("link", "set", f"{name}-was", "up")
    for link, name in sorted(names.items()):
        set_name(link, f"{name}-new")
    for name in sorted(names.values()):
        set_name(f"{name}-new", name)

def set_name(link: str, name: str) -> None:
    ip("link", "set", link, "down")
    ip("link", "set", link, "name", name)

def bring_up(link: str) -> None:
    for key in (
        "ipv4/conf/all/rp_filter",
        f"ipv4/conf/{link}/rp_filter",
        f"ipv6/conf/{link}/accept_ra",
    ):
        setting = Path("/proc/sys/net", key)
        if setting.exists():
            setting.write_text("0")
    ip("link", "set", link, "up")

def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout

if __name__ == "__main__":
    sys.exit(main())
# end of deploy/node/name-enis.py
END
cat >/usr/local/sbin/leave-group <<'END'
# from deploy/node/leave-group
# Powers the node off once its Auto Scaling group wants it gone: kubelet delays the shutdown until
# its pods have ended (shutdownGracePeriod), and the node group's function waits for that.
imds=http://169.254.169.254/latest
state() {
    local token
    token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/api/token") &&
        curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" \
            "$imds/meta-data/autoscaling/target-lifecycle-state"
}
until [ "$(state)" = Terminated ]; do sleep "${1:-5}"; done
exec systemctl poweroff
# end of deploy/node/leave-group
END
cat >/etc/systemd/system/name-enis.service <<END
[Unit]
Description=Names the ENIs for Multus by device index
Wants=network-online.target
After=network-online.target
Before=nodeadm-run.service kubelet.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 -I /usr/local/sbin/name-enis $count
[Install]
WantedBy=multi-user.target
END
cat >/etc/systemd/system/leave-group.service <<'END'
[Unit]
Description=Powers off when the Auto Scaling group wants the node gone
After=network-online.target
[Service]
ExecStart=/usr/bin/bash /usr/local/sbin/leave-group
Restart=on-failure
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --now leave-group.service
# A node that lacks an ENI is of no use to its pods: the group replaces it.
systemctl enable --now name-enis.service || systemctl poweroff
--PART--
