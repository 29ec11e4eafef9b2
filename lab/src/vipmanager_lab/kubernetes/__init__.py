"""A real Kubernetes: its own binaries for the control plane, and nodes of the lab that join it."""
