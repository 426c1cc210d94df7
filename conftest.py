"""Fixtures that several rooms' tests share live in tests/services, each real service in a file of its own."""

pytest_plugins = [
    "tests.services.chaos",
    "tests.services.postgres",
    "tests.services.project",
    "tests.services.smtp",
    "tests.services.spark",
]
