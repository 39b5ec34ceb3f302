"""Which functions each event wakes.

Generated from the functions' declarations by `./scripts/generate`; do not edit.
"""

from typing import NamedTuple


class Subscription(NamedTuple):
    function: str
    queue: str


SUBSCRIPTIONS: dict[str, tuple[Subscription, ...]] = {
    "account.deleted": (Subscription("delete_account_data", "documents"),),
    "classification.due": (Subscription("ask_ai_provider", "ai"),),
    "cloud.export": (Subscription("export_cloud_file", "documents"),),
    "cloud.file": (Subscription("import_cloud_file", "documents"),),
    "cloud.look": (Subscription("look_into_folder", "documents"),),
    "document.extracted": (Subscription("classify_document", "documents"),),
    "document.large": (Subscription("extract_large_document", "large"),),
    "document.move": (Subscription("move_stored_document", "documents"),),
    "document.purged": (Subscription("erase_document", "documents"),),
    "document.scanned": (Subscription("recognize_pages", "recognition"),),
    "document.stored": (Subscription("extract_document", "documents"),),
    "email.requested": (Subscription("send_email", "email"),),
    "job.due": (Subscription("run_job", "documents"),),
    "s3:ObjectCreated:*": (Subscription("object_created", "documents"),),
    "schedule.cleanup_abandoned_uploads": (Subscription("cleanup_abandoned_uploads", "system"),),
    "schedule.export_audit_log": (Subscription("export_audit_log", "system"),),
    "schedule.maintain_clouds": (Subscription("maintain_clouds", "system"),),
    "schedule.prune_expired": (Subscription("prune_expired", "system"),),
    "schedule.purge_trash": (Subscription("purge_trash", "system"),),
    "schedule.reconcile_uploads": (Subscription("reconcile_uploads", "system"),),
    "schedule.refresh_search_index": (Subscription("refresh_search_index", "system"),),
    "schedule.retry_classifications": (Subscription("retry_classifications", "system"),),
    "schedule.watch_clouds": (Subscription("watch_clouds", "system"),),
}

SCHEDULES: dict[str, str] = {
    "cleanup_abandoned_uploads": "*/30 * * * *",
    "export_audit_log": "0 0 * * *",
    "maintain_clouds": "*/5 * * * *",
    "prune_expired": "0 * * * *",
    "purge_trash": "30 2 * * *",
    "reconcile_uploads": "* * * * *",
    "refresh_search_index": "* * * * *",
    "retry_classifications": "* * * * *",
    "watch_clouds": "* * * * *",
}
