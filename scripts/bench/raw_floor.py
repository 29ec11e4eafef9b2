"""The raw floor: the same calls with nothing but the standard library's sockets and hashes.

    raw_floor.py VERB REGION < "rtb-... destination eni-..." lines

No botocore: a hand-made signature (AWS General Reference, Signature Version 4) and one keep-alive
connection a thread. It shows what is left when everything but the two round trips is gone.
"""

import datetime as dt
import hashlib
import hmac
import http.client
import os
import ssl
import sys
import threading
from urllib.parse import urlencode, urlsplit

_ENDPOINT = urlsplit(os.environ["AWS_ENDPOINT_URL"])
_OK = 200


def connect() -> http.client.HTTPConnection:
    """Open a connection to the endpoint."""
    host, port = _ENDPOINT.hostname or "", _ENDPOINT.port
    if _ENDPOINT.scheme == "https":
        context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
        return http.client.HTTPSConnection(host, port or 443, context=context)
    return http.client.HTTPConnection(host, port or 80)


def call(connection: http.client.HTTPConnection, region: str, **fields: str) -> None:
    """Make one signed EC2 call."""
    body = urlencode({"Version": "2016-11-15", **fields})
    now = dt.datetime.now(dt.UTC)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    scope = f"{day}/{region}/ec2/aws4_request"
    host = _ENDPOINT.netloc
    canonical = "\n".join(
        ["POST", "/", "", f"host:{host}", f"x-amz-date:{stamp}", "", "host;x-amz-date", _hash(body)]
    )
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (day, region, "ec2", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, _hash(canonical)])
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    connection.request(
        "POST",
        "/",
        body,
        {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Amz-Date": stamp,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, "
            f"SignedHeaders=host;x-amz-date, Signature={signature}",
        },
    )
    answer = connection.getresponse()
    answer.read()
    if answer.status != _OK:
        sys.exit(f"{fields['Action']}: {answer.status}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    """Describe once, then write every line of stdin at once, 32 at a time."""
    verb, region = sys.argv[1:3]
    wanted = [line.split() for line in sys.stdin]
    call(connect(), region, Action="DescribeRouteTables")

    def work(mine: list[list[str]]) -> None:
        connection = connect()
        for table, destination, eni in mine:
            call(
                connection,
                region,
                Action=verb,
                RouteTableId=table,
                DestinationCidrBlock=destination,
                NetworkInterfaceId=eni,
            )

    threads = [threading.Thread(target=work, args=(wanted[n::32],)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
