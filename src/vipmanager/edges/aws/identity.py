"""Who this container is to AWS, and what time it is there: each asked alone, for `doctor`."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from vipmanager.core.failures import Permanent, Transient
from vipmanager.edges.aws.session import trimmed_session

TIMEOUT = 3.0
"""Seconds for one answer."""

_SOURCES = {
    # botocore's name of a provider: what an operator calls it.
    "env": "the environment (AWS_ACCESS_KEY_ID)",
    "assume-role-with-web-identity": "IRSA (AWS_WEB_IDENTITY_TOKEN_FILE)",
    "container-role": "EKS Pod Identity (AWS_CONTAINER_CREDENTIALS_FULL_URI)",
    "iam-role": "the node's role (IMDS)",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the AWS config file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where credentials came from, and until when they are good; None for no end."""

    source: str
    expires: datetime | None


class Identity:
    """Asks botocore's credential chain and EC2's clock."""

    def credentials(self) -> Credentials:
        """Find credentials as the agent does, and fetch them.

        Raises:
            Permanent: there are none, or their source refuses.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow to import

        try:
            found: Any = trimmed_session().get_credentials()
            if found is None:
                raise Permanent("no credentials in the environment, in files or from a role")
            found.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise Permanent(f"no credentials: {error}") from error
        # botocore keeps the time to itself; static keys have none.
        expires = getattr(found, "_expiry_time", None)
        return Credentials(source=_SOURCES.get(found.method, found.method), expires=expires)

    def ahead(self, region: str) -> float | None:
        """Ask EC2 unsigned, and give the seconds by which this clock is ahead of its answer's.

        The refusal is an answer too: it proves the way to EC2 whatever the credentials are.
        None where the answer has no date.

        Raises:
            Transient: no answer.
        """
        from botocore import UNSIGNED  # noqa: PLC0415 - slow to import
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        config = Config(
            signature_version=UNSIGNED,
            connect_timeout=TIMEOUT,
            read_timeout=TIMEOUT,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )
        answer: Mapping[str, Any]
        try:
            client: Any = trimmed_session().create_client("ec2", region_name=region, config=config)
            answer = client.describe_subnets(MaxResults=5)
        except ClientError as refusal:
            answer = refusal.response
        except (BotoCoreError, ResponseParserError) as error:
            raise Transient(f"EC2 of {region} does not answer: {error}") from error
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        try:
            return time.time() - parsedate_to_datetime(date).timestamp()
        except ValueError:
            return None
