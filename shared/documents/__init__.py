"""Documents: uploads, the library, quotas, search, topics, trash, and what changed."""
