"""The name of everything the audit log knows: `area:thing:what`, told apart by an outcome if it can fail."""

from enum import StrEnum


class AuditOutcome(StrEnum):
    """How it ended."""

    SUCCESS = "success"
    FAILURE = "failure"


class AuditAction(StrEnum):
    """Every audited event."""

    ACCOUNT_REGISTERED = "account:register"
    """`detail.reason` of a failure: `address_taken`, `closed`."""
    ACCOUNT_UPDATED = "account:update"
    STORAGE_CHOSEN = "account:choose_storage"
    ARCHIVE_CREATED = "archive:create"
    """A link was made that gives documents, if it is used within a few minutes, to whoever holds it. `detail.chosen` says how they were
    chosen: `ids` (`detail.documents` of them), `filter`, `everything`."""
    ACCOUNT_DELETED = "account:delete"
    ACCOUNT_DATA_ERASED = "account:data_erased"
    ADMIN_BOOTSTRAPPED = "account:bootstrap_admin"

    LOGIN = "session:login"
    """`detail.method`: `password`, `totp`, `backup_code`; a failure's `detail.reason` says what was wrong."""
    LOGIN_DELAYED = "session:login_delayed"
    """Refused without a look at the password or the code: too many failures before."""
    SECOND_FACTOR_REQUIRED = "session:second_factor_required"
    REFRESH = "session:refresh"
    """A failure's `detail.reason`: `ended`, `expired`. A cookie that we never issued concerns no account and is not written."""
    REFRESH_REUSED = "session:refresh_token_reused"
    REAUTHENTICATION = "session:reauthenticate"
    """The password was asked for before something that matters. A failure's `detail.reason`: `missing` (only an access token was sent),
    `wrong_password`, `wrong_code`, `too_many_failures`."""
    LOGOUT = "session:logout"
    SESSION_REVOKED = "session:revoke"

    PASSWORD_RESET_REQUESTED = "password:reset_requested"  # noqa: S105
    PASSWORD_RESET = "password:reset"  # noqa: S105
    PASSWORD_CHANGED = "password:change"  # noqa: S105
    PASSWORD_UPGRADED = "password:hash_upgraded"  # noqa: S105

    TOTP_BEGUN = "second_factor:begin"
    TOTP_CONFIRMED = "second_factor:confirm"
    TOTP_DISABLED = "second_factor:disable"
    BACKUP_CODES_REGENERATED = "second_factor:backup_codes_regenerated"

    API_TOKEN_CREATED = "api_token:create"  # noqa: S105
    API_TOKEN_REVOKED = "api_token:revoke"  # noqa: S105

    DOCUMENT_UPLOADED = "document:upload"
    """Room was reserved for a document of the owner's; that its bytes have come is in the document's history. The target of every
    `document:` line is the document, its `detail.api_token` the token if a program did it."""
    DOCUMENT_VERSION_UPLOADED = "document:upload_version"
    """Room was reserved for another version of the document."""
    DOCUMENT_VERSION_RESTORED = "document:restore_version"
    """`detail.version` is its number."""
    DOCUMENT_UPLOAD_ABORTED = "document:abort_upload"
    DOCUMENT_DOWNLOADED = "document:download_link"
    """A link was made that gives the document, for a few minutes, to whoever holds it; `detail.version` if it is an earlier version."""
    DOCUMENT_UPDATED = "document:update"
    """`detail.changed` names what."""
    DOCUMENT_TRASHED = "document:trash"
    DOCUMENT_RESTORED = "document:restore"
    DOCUMENT_PURGED = "document:purge"
    """Removed for good. Without an actor: it had been in the trash for long enough. What a job did has its id in `detail.job`."""
    DOCUMENT_REPROCESSED = "document:reprocess"
    DOCUMENT_SHARED = "document:share"
    """A link was made that gives the document to whoever has it. `detail.share` of these three lines is the share."""
    DOCUMENT_SHARE_REVOKED = "document:revoke_share"
    DOCUMENT_SHARE_OPENED = "document:open_share"
    """Somebody with the link, who is nobody's account. A failure's `detail.reason`: `wrong_password`."""

    DOCUMENT_MOVE_REQUESTED = "document:move"
    """Its owner wants it to live elsewhere; that it does is in the document's history."""
    DOCUMENT_IMPORTED = "document:import"
    """From a cloud of the owner's."""
    DOCUMENT_EXPORTED = "document:export"
    """A copy to a cloud of the owner's."""

    CLOUD_CONNECTED = "cloud:connect"
    """The target of every `cloud:` line is the connection."""
    CLOUD_DISCONNECTED = "cloud:disconnect"
    CLOUD_RENAMED = "cloud:rename"
    CLOUD_FOLDER_WATCHED = "cloud:watch"
    CLOUD_FOLDER_UNWATCHED = "cloud:unwatch"

    ADMIN_USER_CREATED = "admin:user_created"
    ADMIN_USER_UPDATED = "admin:user_updated"
    ADMIN_USER_DELETED = "admin:user_deleted"
    ADMIN_SESSIONS_REVOKED = "admin:sessions_revoked"
    ADMIN_SETTINGS_UPDATED = "admin:settings_updated"
    ADMIN_DELIVERY_RETRIED = "admin:delivery_retried"
    ADMIN_SCHEDULE_RUN = "admin:schedule_run"
    """Earlier than its time; the target is its name."""
    AUDIT_VERIFIED = "admin:audit_verified"
    """A failure's `detail.first_bad` is the first line, place or export that does not fit."""
    AUDIT_EXPORT_DOWNLOADED = "admin:audit_export_downloaded"
    """`detail.date` is the day."""
