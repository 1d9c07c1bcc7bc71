"""Property tests draw the same examples in every run, few enough for a quick one."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An upgrade that moved what this program borrows is told before anything fails for want of it."""
    items.sort(key=lambda item: item.path.name != "test_borrowed.py")
