"""A Kubernetes API for Leases, Pods and Events, over real sockets."""
