"""Causes one failover on purpose, and tells what a client saw of it."""
