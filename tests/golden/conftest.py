"""Hypothesis profile of the golden tests: the same examples on every run, and a blob to replay a failure."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "golden",
    max_examples=80,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("golden")
