"""EC2's Query protocol, the answer half: XML for results and for errors."""

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from typing import Final
from xml.sax.saxutils import escape

from vipmanager_lab.ec2.errors import ApiError
from vipmanager_lab.ec2.view import Association, Eni, PrefixList, Route, Subnet, Table, View

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_EC2: Final = "http://ec2.amazonaws.com/doc/2016-11-15/"
_STS: Final = "https://sts.amazonaws.com/doc/2011-06-15/"

_TARGET_FIELDS: Final[Mapping[str, str]] = {
    # The prefix of a target's id, and the field DescribeRouteTables shows it in.
    "nat": "natGatewayId",
    "pcx": "vpcPeeringConnectionId",
    "tgw": "transitGatewayId",
    "eigw": "egressOnlyInternetGatewayId",
    "cagw": "carrierGatewayId",
    "lgw": "localGatewayId",
    # Everything else (igw, vgw, vpce, local) is a gatewayId.
}

_REQUEST_ID: Final = re.compile(r"(<[Rr]equest(?:Id|ID)>).*?(</)")

Value = str | bool | int | list["Value"] | dict[str, "Value"] | None


def element(name: str, value: Value) -> str:
    """One XML element; lists become `item` elements and None becomes nothing."""
    match value:
        case None:
            return ""
        case bool():
            return f"<{name}>{str(value).lower()}</{name}>"
        case list():
            return f"<{name}>{''.join(element('item', it) for it in value)}</{name}>"
        case dict():
            return f"<{name}>{''.join(element(key, it) for key, it in value.items())}</{name}>"
        case _:
            return f"<{name}>{escape(str(value))}</{name}>"


def result(action: str, request_id: str, content: str) -> str:
    """A whole successful answer."""
    return (
        f'{_DECLARATION}<{action}Response xmlns="{_EC2}"><requestId>{request_id}</requestId>'
        f"{content}</{action}Response>"
    )


def error(refusal: ApiError, request_id: str, *, sts: bool = False) -> str:
    """A whole error answer, in EC2's format or in STS's, which differs."""
    detail = element("Code", refusal.code) + element("Message", refusal.message)
    if sts:
        kind = element("Type", "Sender")
        return (
            f'{_DECLARATION}<ErrorResponse xmlns="{_STS}"><Error>{kind}{detail}</Error>'
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return (
        f"{_DECLARATION}<Response><Errors><Error>{detail}</Error></Errors>"
        f"<RequestID>{request_id}</RequestID></Response>"
    )


def with_request_id(body: str, request_id: str) -> str:
    """An answer of moto's with a request id of its own instead of moto's constant."""
    return _REQUEST_ID.sub(rf"\g<1>{request_id}\g<2>", body)


def route_target(view: View, target: str) -> dict[str, str]:
    """The fields that name a route's target.

    A route to an ENI also names the instance while it forwards; a blackhole does not
    (terraform's acceptance tests, which run against EC2).
    """
    prefix = target.partition("-")[0]
    if prefix != "eni":
        return {_TARGET_FIELDS.get(prefix, "gatewayId"): target}
    fields = {"networkInterfaceId": target}
    eni = view.enis.get(target)
    if eni is not None and eni.attachment is not None and eni.forwards:
        fields["instanceId"] = eni.attachment.instance
        fields["instanceOwnerId"] = view.account
    return fields


def table(view: View, it: Table) -> str:
    """A route table as an `item`."""
    routes = "".join(_route(view, route) for route in it.routes())
    routes += "".join(_listed(view, *reference) for reference in it.listed.items())
    fields: dict[str, Value] = {
        "routeTableId": it.id,
        "vpcId": it.vpc,
        "ownerId": view.account,
        "associationSet": [_association(it, association) for association in it.associations],
        "propagatingVgwSet": [
            {"gatewayId": target}
            for target in sorted({route.target for route in it.propagated.values()})
        ],
        "tagSet": _tags(it.tags),
    }
    content = "".join(element(name, value) for name, value in fields.items())
    return f"<item>{content}<routeSet>{routes}</routeSet></item>"


def _route(view: View, route: Route) -> str:
    # Written out: a table has hundreds of these, and ids need no escaping.
    ipv4 = isinstance(route.destination, IPv4Network)
    cidr = "destinationCidrBlock" if ipv4 else "destinationIpv6CidrBlock"
    target = "".join(
        f"<{key}>{value}</{key}>" for key, value in route_target(view, route.target).items()
    )
    state = "active" if view.active(route) else "blackhole"
    return (
        f"<item><{cidr}>{route.destination}</{cidr}>{target}"
        f"<state>{state}</state><origin>{route.origin.value}</origin></item>"
    )


def _listed(view: View, list_id: str, target: str) -> str:
    return element(
        "item",
        {
            "destinationPrefixListId": list_id,
            **route_target(view, target),
            "state": "active" if view.forwards(target) else "blackhole",
            "origin": "CreateRoute",
        },
    )


def prefix_list(view: View, it: PrefixList) -> str:
    """A managed prefix list as an `item`."""
    return element("item", prefix_list_fields(view, it))


def prefix_list_fields(view: View, it: PrefixList) -> dict[str, Value]:
    """What every answer about a managed prefix list has."""
    return {
        "prefixListId": it.id,
        "addressFamily": it.family,
        "state": it.state,
        "prefixListArn": f"arn:aws:ec2:{view.region}:{view.account}:prefix-list/{it.id}",
        "prefixListName": it.name,
        "maxEntries": it.most,
        "version": it.version,
        "ownerId": view.account,
        "tagSet": _tags(it.tags),
    }


def _association(it: Table, association: Association) -> dict[str, Value]:
    return {
        "routeTableAssociationId": association.id,
        "routeTableId": it.id,
        "subnetId": association.subnet,
        "gatewayId": association.gateway,
        "main": association.main,
        "associationState": {"state": "associated"},
    }


def subnet(view: View, it: Subnet) -> str:
    """A subnet as an `item`; IPv6 blocks appear in the association set only."""
    return element(
        "item",
        {
            "subnetId": it.id,
            "subnetArn": f"arn:aws:ec2:{view.region}:{view.account}:subnet/{it.id}",
            "state": "available",
            "ownerId": view.account,
            "vpcId": it.vpc,
            "cidrBlock": str(it.ipv4) if it.ipv4 else None,
            "ipv6CidrBlockAssociationSet": [
                {
                    "associationId": association,
                    "ipv6CidrBlock": str(block),
                    "ipv6CidrBlockState": {"state": "associated"},
                }
                for association, block in it.ipv6
            ],
            "ipv6Native": it.ipv4 is None,
            "availableIpAddressCount": it.free_addresses,
            "availabilityZone": it.zone,
            "availabilityZoneId": it.zone_id,
            "defaultForAz": False,
            "mapPublicIpOnLaunch": False,
            "mapCustomerOwnedIpOnLaunch": False,
            "assignIpv6AddressOnCreation": False,
            "enableDns64": False,
            "privateDnsNameOptionsOnLaunch": {
                "hostnameType": "ip-name",
                "enableResourceNameDnsARecord": False,
                "enableResourceNameDnsAAAARecord": False,
            },
            "tagSet": _tags(it.tags),
        },
    )


def eni(view: View, it: Eni) -> str:
    """A network interface as an `item`."""
    return element(
        "item",
        {
            "networkInterfaceId": it.id,
            "subnetId": it.subnet,
            "vpcId": it.vpc,
            "availabilityZone": it.zone,
            "availabilityZoneId": it.zone_id,
            "description": it.description,
            "ownerId": view.account,
            "requesterManaged": False,
            "status": it.status,
            "macAddress": it.mac,
            "privateIpAddress": str(it.ipv4[0]) if it.ipv4 else None,
            "sourceDestCheck": it.source_dest_check,
            "groupSet": [{"groupId": group, "groupName": name} for group, name in it.groups],
            "attachment": _attachment(view, it),
            "tagSet": _tags(it.tags),
            "privateIpAddressesSet": [
                {"privateIpAddress": str(address), "primary": address == it.ipv4[0]}
                for address in it.ipv4
            ],
            "ipv6AddressesSet": [{"ipv6Address": str(address)} for address in it.ipv6],
            "ipv4PrefixSet": [{"ipv4Prefix": str(p)} for p in it.prefixes if p.version == 4],  # noqa: PLR2004
            "ipv6PrefixSet": [{"ipv6Prefix": str(p)} for p in it.prefixes if p.version == 6],  # noqa: PLR2004
            "interfaceType": "interface",
        },
    )


def _attachment(view: View, it: Eni) -> Value:
    attachment = it.attachment
    if attachment is None:
        return None
    return {
        "attachmentId": attachment.id,
        "instanceId": attachment.instance,
        "instanceOwnerId": view.account,
        "deviceIndex": attachment.device_index,
        "networkCardIndex": attachment.card_index,
        "status": "attached",
        "attachTime": attachment.time.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "deleteOnTermination": attachment.delete_on_termination,
    }


def _tags(tags: Iterable[tuple[str, str]]) -> Value:
    return [{"key": key, "value": value} for key, value in tags]
