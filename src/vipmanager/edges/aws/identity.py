"""Who this container is to AWS, and what time it is there: each asked alone, for `doctor`."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from vipmanager.core.failures import Transient
from vipmanager.core.text import words
from vipmanager.edges.aws.credentials import signing
from vipmanager.edges.aws.session import trimmed_session
from vipmanager.edges.aws.sources import called

TIMEOUT = 3.0
"""Seconds for one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where credentials came from, and until when they are good; None for no end."""

    source: str
    expires: datetime | None


class Identity:
    """Asks botocore's credential chain and EC2's clock."""

    def credentials(self, region: str | None) -> Credentials:
        """Find credentials as the agent does, and fetch them.

        Args:
            region: whose STS is asked; None where it is not known.

        Raises:
            Transient, Permanent: there are none, or their source refuses.
        """
        found: Any = signing(region).get_credentials()
        found.get_frozen_credentials()
        return Credentials(source=called(found.method), expires=getattr(found, "expires", None))

    def ahead(self, region: str) -> float | None:
        """Ask EC2 unsigned, and give the seconds by which this clock is ahead of its answer's.

        The refusal is an answer too: it proves the way to EC2 whatever the credentials are.
        None where the answer has no date.

        Raises:
            Transient: no answer.
        """
        from botocore import UNSIGNED  # noqa: PLC0415 - slow to import
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import ClientError  # noqa: PLC0415

        answer: Mapping[str, Any]
        try:
            config = Config(
                signature_version=UNSIGNED,
                connect_timeout=TIMEOUT,
                read_timeout=TIMEOUT,
                retries={"total_max_attempts": 1, "mode": "standard"},
            )
            client: Any = trimmed_session().create_client("ec2", region_name=region, config=config)
            answer = client.describe_subnets(MaxResults=5)
        except ClientError as refusal:
            answer = refusal.response
        except Exception as error:
            said = words(str(error) or type(error).__name__)
            raise Transient(f"EC2 of {region} does not answer: {said}") from error
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        try:
            return time.time() - parsedate_to_datetime(date).timestamp()
        except ValueError:
            return None
