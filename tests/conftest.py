"""Being here, it puts this folder on the import path: tests share the helpers beside it."""
