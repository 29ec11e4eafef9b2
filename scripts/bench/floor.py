#!/usr/bin/env python3
"""The floor: the least a program can do with the same EC2 client to move the same routes.

    floor VERB ROUTES < "rtb-... destination eni-..." lines

Interpreter start, import, one describe, one parallel wave. It looks at nothing, verifies nothing
and forgives nothing; `make bench` measures the agent against it.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from botocore.config import Config
from botocore.session import Session


def main() -> None:
    """Describe once, then write every line of stdin at once."""
    verb, models, region = sys.argv[1:4]
    wanted = [line.split() for line in sys.stdin]
    session = Session()
    session.get_component("data_loader").search_paths.insert(0, models)
    config = Config(max_pool_connections=32, retries={"total_max_attempts": 1})
    client = session.create_client("ec2", region_name=region, config=config)
    client.describe_route_tables()
    call = getattr(client, verb)

    def write(table: str, destination: str, eni: str) -> None:
        call(RouteTableId=table, DestinationCidrBlock=destination, NetworkInterfaceId=eni)

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda one: write(*one), wanted))


if __name__ == "__main__":
    main()
