"""`vipmanager drill`: one failover on purpose, and what a client saw of it."""

import argparse
import os
import sys
from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeVar

from vipmanager.cli.command import Commands, add_command, add_output, complain
from vipmanager.cli.drill_view import document, report
from vipmanager.cli.terminal import print_json, show, words
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.schema import Schema
from vipmanager.core.values import Address
from vipmanager.drill.cordon import clean
from vipmanager.drill.order import (
    Named,
    Order,
    Prepared,
    Probe,
    Way,
    must_be_in_a_pod,
    prepare,
    undoing,
)
from vipmanager.drill.run import Pace
from vipmanager.edges.guardian import guarded
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.settings.words import InvalidValue, dns_label, dns_subdomain, duration, whole

GOOD, BAD, UNUSABLE = 0, 1, 2

T = TypeVar("T")

_DESCRIPTION = """\
Probe floating IPs from here, cause one failover, and show what a client saw of it. It asks first.
With --delete-pod, --delete-holder or --drain-node it runs in a pod whose service account may do
that; with --run anywhere. AWS is not touched.

Exit code: 0 every address answers again, within --at-most; 1 it does not, or no failover was seen;
2 nothing was caused, and the line says why.
"""

_EPILOG = """\
examples:
  vipmanager drill 192.168.0.1 --lease telco/vipmanager --delete-holder --at-most 1s
  vipmanager drill 192.168.0.1 --udp 7 --drain-node ip-10-0-1-23 --at-most 2s --yes
  vipmanager drill 192.168.0.1 --run 'kubectl exec POD -c vipmanager -- vipmanager yield'
  vipmanager drill --clean
"""

_LONE = (
    "No other pod is known to hold these floating IPs: nobody stands by. The outage lasts until "
    "Kubernetes has started another pod, a minute perhaps, and longer where no node has room."
)


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "drill",
        summary="cause one failover, and measure what a client sees",
        description=_DESCRIPTION,
        examples=_EPILOG,
    )
    parser.add_argument(
        "address", nargs="*", type=_typed(_address, "ADDRESS"), help="a floating IP to probe"
    )
    _add_probes(parser)
    _add_causes(parser)
    _add_limits(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_output(parser)
    parser.set_defaults(run=run)


def _add_probes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("probes")
    port = _typed(whole(1, 65535), "PORT")
    ways = group.add_mutually_exclusive_group()
    ways.add_argument("--icmp", action="store_true", help="ping [this]")
    ways.add_argument("--udp", type=port, metavar="PORT", help="a UDP echo answers")
    ways.add_argument("--tcp", type=port, metavar="PORT", help="a TCP connection is accepted")
    group.add_argument(
        "--hold",
        type=port,
        action="append",
        default=[],
        metavar="PORT",
        help="hold an open TCP connection to this port too, and tell what becomes of it",
    )
    group.add_argument(
        "--interval",
        type=_typed(_between(0.002, 1.0), "TIME"),
        metavar="TIME",
        help="between two probes of one address [10ms, with --tcp 50ms]",
    )


def _add_causes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("causes", "One of them; never more than one at a time.")
    ways = group.add_mutually_exclusive_group()
    ways.add_argument(
        "--delete-pod",
        type=_typed(_named, "POD"),
        metavar="[NAMESPACE/]POD",
        help="delete this pod, as a rollout does",
    )
    ways.add_argument(
        "--delete-holder", action="store_true", help="delete the pod that holds --lease"
    )
    ways.add_argument(
        "--drain-node",
        type=_typed(dns_subdomain, "NODE"),
        metavar="NODE",
        help="cordon this node, evict its pods with these floating IPs, uncordon it at the end",
    )
    ways.add_argument("--run", dest="command_line", metavar="COMMAND", help="run this, no shell")
    ways.add_argument(
        "--clean", action="store_true", help="cause nothing: uncordon what a dead drill has left"
    )
    group.add_argument(
        "--all-pods",
        action="store_true",
        help="with --drain-node: evict every pod but those of DaemonSets",
    )
    group.add_argument(
        "--lease",
        type=_typed(_named, "LEASE"),
        metavar="[NAMESPACE/]NAME",
        help="the Lease of the group: tells its holder, and when that is another",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--at-most",
        type=_typed(duration, "TIME"),
        metavar="TIME",
        help="the outage that is good enough, such as 1s",
    )
    group.add_argument(
        "--settle",
        type=_typed(_between(1.0, 600.0), "TIME"),
        default=5.0,
        metavar="TIME",
        help="how long all has to be quiet at the end [5s]",
    )
    group.add_argument(
        "--timeout",
        type=_typed(_between(2.0, 3600.0), "TIME"),
        default=120.0,
        metavar="TIME",
        help="how long it takes at the most [2m]",
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask, cause it, and show what was seen."""
    try:
        return _clean(arguments) if arguments.clean else _play(read_order(arguments), arguments)
    except Failure as failure:
        complain("drill", str(failure))
        return UNUSABLE


def _play(order: Order, arguments: argparse.Namespace) -> int:
    cordon, code, outcome = order.cordon(), GOOD, None
    try:
        with guarded(undoing(order, cordon)):
            prepared = prepare(order, cordon, Kube(order.environ), _note)
            outcome = prepared.drill.play(lambda: _sure(prepared, arguments))
    except Failure as failure:
        if outcome is None:
            raise
        complain("drill", str(failure))  # what was caused could not be undone
        code = BAD
    except SystemExit:
        complain("drill", "stopped by a signal; what it had changed is undone")
        raise
    if arguments.output == "json":
        print_json(Schema.DRILL, document(outcome, order))
    else:
        show(*report(outcome, prepared.drill, order, undone=code == GOOD))
    return code if outcome.verdict.good else BAD


def read_order(arguments: argparse.Namespace) -> Order:
    """Read the command line.

    Raises:
        Permanent: something is missing, or does not go together.
    """
    way, about = _way(arguments)
    if not arguments.address:
        raise Permanent("no ADDRESS is given", "name the floating IPs to probe")
    if way is Way.DELETE_HOLDER and arguments.lease is None:
        raise Permanent("--delete-holder needs --lease", "name the group's Lease: --lease NAME")
    if arguments.all_pods and way is not Way.DRAIN_NODE:
        raise Permanent("--all-pods goes with --drain-node alone", "leave it out")
    probe = Probe.UDP if arguments.udp else Probe.TCP if arguments.tcp else Probe.ICMP
    usual = 0.05 if probe is Probe.TCP else 0.01
    return Order(
        addresses=tuple(dict.fromkeys(arguments.address)),
        probe=probe,
        port=arguments.udp or arguments.tcp or 0,
        hold=tuple(dict.fromkeys(arguments.hold)),
        way=way,
        about=about,
        pod=arguments.delete_pod or ("", ""),
        every=arguments.all_pods,
        lease=arguments.lease,
        pace=Pace(
            interval=arguments.interval or usual,
            settle=arguments.settle,
            timeout=arguments.timeout,
            at_most=arguments.at_most,
        ),
        environ=dict(os.environ),
    )


def _way(arguments: argparse.Namespace) -> tuple[Way, str]:
    if arguments.delete_pod is not None:
        return Way.DELETE_POD, ""
    if arguments.delete_holder:
        return Way.DELETE_HOLDER, ""
    if arguments.drain_node is not None:
        return Way.DRAIN_NODE, arguments.drain_node
    if arguments.command_line is not None:
        return Way.RUN, arguments.command_line
    raise Permanent(
        "no cause is given", f"name one failover: {', '.join(way.value for way in Way)}"
    )


def _sure(prepared: Prepared, arguments: argparse.Namespace) -> None:
    """Ask.

    Raises:
        Permanent: it shall not be, or nobody can be asked.
    """
    cause = str(prepared.drill.cause)
    if prepared.lone:
        _note(_LONE)
    if arguments.yes:
        return
    if not sys.stdin.isatty():
        raise Permanent(f"nothing was caused: nobody can be asked about this: {cause}", "add --yes")
    _note(f"Every address answers. To be caused: {cause}.")
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Permanent("nothing was caused, as asked")


def _clean(arguments: argparse.Namespace) -> int:
    if arguments.address:
        raise Permanent("--clean takes no ADDRESS", "leave it out: all nodes are looked at")
    must_be_in_a_pod(os.environ)
    found: list[str] = []
    clean(Kube(os.environ), found.append)
    if arguments.output == "json":
        print_json(Schema.DRILL_CLEAN, {"cleaned": found})
    else:
        show(*(words(each) for each in found or ["No drill has left anything."]))
    return GOOD


def _note(said: str) -> None:
    """Say something beside the result, which may be JSON."""
    complain("drill", said)


def _address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidValue("an address such as 192.168.0.1, without a prefix length") from None


def _named(text: str) -> Named:
    namespace, _, name = text.rpartition("/")
    return dns_label(namespace) or "", dns_subdomain(name)


def _between(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = duration(text)
        if not low <= value <= high:
            raise InvalidValue(f"a time from {low:g}s to {high:g}s")
        return value

    return read


def _typed(read: Callable[[str], T], name: str) -> Callable[[str], T]:
    """Make a type of argparse of what reads a value."""

    def typed(text: str) -> T:
        try:
            return read(text)
        except InvalidValue as error:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {error}") from None

    typed.__name__ = name
    return typed
