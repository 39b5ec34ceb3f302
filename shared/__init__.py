"""The domain, and what every function stands on. Never imports `functions` or `infra`."""
