"""The lab's EC2 endpoint."""
