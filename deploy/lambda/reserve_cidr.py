"""Reserves the whole of a dummy subnet, which CloudFormation has no resource for.

A custom resource: create and update reserve, delete gives back. CloudFormation waits an hour for
the answer, so there is one whatever happens.
"""
# ruff: noqa: ANN401, INP001 - clients have no types; one file

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.exceptions import ClientError


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Do what CloudFormation asks for and answer it."""
    answer = {
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
        "PhysicalResourceId": event.get("PhysicalResourceId", "nothing reserved"),
        "Status": "SUCCESS",
    }
    try:
        ec2 = boto3.client("ec2")
        wish = event["ResourceProperties"]
        if event["RequestType"] == "Delete":
            _give_back(ec2, answer["PhysicalResourceId"])
        else:
            answer["PhysicalResourceId"] = _reserve(ec2, wish["SubnetId"], wish["Cidr"])
    except Exception as error:  # noqa: BLE001 - see above
        answer |= {"Status": "FAILED", "Reason": f"{error} (log {context.log_stream_name})"}
    print(json.dumps(answer))  # noqa: T201 - the function's log
    request = urllib.request.Request(  # noqa: S310 - from CloudFormation
        event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT"
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - same


def _reserve(ec2: Any, subnet: str, cidr: str) -> str:
    """The id of the reservation, which an earlier attempt may have made."""
    present = ec2.get_subnet_cidr_reservations(SubnetId=subnet)
    for kind in ("SubnetIpv4CidrReservations", "SubnetIpv6CidrReservations"):
        for one in present.get(kind, []):
            if one["Cidr"] == cidr:
                return str(one["SubnetCidrReservationId"])
    made = ec2.create_subnet_cidr_reservation(
        SubnetId=subnet,
        Cidr=cidr,
        ReservationType="explicit",
        Description="pattern 2: floating IPs only",
    )
    return str(made["SubnetCidrReservation"]["SubnetCidrReservationId"])


def _give_back(ec2: Any, reservation: str) -> None:
    if not reservation.startswith("scr-"):
        return
    try:
        ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=reservation)
    except ClientError as error:
        if "NotFound" not in error.response["Error"]["Code"]:
            raise
