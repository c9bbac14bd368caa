"""Test suites of users: a bed as a pytest fixture, scenarios as tests. ``plugin`` is what pytest loads; the rest it loads when a test asks."""
