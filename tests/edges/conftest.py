"""The same examples in every run."""

from hypothesis import HealthCheck, settings

# A busy machine is slow to make examples, which says nothing about what is tested.
settings.register_profile(
    "same",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("same")
