"""Wires the edges to the engine."""
