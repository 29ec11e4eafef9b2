"""AWS through botocore."""
