"""Reads and writes as it is told on its input, with the EC2 edge that ships.

Run in a namespace of its own, with the table and the network interface of its write, and `spare`
where a second connection shall be ready.
"""

import sys
import threading
from ipaddress import ip_network

from vipmanager.core.actions import CreateRoute
from vipmanager.core.failures import Failure
from vipmanager.core.values import DesiredRoute, EniId, RouteTableId, VpcId
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager.edges.memory import MemoryFence


def say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> None:
    table, eni, *spare = sys.argv[1:]
    action = CreateRoute(
        steer=DesiredRoute(
            table=RouteTableId(table), destination=ip_network("192.168.0.1/32"), eni=EniId(eni)
        ),
        reason="test",
    )
    cloud, fence = Ec2(spare=bool(spare)), MemoryFence()
    cloud.connect("eu-central-1")
    cloud.warm()
    say("ready")

    def write() -> None:
        try:
            cloud.write(action, fence)
        except Failure as failure:
            say(f"{type(failure).__name__}: {failure}")
        else:
            say("done")

    for line in sys.stdin:
        match line.strip():
            case "read":
                cloud.route_tables([VpcId("vpc-1")])
                say("read")
            case "write":
                threading.Thread(target=write, daemon=True).start()
            case "break the fence":
                fence.standing = False
                say("broken")


if __name__ == "__main__":
    main()
