"""The configuration table: every key, every mistake, all of them at once."""

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipmanager.core.settings import HandOver, Mode, Pattern, Rate, TagSelector
from vipmanager.core.text import quoted
from vipmanager.edges.settings import KEYS, SettingsError, load
from worlds import networks

ROLE = "arn:aws:iam::123456789012:role/path/routes"

GOOD: list[tuple[str, str, str, Any]] = [
    ("VPCRTTag", "ALL", "tags", ()),
    ("VPCRTTag", "", "tags", ()),
    ("VPCRTTag", "role", "tags", (TagSelector(key="role"),)),
    ("VPCRTTag", "role=", "tags", (TagSelector(key="role", value=""),)),
    ("VPCRTTag", "role=a=b", "tags", (TagSelector(key="role", value="a=b"),)),
    ("VPCRTTag", " a=1 , b*", "tags", (TagSelector(key="a", value="1"), TagSelector(key="b*"))),
    (
        "VPCRTTag",
        "kubernetes.io/cluster/x=owned",
        "tags",
        (TagSelector(key="kubernetes.io/cluster/x", value="owned"),),
    ),
    ("RunAsSidecar", "True", "mode", Mode.SIDECAR),
    ("RunAsSidecar", "yes", "mode", Mode.SIDECAR),
    ("RunAsSidecar", "FALSE", "mode", Mode.INIT),
    ("SubnetBasedLoopbacks", "true", "pattern", Pattern.SUBNET),
    ("SubnetBasedLoopbacks", "0", "pattern", Pattern.HOST),
    ("UseSBR", "on", "source_routing", True),
    (
        "VPCRTIds",
        "rtb-0123456789abcdef0, rtb-01234567,rtb-01234567",
        "tables",
        ("rtb-0123456789abcdef0", "rtb-01234567"),
    ),
    ("RouteRoleArn", ROLE, "route_role", ROLE),
    (
        "RouteRoleArn",
        ROLE.replace("aws:", "aws-cn:"),
        "route_role",
        ROLE.replace("aws:", "aws-cn:"),
    ),
    ("Interfaces", "net*,eth0.100", "interfaces", ("net*", "eth0.100")),
    (
        "FloatingIPs",
        "192.168.0.0/24,2001:db8::/32,10.0.0.1",
        "floating",
        networks("192.168.0.0/24", "2001:db8::/32", "10.0.0.1/32"),
    ),
    ("InitTimeoutSeconds", "0", "init_timeout", 0.0),
    ("InitTimeoutSeconds", "2.5", "init_timeout", 2.5),
    ("ResyncSeconds", "1", "resync", 1.0),
    ("ApiRate", "50/5", "rate", Rate(burst=50, refill=5.0)),
    ("ApiRate", "1/0.5", "rate", Rate(burst=1, refill=0.5)),
    ("ManageSourceDestCheck", "1", "manage_source_dest_check", True),
    ("HTTPPort", "65535", "http_port", 65535),
    ("HTTPPort", "0", "http_port", 0),
    ("LogFormat", "json", "log_json", True),
    ("LogLevel", "debug", "log_level", "debug"),
    (
        "Intf1Peers",
        "10.0.0.5,10.0.1.0/24,,10.0.0.5",
        "peers",
        {1: networks("10.0.0.5/32", "10.0.1.0/24")},
    ),
    ("Intf12Peers", "2001:db8::1", "peers", {12: networks("2001:db8::1/128")}),
    ("Intf1Peers", " ", "peers", {}),
    ("AWS_REGION", "eu-central-1", "region", "eu-central-1"),
    ("AWS_DEFAULT_REGION", "us-east-1", "region", "us-east-1"),
    ("AWS_EC2_METADATA_V1_DISABLED", "True", "imds_v1", False),
    ("KUBERNETES_SERVICE_HOST", "172.20.0.1", "protected", (ip_address("172.20.0.1"),)),
    ("AWS_ENDPOINT_URL_EC2", "http://[fd00::7]:8080/x", "protected", (ip_address("fd00::7"),)),
    ("AWS_ENDPOINT_URL", "https://ec2.example", "protected", ()),
    ("AWS_ENDPOINT_URL", "http://[", "protected", ()),
]


@pytest.mark.parametrize(("key", "value", "field", "expected"), GOOD)
def test_a_good_value_is_taken(key: str, value: str, field: str, expected: object) -> None:
    assert getattr(load({key: value}), field) == expected


BAD = [
    ("VPCRTTag", "=value", "has no key"),
    ("VPCRTTag", "ALL,role", "ALL alone"),
    ("RunAsSidecar", "maybe", "True or False"),
    ("SubnetBasedLoopbacks", "2", "True or False"),
    ("UseSBR", "sbr", "True or False"),
    ("VPCRTIds", "rtb-1", "route table ids"),
    ("VPCRTIds", "rtb-0123456789abcdef0;rtb-01234567", "route table ids"),
    ("RouteRoleArn", "routes", "a role such as"),
    ("RouteRoleArn", "arn:aws:iam::1:role/x", "a role such as"),
    ("Interfaces", "net1 net2", "interface names"),
    ("FloatingIPs", "192.168.0.1/24", "without host bits"),
    ("FloatingIPs", "300.0.0.1", "is neither"),
    ("InitTimeoutSeconds", "-1", "seconds from 0"),
    ("InitTimeoutSeconds", "soon", "seconds from 0"),
    ("InitTimeoutSeconds", "nan", "seconds from 0"),
    ("InitTimeoutSeconds", "inf", "seconds from 0"),
    ("ResyncSeconds", "0", "seconds from 1"),
    ("ApiRate", "0/5", "burst/refill"),
    ("ApiRate", "50", "burst/refill"),
    ("ApiRate", "50/0", "burst/refill"),
    ("ApiRate", "50/-1", "burst/refill"),
    ("ManageSourceDestCheck", "off!", "True or False"),
    ("HTTPPort", "65536", "a port"),
    ("HTTPPort", "-1", "a port"),
    ("HTTPPort", "9" * 5000, "a port"),
    ("HTTPPort", "٣", "a port"),
    ("LogFormat", "xml", "text or json"),
    ("LogLevel", "trace", "debug or info"),
    ("OnStop", "withdraw", "keep"),
    ("LeaderElection", "perhaps", "True or False"),
    ("LeaseName", "Telco", "lower-case letters"),
    ("LeaseName", "a..b", "an object's name"),
    ("LeaseNamespace", "telco.prod", "a namespace"),
    ("LeaseSeconds", "1", "seconds from 2 to 60"),
    ("HeartbeatMs", "19", "a whole number from 20 to 5000"),
    ("HeartbeatPort", "65536", "a port"),
    ("HeartbeatKeyFile", "key", "an absolute path"),
    ("PreferredZone", "us-east-2a, us-east-2b", "one Availability Zone, such as us-east-2b"),
    ("RoleLabel", "holder", "True or False"),
    ("HealthCheck", "localhost:80", "tcp://"),
    ("HealthIntervalMs", "99", "a whole number from 100 to 60000"),
    ("HealthRise", "0", "a whole number from 1 to 100"),
    ("HealthFall", "1.5", "a whole number from 1 to 100"),
    ("Intf1Peers", "10.0.0.1/24", "10.0.0.0/24 or the host 10.0.0.1"),
    ("Intf1Peers", "peer.example.com", "is neither"),
    ("Intf2Peers", "10.0.0.0/33", "is neither"),
    ("Intf1Peers", "10.0.0.1 10.0.0.2", "is neither"),
    ("Intf1Peers", "fe80::1%eth0", "without a zone"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), BAD)
def test_a_bad_value_is_refused_with_its_key_and_what_is_allowed(
    key: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load({key: value})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{key}={quoted(value)}: expected ")
    assert allowed in problem


def test_every_mistake_is_told_at_once() -> None:
    environ = {key: value for key, value, _ in BAD} | {"intf1peers": "10.0.0.1"}
    with pytest.raises(SettingsError) as caught:
        load(environ)
    told = {p.partition("=")[0] for p in caught.value.problems}
    assert told == set(environ)
    assert str(caught.value).count("\n") == len(environ) - 1


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("VPCRTTAG", "VPCRTTag"),
        ("VPCRTTags", "VPCRTTag"),
        ("intf1peers", "Intf1Peers"),
        ("Intf1Peer", "Intf1Peers"),
        ("Intf0Peers", "Intf1Peers"),
        ("Intf100Peers", "Intf1Peers"),
        ("RunAsSideCar", "RunAsSidecar"),
        ("SubnetBasedLoopback", "SubnetBasedLoopbacks"),
        ("useSBR", "UseSBR"),
        ("HttpPort", "HTTPPort"),
    ],
)
def test_a_key_with_a_typing_mistake_is_refused(wrong: str, meant: str) -> None:
    with pytest.raises(SettingsError, match="unknown key; did you mean"):
        load({wrong: "x"})
    with pytest.raises(SettingsError) as caught:
        load({wrong: "x"})
    if "0" not in wrong:
        assert f"did you mean {meant}?" in caught.value.problems[0]


def test_the_rest_of_the_environment_is_nobody_s_concern() -> None:
    environ = {
        "PATH": "/bin",
        "HOME": "/",
        "HOSTNAME": "pod",
        "KUBERNETES_SERVICE_PORT": "443",
        "APP_PORT_80_TCP": "tcp://10.0.0.1:80",
    }
    assert load(environ) == load({})


def test_empty_means_default_for_every_key() -> None:
    names = [k.name for k in KEYS] + ["Intf1Peers"]
    assert load(dict.fromkeys(names, "")) == load({})


def test_the_region_of_the_container_goes_before_the_default_region() -> None:
    assert load({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}).region == "a"


NASTY = ["$(reboot)", "`id`", "; rm -rf /", "| cat", "a && b", "x\nroute del default", "${HOME}"]


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("key", [k.name for k in KEYS] + ["Intf1Peers"])
def test_what_a_shell_would_run_is_refused_or_kept_as_text(key: str, text: str) -> None:
    if key == "VPCRTTag":
        # Compared with tags, and with nothing else.
        assert load({key: text}).tags[0].key == text.strip()
        return
    with pytest.raises(SettingsError):
        load({key: text})


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("around", ["{}", "10.0.0.1,{}", "2001:db8::1%{}", "2001:db8::%{}/64"])
def test_no_text_reaches_ip_through_a_peer(around: str, text: str) -> None:
    with pytest.raises(SettingsError):
        load({"Intf1Peers": around.format(text)})


keys = st.sampled_from([*(k.name for k in KEYS), "Intf1Peers", "Intf2Peers"])
values = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="0123456789.:/,%abcdef-", max_size=30),
    st.sampled_from([v for _, v, _, _ in GOOD] + [v for _, v, _ in BAD]),
)


@given(st.dictionaries(st.one_of(keys, st.text(max_size=12)), values, max_size=6))
def test_any_environment_gives_settings_or_a_list_of_mistakes(environ: dict[str, str]) -> None:
    problems: tuple[str, ...] = ()
    peers: list[str] = []
    try:
        peers = [str(p) for group in load(environ).peers.values() for p in group]
    except SettingsError as error:
        problems = error.problems or ("",)
    assert all(problems)
    assert all(set(p) <= set("0123456789abcdef.:/") for p in peers)


def test_a_health_check_before_the_application_has_started_is_a_contradiction() -> None:
    with pytest.raises(SettingsError, match="the application starts after its initContainers"):
        load({"HealthCheck": "tcp://127.0.0.1:80"})
    assert load({"HealthCheck": "tcp://127.0.0.1:80", "RunAsSidecar": "True"}).health_check


ARN = "arn:aws-us-gov:eks:us-gov-west-1:123456789012:cluster/telco_1"

STANDBY = {
    "LeaderElection": "True",
    "RunAsSidecar": "True",
    "POD_NAME": "app-0",
    "POD_UID": "6f9c",
}

CONTRADICTIONS = [
    ({"RunAsSidecar": "False"}, "an initContainer ends, and holds no Lease"),
    ({"POD_UID": ""}, "the pod's metadata.uid with LeaderElection=True"),
    ({"HeartbeatMs": "1000"}, "at most 833 with LeaseSeconds=5"),
    ({"LeaderElection": "False", "PreferredZone": "us-east-2b"}, "nobody hands over"),
    ({"HeartbeatPort": "0", "HeartbeatKeyFile": "/key"}, "nothing is sent"),
    ({"LeaderElection": "False", "HandOverOn": "zonal-shift", "ClusterArn": ARN}, "takes over"),
    ({"HandOverOn": "cordon"}, "NODE_NAME='': expected the pod's spec.nodeName"),
    ({"HandOverOn": "zonal-shift"}, "ClusterArn='': expected the ARN of the EKS cluster"),
    ({"ClusterArn": ARN}, "nothing without HandOverOn=zonal-shift"),
    ({"HandOverOn": "cordon", "NODE_NAME": "n", "ClusterArn": ARN}, "nothing without HandOverOn"),
    ({"HandOverOn": "drain"}, "cordon and zonal-shift, one or both; drain is neither"),
    ({"HandOverOn": "cordon;zonal-shift"}, "cordon;zonal-shift is neither"),
    ({"HandOverOn": "zonal-shift", "ClusterArn": "telco"}, "a cluster such as arn:aws:eks"),
]


@pytest.mark.parametrize(("change", "said"), CONTRADICTIONS)
def test_keys_of_the_standby_that_contradict_each_other_are_refused(
    change: dict[str, str], said: str
) -> None:
    assert load(STANDBY).leader_election
    with pytest.raises(SettingsError, match=said):
        load(STANDBY | change)


@pytest.mark.parametrize(
    "zone",
    [
        "eu-central-1b",
        "eusc-de-east-1a",
        "us-west-2-lax-1a",
        "us-east-1-wl1-bos-wlz-1",
        "us-gov-west-1c",
        "us-iso-east-1a",
        "x1",
    ],
)
def test_a_zone_is_whatever_ec2_calls_one(zone: str) -> None:
    assert load(STANDBY | {"PreferredZone": zone}).preferred_zone == zone


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-eusc", "aws-iso-f", "aws2"])
def test_arns_may_be_of_any_partition(partition: str) -> None:
    role = f"arn:{partition}:iam::123456789012:role/routes"
    cluster = f"arn:{partition}:eks:eusc-de-east-1:123456789012:cluster/telco"
    asked = {"RouteRoleArn": role, "HandOverOn": "zonal-shift", "ClusterArn": cluster}
    settings = load(STANDBY | asked)
    assert (settings.route_role, settings.cluster_arn) == (role, cluster)


def test_what_is_handed_over_on_is_read_in_any_order_and_once() -> None:
    asked = {"HandOverOn": " zonal-shift, cordon,cordon", "ClusterArn": ARN, "NODE_NAME": "n"}
    settings = load(STANDBY | asked)
    assert settings.hand_over_on == (HandOver.ZONAL_SHIFT, HandOver.CORDON)
    assert settings.cluster_arn == ARN
    assert load(STANDBY).hand_over_on == ()


def test_without_heartbeats_their_interval_contradicts_nothing() -> None:
    assert load(STANDBY | {"HeartbeatPort": "0", "HeartbeatMs": "5000"}).heartbeat_port == 0
