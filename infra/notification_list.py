"""The Redis list that bucket notifications wait on: a store pushes them (`MINIO_NOTIFY_REDIS_KEY_…`), a broker takes them off."""

LIST = "docuvault:bucket-events"
