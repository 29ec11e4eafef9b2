"""Every check of the table finds what it is there for, and nothing in a pod that is well."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from types import MappingProxyType

import pytest

from standby_ward import ILLS as STANDBY_ILLS
from standby_ward import StandbyWard
from vipmanager.core.failures import Permanent, Throttled, Transient
from vipmanager.core.findings import Condition
from vipmanager.core.settings import Pattern, Rate, Settings, TagSelector
from vipmanager.core.values import Address, CloudState, KernelRoute, Mac, PolicyRule, SubnetId
from vipmanager.doctor.table import CHECKS
from vipmanager.edges.aws.identity import Credentials
from vipmanager.edges.memory import MemoryKernel
from ward import Body, Ward
from worlds import eni, interface, kernel, networks, pod, pointed, route, table

DENIED = Permanent("ec2:CreateRoute for rtb-01: UnauthorizedOperation", "allow ec2:CreateRoute")


def no_admin(ward: Ward) -> None:
    ward.host.admin = False


def no_kernel(ward: Ward) -> None:
    class Broken(MemoryKernel):
        def read(self) -> None:  # type: ignore[override]
            raise Permanent("ip can't be started (No such file or directory)", "")

    ward.kernel = Broken(ward.kernel.state)


def default_by_net1(ward: Ward) -> None:
    state = ward.kernel.state
    way = KernelRoute(
        destination=ip_network("0.0.0.0/0"), device="net1", gateway=ip_address("10.0.11.1")
    )
    kept = tuple(r for r in state.routes if r.destination.prefixlen or r.table != 254)
    ward.kernel.state = replace(state, routes=(*kept, way))


def foreign_rule(ward: Ward) -> None:
    rule = PolicyRule(priority=8610, source=ip_network("192.168.0.1/32"), table=100, protocol=3)
    ward.kernel.state = replace(ward.kernel.state, rules=(*ward.kernel.state.rules, rule))


def strict_filter(ward: Ward) -> None:
    ward.host.filters = {"net2": 1}


def sick(ward: Ward) -> None:
    ward.sick = Transient("tcp://127.0.0.1:80: refused")


def no_imds(ward: Ward) -> None:
    ward.strict.node = ward.metadata.node = Transient("no answer to PUT", "set the hop limit to 2")


def only_v1(ward: Ward) -> None:
    ward.settings = replace(ward.settings, imds_v1=True)
    ward.strict.node = Permanent("IMDS answered PUT token with 403")


def no_endpoint(ward: Ward) -> None:
    ward.aws.skew = Transient("EC2 of eu-central-1 does not answer: timed out")


def late(ward: Ward) -> None:
    ward.aws.skew = -600.0


def no_credentials(ward: Ward) -> None:
    ward.aws.found = Permanent("no credentials in the environment, in files or from a role")


def expired(ward: Ward) -> None:
    ward.aws.found = Credentials(source="the node's role", expires=datetime(2020, 1, 1, tzinfo=UTC))


def unreadable(ward: Ward) -> None:
    ward.cloud.unreachable = Permanent("ec2:DescribeRouteTables: UnauthorizedOperation", "allow it")


def stranger(ward: Ward) -> None:
    net1 = replace(interface("a", 1, "192.168.0.1"), mac=Mac("02:de:ad:00:00:01"))
    ward.kernel.state = kernel(net1, interface("a", 2, "192.168.0.2"))


def detached(ward: Ward) -> None:
    gone = replace(eni("a", 1), attached=False, instance=None)
    lost = route("192.168.0.1/32", "eni-a1", blackhole=True)

    def change(state: CloudState) -> CloudState:
        rest = tuple(e for e in state.enis if e.id != gone.id)
        return replace(state, enis=(gone, *rest))

    ward.change(change)
    ward.tables(
        lambda t: replace(
            t,
            routes=tuple(lost if r.destination == lost.destination else r for r in t.routes),
        )
    )


def in_the_vpc(ward: Ward) -> None:
    ward.kernel.state = kernel(interface("a", 1, "10.0.200.1"), interface("a", 2, "192.168.0.2"))


def no_address(ward: Ward) -> None:
    ward.kernel.state = kernel(interface("a", 1), interface("a", 2))


def checked(ward: Ward) -> None:
    ward.change(
        lambda s: replace(s, enis=tuple(replace(e, source_dest_check=True) for e in s.enis))
    )


def untagged(ward: Ward) -> None:
    ward.change(
        lambda s: replace(s, enis=tuple(replace(e, tags=MappingProxyType({})) for e in s.enis))
    )


def wide_peer(ward: Ward) -> None:
    ward.settings = replace(ward.settings, peers={1: networks("169.254.0.0/16")})


def bare_pod(ward: Ward) -> None:
    ward.kernel.state = pod()


def silent_gateway(ward: Ward) -> None:
    ward.host.silent = frozenset({"10.0.11.1 on net1"})


def no_table(ward: Ward) -> None:
    ward.settings = replace(ward.settings, tags=(TagSelector(key="role", value="vip"),))


def edge(ward: Ward) -> None:
    ward.tables(lambda t: replace(t, edges=("igw-1",)) if t.id == "rtb-01" else t)


def denied(ward: Ward) -> None:
    ward.cloud.refuse = lambda a: DENIED if getattr(a, "table", "") == "rtb-01" else None


def bound_eni(ward: Ward) -> None:
    ward.settings = replace(ward.settings, manage_source_dest_check=True)
    refusal = Permanent("ec2:ModifyNetworkInterfaceAttribute for eni-a2", "allow it")
    ward.cloud.refuse = lambda a: refusal if getattr(a, "eni", "") == "eni-a2" else None


def throttled(ward: Ward) -> None:
    ward.cloud.refuse = lambda _: Throttled("ec2:CreateRoute: RequestLimitExceeded")


def stolen(ward: Ward) -> None:
    ward.change(lambda s: pointed(s, "192.168.0.1/32", "eni-b1", only=1))


def taken(ward: Ward) -> None:
    ward.change(lambda s: pointed(s, "192.168.0.1/32", "eni-b1"))


def stale_elsewhere(ward: Ward) -> None:
    stale = route("192.168.0.1/32", "eni-b1")
    tagged = MappingProxyType({"role": "vip"})
    ward.tables(lambda t: replace(t, tags=tagged))
    ward.change(lambda s: replace(s, tables=(*s.tables, table(7, [stale]))))
    ward.settings = replace(ward.settings, tags=(TagSelector(key="role"),))


def crossing_peers(ward: Ward) -> None:
    peers = {1: networks("10.0.96.0/19"), 2: networks("10.0.101.0/24")}
    ward.settings = replace(ward.settings, peers=peers)


def occupied(ward: Ward) -> None:
    tenant = replace(
        eni("b", 2),
        id=eni("b", 2).id,
        subnet=SubnetId("subnet-dummy1"),
        addresses=frozenset({ip_address("10.0.254.5")}),
    )
    ward.change(lambda s: replace(s, enis=(*(e for e in s.enis if e.id != tenant.id), tenant)))


def full(ward: Ward) -> None:
    many = [route(f"172.16.{n // 250}.{n % 250}/32", "igw-1") for n in range(470)]
    ward.tables(lambda t: replace(t, routes=(*t.routes, *many)) if t.id == "rtb-01" else t)


def slow(ward: Ward) -> None:
    ward.settings = replace(ward.settings, rate=Rate(burst=2, refill=0.5))


ILLS: tuple[tuple[Callable[..., None], str, str, str, str], ...] = (
    # what was done, the check that tells, its state, the object, the remedy
    (no_admin, "net-admin", "error", "NET_ADMIN", "capabilities.add: [NET_ADMIN]"),
    (no_kernel, "kernel", "error", "ip can't be started", "install iproute2"),
    (default_by_net1, "primary-route", "error", "net1", "ip -4 route del default dev net1"),
    (foreign_rule, "policy-rules", "warning", "lookup 100", "ip -4 rule del from 192.168.0.1/32"),
    (strict_filter, "rp-filter", "warning", "net2", "net.ipv4.conf.net2.rp_filter=2"),
    (sick, "application", "warning", "tcp://127.0.0.1:80: refused", "correct HealthCheck"),
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
    *STANDBY_ILLS,
)
OF_A_STANDBY = {ill for ill, *_ in STANDBY_ILLS}


def ward_for(ill: Callable[..., None]) -> Ward:
    if ill in OF_A_STANDBY:
        return StandbyWard()
    return Ward(Settings(pattern=Pattern.SUBNET) if ill is occupied else None)


@pytest.mark.parametrize("pattern", list(Pattern))
def test_a_pod_that_is_well_passes_every_check(pattern: Pattern) -> None:
    ward = Ward() if pattern is Pattern.HOST else Ward(Settings(pattern=pattern))
    results = ward.results().values()
    assert [r.seen.troubles for r in results if r.state not in {"ok", "skipped"}] == []
    assert {r.check for r in results if r.skipped} == {c for c in CHECKS if c.standby}


@pytest.mark.parametrize(("ill", "code", "state", "names", "remedy"), ILLS)
def test_an_ill_is_named_with_its_object_and_its_remedy(
    ill: Callable[[Ward], None], code: str, state: str, names: str, remedy: str
) -> None:
    ward = ward_for(ill)
    ill(ward)
    result = ward.results()[code]
    assert result.state == state
    said = [(t.what, result.check.remedy(t)) for t in result.seen.troubles]
    assert any(names in what and remedy in fix for what, fix in said), said


@pytest.mark.parametrize("ill", [ill for ill, *_ in ILLS])
def test_every_finding_has_a_reason_and_a_remedy_that_is_filled_in(
    ill: Callable[[Ward], None],
) -> None:
    ward = ward_for(ill)
    ill(ward)
    for result in ward.results().values():
        for found in result.seen.troubles:
            assert result.check.why
            assert result.check.remedy(found)
            assert "<" not in result.check.remedy(found)


def test_every_check_has_an_ill_and_depends_on_earlier_ones_only() -> None:
    codes = [c.code for c in CHECKS]
    assert len(set(codes)) == len(codes)
    assert {code for _, code, *_ in ILLS} == set(codes)
    for number, check in enumerate(CHECKS):
        assert set(check.after) <= set(codes[:number])


def test_every_condition_of_the_agent_is_told_by_a_check() -> None:
    elsewhere = {
        Condition.MAC_UNKNOWN,  # interfaces tells these from a detached ENI
        Condition.ENI_NOT_YET,
        Condition.NO_FLOATING_IP,  # floating-ips, as an error: nothing else can be told
        Condition.SUBNET_OCCUPIED_HELD,  # dummy-subnets looks by itself
        Condition.CONTESTED,  # routes, as the routes that don't lead to the ENI
        Condition.NOT_VISIBLE,
        Condition.UNREACHABLE,  # a failed reading is the check that reads
        Condition.TRANSIENT,
        Condition.PERMANENT,
        Condition.LEFT_LIVE,  # cleanup
        Condition.LEFT_ORPHAN,
    }
    told = {c for check in CHECKS for c in check.conditions}
    assert not told & elsewhere
    assert told | elsewhere == set(Condition)


def test_a_region_from_the_environment_makes_a_silent_imds_a_warning() -> None:
    ward = Ward()
    ward.settings = replace(ward.settings, region="eu-central-1")
    no_imds(ward)
    results = ward.results()
    assert results["imds"].state == "warning"
    assert results["routes"].state == "ok"


def test_what_can_not_be_asked_is_not_taken_for_silence() -> None:
    class Bound(Body):
        def answers(self, interface: str, neighbour: Address) -> bool:
            raise Permanent(f"{neighbour} can't be asked on {interface}: Operation not permitted")

    ward = Ward()
    ward.host = Bound()
    result = ward.results()["gateways"]
    assert result.state == "ok"
    assert "Operation not permitted" in result.seen.note
