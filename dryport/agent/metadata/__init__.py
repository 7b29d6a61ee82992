"""Task metadata (versions 2 to 4), credentials, task protection, introspection."""
