"""A floating IP on EKS that follows its pod across Availability Zones."""

__version__ = "0.1.0"
