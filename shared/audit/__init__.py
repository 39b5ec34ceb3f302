"""The audit log: what happened, append-only, sealed into a hash chain, personal data erasable.

Writers insert (`record`), a sealer links the lines within a second (`sealer`), anyone with the right may check the chain (`chain`).
"""

from shared.audit.actions import AuditAction, AuditOutcome
from shared.audit.caller import Caller
from shared.audit.entries import record, record_call, record_calls

__all__ = ["AuditAction", "AuditOutcome", "Caller", "record", "record_call", "record_calls"]
