"""Where originals are kept: one interface, one module a backend, one contract suite (tests/storage/contract.py) that all of them pass."""

from shared.storage.backend import (
    DirectUploads,
    Download,
    ObjectMissing,
    ObjectTooLarge,
    Part,
    PartsRefused,
    PartUrl,
    SignedUpload,
    StorageBackend,
    StorageUnavailable,
    StoredObject,
)
from shared.storage.object_store import ObjectStore, object_store

__all__ = [
    "DirectUploads",
    "Download",
    "ObjectMissing",
    "ObjectStore",
    "ObjectTooLarge",
    "Part",
    "PartUrl",
    "PartsRefused",
    "SignedUpload",
    "StorageBackend",
    "StorageUnavailable",
    "StoredObject",
    "object_store",
]
