"""Which of a standby's open connections fall silent when a zone is lost."""

from collections.abc import Sequence
from enum import Enum

from cases import Kind

from vipmanager_lab.control_plane import PORT
from vipmanager_lab.services import ZONES, Connection, Services


class Api(Enum):
    """Who is called; the value is its name."""

    EC2 = "EC2"
    KUBERNETES = "Kubernetes"


def silence(services: Services, client: str, lost: str, kind: Kind) -> str:
    """Silence a lost zone's part of each API, and some or all of a client's open connections.

    Which connections lead where is up to the client and to chance. So that some of each API's are
    silent and some are not, another zone's part is lost where the right one would take none or
    all; where none would do, half of the connections are lost one by one.

    Returns:
        How many were silenced, in words.
    """
    kept = services.connections(client)
    before = {api: _of(api, kept) for api in Api}
    if kind is Kind.ALL_SILENT:
        services.cut(lost)
        gone = set(kept)
    else:
        order = [lost, *(zone for zone in ZONES if zone != lost)]
        fits = next((z for z in order if all(_some(z, o) for o in before.values())), None)
        gone = {one for one in kept if one.zone == fits}
        if fits is not None:
            services.cut(fits)
        else:
            gone = {one for open_ in before.values() for one in open_[: (len(open_) + 1) // 2]}
    services.silence(*gone)
    return ", ".join(
        f"{len(gone.intersection(open_))} of {len(open_)} to {api.value}"
        for api, open_ in before.items()
    )


def _of(api: Api, kept: Sequence[Connection]) -> list[Connection]:
    return [one for one in kept if (one.port == PORT) == (api is Api.KUBERNETES)]


def _some(zone: str, open_: Sequence[Connection]) -> bool:
    return 0 < sum(one.zone == zone for one in open_) < len(open_)
