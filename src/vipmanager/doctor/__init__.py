"""`vipmanager doctor`: what stands between a pod and its floating IPs, as a table of checks."""
