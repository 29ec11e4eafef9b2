"""Every write, as a value with a reason: printed, applied, simulated and tested alike."""

from dataclasses import dataclass

from vipmanager.core.values import (
    MAIN_TABLE,
    Address,
    DesiredRoute,
    EniId,
    KernelRoute,
    Network,
    PolicyRule,
    RouteKind,
    RouteTableId,
    Target,
    TargetKind,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRule:
    """Add a policy rule to the pod."""

    rule: PolicyRule
    reason: str

    def __str__(self) -> str:
        """Show it as `ip` writes it."""
        return f"ip rule add {show_rule(self.rule)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRule:
    """Remove one of our own policy rules."""

    rule: PolicyRule
    reason: str

    def __str__(self) -> str:
        """Show it as `ip` writes it."""
        return f"ip rule del {show_rule(self.rule)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRoute:
    """Add a route to the pod; `over` is the route of our own that it takes the place of."""

    route: KernelRoute
    over: KernelRoute | None = None
    reason: str

    def __str__(self) -> str:
        """Show it as `ip` writes it."""
        verb = "add" if self.over is None else "replace"
        return f"ip route {verb} {show_route(self.route)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRoute:
    """Remove one of our own routes from the pod."""

    route: KernelRoute
    reason: str

    def __str__(self) -> str:
        """Show it as `ip` writes it."""
        return f"ip route del {show_route(self.route)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAddress:
    """Put back an address that a link took with it when it went down."""

    interface: str
    address: Address
    prefix_length: int
    reason: str

    def __str__(self) -> str:
        """Show it as `ip` writes it."""
        return f"ip addr add {self.address}/{self.prefix_length} dev {self.interface}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _WriteRoute:
    steer: DesiredRoute
    """What it makes so."""
    reason: str
    repair: bool = False
    """Whether it takes back what we hold."""

    @property
    def table(self) -> RouteTableId:
        """Where it is written."""
        return self.steer.table

    @property
    def destination(self) -> Network:
        """What is routed."""
        return self.steer.destination

    @property
    def eni(self) -> EniId:
        """Where it leads."""
        return self.steer.eni


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRoute(_WriteRoute):
    """Create a VPC route that is absent."""

    @property
    def replaces(self) -> EniId | None:
        """The ENI that the route is taken from."""
        return None

    def __str__(self) -> str:
        """Show what changes, and where."""
        return f"{self.destination} in {self.table}: none -> {self.eni}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceRoute(_WriteRoute):
    """Point an existing VPC route at another ENI, without a gap."""

    before: Target | None
    """None where EC2 has said that there is one, and nobody has read which."""

    @property
    def replaces(self) -> EniId | None:
        """The ENI that the route is taken from, as far as it is known."""
        before = self.before
        return EniId(before.id) if before and before.kind is TargetKind.ENI else None

    def __str__(self) -> str:
        """Show what changes, and where."""
        before = self.before or "unread"
        return f"{self.destination} in {self.table}: {before} -> {self.eni}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRoute:
    """Delete a VPC route: EC2 can't be told "if it is still mine", so only `cleanup` does."""

    table: RouteTableId
    destination: Network
    before: Target
    reason: str

    def __str__(self) -> str:
        """Show what changes, and where."""
        return f"{self.destination} in {self.table}: {self.before} -> none"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableSourceDestCheck:
    """Let an ENI of our own carry traffic for addresses that EC2 does not know."""

    eni: EniId
    reason: str

    def __str__(self) -> str:
        """Show what changes."""
        return f"{self.eni}: source/dest check on -> off"


def turned(write: CreateRoute | ReplaceRoute) -> CreateRoute | ReplaceRoute:
    """Give the write that fits where EC2 says that there is a route after all, or that there isn't.

    Nothing was read in between: it takes the place of whatever is there now.
    """
    if isinstance(write, ReplaceRoute):
        return CreateRoute(steer=write.steer, reason=write.reason, repair=write.repair)
    return ReplaceRoute(steer=write.steer, before=None, reason=write.reason, repair=write.repair)


KernelAction = AddAddress | AddRule | RemoveRule | AddRoute | RemoveRoute
RouteWrite = CreateRoute | ReplaceRoute
CloudAction = RouteWrite | DeleteRoute | DisableSourceDestCheck
Action = KernelAction | CloudAction


def show_route(route: KernelRoute) -> str:
    """Write a route in iproute2's words (ip-route(8))."""
    words = ["throw"] if route.kind is RouteKind.THROW else []
    words.append(str(route.destination))
    if route.gateway is not None:
        words += ["via", str(route.gateway)]
    if route.device is not None and route.kind is RouteKind.UNICAST:
        words += ["dev", route.device]
    if route.on_link:
        words.append("onlink")
    if route.table != MAIN_TABLE:
        words += ["table", str(route.table)]
    if route.source is not None:
        words += ["src", str(route.source)]
    if route.metric:
        words += ["metric", str(route.metric)]
    words += ["proto", str(route.protocol)]
    return " ".join(words)


def show_rule(rule: PolicyRule) -> str:
    """Write a rule in iproute2's words (ip-rule(8))."""
    source = rule.source if rule.source is not None else "all"
    to = f" to {rule.destination}" if rule.destination is not None else ""
    does = "unreachable" if rule.refuses else f"lookup {rule.table}"
    return f"from {source}{to} {does} priority {rule.priority} protocol {rule.protocol}"
