"""Calls of a real Kubernetes API by the lab itself: as an administrator, or as a node."""

import copy
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import urllib3

Object = dict[str, Any]
"""An object of the API, as JSON tells it."""
Patch = Literal["merge", "strategic", "json", "apply"]
_TYPES: Mapping[Patch, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",  # JSON is YAML
}
_SECONDS = 30.0
FIELD_MANAGER = "lab"


class ApiError(Exception):
    """The API refused, or did not answer; the text is its message."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        """Keep what programs ask for.

        Args:
            message: the API's own, with the call.
            status: HTTP's, 0 where there was no answer.
            reason: such as NotFound, AlreadyExists, Conflict, Forbidden, Expired.
        """
        super().__init__(message)
        self.status, self.reason = status, reason


class Trust:
    """Whom a client trusts, as the file names them now."""

    def __init__(self, authority: Path) -> None:
        """Read the file."""
        self._authority, self._read = authority, authority.stat().st_mtime_ns
        self.context = ssl.create_default_context(cafile=str(authority))

    def renew(self) -> None:
        """Trust whom the file names besides, if it was replaced."""
        now = self._authority.stat().st_mtime_ns
        if now != self._read:
            self.context.load_verify_locations(self._authority)
            self._read = now


class Api:
    """One user of one API server; any thread may call it."""

    def __init__(self, url: str, *, authority: Path, certificate: Path) -> None:
        """Connect to nothing yet.

        Args:
            url: such as https://127.0.0.1:6443.
            authority: who signed its certificate, PEM.
            certificate: the user's, with its key, PEM.
        """
        self._trust = Trust(authority)
        self._trust.context.load_cert_chain(certificate)
        self._url = url
        self._pool = urllib3.PoolManager(ssl_context=self._trust.context, retries=False, maxsize=8)
        self.shut = threading.Event()
        """While it is set, no call is answered."""
        self.seconds = _SECONDS
        """How long an answer is waited for."""

    def gated(self, shut: threading.Event, *, seconds: float) -> "Api":
        """Give the same access, with a `shut` of its own, for one who waits so long at most."""
        twin = copy.copy(self)
        twin.shut, twin.seconds = shut, seconds
        return twin

    def close(self) -> None:
        """Close every connection."""
        self._pool.clear()

    def get(self, path: str, **query: str) -> Object:
        """Read an object, or a list.

        Raises:
            ApiError: it is not there, or may not be read.
        """
        return self._call("GET", path, query=query)

    def text(self, path: str, **query: str) -> str:
        """Read what is no JSON, such as /readyz or /metrics.

        Raises:
            ApiError: the answer is not 200.
        """
        answer = self._send("GET", path, query=query)
        return bytes(answer.data).decode()

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> Object:
        """Create an object in a collection; give it as stored.

        Raises:
            ApiError: it exists, or was refused.
        """
        return self._call("POST", path, body=body, query=query)

    def replace(self, path: str, body: Mapping[str, Any], **query: str) -> Object:
        """Replace an object.

        Raises:
            ApiError: it was refused; `Conflict` where another version is stored.
        """
        return self._call("PUT", path, body=body, query=query)

    def patch(self, path: str, body: Any, kind: Patch = "merge", **query: str) -> Object:  # noqa: ANN401
        """Patch an object; `apply` creates what is not there.

        Raises:
            ApiError: it was refused.
        """
        if kind == "apply":
            query = {"fieldManager": FIELD_MANAGER, "force": "true", **query}
        return self._call("PATCH", path, body=body, query=query, content=_TYPES[kind])

    def delete(self, path: str, **options: Any) -> Object:  # noqa: ANN401 - DeleteOptions
        """Delete an object; `options` are DeleteOptions.

        Raises:
            ApiError: it is not there, or was refused.
        """
        return self._call("DELETE", path, body=options or None)

    def watch(self, path: str, version: str, *, seconds: float, **query: str) -> Iterator[Object]:
        """Give the events of a collection since a version, until the API ends the answer.

        Args:
            path: of the collection.
            version: resourceVersion that the list had.
            seconds: after which the API is asked to end.
            query: such as fieldSelector.

        Raises:
            ApiError: the watch was refused, or broke off; `Expired` where the version is too old.
        """
        asked = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(seconds))),
            **query,
        }
        answer = self._send("GET", path, query=asked, stream=True, seconds=seconds + self.seconds)
        try:
            for line in _lines(answer):
                event = json.loads(line)
                self._pass(f"watch {path}")
                if event["type"] == "ERROR":
                    raise _refused(f"watch {path}", event["object"])
                yield event
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(f"watch {path}: {error}") from error
        finally:
            answer.close()

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,  # noqa: ANN401
        query: Mapping[str, str] = {},
        content: str = "application/json",
    ) -> Object:
        answer = self._send(method, path, body=body, query=query, content=content)
        found: Object = json.loads(answer.data)
        return found

    def _pass(self, what: str) -> None:
        if self.shut.is_set():
            raise ApiError(f"{what}: cut off")

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: Any = None,  # noqa: ANN401
        content: str = "application/json",
        stream: bool = False,
        seconds: float | None = None,
    ) -> urllib3.BaseHTTPResponse:
        what = f"{method} {path}"
        self._pass(what)
        self._trust.renew()
        url = self._url + path + ("?" + "&".join(map(_pair, query.items())) if query else "")
        try:
            answer = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": content},
                timeout=urllib3.Timeout(connect=self.seconds, read=seconds or self.seconds),
                preload_content=not stream,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(f"{what}: {error}") from error
        if answer.status >= 300:  # noqa: PLR2004 - HTTP
            try:
                refusal = json.loads(answer.data)
            except ValueError:
                refusal = {"message": bytes(answer.data).decode(errors="replace")}
            raise _refused(what, {"code": answer.status, **refusal})
        return answer


def _pair(each: tuple[str, str]) -> str:
    return f"{each[0]}={quote(each[1], safe='')}"


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in answer.stream(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def _refused(what: str, status: Mapping[str, Any]) -> ApiError:
    return ApiError(
        f"{what}: {status.get('message', '')}",
        status=status.get("code", 0),
        reason=status.get("reason", ""),
    )
