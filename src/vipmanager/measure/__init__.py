"""Takes the time of EC2's and Kubernetes' calls, on scratch things of its own."""
