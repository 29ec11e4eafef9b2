"""Where the engine's jitter comes from: one source, which nothing else draws from."""

import random

JITTER = random.Random()  # noqa: S311 - jitter, no secret
