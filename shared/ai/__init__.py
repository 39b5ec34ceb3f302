"""AI: the provider interface, the providers, and the check that stands between their answers and the owner's documents."""
