"""A VPC on one Linux machine: real packets, a faithful EC2 endpoint, faults on command."""
