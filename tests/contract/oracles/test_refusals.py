"""Refusals, and the end of credentials, by botocore's vectors: see `test_protocol`."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.oracles.asked import REGION, Asked
from contract.oracles.far import refused
from contract.oracles.test_protocol import ROLE, VPC
from vipmanager.core.failures import Failure, Permanent, Throttled, Transient
from vipmanager.edges.aws.ec2 import Ec2

EC2_ERROR = (
    "<Response{}><Errors><Error><Code>{}</Code><Message>Hi</Message></Error></Errors>"
    "<RequestID>foo-id</RequestID></Response>"
)
QUERY_ERROR = (
    "<ErrorResponse{}><Error><Type>Sender</Type><Code>{}</Code><Message>Hi</Message></Error>"
    "<RequestId>foo-id</RequestId></ErrorResponse>"
)
REFUSED = [
    # The vector or the case, the status, the document, and whose turn it is.
    ("Ec2InvalidGreetingError", 400, EC2_ERROR.format("", "InvalidGreeting"), Permanent),
    (
        "Ec2InvalidGreetingError, in a namespace",
        400,
        EC2_ERROR.format(' xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"', "InvalidGreeting"),
        Permanent,
    ),
    (
        "Ec2ComplexError",
        400,
        EC2_ERROR.format("", "ComplexError").replace(
            "</Error>", "<TopLevel>t</TopLevel><Nested><Foo>bar</Foo></Nested></Error>"
        ),
        Permanent,
    ),
    (
        "Ec2InvalidGreetingError, of an empty bucket",
        503,
        EC2_ERROR.format("", "RequestLimitExceeded"),
        Throttled,
    ),
    (
        "QueryInvalidGreetingError, from EC2",
        400,
        QUERY_ERROR.format("", "InvalidGreeting"),
        Permanent,
    ),
    ("no document, of a proxy", 503, "", Transient),
    (
        "a page of HTML, of a proxy",
        502,
        "<html><body><h1>Bad Gateway</h1></body></html>",
        Transient,
    ),
    ("no XML, with a good status", 200, "<html>", Transient),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: c[0])
def test_a_refusal_is_read_by_the_vectors(
    aws: Asked, ec2: Ec2, case: tuple[str, int, str, type[Failure]]
) -> None:
    _, status, document, kind = case
    aws.answers["DescribeRouteTables"] = status, document.encode()
    with pytest.raises(kind) as caught:
        ec2.route_tables([VPC])
    assert type(caught.value) is kind
    for code in ("InvalidGreeting", "ComplexError", "RequestLimitExceeded"):
        assert (code in document) == (f"{code}: Hi" in caught.value.what)


STS_ERRORS = {
    "QueryInvalidGreetingError": (400, QUERY_ERROR.format("", "InvalidGreeting")),
    "QueryInvalidGreetingError, in STS's namespace": (
        400,
        QUERY_ERROR.format(' xmlns="https://sts.amazonaws.com/doc/2011-06-15/"', "InvalidGreeting"),
    ),
    "QueryCustomizedError: another status": (402, QUERY_ERROR.format("", "InvalidGreeting")),
}


@pytest.mark.parametrize("answer", STS_ERRORS.values(), ids=STS_ERRORS)
def test_a_refusal_of_sts_is_read_by_the_vectors(
    aws: Asked, make: Callable[[str, str], Any], answer: tuple[int, str]
) -> None:
    status, document = answer
    aws.answers["AssumeRole"] = status, document.encode()
    assert refused(make("sts", "our").assume_role, **ROLE) == ("InvalidGreeting", "Hi")


@pytest.mark.parametrize(
    ("code", "kind"), [("AccessDenied", Permanent), ("InvalidIdentityToken", Transient)]
)
def test_a_refusal_of_sts_is_somebodys_turn(aws: Asked, code: str, kind: type[Failure]) -> None:
    aws.answers["AssumeRole"] = 403, QUERY_ERROR.format("", code).encode()
    made = Ec2(route_role=ROLE["RoleArn"])
    made.connect(REGION)
    with pytest.raises(kind, match=code):
        made.route_tables([VPC])
    made.close()


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        ("2099-12-16T23:48:18Z", 0),  # QueryXmlTimestamps
        ("2099-12-16T23:48:18.123Z", 123_000),  # AwsQueryDateTimeWithFractionalSeconds
        ("2099-12-16T22:48:18-01:00", 0),  # AwsQueryDateTimeWithNegativeOffset
        ("2099-12-17T00:48:18+01:00", 0),  # AwsQueryDateTimeWithPositiveOffset
    ],
)
def test_the_end_of_credentials_is_read_by_the_vectors(
    aws: Asked, make: Callable[[str, str], Any], said: str, ends: int
) -> None:
    aws.answers["AssumeRole"] = (
        200,
        (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
            f"<AccessKeyId>ASIA</AccessKeyId><Expiration>{said}</Expiration>"
            "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        ).encode(),
    )
    answer = make("sts", "our").assume_role(**ROLE)
    wanted = datetime(2099, 12, 16, 23, 48, 18, ends, UTC)
    assert answer["Credentials"] == {"AccessKeyId": "ASIA", "Expiration": wanted}
