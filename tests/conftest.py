"""Being here, it puts this folder on the import path: tests share the helpers beside it."""

from hypothesis import settings

# Machines are shared and noisy: how long an example takes says nothing. On CI hypothesis has no deadline anyhow, and fixed examples.
if settings.get_current_profile_name() == "default":
    settings.register_profile("shared", deadline=None)
    settings.load_profile("shared")
