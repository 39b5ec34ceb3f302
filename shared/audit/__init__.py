"""The audit log: what happened, append-only, sealed into a hash chain, personal data erasable.

Writers insert (`record`), a sealer links the lines within a second (`sealer`), anyone with the right may check the chain (`chain`).
"""

from shared.audit.caller import Caller
from shared.audit.events import Event, Outcome
from shared.audit.lines import record, record_call

__all__ = ["Caller", "Event", "Outcome", "record", "record_call"]
