"""AI: the provider interface, the providers, and the check that stands between their responses and the owner's documents."""
