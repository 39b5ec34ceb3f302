"""The embedded PostgreSQL, Valkey and S3 store, and the stack of `scripts/serve` and `scripts/demo` around them."""
