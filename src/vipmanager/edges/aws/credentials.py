"""Where credentials come from, and their renewal beside the calls that use them.

botocore renews them within the first call that finds them old, which waits as long as STS takes: a
takeover, in the worst moment. Here that call goes on with what it has, while that is good.
"""

import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.findings import Condition
from vipmanager.edges.aws import sources
from vipmanager.edges.aws.session import trimmed_session
from vipmanager.ports import Seen, unseen

if TYPE_CHECKING:
    from botocore.session import Session

PATIENCE = 3.0
"""Seconds that a call waits for credentials where there are none that are still good."""


class Renewable(Protocol):
    """What is used of botocore's RefreshableCredentials."""

    method: str

    def get_frozen_credentials(self) -> Any:  # noqa: ANN401 - a named tuple of botocore's
        """Renew them where it is time (15 minutes before their end), and give them."""
        ...

    def refresh_needed(self, refresh_in: float | None = None) -> bool:
        """Tell whether they end within so many seconds; by default, whether it is time."""
        ...

    def get_deferred_property(self, property_name: str) -> Any:  # noqa: ANN401
        """Give what gives a property."""
        ...


class _Renewal:
    """An answer that is waited for."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.failure: Failure | None = None


class Kept:
    """What botocore takes for credentials. Safe for several threads."""

    def __init__(self, source: Renewable, role: str | None = None) -> None:
        """Take a source; `role` is what it assumes, where that is not the environment's."""
        self.method = source.method
        self._role = role
        self._source = source
        self._lock = threading.Lock()
        self._have: Any = None
        self._renewal: _Renewal | None = None

    @property
    def expires(self) -> datetime | None:
        """When they end; botocore keeps the time to itself."""
        found: datetime | None = getattr(self._source, "_expiry_time", None)
        return found

    def get_deferred_property(self, property_name: str) -> Any:  # noqa: ANN401
        """Give what gives a property."""
        return self._source.get_deferred_property(property_name)

    def get_frozen_credentials(self) -> Any:  # noqa: ANN401
        """Give credentials that are good now.

        Raises:
            Transient, Permanent: there are none, or none within `PATIENCE`.
        """
        with self._lock:
            if not self._source.refresh_needed():
                self._have = self._source.get_frozen_credentials()
                return self._have
            renewal = self._renewal
            if renewal is None:
                renewal = self._renewal = _Renewal()
                threading.Thread(
                    target=self._renew, args=(renewal,), name="credentials", daemon=True
                ).start()
            if self._have is not None and not self._source.refresh_needed(0):
                return self._have
        if not renewal.over.wait(PATIENCE):
            raise sources.silent(self.method, PATIENCE, self._role)
        if renewal.failure is not None:
            raise renewal.failure
        return self._have

    def _renew(self, renewal: _Renewal) -> None:
        try:
            self._have = self._source.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001 - of whatever library; raised by who waits
            renewal.failure = sources.failure(self.method, error, self._role)
            renewal.failure.__cause__ = error
        finally:
            with self._lock:
                self._renewal = None
            renewal.over.set()


def kept(found: Any, role: str | None = None) -> Any:  # noqa: ANN401 - botocore's credentials
    """Have credentials renewed beside, if they are ever renewed."""
    return Kept(found, role) if hasattr(found, "refresh_needed") else found


def signing(region: str | None, seen: Seen = unseen) -> "Session":
    """Begin a session that signs with the credentials of the first source that has any.

    Args:
        region: whose STS is asked; None where it is not known yet (`settle`).
        seen: takes each call of its clients, those to STS too.

    Raises:
        Transient, Permanent: none has, or the first one fails.
    """
    method = ""
    try:
        session = trimmed_session(seen)
        settle(session, region)
        for provider in session.get_component("credential_provider").providers:
            method = provider.METHOD
            found = provider.load()
            if found is not None:
                session._credentials = kept(found)  # noqa: SLF001 - botocore has no setter
                return session
    except Exception as error:
        # Whatever it is: each source has libraries of its own.
        raise sources.failure(method, error) from error
    # A role of the node is not found, too, while IMDS is silent: it is looked for anew.
    none = "no credentials in the environment, in files or from a role"
    raise Permanent(none, sources.NONE, condition=Condition.NO_CREDENTIALS)


def settle(session: "Session", region: str | None) -> None:
    """Tell a session its Region: botocore looks in AWS_DEFAULT_REGION alone."""
    if region is not None:
        session.set_config_variable("region", region)
