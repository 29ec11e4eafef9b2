"""moto's EC2 and STS actions, run in-process for one account, with their errors as ours."""

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.ec2.exceptions import EC2ClientError, FilterNotImplementedError
from moto.ec2.responses import EC2Response
from moto.sts.responses import TokenResponse

from vipmanager_lab.ec2.backend import Backend, Tokens
from vipmanager_lab.ec2.errors import ApiError, invalid


class Ec2Actions(EC2Response):
    """EC2's actions that the endpoint does not implement itself."""

    RESPONSE_KEY_PATH_TO_TRANSFORMER = {  # noqa: RUF012 moto's own way to correct an answer
        **EC2Response.RESPONSE_KEY_PATH_TO_TRANSFORMER,
        # moto answers with the text of a Python dict.
        "Ipv6CidrBlockState.State": lambda it: it["State"] if isinstance(it, dict) else it,
    }

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend

    @property
    def ec2_backend(self) -> Backend:
        """This account's backend, whatever the request's key and region say."""
        return self._backend

    def get_current_account(self) -> str:
        """This account, whatever the request's key says."""
        return self._backend.account_id

    def get_region_from_url(self, request: Any, full_url: str) -> str:  # noqa: ANN401, ARG002  # moto's signature
        """This account's region, whatever the request says."""
        return self._backend.region_name

    def create_network_interface(self) -> ActionResult:
        """With the client token, which moto drops."""
        return self._once(super().create_network_interface)

    def create_route_table(self) -> ActionResult:
        """With the client token, and the gateways, which moto drops."""
        answer = self._once(super().create_route_table)
        result: Any = answer.result
        result["RouteTable"].propagating_vgws = []
        return answer

    def _once(self, create: Callable[[], ActionResult]) -> ActionResult:
        """The same client token gives the same thing; with other parameters it is refused.

        Source: EC2 error codes page, "IdempotentParameterMismatch".
        """
        token, asked = self._get_param("ClientToken"), dict(self.querystring)
        key = (self._get_action(), token)
        known, before = self._backend.created.get(key, (None, asked))
        if asked != before:
            raise EC2ClientError(  # GUESS at the text
                "IdempotentParameterMismatch", f"The client token {token} was of another request."
            )
        answer = known or create()
        if token:
            self._backend.created[key] = answer, asked
        return answer

    def assign_private_ip_addresses(self) -> ActionResult:
        """With prefixes, which moto does not know."""
        return self._assign_prefixes("Ipv4Prefix") or super().assign_private_ip_addresses()

    def assign_ipv6_addresses(self) -> ActionResult:
        """With prefixes, which moto does not know."""
        return self._assign_prefixes("Ipv6Prefix") or super().assign_ipv6_addresses()

    def _assign_prefixes(self, parameter: str) -> ActionResult | None:
        wanted = [v[0] for k, v in self.querystring.items() if k.startswith(f"{parameter}.")]
        if not wanted:
            return None
        prefixes = [ip_network(prefix) for prefix in wanted]
        eni = self._backend.assign_prefixes(self._get_param("NetworkInterfaceId"), prefixes)
        return ActionResult({"NetworkInterfaceId": eni.id})

    def attach_network_interface(self) -> ActionResult:
        """With the network card, which moto drops."""
        attachment = self._backend.attach_network_interface(
            self._get_param("NetworkInterfaceId"),
            self._get_param("InstanceId"),
            self._get_int_param("DeviceIndex", 0),
            self._get_int_param("NetworkCardIndex", 0),
        )
        return ActionResult(
            {
                "AttachmentId": attachment.attachment_id,
                "NetworkCardIndex": attachment.network_card_index,
            }
        )

    def modify_network_interface_attribute(self) -> ActionResult:
        """With DeleteOnTermination, which moto drops."""
        if attachment := self._get_param("Attachment.AttachmentId"):
            self._backend.set_delete_on_termination(
                attachment, value=bool(self._get_param("Attachment.DeleteOnTermination"))
            )
        return super().modify_network_interface_attribute()

    def delete_route_table(self) -> ActionResult:
        """With the refusal of the main table, which moto deletes."""
        self._backend.remove_route_table(self._get_param("RouteTableId"))
        return ActionResult(None)


class StsActions(TokenResponse):
    """STS's actions."""

    def __init__(self, backend: Tokens, region: str) -> None:
        super().__init__()
        self._backend = backend
        self._region = region

    @property
    def backend(self) -> Tokens:
        """This account's backend, whatever the request's key says."""
        return self._backend

    def get_current_account(self) -> str:
        """This account, whatever the request's key says."""
        return self._backend.account_id

    def get_region_from_url(self, request: Any, full_url: str) -> str:  # noqa: ANN401, ARG002  # moto's signature
        """This account's region, whatever the request says."""
        return self._region


def perform(actions: BaseResponse, request: Request, action: str) -> str:
    """Run one action and give its XML.

    Raises:
        ApiError: as moto refuses the call, or InvalidAction for one that moto does not know.
    """
    name = camelcase_to_underscores(action)
    if name not in method_names_from_class(type(actions)):
        raise ApiError("InvalidAction", f"The action {action} is not valid for this web service.")
    try:
        actions.setup_class(request)
        answer = getattr(actions, name)()
        _, _, body = actions.serialized(answer)
    except ServiceException as refusal:
        raise ApiError(refusal.code, refusal.message) from refusal
    except FilterNotImplementedError as unknown:
        raise invalid(f"The filter is invalid: {unknown}") from unknown
    except NotImplementedError as unknown:
        raise ApiError("Unsupported", str(unknown)) from unknown
    return body if isinstance(body, str) else body.decode()
