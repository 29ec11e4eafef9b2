"""`vipmanager status --vpc` and `--all`: every route of this tool's kind in a VPC."""

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from vipmanager.app import survey
from vipmanager.app.names import label
from vipmanager.cli.scope import Scope
from vipmanager.cli.terminal import BAD, BLANK, GOOD, Block, Table, Words, words
from vipmanager.cli.view import View, title
from vipmanager.core.census import Entry, Holding, of
from vipmanager.core.failures import Permanent
from vipmanager.core.schema import Schema
from vipmanager.core.settings import Settings

_STYLES = {Holding.OURS: GOOD, Holding.LIVE: "", Holding.ORPHAN: BAD}

_NONE = "No route of this tool's kind: one address outside the VPC, or a subnet, to an ENI."


def vpc(wanted: Settings, environ: Mapping[str, str], about: Scope) -> View:
    """Look at the VPC that was named, or at those of this pod's floating IPs."""
    worlds = survey.here(wanted, environ)
    if about.vpc is not None:
        worlds.cloud.connect(survey.region(wanted))
        vpcs, ours = {about.vpc}, set(about.enis)
    else:
        report = survey.look(wanted, worlds)
        if not report.observed:
            raise Permanent(str(report.findings[0]))
        floating = report.floating
        vpcs, ours = {ip.vpc for ip in floating}, {ip.eni for ip in floating}
    entries = survey.count(worlds.cloud, vpcs, ours)
    if about.addresses:
        entries = of(entries, about.addresses)
    orphans = [e for e in entries if e.holding is Holding.ORPHAN]
    first = _verdict(entries, orphans)
    return View(
        verdict=first,
        right=not orphans,
        schema=Schema.STATUS_VPC,
        document={"verdict": first, "routes": [e.document() for e in entries]},
        blocks=tuple(_blocks(first, entries, orphans)),
        facts={
            f"{e.route.destination} in {e.table}": f"{e.route.destination} in {_table(e)} leads to "
            f"{e.route.target.id}{', which is gone' if e.holding is Holding.ORPHAN else ''}"
            for e in entries
        },
    )


def _verdict(entries: Sequence[Entry], orphans: Sequence[Entry]) -> str:
    count = len({e.route.destination for e in entries})
    what = f"{count} floating IP{'s' if count != 1 else ''}"
    if orphans:
        lost = f"{len(orphans)} of {len(entries)} routes lead to a network interface that is gone"
        return f"WRONG: {lost}; {what}"
    if not entries:
        return "NO ROUTES"
    return f"RIGHT: {what}, {len(entries)} routes, each to a network interface that lives"


def _blocks(first: str, entries: Sequence[Entry], orphans: Sequence[Entry]) -> Iterator[Block]:
    yield Words(title(first, BAD if orphans else GOOD if entries else ""), hang=2)
    if not entries:
        yield words(_NONE)
        return
    if orphans:
        yield words(
            "  -> to delete them: vipmanager cleanup --orphans, with --vpc and --floating-ip "
            "outside of a pod",
            hang=5,
        )
        rows = [(_table(e), str(e.route.destination), e.route.target.id) for e in orphans]
        yield BLANK
        yield Table(
            title="Routes to what is gone",
            columns=("route table", "destination", "ENI"),
            rows=rows,
        )
    yield BLANK
    columns = ("destination", "leads to", "instance", "route tables", "zone", "state")
    yield Table(title="Routes in the VPC", columns=columns, rows=list(_folded(entries)))


def _folded(entries: Sequence[Entry]) -> Iterator[tuple[str | Text, ...]]:
    """Give a row for each destination and place, with the number of tables."""
    total: dict[str, int] = {}
    places: dict[tuple[str, str, str, str, Holding], int] = {}
    for entry in entries:
        destination = str(entry.route.destination)
        eni = entry.eni
        behind = (eni.instance, eni.zone) if eni else (None, None)
        total[destination] = total.get(destination, 0) + 1
        key = (
            destination,
            entry.route.target.id,
            str(behind[0] or ""),
            behind[1] or "",
            entry.holding,
        )
        places[key] = places.get(key, 0) + 1
    for (destination, target, instance, zone, holding), count in sorted(places.items(), key=str):
        state = Text(holding.value, style=_STYLES[holding])
        yield destination, target, instance, f"{count} of {total[destination]}", zone, state


def _table(entry: Entry) -> str:
    return label(entry.table, entry.name or None)
