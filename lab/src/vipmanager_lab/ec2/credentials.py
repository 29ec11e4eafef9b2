"""The keys the lab has handed out, and what EC2 says to a key that is not good any more."""

import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from vipmanager_lab.ec2.errors import ApiError

_UNSIGNED: Final = frozenset({"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"})
"""STS actions whose proof is in the request itself (STS API reference)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Temporary credentials, as a role's."""

    key: str
    secret: str
    token: str
    expiry: datetime


class CredentialRegistry:
    """Issued keys. A key it never issued is accepted: signatures are not verified."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._issued: dict[str, Credentials] = {}
        self._revoked: set[str] = set()

    def issue(self, seconds: float) -> Credentials:
        """A new key that is good for `seconds`; a negative number gives an expired one."""
        credentials = Credentials(
            key="ASIA" + secrets.token_hex(8).upper(),
            secret=secrets.token_urlsafe(30),
            token=secrets.token_urlsafe(96),
            expiry=datetime.now(UTC) + timedelta(seconds=seconds),
        )
        with self._lock:
            self._issued[credentials.key] = credentials
        return credentials

    def revoke(self, key: str) -> None:
        """Refuse this key from now on, whether or not it was issued here."""
        with self._lock:
            self._revoked.add(key)

    def check(self, key: str | None, token: str | None, action: str, *, sts: bool) -> None:
        """Whether a request may go on.

        Raises:
            ApiError: no credentials, bad ones, or expired ones. EC2 says RequestExpired also
                for expired temporary credentials (EC2 error codes page); STS says ExpiredToken.
        """
        if key is None:
            if action in _UNSIGNED:
                return
            raise ApiError(
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
                HTTPStatus.FORBIDDEN,
            )
        with self._lock:
            issued, revoked = self._issued.get(key), key in self._revoked
        if revoked or (issued is not None and token != issued.token):
            if sts:
                raise ApiError(
                    "InvalidClientTokenId",
                    "The security token included in the request is invalid.",
                    HTTPStatus.FORBIDDEN,
                )
            raise ApiError(
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
                HTTPStatus.UNAUTHORIZED,
            )
        if issued is not None and issued.expiry <= datetime.now(UTC):
            if sts:
                raise ApiError(
                    "ExpiredToken",
                    "The security token included in the request is expired",
                    HTTPStatus.FORBIDDEN,
                )
            raise ApiError("RequestExpired", "Request has expired.")
