"""The function runtime and everything around it."""
