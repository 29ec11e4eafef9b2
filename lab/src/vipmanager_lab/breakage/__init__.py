"""The faults of a lab by name, each with what undoes it: `detach net1`, `steal`, `impair a`."""
