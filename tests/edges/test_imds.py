"""IMDS without a network: what is refused before anything is asked."""

import pytest

from vipmanager.core.failures import Permanent, Transient
from vipmanager.edges.imds import Imds


def test_an_imds_that_is_switched_off_is_not_asked() -> None:
    imds = Imds(allow_v1=True, environ={"AWS_EC2_METADATA_DISABLED": "True"})
    with pytest.raises(Permanent, match="set AWS_REGION"):
        imds.read([])


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://[::1]:1"}, "http://[::1]:1"),
        # in the tests' own network namespace nothing else answers
        ({}, "http://169.254.169.254"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, "http://[fd00:ec2::254]"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "odd"}, "http://169.254.169.254"),
        (
            {
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6",
            },
            "http://127.0.0.1:1",
        ),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:99999"}, "http://127.0.0.1:99999"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "nonsense"}, "nonsense"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://["}, "http://["),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://a b\x7f"}, "http://a b"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://" + 64 * "a" + ".b"}, 64 * "a"),
    ],
)
def test_a_silent_endpoint_is_named_with_the_way_out(
    environ: dict[str, str], endpoint: str
) -> None:
    with pytest.raises(Transient) as caught:
        Imds(allow_v1=True, environ=environ).read([])
    assert endpoint in caught.value.what
    assert "AWS_REGION" in caught.value.hint
