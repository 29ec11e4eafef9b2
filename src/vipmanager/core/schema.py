"""The JSON documents that programs read, by name and version; docs/schema describes each."""

from collections.abc import Mapping
from enum import StrEnum


class Schema(StrEnum):
    """What a document says of itself; a number grows with an incompatible change."""

    AGENT = "vipmanager/agent/v1"
    CLEANUP = "vipmanager/cleanup/v1"
    DOCTOR = "vipmanager/doctor/v1"
    DRILL = "vipmanager/drill/v1"
    DRILL_CLEAN = "vipmanager/drill-clean/v1"
    MEASURE = "vipmanager/measure/v1"
    MEASURE_CLEAN = "vipmanager/measure-clean/v1"
    PLAN = "vipmanager/plan/v1"
    STATUS = "vipmanager/status/v1"
    STATUS_VPC = "vipmanager/status-vpc/v1"

    def document(self, content: Mapping[str, object]) -> dict[str, object]:
        """Give a document of this schema."""
        return {"schema": self.value, **content}
