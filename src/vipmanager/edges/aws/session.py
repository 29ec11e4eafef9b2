"""botocore with service models cut down to our operations: they load in a tenth of the time."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vipmanager.core.failures import Failure, TooLate, Transient
from vipmanager.edges.aws.failures import refused
from vipmanager.edges.wire import pool
from vipmanager.ports import Seen, unseen

if TYPE_CHECKING:
    from botocore.session import Session

MODELS = Path(__file__).parent / "models"


_BEGAN = "vipmanager"
"""Where a request's context keeps when it was signed, monotonic seconds."""


def trimmed_session(seen: Seen = unseen) -> "Session":
    """Begin a session that finds the trimmed models first.

    Args:
        seen: takes each call of its clients that went out, those to STS for credentials too.
    """
    from botocore.session import Session  # noqa: PLC0415 - slow to import

    session = Session()
    session.get_component("data_loader").search_paths.insert(0, str(MODELS))
    if seen is not unseen:
        _watch(session, seen)
    return session


def _watch(session: "Session", seen: Seen) -> None:
    """Have every call told, from its signature to its answer."""

    def begins(request: Any, **_: Any) -> None:  # noqa: ANN401 - botocore's AWSRequest
        request.context[_BEGAN] = time.monotonic()

    def ends(
        event_name: str,
        context: dict[str, Any],
        parsed_response: Mapping[str, Any] | None,
        exception: Exception | None,
        **_more: object,
    ) -> None:
        api, action = event_name.split(".")[1:]
        seconds = time.monotonic() - context.get(_BEGAN, time.monotonic())
        if isinstance(getattr(exception, "kwargs", {}).get("error"), TooLate):
            return  # nothing was sent
        failure: Failure | None = None
        if parsed_response is None:
            failure = Transient(str(exception))
        elif "Error" in parsed_response:
            failure = refused(action, "", parsed_response)
        seen(api, action, failure, seconds)

    events = session.get_component("event_emitter")
    events.register_last("request-created", begins)  # after the signature, which may wait for STS
    events.register_last("response-received", ends)


def client(session: "Session", service: str, region: str | None, **options: object) -> Any:  # noqa: ANN401
    """Make a client that tries each call once (the engine tries again), over `edges.wire`.

    Args:
        session: whose credentials and models it has.
        service: as botocore names it.
        region: of its endpoint.
        options: more of botocore's `Config`, time-outs first.
    """
    from botocore.config import Config  # noqa: PLC0415 - slow to import

    config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, **options)
    return _wired(session.create_client(service, region_name=region, config=config))


def _wired(client: Any) -> Any:  # noqa: ANN401 - botocore makes clients at run time
    """Give a client, before its first call, the connections of `edges.wire`."""
    http = client._endpoint.http_session  # noqa: SLF001 - botocore takes no other class of it
    http._manager.pool_classes_by_scheme = pool.aws()  # noqa: SLF001
    http._pool_classes_by_scheme = pool.aws()  # noqa: SLF001 - of pools to proxies
    return client


def pools(client: Any) -> list[Any]:  # noqa: ANN401
    """Give the pools that a client has connections in."""
    http = client._endpoint.http_session  # noqa: SLF001
    managers = (http._manager, *http._proxy_managers.values())  # noqa: SLF001
    return [m.pools[key] for m in managers for key in m.pools.keys()]  # noqa: SIM118 - it has no iterator
