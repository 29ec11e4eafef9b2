"""Every check of the table finds what it is there for, and nothing in a pod that is well."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from types import MappingProxyType

import pytest

from doctor_fixtures import FakeHost, Patient
from standby_doctor_fixtures import FAULTY as STANDBY_ILLS
from standby_doctor_fixtures import StandbyPatient
from vipmanager.core.failures import Permanent, Throttled, Transient
from vipmanager.core.findings import Condition
from vipmanager.core.healthcheck import TcpCheck
from vipmanager.core.podnet import held_mark
from vipmanager.core.refusals import REFUSALS, UNKNOWN
from vipmanager.core.settings import Pattern, Rate, Settings, TagSelector
from vipmanager.core.values import (
    Address,
    CloudState,
    EniId,
    KernelRoute,
    Mac,
    PolicyRule,
    SubnetId,
)
from vipmanager.doctor.table import CHECKS
from vipmanager.edges.aws.identity import Credentials
from vipmanager.edges.control import Hangs
from vipmanager.edges.memory import MemoryKernel
from worlds import eni, interface, kernel, networks, pod, pointed, route, table

DENIED = Permanent("ec2:CreateRoute for rtb-01: UnauthorizedOperation", "allow ec2:CreateRoute")


def refused(patient: Patient) -> None:
    patient.pod = False
    patient.namespace, patient.refusal = (
        "telco",
        'violates PodSecurity "baseline:latest": NET_ADMIN',
    )


def no_admin(patient: Patient) -> None:
    patient.host.admin = False


def hanging(patient: Patient) -> None:
    patient.agent = Hangs("the agent (process 7) hangs: it is stopped", "kill -CONT 7")


def stuck(patient: Patient) -> None:
    patient.agent = {"ready": True, "why": "", "pass": {"ago": 3600.0}}


def no_kernel(patient: Patient) -> None:
    class Broken(MemoryKernel):
        def read(self) -> None:  # type: ignore[override]
            raise Permanent("ip can't be started (No such file or directory)", "")

    patient.kernel = Broken(patient.kernel.state)


def default_by_net1(patient: Patient) -> None:
    state = patient.kernel.state
    way = KernelRoute(
        destination=ip_network("0.0.0.0/0"), device="net1", gateway=ip_address("10.0.11.1")
    )
    kept = tuple(r for r in state.routes if r.destination.prefixlen or r.table != 254)
    patient.kernel.state = replace(state, routes=(*kept, way))


def foreign_rule(patient: Patient) -> None:
    rule = PolicyRule(priority=8610, source=ip_network("192.168.0.1/32"), table=100, protocol=3)
    patient.kernel.state = replace(patient.kernel.state, rules=(*patient.kernel.state.rules, rule))


def strict_filter(patient: Patient) -> None:
    patient.host.filters = {"net2": 1}


def sick(patient: Patient) -> None:
    patient.settings = replace(patient.settings, health_check=TcpCheck(host="127.0.0.1", port=80))
    patient.sick = Transient("tcp://127.0.0.1:80: refused")


def no_imds(patient: Patient) -> None:
    patient.strict.node = patient.metadata.node = Transient(
        "no answer to PUT", "set the hop limit to 2"
    )


def only_v1(patient: Patient) -> None:
    patient.settings = replace(patient.settings, imds_v1=True)
    patient.strict.node = Permanent("IMDS answered PUT token with 403")


def no_endpoint(patient: Patient) -> None:
    patient.aws.skew = Transient("EC2 of eu-central-1 does not answer: timed out")


def late(patient: Patient) -> None:
    patient.aws.skew = -600.0


def no_credentials(patient: Patient) -> None:
    patient.aws.found = Permanent("no credentials in the environment, in files or from a role")


def expired(patient: Patient) -> None:
    patient.aws.found = Credentials(
        source="the node's role", expires=datetime(2020, 1, 1, tzinfo=UTC)
    )


def unreadable(patient: Patient) -> None:
    patient.cloud.unreachable = Permanent(
        "ec2:DescribeRouteTables: UnauthorizedOperation", "allow it"
    )


def stranger(patient: Patient) -> None:
    net1 = replace(interface("a", 1, "192.168.0.1"), mac=Mac("02:de:ad:00:00:01"))
    patient.kernel.state = kernel(net1, interface("a", 2, "192.168.0.2"))


def detached(patient: Patient) -> None:
    gone = replace(eni("a", 1), attached=False, instance=None)
    lost = route("192.168.0.1/32", "eni-a1", blackhole=True)

    def change(state: CloudState) -> CloudState:
        rest = tuple(e for e in state.enis if e.id != gone.id)
        return replace(state, enis=(gone, *rest))

    patient.change(change)
    patient.tables(
        lambda t: replace(
            t,
            routes=tuple(lost if r.destination == lost.destination else r for r in t.routes),
        )
    )


def in_the_vpc(patient: Patient) -> None:
    patient.kernel.state = kernel(interface("a", 1, "10.0.200.1"), interface("a", 2, "192.168.0.2"))


def no_address(patient: Patient) -> None:
    patient.kernel.state = kernel(interface("a", 1), interface("a", 2))


def checked(patient: Patient) -> None:
    patient.change(
        lambda s: replace(s, enis=tuple(replace(e, source_dest_check=True) for e in s.enis))
    )


def gone(patient: Patient) -> None:
    bare = kernel(interface("a", 1), interface("a", 2, "192.168.0.2"))
    mark = held_mark(ip_network("192.168.0.1/32"), EniId("eni-a1"))
    patient.kernel.state = replace(bare, routes=(*bare.routes, mark))


def untagged(patient: Patient) -> None:
    patient.change(
        lambda s: replace(s, enis=tuple(replace(e, tags=MappingProxyType({})) for e in s.enis))
    )


def wide_peer(patient: Patient) -> None:
    patient.settings = replace(patient.settings, peers={1: networks("169.254.0.0/16")})


def bare_pod(patient: Patient) -> None:
    patient.kernel.state = pod()


def silent_gateway(patient: Patient) -> None:
    patient.host.silent = frozenset({"10.0.11.1 on net1"})


def no_table(patient: Patient) -> None:
    patient.settings = replace(patient.settings, tags=(TagSelector(key="role", value="vip"),))


def edge(patient: Patient) -> None:
    patient.tables(lambda t: replace(t, edges=("igw-1",)) if t.id == "rtb-01" else t)


def denied(patient: Patient) -> None:
    patient.cloud.refuse = lambda a: DENIED if getattr(a, "table", "") == "rtb-01" else None


def bound_eni(patient: Patient) -> None:
    patient.settings = replace(patient.settings, manage_source_dest_check=True)
    refusal = Permanent("ec2:ModifyNetworkInterfaceAttribute for eni-a2", "allow it")
    patient.cloud.refuse = lambda a: refusal if getattr(a, "eni", "") == "eni-a2" else None


def throttled(patient: Patient) -> None:
    patient.cloud.refuse = lambda _: Throttled("ec2:CreateRoute: RequestLimitExceeded")


def stolen(patient: Patient) -> None:
    patient.change(lambda s: pointed(s, "192.168.0.1/32", "eni-b1", only=1))


def taken(patient: Patient) -> None:
    patient.change(lambda s: pointed(s, "192.168.0.1/32", "eni-b1"))


def stale_elsewhere(patient: Patient) -> None:
    stale = route("192.168.0.1/32", "eni-b1")
    tagged = MappingProxyType({"role": "vip"})
    patient.tables(lambda t: replace(t, tags=tagged))
    patient.change(lambda s: replace(s, tables=(*s.tables, table(7, [stale]))))
    patient.settings = replace(patient.settings, tags=(TagSelector(key="role"),))


def crossing_peers(patient: Patient) -> None:
    peers = {1: networks("10.0.96.0/19"), 2: networks("10.0.101.0/24")}
    patient.settings = replace(patient.settings, peers=peers)


def occupied(patient: Patient) -> None:
    tenant = replace(
        eni("b", 2),
        id=eni("b", 2).id,
        subnet=SubnetId("subnet-dummy1"),
        addresses=frozenset({ip_address("10.0.254.5")}),
    )
    patient.change(lambda s: replace(s, enis=(*(e for e in s.enis if e.id != tenant.id), tenant)))


def full(patient: Patient) -> None:
    many = [route(f"172.16.{n // 250}.{n % 250}/32", "igw-1") for n in range(470)]
    patient.tables(lambda t: replace(t, routes=(*t.routes, *many)) if t.id == "rtb-01" else t)


def slow(patient: Patient) -> None:
    patient.settings = replace(patient.settings, rate=Rate(burst=2, refill=0.5))


def schemeless(patient: Patient) -> None:
    patient.environ = {"AWS_ENDPOINT_URL_EC2": "vpce-0a"}


def proxied(patient: Patient) -> None:
    patient.environ = {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "169.254.0.0/16"}


FAULTY: tuple[tuple[Callable[..., None], str, str, str, str], ...] = (
    # what was done, the check that tells, its state, the object, the remedy
    (refused, "admission", "error", "baseline", "namespace telco pod-security"),
    (no_admin, "net-admin", "error", "NET_ADMIN", "capabilities.add: [NET_ADMIN]"),
    (no_kernel, "kernel", "error", "ip can't be started", "install iproute2"),
    (default_by_net1, "primary-route", "error", "net1", "ip -4 route del default dev net1"),
    (foreign_rule, "policy-rules", "warning", "lookup 100", "ip -4 rule del from 192.168.0.1/32"),
    (strict_filter, "rp-filter", "warning", "net2", "net.ipv4.conf.net2.rp_filter=2"),
    (sick, "application", "warning", "tcp://127.0.0.1:80: refused", "correct HealthCheck"),
    (schemeless, "environment", "error", "AWS_ENDPOINT_URL_EC2='vpce-0a'", "pod's manifest"),
    (proxied, "proxy", "warning", "169.254.169.254 is called through HTTP_PROXY", "to NO_PROXY"),
    (no_imds, "imds", "error", "no answer to PUT", "hop limit to 2"),
    (only_v1, "imds", "warning", "IMDSv1", "--instance-id i-a --http-tokens required"),
    (no_endpoint, "endpoint", "error", "eu-central-1", "AWS_ENDPOINT_URL"),
    (late, "clock", "error", "600 s behind", "chrony"),
    (no_credentials, "credentials", "error", "no credentials", "create-pod-identity-association"),
    (expired, "credentials", "error", "expired at 00:00:00", "pod-identity"),
    (unreadable, "read-access", "error", "ec2:DescribeRouteTables", "allow it"),
    (stranger, "interfaces", "error", "net1", "ipvlan"),
    (detached, "interfaces", "error", "eni-a1", "--instance-id i-a --device-index"),
    (in_the_vpc, "addresses", "error", "10.0.200.1", "SubnetBasedLoopbacks=True"),
    (no_address, "floating-ips", "error", "net1, net2", "k8s.v1.cni.cncf.io/networks"),
    (checked, "source-dest-check", "error", "eni-a1", "--no-source-dest-check"),
    (
        gone,
        "lost-addresses",
        "error",
        "192.168.0.1 is lost: net1 does not have it",
        "delete the pod",
    ),
    (untagged, "eni-tags", "warning", "eni-a1", "create-tags --resources eni-a1"),
    (wide_peer, "peers", "error", "169.254.0.0/16", "smaller networks"),
    (bare_pod, "pod-routes", "error", "ip route add 10.0.100.0/24", "vipmanager run"),
    (silent_gateway, "gateways", "error", "10.0.11.1 does not answer on net1", "ipvlan"),
    (no_table, "route-tables", "error", "role=vip", "tag the route tables"),
    (edge, "edge-tables", "info", "igw-1", "nothing to do"),
    (denied, "write-access", "error", "rtb-01", "allow ec2:CreateRoute"),
    (bound_eni, "write-access", "error", "ModifyNetworkInterfaceAttribute", "allow it"),
    (throttled, "write-access", "warning", "RequestLimitExceeded", "ApiRate"),
    (stolen, "routes", "error", "rtb-01 (eni-b1", "vipmanager claim"),
    (taken, "routes", "error", "taken over by eni-b1", "vipmanager claim"),
    (stale_elsewhere, "overlap", "warning", "rtb-07", "delete-route --route-table-id rtb-07"),
    (crossing_peers, "overlap", "warning", "10.0.101.0/24 of Intf2Peers", "UseSBR=True"),
    (occupied, "dummy-subnets", "warning", "eni-b2", "move that ENI"),
    (full, "route-quota", "warning", "rtb-01 has 472 IPv4 routes", "L-93826ACB"),
    (slow, "failover-time", "warning", "4 s", "VPCRTIds"),
    (hanging, "sidecar", "error", "process 7) hangs", "kill -CONT 7"),
    (stuck, "sidecar", "error", "has not looked for 3600 s", "kubectl delete pod"),
    *STANDBY_ILLS,
)
OF_A_STANDBY = {fault for fault, *_ in STANDBY_ILLS}


def fixture_for(fault: Callable[..., None]) -> Patient:
    if fault in OF_A_STANDBY:
        return StandbyPatient()
    return Patient(Settings(pattern=Pattern.SUBNET) if fault is occupied else None)


@pytest.mark.parametrize("pattern", list(Pattern))
def test_a_pod_that_is_well_passes_every_check(pattern: Pattern) -> None:
    patient = (
        Patient()
        if pattern is Pattern.HOST
        else Patient(replace(Patient().settings, pattern=pattern))
    )
    results = patient.results().values()
    assert [r.seen.issues for r in results if r.state not in {"ok", "skipped"}] == []
    why = {r.check.code: r.skipped for r in results if r.skipped}
    assert why.pop("application") == "no HealthCheck"
    assert why == {c.code: "LeaderElection=False" for c in CHECKS if c.standby}


def test_each_check_says_what_is_so_when_it_failed_and_not_what_should_be() -> None:
    for check in CHECKS:
        assert check.failed
        assert check.failed != check.title
    patient = Patient()
    no_endpoint(patient)
    assert patient.results()["endpoint"].said == "EC2 does not answer"


@pytest.mark.parametrize(("fault", "code", "state", "names", "remedy"), FAULTY)
def test_an_ill_is_named_with_its_object_and_its_remedy(
    fault: Callable[[Patient], None], code: str, state: str, names: str, remedy: str
) -> None:
    patient = fixture_for(fault)
    fault(patient)
    result = patient.results()[code]
    assert result.state == state
    said = [(t.what, result.check.remedy(t)) for t in result.seen.issues]
    assert any(names in what and remedy in fix for what, fix in said), said


@pytest.mark.parametrize("fault", [fault for fault, *_ in FAULTY])
def test_every_finding_has_a_reason_and_a_remedy_that_is_filled_in(
    fault: Callable[[Patient], None],
) -> None:
    patient = fixture_for(fault)
    fault(patient)
    for result in patient.results().values():
        for found in result.seen.issues:
            assert result.check.why
            assert result.check.remedy(found)
            assert "<" not in result.check.remedy(found)


def test_every_check_has_an_ill_and_depends_on_earlier_ones_only() -> None:
    codes = [c.code for c in CHECKS]
    assert len(set(codes)) == len(codes)
    assert {code for _, code, *_ in FAULTY} == set(codes)
    for number, check in enumerate(CHECKS):
        assert set(check.after) <= set(codes[:number])


def test_every_condition_of_the_agent_is_told_by_a_check() -> None:
    elsewhere = {
        Condition.MAC_UNKNOWN,  # interfaces tells these from a detached ENI
        Condition.ENI_NOT_YET,
        Condition.NO_FLOATING_IP,  # floating-ips, as an error: nothing else can be told
        Condition.NOT_ATTACHED,
        Condition.SUBNET_OCCUPIED_HELD,  # dummy-subnets looks by itself
        Condition.CONTESTED,  # routes, as the routes that don't lead to the ENI
        Condition.NOT_VISIBLE,
        Condition.TERMINATING,  # a running agent's, and so are the next two
        Condition.PODS_UNREAD,
        Condition.RIVAL_UNREAD,
        # A failed reading is the check that reads; a check tells any other refusal.
        *({r.condition for r in (*REFUSALS, UNKNOWN)} - {Condition.PERMANENT}),
        Condition.UNVERIFIED,
        Condition.BLIND,
        Condition.SUBNET_UNREAD,
        Condition.CHANGED_BY_ANOTHER,
        Condition.DRY_RUN,  # and so is WOULD_STEER, of which `routes` says why it is skipped
        Condition.WOULD_CHANGE_POD,
        Condition.LEFT_LIVE,  # cleanup
        Condition.LEFT_ORPHAN,
    }
    codes = {check.code for check in CHECKS}
    assert all(codes.issuperset(c.value.checks) for c in Condition)
    told = {c for check in CHECKS for c in check.conditions}
    assert not told & elsewhere
    assert told | elsewhere == set(Condition)


def test_a_namespace_that_admits_the_pod_is_named() -> None:
    patient = Patient()
    patient.pod, patient.namespace = False, "telco"
    assert patient.results()["admission"].said == "telco admits NET_ADMIN"


def test_a_region_from_the_environment_makes_a_silent_imds_a_warning() -> None:
    patient = Patient()
    patient.settings = replace(patient.settings, region="eu-central-1")
    no_imds(patient)
    results = patient.results()
    assert results["imds"].state == "warning"
    assert results["routes"].state == "ok"


def test_what_can_not_be_asked_is_not_taken_for_silence() -> None:
    class Bound(FakeHost):
        def answers(self, interface: str, neighbour: Address) -> bool:
            raise Permanent(f"{neighbour} can't be asked on {interface}: Operation not permitted")

    patient = Patient()
    patient.host = Bound()
    result = patient.results()["gateways"]
    assert result.state == "ok"
    assert "Operation not permitted" in result.seen.note
