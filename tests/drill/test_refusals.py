"""What a drill refuses, before anything is caused; each says what is missing."""

import re
import subprocess
import sys

import pytest

from clusters import NAMESPACE
from drill_fixtures import HERE, LEASE, NODE, OTHER, QUICK, Site
from vipmanager_lab.kube.faults import Refuse
from vipmanager_lab.kube.kinds import LEASES, NODES, PODS
from vipmanager_lab.kube.store import Key

CALM = ("--run", "true", *QUICK)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((HERE, "--yes"), "no cause is given; name one failover: --delete-pod, --delete-holder"),
        (("--run", "true"), "no ADDRESS is given"),
        ((HERE, "--delete-holder"), "--delete-holder needs --lease"),
        ((HERE, "--delete-pod", "p", "--all-pods"), "--all-pods goes with --drain-node alone"),
        (("192.168.0.1/32", "--run", "true"), "expected an address such as 192.168.0.1"),
        ((HERE, "--run", "true", "--at-most", "1"), "'1': expected a time such as 800ms, 1.5s"),
        ((HERE, "--run", "true", "--at-most", "0s"), "'0s': expected a time"),
        ((HERE, "--run", "true", "--udp", "0"), "expected a whole number from 1 to 65535"),
        ((HERE, "--run", "true", "--interval", "1ms"), "expected a time from 0.002s to 1s"),
        ((HERE, "--run", "true", "--drain-node", "n"), "not allowed with argument"),
        ((HERE, "--run", "'"), '--run "\'": No closing quotation; close the quotes'),
        ((HERE, "--run", ""), "--run is empty"),
        (
            (HERE, "--delete-pod", "p"),
            "the Kubernetes API is reached from a pod alone, and this is none; run",
        ),
        ((HERE, "--run", "true", "--udp", "9", "--yes"), "does not answer from here for 1 s, so"),
        ((HERE, "--run", "true", "--hold", "9", "--yes"), "no connection to port 9 (Connection"),
        (("--clean", HERE), "--clean takes no ADDRESS"),
    ],
)
def test_a_command_line_that_can_t_be_used(words: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vipmanager", "drill", *words],
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "1000"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--delete-pod", "nobody"), f"there is no pod {NAMESPACE}/nobody"),
        (("--delete-holder", "--lease", "other"), f"there is no Lease {NAMESPACE}/other"),
        (("--drain-node", "nowhere"), "no pod on node nowhere is known to hold 127.0.0.1"),
        (("--drain-node", "nowhere", "--all-pods"), "no pod on node nowhere is known to hold"),
    ],
)
def test_what_is_not_there(site: Site, words: tuple[str, ...], said: str) -> None:
    done = site.drill(HERE, *words, *QUICK)
    assert (done.code, done.out) == (2, ""), done.err
    assert said in done.err
    assert site.untouched()


def test_a_lease_that_nobody_holds(site: Site) -> None:
    change = {"spec": {"holderIdentity": None}}
    site.store.patch(Key(LEASES, NAMESPACE, LEASE), change)
    done = site.drill(HERE, "--delete-holder", "--lease", LEASE, *QUICK)
    assert done.code == 2
    assert f"nobody holds the Lease {NAMESPACE}/{LEASE}" in done.err


def test_without_yes_and_without_a_terminal_it_refuses(site: Site) -> None:
    done = site.drill(HERE, "--delete-pod", "holder")
    assert (done.code, done.out) == (2, ""), done.err
    whole = "nothing was caused: nobody can be asked about this: delete the pod telco/holder"
    assert f"{whole}; add --yes" in done.err
    assert site.there("holder")


def test_a_group_of_one_is_told_what_it_costs(site: Site) -> None:
    done = site.drill(HERE, "--delete-pod", "holder")
    assert "nobody stands by" not in done.err
    site.store.delete(Key(PODS, NAMESPACE, "standby"))
    done = site.drill(HERE, "--delete-pod", "holder")
    assert "nobody stands by. The outage lasts until Kubernetes has started another" in done.err
    assert done.code == 2


def test_each_right_that_is_missing_is_named_and_nothing_is_done(bare: Site) -> None:
    def missing(*words: str) -> str:
        done = bare.drill(HERE, *words, *QUICK)
        assert (done.code, done.out) == (2, ""), done.err
        assert bare.untouched()
        assert bare.there("holder")
        found = re.search(r"allow (.*) in a (.*) bound to", done.err)
        assert found is not None, done.err
        return " ".join(found.groups())

    account = bare.pod.account
    holder = ("--delete-holder", "--lease", LEASE)
    assert missing(*holder) == "get on leases Role"
    account.allow(LEASES, ["get"])
    assert missing(*holder) == "get on pods Role"
    account.allow(PODS, ["get"])
    assert missing(*holder) == "list on pods Role"
    account.allow(PODS, ["list"])
    assert missing(*holder) == "delete on pods Role"
    drain = ("--drain-node", NODE)
    assert missing(*drain) == "list on nodes ClusterRole"
    account.allow(NODES, ["list"])
    assert missing(*drain) == "list on pods ClusterRole"
    account.allow(PODS, ["list"], everywhere=True)
    assert missing(*drain) == "get on nodes ClusterRole"
    account.allow(NODES, ["get"])
    assert missing(*drain) == "patch on nodes ClusterRole"
    account.allow(NODES, ["patch"])
    assert missing(*drain) == "create on pods/eviction Role"


def test_a_budget_that_forbids_the_eviction_is_found_before_the_cordon(site: Site) -> None:
    said = "Cannot evict pod as it would violate the pod's disruption budget."
    budget = Refuse(code=429, reason="TooManyRequests", message=said)
    site.pod.cluster.faults.inject("create pods/eviction", budget)
    done = site.drill(HERE, "--drain-node", NODE, *QUICK)
    assert done.code == 2
    assert said in done.err
    assert site.untouched()


def test_a_node_that_somebody_else_cordoned_is_left_alone(site: Site) -> None:
    site.store.patch(Key(NODES, "", NODE), {"spec": {"unschedulable": True}})
    done = site.drill(HERE, "--drain-node", NODE, *QUICK)
    assert done.code == 2
    assert f"node {NODE} is cordoned by somebody else" in done.err
    assert site.drill("--clean").out == "No drill has left anything.\n"
    assert site.node()["spec"]["unschedulable"]
    assert site.untouched(OTHER)
