"""The variables that botocore reads: what is wrong with them, before a library stumbles over it.

botocore finds most mistakes late, one at a time, and names no variable. What is only unusual is let
through; an empty value is a mistake where botocore does not take it for none.
"""

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from vipmanager.core.values import Address, Network

Check = Callable[[str], str | None]
"""Gives what was expected of a value, or None where it is that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One variable."""

    name: str
    check: Check
    empty: bool = True
    """Whether an empty value is none to botocore."""


def mistakes(environ: Mapping[str, str], *, tokens: bool = True) -> Iterator[str]:
    """Give one line for each variable that is wrong: its name, its value and what is expected.

    Args:
        environ: of the process.
        tokens: whether files with tokens are looked at; they may come later, and go.
    """
    ignored = environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    for row in _ROWS:
        value = environ.get(row.name)
        if value is None or (row.empty and not value):
            continue
        if ignored and row.name.startswith("AWS_ENDPOINT_URL"):
            continue
        expected = row.check(value)
        if expected is not None:
            yield line(row.name, value, expected)
    yield from _files(environ)
    yield from _source(environ, tokens=tokens)


def line(name: str, value: str, expected: str) -> str:
    """Say what is wrong with a variable, without the password that a URL may hold."""
    return f"{name}={_shown(value)!r}: expected {expected}"


def _shown(url: str) -> str:
    return re.sub("//[^/@]*@", "//***@", url)


# --- what one value may be ---------------------------------------------------------------------


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    """Tell whether botocore takes it for a URL: a scheme, a host, nothing that is no URL's."""
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and _is_host(parts.hostname or "")


_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"


def _is_host(text: str) -> bool:
    name = re.fullmatch(r"(?!-)[\w-]{1,63}(\.[\w-]{1,63})*\.?", text, re.ASCII)
    return name is not None or _address(text) is not None


def _is_dialled(host: str) -> bool:
    """Tell whether botocore calls such a host (its `is_valid_endpoint_url`); a proxy may be any."""
    name = re.fullmatch(rf"{_LABEL}(\.{_LABEL})*\.?", host)
    return (len(host) <= 255 and name is not None) or _address(host) is not None  # noqa: PLR2004 - DNS


def _endpoint(text: str) -> str | None:
    fine = _is_url(text, ("http", "https")) and _is_dialled(urlsplit(text).hostname or "")
    what = "a URL with its scheme and a host of letters, digits, - and ., such as https://HOST"
    return None if fine else f"{what} or http://HOST:PORT"


def _proxy(text: str) -> str | None:
    # botocore puts http:// before a proxy that has no scheme.
    fine = _is_url(text if "://" in text else f"http://{text}", ("http", "https"))
    return None if fine else "the URL of a proxy, such as http://HOST:3128"


def _region(text: str) -> str | None:
    # botocore makes a host name of it, and knows no more of Regions to come than we do.
    fine = re.fullmatch(_LABEL, text)
    return None if fine else "a Region such as eu-central-1"


def _whole(text: str) -> str | None:
    return None if re.fullmatch(r"[1-9][0-9]{0,8}", text) else "a whole number from 1"


def _one_of(*allowed: str) -> Check:
    return lambda text: None if text in allowed else " or ".join(allowed)


def _in_any_case(*allowed: str) -> Check:
    return lambda text: _one_of(*allowed)(text.lower())


_MODE = _in_any_case("ipv4", "ipv6")
_CHECKSUMS = _in_any_case("when_supported", "when_required")


def _authority(text: str) -> str | None:
    path = Path(text)
    what = "a file with the PEM certificates to trust"
    if not text.strip():
        return f"{what}, or no such variable"
    if path.is_dir():
        return None
    why = unreadable(path)
    if why:
        return f"{what}; {why}"
    import ssl  # noqa: PLC0415 - slow to import, and rarely needed

    try:
        ssl.create_default_context(cafile=text)
    except ssl.SSLError:
        return f"{what}; there is none in it"
    return None


_ROWS = (
    _Row(name="AWS_REGION", check=_region),
    _Row(name="AWS_DEFAULT_REGION", check=_region),
    _Row(name="AWS_ENDPOINT_URL", check=_endpoint),
    _Row(name="AWS_ENDPOINT_URL_EC2", check=_endpoint),
    _Row(name="AWS_ENDPOINT_URL_STS", check=_endpoint),
    _Row(name="AWS_ENDPOINT_URL_ARC_ZONAL_SHIFT", check=_endpoint),
    _Row(name="AWS_EC2_METADATA_SERVICE_ENDPOINT", check=_endpoint),
    _Row(name="AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", check=_MODE, empty=False),
    _Row(name="AWS_METADATA_SERVICE_TIMEOUT", check=_whole, empty=False),
    _Row(name="AWS_METADATA_SERVICE_NUM_ATTEMPTS", check=_whole, empty=False),
    _Row(name="AWS_MAX_ATTEMPTS", check=_whole, empty=False),
    _Row(name="AWS_RETRY_MODE", check=_one_of("legacy", "standard", "adaptive"), empty=False),
    _Row(name="AWS_STS_REGIONAL_ENDPOINTS", check=_one_of("legacy", "regional")),
    _Row(
        name="AWS_DEFAULTS_MODE",
        check=_in_any_case("legacy", "standard", "cross-region", "in-region", "mobile", "auto"),
        empty=False,
    ),
    _Row(
        name="AWS_ACCOUNT_ID_ENDPOINT_MODE",
        check=_in_any_case("preferred", "disabled", "required"),
        empty=False,
    ),
    _Row(name="AWS_REQUEST_CHECKSUM_CALCULATION", check=_CHECKSUMS, empty=False),
    _Row(name="AWS_RESPONSE_CHECKSUM_VALIDATION", check=_CHECKSUMS, empty=False),
    _Row(name="AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", check=_whole, empty=False),
    _Row(name="AWS_CA_BUNDLE", check=_authority, empty=False),
    _Row(name="REQUESTS_CA_BUNDLE", check=_authority, empty=False),
    _Row(name="HTTPS_PROXY", check=_proxy),
    _Row(name="https_proxy", check=_proxy),
    _Row(name="HTTP_PROXY", check=_proxy),
    _Row(name="http_proxy", check=_proxy),
)

# --- files -------------------------------------------------------------------------------------


def unreadable(path: Path) -> str | None:
    """Say why a file can't be read, or None."""
    try:
        with path.open("rb") as file:
            return None if file.read(1) else "it is empty"
    except FileNotFoundError:
        return "there is none"
    except OSError as error:
        return f"{error.strerror}"
    except ValueError:
        return "that is no path"


def _files(environ: Mapping[str, str]) -> Iterator[str]:
    """Look into the files that botocore reads at its start, where there are any."""
    config = _profiles(environ, "AWS_CONFIG_FILE", "~/.aws/config")
    shared = _profiles(environ, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    known: set[str] = set()
    for found in (config, shared):
        if isinstance(found, str):
            yield found
        else:
            known |= found
    for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE"):
        profile = environ.get(name)
        if profile is None:
            continue
        if profile not in known and not isinstance(config, str) and not isinstance(shared, str):
            there = f"; there are {', '.join(sorted(known))}" if known else "; there is none"
            yield line(name, profile, f"a profile of the AWS config files{there}")
        return  # botocore looks at the second one where there is no first


def _profiles(environ: Mapping[str, str], name: str, default: str) -> set[str] | str:
    """Give the profiles of one file, or what is wrong with it; no file has none."""
    path = Path(os.path.expandvars(environ.get(name) or default))
    try:
        path = path.expanduser()
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        return set()
    except OSError as error:
        return line(name, str(path), f"an AWS config file; {error.strerror}")
    except ValueError:
        return line(name, str(path), "an AWS config file; it is no text")
    import configparser  # noqa: PLC0415 - where there is such a file

    parser = configparser.RawConfigParser(default_section="\0")  # [default] is one of many
    try:
        parser.read_string(text)
        sections = [shlex.split(section) for section in parser.sections()]
    except (configparser.Error, ValueError) as error:
        return line(name, str(path), f"an AWS config file; {' '.join(str(error).split())}")
    return {words[-1] for words in sections if words}


# --- where credentials come from ---------------------------------------------------------------


def _source(environ: Mapping[str, str], *, tokens: bool) -> Iterator[str]:
    """Look at the first source of credentials that is there, in botocore's order."""
    if environ.get("AWS_ACCESS_KEY_ID"):
        if not environ.get("AWS_SECRET_ACCESS_KEY"):
            yield "AWS_SECRET_ACCESS_KEY='': expected the secret that belongs to AWS_ACCESS_KEY_ID"
        for name in _KEYS:
            if not re.fullmatch(r"[!-~]*", environ.get(name, "")):
                yield f"{name}: expected one word, without a blank or the end of a line"
    elif environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        yield from _web_identity(environ, tokens=tokens)
    elif "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in environ:
        yield from _container(environ, tokens=tokens)
        name = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
        if not re.fullmatch(r"/[!-~]*", environ[name]):
            yield line(name, environ[name], "a path such as /v2/credentials/ID")
    elif "AWS_CONTAINER_CREDENTIALS_FULL_URI" in environ:
        yield from _container(environ, tokens=tokens)
        name = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
        if not _may_give_credentials(environ[name]):
            yield line(
                name,
                environ[name],
                "https://..., or http:// on this machine: localhost, 169.254.170.2, "
                "169.254.170.23 or [fd00:ec2::23]",
            )


_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
"""A Secret that was made of a file holds the end of its line as well. A header with that fails in
the library, which tells the whole of it."""


def _web_identity(environ: Mapping[str, str], *, tokens: bool) -> Iterator[str]:
    name = "AWS_WEB_IDENTITY_TOKEN_FILE"
    if tokens:
        yield from _token(name, environ[name])
    if not re.fullmatch(r"arn:[^:\s]+:iam::[0-9]{12}:role/\S+", environ.get("AWS_ROLE_ARN", "")):
        role = environ.get("AWS_ROLE_ARN", "")
        yield line("AWS_ROLE_ARN", role, "a role such as arn:aws:iam::123456789012:role/vip")
    session = environ.get("AWS_ROLE_SESSION_NAME")
    if session is not None and not re.fullmatch(r"[\w+=,.@-]{2,64}", session, re.ASCII):
        what = "2 to 64 letters, digits or any of +=,.@-_"  # STS API reference
        yield line("AWS_ROLE_SESSION_NAME", session, what)


def _container(environ: Mapping[str, str], *, tokens: bool) -> Iterator[str]:
    name = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
    if name in environ:
        if tokens:
            yield from _token(name, environ[name])
    elif not environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "").isprintable():
        yield "AWS_CONTAINER_AUTHORIZATION_TOKEN: expected a token in one line"


def _token(name: str, path: str) -> Iterator[str]:
    why = unreadable(Path(path))
    if why:
        yield line(name, path, f"the file with the token that kubelet renews; {why}")


def _may_give_credentials(url: str) -> bool:
    """Tell whether botocore would send the token there (its ContainerMetadataFetcher)."""
    if not _is_url(url, ("http", "https")):
        return False
    parts = urlsplit(url)
    host = parts.hostname or ""
    address = _address(host)
    local = host == "localhost" if address is None else address.is_loopback
    return parts.scheme == "https" or local or host in _ON_THIS_MACHINE


_ON_THIS_MACHINE = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23")


# --- proxies -----------------------------------------------------------------------------------


def misled(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give each host that botocore calls through a proxy though it should not, and that proxy.

    botocore compares NO_PROXY with the ends of host names (`urllib.request.proxy_bypass`): it knows
    no networks there. The instance metadata service is never behind a proxy.
    """
    from urllib.request import (  # type: ignore[attr-defined]  # noqa: PLC0415 - doctor's alone
        proxy_bypass_environment,
    )

    without = environ.get("no_proxy", environ.get("NO_PROXY", ""))
    networks = [n for n in map(_network, without.split(",")) if n is not None]
    for url in _called(environ):
        parts = urlsplit(url)
        name = f"{parts.scheme}_proxy"
        proxy = environ.get(name) or environ.get(name.upper())
        if not proxy or proxy_bypass_environment(parts.netloc, {"no": without}):
            continue
        host = _address(parts.hostname or "")
        if url == _imds(environ) or (host and any(host in network for network in networks)):
            yield parts.netloc, f"{name.upper()}={_shown(proxy)}"


def _called(environ: Mapping[str, str]) -> Iterator[str]:
    keys = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE")
    pod = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    if not any(environ.get(name) for name in (*keys, *pod)):
        yield _imds(environ)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_STS"):
        url = environ.get(name, "")
        if _endpoint(url) is None:
            yield url


def _imds(environ: Mapping[str, str]) -> str:
    named = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "")
    if _endpoint(named) is None:
        return named
    six = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower() == "ipv6"
    return "http://[fd00:ec2::254]" if six else "http://169.254.169.254"


def _network(text: str) -> Network | None:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
