"""A mistake in a variable that others read is one line: its name, its value, what is expected."""

from pathlib import Path

import pytest
from botocore.utils import get_environ_proxies

from vipmanager.edges.aws.environment import misled, mistakes
from vipmanager.edges.settings import kubelet

ROLE = "arn:aws:iam::123456789012:role/vip"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """No AWS files of this machine's own."""
    return {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AWS_ENDPOINT_URL_EC2", "vpce-0a.ec2.eu-central-1.vpce.amazonaws.com", "its scheme"),
        ("AWS_ENDPOINT_URL", "ec2.local:8080", "its scheme"),
        ("AWS_ENDPOINT_URL_STS", "https//sts.amazonaws.com", "its scheme"),
        ("AWS_ENDPOINT_URL_STS", "https://", "its scheme"),
        ("AWS_ENDPOINT_URL", "http://[", "its scheme"),
        ("AWS_ENDPOINT_URL", "http://ec2:port", "its scheme"),
        ("AWS_ENDPOINT_URL", "http://ec2\nx", "its scheme"),
        ("AWS_ENDPOINT_URL_ARC_ZONAL_SHIFT", "arc", "its scheme"),
        (
            "AWS_ENDPOINT_URL_EC2",
            "https://ec2_proxy.telco.svc",
            "a host of letters, digits, - and .",
        ),
        ("AWS_ENDPOINT_URL_STS", "https://sts-.example", "a host of letters, digits, - and ."),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "169.254.169.254", "its scheme"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "dual", "ipv4 or ipv6"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "", "ipv4 or ipv6"),
        ("AWS_DEFAULT_REGION", "eu central 1", "a Region such as"),
        ("AWS_REGION", "https://eu-central-1", "a Region such as"),
        ("AWS_RETRY_MODE", "Standard", "legacy or standard or adaptive"),
        ("AWS_MAX_ATTEMPTS", "many", "a whole number from 1"),
        ("AWS_MAX_ATTEMPTS", "0", "a whole number from 1"),
        ("AWS_METADATA_SERVICE_TIMEOUT", "1.5", "a whole number from 1"),
        ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "", "a whole number from 1"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "global", "legacy or regional"),
        ("AWS_DEFAULTS_MODE", "fast", "in-region"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "always", "when_required"),
        ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "no", "disabled"),
        ("HTTPS_PROXY", "http://", "the URL of a proxy"),
        ("https_proxy", "proxy:none", "the URL of a proxy"),
        ("HTTP_PROXY", "socks5://proxy:1080", "the URL of a proxy"),
        ("AWS_CA_BUNDLE", "/nonexistent", "PEM certificates to trust; there is none"),
        ("AWS_CA_BUNDLE", "/dev/null", "PEM certificates to trust; it is empty"),
        ("AWS_CA_BUNDLE", "/etc/hostname", "PEM certificates to trust; there is none in it"),
        ("AWS_CA_BUNDLE", "", "PEM certificates to trust, or no such variable"),
        ("AWS_PROFILE", "nobody", "a profile of the AWS config files; there is none"),
        ("AWS_PROFILE", "", "a profile of the AWS config files"),
        ("AWS_DEFAULT_PROFILE", "nobody", "a profile of the AWS config files"),
        ("AWS_CONFIG_FILE", "/", "an AWS config file; Is a directory"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent", "kubelet renews; there is none"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/dev/null", "kubelet renews; it is empty"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/", "kubelet renews; Is a directory"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/v1", "169.254.170.23"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "169.254.170.23/v1", "169.254.170.23"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "v2", "a path such as"),
    ],
)
def test_a_mistake_is_named_with_what_is_expected(
    home: dict[str, str], name: str, value: str, expected: str
) -> None:
    (said,) = mistakes({**home, "AWS_ROLE_ARN": ROLE, name: value})
    assert said.startswith(f"{name}={value!r}: expected ")
    assert expected in said
    assert said.isprintable()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "http://ec2.eu-central-1.amazonaws.com"),
        ("AWS_ENDPOINT_URL", "https://[2001:db8::1]:8443/path"),
        ("AWS_ENDPOINT_URL_EC2", "http://198.18.0.1"),
        ("AWS_ENDPOINT_URL", ""),
        ("AWS_REGION", "eusc-de-east-1"),
        ("AWS_REGION", "mars-north-42"),
        ("AWS_REGION", ""),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://[fd00:ec2::254]"),
        ("HTTPS_PROXY", "proxy.example.com:3128"),
        ("HTTPS_PROXY", "http://user:secret@proxy:3128"),
        ("HTTPS_PROXY", "http://my_proxy:3128"),
        ("AWS_CA_BUNDLE", "/etc/ssl/certs"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[fd00:ec2::23]/v1/credentials"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:80/"),
        ("AWS_CONFIG_FILE", "/nowhere"),
        ("AWS_FUTURE_VARIABLE", "what ever"),
    ],
)
def test_what_botocore_takes_is_let_through(home: dict[str, str], name: str, value: str) -> None:
    assert [*mistakes({**home, name: value})] == []


def test_a_config_file_that_is_none_is_named(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-central-1\nnonsense\n")
    (said,) = mistakes({**home, "AWS_PROFILE": "vip"})
    assert said.startswith(f"AWS_CONFIG_FILE='{tmp_path}/config': expected an AWS config file; ")
    assert "nonsense" in said


def test_an_unknown_profile_is_told_with_those_that_there_are(
    home: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\n[profile vip]\n[profile 'a b']\n")
    (tmp_path / "credentials").write_text("[old]\n")
    assert [*mistakes({**home, "AWS_PROFILE": "vip"})] == []
    (said,) = mistakes({**home, "AWS_PROFILE": "vpi"})
    assert said.endswith("there are a b, default, old, vip")


def test_a_token_file_may_come_later_and_its_role_may_not(home: dict[str, str]) -> None:
    environ = {**home, "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent", "AWS_ROLE_ARN": ROLE}
    assert len([*mistakes(environ)]) == 1
    assert [*mistakes(environ, tokens=False)] == []
    (said,) = mistakes({**environ, "AWS_ROLE_ARN": "vip"}, tokens=False)
    assert said.startswith("AWS_ROLE_ARN='vip': expected a role such as arn:")
    pod = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/"}
    pod |= {**home, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nonexistent"}
    assert [*mistakes(pod, tokens=False)] == []
    (said,) = mistakes(pod)
    assert said.startswith("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE='/nonexistent': expected")


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso-e"])
def test_a_role_of_any_partition_is_one(home: dict[str, str], partition: str) -> None:
    role = f"arn:{partition}:iam::123456789012:role/path/vip"
    token = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/etc/hostname", "AWS_ROLE_ARN": role}
    assert [*mistakes({**home, **token})] == []


def test_only_the_source_that_botocore_takes_is_looked_at(home: dict[str, str]) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIALAB", "AWS_SECRET_ACCESS_KEY": "lab"}
    environ = {**home, **keys, "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent"}
    assert [*mistakes(environ)] == []
    del environ["AWS_SECRET_ACCESS_KEY"]
    (said,) = mistakes(environ)
    assert said.startswith("AWS_SECRET_ACCESS_KEY=''")


def test_no_secret_is_told(home: dict[str, str]) -> None:
    (said,) = mistakes({**home, "HTTPS_PROXY": "htp://user:hunter2@proxy:3128"})
    assert "hunter2" not in said
    pod = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/"}
    (said,) = mistakes({**home, **pod, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "hunter2\n"})
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
)
@pytest.mark.parametrize("value", ["hunter2\n", " hunter2", "hunter2\r", "h\u00fcnter2"])
def test_a_key_with_the_end_of_its_line_is_named_and_not_told(
    home: dict[str, str], name: str, value: str
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIALAB", "AWS_SECRET_ACCESS_KEY": "lab"}
    assert [*mistakes({**home, **keys, "AWS_SESSION_TOKEN": "a/b+c=="})] == []
    (said,) = mistakes({**home, **keys, name: value})
    assert said.startswith(f"{name}: expected one word")
    assert "nter2" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KUBERNETES_SERVICE_PORT", "tcp://10.100.0.1:443"),
        ("KUBERNETES_SERVICE_PORT", "0"),
        ("KUBERNETES_SERVICE_PORT", "65536"),
        ("KUBERNETES_SERVICE_HOST", "https://10.100.0.1"),
        ("KUBERNETES_SERVICE_HOST", "10.100.0.1 "),
    ],
)
def test_what_leads_to_no_kubernetes_api_is_named(name: str, value: str) -> None:
    fine = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert [*kubelet(fine)] == [*kubelet({})] == []
    (said,) = kubelet({**fine, name: value})
    assert said.startswith(f"{name}={value!r}: expected the ")


PROXIES = {"HTTP_PROXY": "http://user:hunter2@proxy:3128", "https_proxy": "proxy:3128"}


@pytest.mark.parametrize(
    ("environ", "hosts"),
    [
        ({}, ["169.254.169.254"]),
        ({"NO_PROXY": "169.254.0.0/16"}, ["169.254.169.254"]),
        ({"NO_PROXY": "10.0.0.0/8,169.254.169.254"}, []),
        ({"no_proxy": "*"}, []),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv6"}, ["[fd00:ec2::254]"]),
        (
            {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv6", "NO_PROXY": "[fd00:ec2::254]"},
            [],
        ),
        # Credentials come from elsewhere, and our own calls of IMDS take no proxy.
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, []),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/"}, []),
        (
            {
                "AWS_ACCESS_KEY_ID": "AKIALAB",
                "AWS_ENDPOINT_URL_EC2": "https://10.0.1.5",
                "NO_PROXY": "10.0.0.0/8",
            },
            ["10.0.1.5"],
        ),
        ({"AWS_ACCESS_KEY_ID": "AKIALAB", "AWS_ENDPOINT_URL_EC2": "https://10.0.1.5"}, []),
    ],
)
def test_what_no_proxy_does_not_mean_to_botocore_is_found(
    environ: dict[str, str], hosts: list[str]
) -> None:
    found = [*misled({**PROXIES, **environ})]
    assert [host for host, _ in found] == hosts
    assert "hunter2" not in str(found)
    assert [*misled(environ)] == []


@pytest.mark.parametrize(
    "without",
    ["169.254.0.0/16", "169.254.169.254", ".169.254", "254", "*", "", "a, 169.254.169.254"],
)
def test_botocore_means_by_no_proxy_what_is_told(
    monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", without)
    proxied = bool(get_environ_proxies("http://169.254.169.254/"))
    assert bool([*misled({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": without})]) is proxied
