"""The configuration, from the environment and from flags."""

from vipmanager.edges.settings.keys import KEYS
from vipmanager.edges.settings.load import SettingsError, kubelet, load

__all__ = ["KEYS", "SettingsError", "kubelet", "load"]
