"""What one key's text may be: each function gives a value, or says what is allowed."""

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network

from vipmanager.core.healthcheck import HealthCheck, parse
from vipmanager.core.settings import HandOver, Rate, TagSelector
from vipmanager.core.values import Address, Network, RouteTableId


class InvalidValue(Exception):
    """A value that is not allowed; the text says what is."""


_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def flag(text: str) -> bool:
    """Read True or False."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise InvalidValue("True or False")


def words(text: str) -> list[str]:
    """Split at commas."""
    return [w for w in (part.strip() for part in text.split(",")) if w]


def network(word: str) -> Network:
    """Read a host or a network."""
    if "%" in word:
        # Python takes any text for a zone, and it would reach `ip` as it is.
        raise InvalidValue(f"hosts or networks without a zone; {word} has one")
    try:
        return ip_network(word)
    except ValueError:
        pass
    try:
        loose = ip_interface(word)
    except ValueError:
        raise InvalidValue(
            f"hosts or networks such as 10.0.0.5 or 10.0.0.0/24; {word} is neither"
        ) from None
    raise InvalidValue(
        f"networks without host bits; {word} is either {loose.network} or the host {loose.ip}"
    )


def networks(text: str) -> tuple[Network, ...]:
    """Read hosts and networks."""
    return tuple(dict.fromkeys(network(w) for w in words(text)))


def addresses(text: str) -> tuple[Address, ...]:
    """Read addresses, as `status.podIPs` has them."""
    try:
        return tuple(ip_address(w) for w in words(text))
    except ValueError as error:
        raise InvalidValue(f"IP addresses separated by commas; {error}") from error


def tags(text: str) -> tuple[TagSelector, ...]:
    """Read `ALL`, or tags; none means ALL."""
    if text.strip() in {"", "ALL"}:
        return ()
    selectors = []
    for word in words(text):
        key, equals, value = word.partition("=")
        if not key:
            raise InvalidValue(f"ALL, key or key=value; {word} has no key")
        selectors.append(TagSelector(key=key, value=value if equals else None))
    if TagSelector(key="ALL") in selectors:
        raise InvalidValue("ALL alone, or tags alone")
    return tuple(selectors)


def table_ids(text: str) -> tuple[RouteTableId, ...]:
    """Read route table ids."""
    for word in words(text):
        if not re.fullmatch(r"rtb-[0-9a-f]{8,17}", word):
            raise InvalidValue(f"route table ids such as rtb-0123456789abcdef0; {word} is none")
    return tuple(dict.fromkeys(RouteTableId(w) for w in words(text)))


def role(text: str) -> str | None:
    """Read the ARN of a role."""
    if text and not re.fullmatch(r"arn:[a-z0-9-]+:iam::[0-9]{12}:role/[\w+=,.@/-]+", text):
        raise InvalidValue("a role such as arn:aws:iam::123456789012:role/routes")
    return text or None


def globs(text: str) -> tuple[str, ...]:
    """Read patterns of interface names."""
    for word in words(text):
        if not re.fullmatch(r"[\w.*?\[\]!@:-]+", word):
            raise InvalidValue(f"interface names with * and ?; {word} is none")
    return tuple(words(text))


def number(low: float, high: float, what: str) -> Callable[[str], float]:
    """Read a number within bounds; `what` names them."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise InvalidValue(what) from None
        if not low <= value <= high:
            raise InvalidValue(what)
        return value

    return parse


def port(text: str) -> int:
    """Read a port, or 0 for none."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:  # noqa: PLR2004 - 2^16-1
        raise InvalidValue("a port from 1 to 65535, or 0 for none")
    return int(text)


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


def dns_label(text: str) -> str | None:
    """Read the name of a namespace (RFC 1123 label), or nothing."""
    if text and not re.fullmatch(_LABEL, text):
        raise InvalidValue("a namespace: lower-case letters, digits and -, at most 63")
    return text or None


def dns_subdomain(text: str) -> str:
    """Read the name of a Kubernetes object (RFC 1123 subdomain)."""
    if len(text) > 253 or not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", text):  # noqa: PLR2004
        raise InvalidValue("an object's name: lower-case letters, digits, - and ., at most 253")
    return text


def path(text: str) -> str | None:
    """Read an absolute path, or nothing."""
    if text and not text.startswith("/"):
        raise InvalidValue("an absolute path")
    return text or None


def zone(text: str) -> str | None:
    """Read the name of an Availability Zone, or nothing."""
    # Which there are is EC2's to say: local and Wavelength Zones, and Regions to come.
    if text and not re.fullmatch(r"[A-Za-z0-9-]+", text):
        raise InvalidValue("one Availability Zone, such as us-east-2b")
    return text or None


def hand_over(text: str) -> tuple[HandOver, ...]:
    """Read on what is handed over, or nothing."""
    allowed = {each.value: each for each in HandOver}
    for word in words(text):
        if word not in allowed:
            raise InvalidValue(f"{' and '.join(allowed)}, one or both; {word} is neither")
    return tuple(dict.fromkeys(allowed[word] for word in words(text)))


def cluster(text: str) -> str | None:
    """Read the ARN of an EKS cluster, or nothing."""
    name = r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}"
    if text and not re.fullmatch(
        rf"arn:[a-z0-9-]+:eks:[a-z0-9-]+:[0-9]{{12}}:cluster/{name}", text
    ):
        raise InvalidValue("a cluster such as arn:aws:eks:us-east-2:123456789012:cluster/telco")
    return text or None


def health_check(text: str) -> HealthCheck | None:
    """Read a health check."""
    try:
        return parse(text) if text else None
    except ValueError as error:
        raise InvalidValue(str(error)) from None


def whole(low: int, high: int) -> Callable[[str], int]:
    """Read a whole number within bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise InvalidValue(f"a whole number from {low} to {high}")
        return int(text)

    return read


def milliseconds(low: int, high: int) -> Callable[[str], float]:
    """Read milliseconds within bounds, as seconds."""
    read = whole(low, high)
    return lambda text: read(text) / 1000


def duration(text: str) -> float:
    """Read a time such as 800ms, 1.5s or 2m, as seconds."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)", text)
    if not match or not float(match[1]):
        raise InvalidValue("a time such as 800ms, 1.5s or 2m")
    return float(match[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[match[2]]


def rate(text: str) -> Rate:
    """Read burst/refill."""
    match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5}(?:\.[0-9]+)?)", text)
    if not match or int(match[1]) < 1 or float(match[2]) <= 0:
        raise InvalidValue("burst/refill a second, such as 50/5")
    return Rate(burst=int(match[1]), refill=float(match[2]))


def one_of(*allowed: str) -> Callable[[str], str]:
    """Read one of some words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise InvalidValue(" or ".join(allowed))
        return text

    return parse
