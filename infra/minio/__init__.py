"""The real MinIO: built from source, for tests and for who wants it."""
