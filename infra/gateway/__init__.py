"""Routes HTTP to functions: in this process, or to their service URLs."""
