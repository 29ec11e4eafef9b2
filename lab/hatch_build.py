"""What the lab's wheel needs: the vipmanager of its own version, and the packages listed."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class SameVersion(MetadataHookInterface):
    """Pins vipmanager: the lab uses its insides, which may change with every version."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Write the dependencies."""
        same = f"vipmanager=={metadata['version']}"
        metadata["dependencies"] = [same, *self.config["dependencies"]]
